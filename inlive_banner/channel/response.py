"""The channel's HTTP answers: one shape of JSON, CORS headers on every one of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from inlive_banner.channel.types import Send
from inlive_banner.envelope import encode_json

__all__ = ["RefusedError", "cors_headers", "send_json", "send_preflight"]

Headers = list[tuple[bytes, bytes]]

PREFLIGHT_SECONDS = 7200
"""How long a browser may remember the preflight; Chromium's own limit."""

_JSON_HEADERS: Headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
_ANY_ORIGIN: Headers = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"retry-after"),
]
_PREFLIGHT_HEADERS: Headers = [
    (b"access-control-allow-methods", b"GET, HEAD, POST, OPTIONS"),
    # Named one by one: "*" doesn't cover Authorization (Fetch standard, CORS protocol).
    (b"access-control-allow-headers", b"authorization, content-type, last-event-id"),
    (b"access-control-max-age", str(PREFLIGHT_SECONDS).encode()),
    (b"content-length", b"0"),
]


class RefusedError(Exception):
    """A request gets an answer other than 200. `message` is a sentence that a person can act on."""

    def __init__(self, code: int, message: str, *, retry_after_seconds: int = 0, allow: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry_after_seconds = retry_after_seconds
        self.allow = allow
        """The methods that the path has, for 405."""

    @property
    def headers(self) -> Headers:
        """What goes beside the answer's body."""
        headers: Headers = []
        if self.retry_after_seconds:
            headers.append((b"retry-after", str(self.retry_after_seconds).encode()))
        if self.allow:
            headers.append((b"allow", self.allow.encode()))
        return headers


def cors_headers(origin: bytes, allowed_origins: Iterable[str]) -> Headers:
    """The headers that let a page of `origin` read the answer; none of effect where it isn't allowed."""
    if "*" in allowed_origins or origin.decode("latin-1") not in allowed_origins:
        # A refused origin may still read its refusal: there is nothing in it but the reason.
        return _ANY_ORIGIN
    return [
        (b"access-control-allow-origin", origin),
        (b"access-control-expose-headers", b"retry-after"),
        (b"vary", b"origin"),
    ]


async def send_json(
    send: Send,
    code: int,
    message: str,
    *,
    data: Any = None,
    headers: Iterable[tuple[bytes, bytes]] = (),
    head: bool = False,
) -> None:
    """Answer with `{"code": …, "message": …, "data": …}`; the HTTP status equals the code.

    `head` leaves the body out, as the answer to a HEAD request.
    """
    body = encode_json(
        {"code": code, "message": message} if data is None else {"code": code, "message": message, "data": data}
    )
    start = [*_JSON_HEADERS, (b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": code, "headers": start})
    await send({"type": "http.response.body", "body": b"" if head else body})


async def send_preflight(send: Send, headers: Headers) -> None:
    """Answer a CORS preflight."""
    await send({"type": "http.response.start", "status": 204, "headers": [*_PREFLIGHT_HEADERS, *headers]})
    await send({"type": "http.response.body", "body": b""})
