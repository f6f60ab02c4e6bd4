"""What the channel reads of an HTTP request: a few headers, two query parameters, a bounded body."""

from __future__ import annotations

import asyncio
from typing import NamedTuple
from urllib.parse import unquote_plus

from inlive_banner.channel.driving import Suspended, step
from inlive_banner.channel.types import Message, Receive, Scope

__all__ = ["BodyTooLargeError", "Client", "ClientGoneError", "Request"]

BODY_SECONDS = 20.0
"""How long a body may take to arrive. A browser's fetch is there at once; a stalled client is answered 400."""


_READ = frozenset((
    b"authorization", b"content-length", b"content-type", b"dnt", b"inlive-visitor-address", b"last-event-id",
    b"origin", b"purpose", b"sec-gpc", b"sec-purpose", b"user-agent", b"x-forwarded-for", b"x-moz",
))  # fmt: skip


class Client(NamedTuple):
    """What a request says of who sent it, unjudged."""

    peer: str
    """The address at the other end of the connection; "" where it has none (a Unix socket)."""
    forwarded_for: str
    """`X-Forwarded-For`; several of them joined in their order."""
    visitor_address: str
    """`Inlive-Visitor-Address`: whom a service publishes for. Nobody between appends to it, or takes it for its own."""
    user_agent: bytes
    """b"" where there is none."""
    prefetch: bool
    """A browser asks ahead of its person: `Sec-Purpose`, `Purpose` or `X-Moz` has `prefetch`."""
    opted_out: bool
    """The person wants not to be followed: `DNT: 1` or `Sec-GPC: 1`."""


class BodyTooLargeError(Exception):
    """The body is larger than allowed."""


class ClientGoneError(Exception):
    """The client hung up before its request was whole."""


class Request:
    """One HTTP request, read lazily."""

    __slots__ = (
        "_found",
        "_peer",
        "_receive",
        "authorization",
        "content_length",
        "content_type",
        "last_event_id",
        "method",
        "origin",
        "query",
    )

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        self._peer = scope.get("client")
        self.method: str = scope["method"]
        self.query: bytes = scope["query_string"]
        found: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            if name in _READ:
                several = name == b"x-forwarded-for" and name in found
                found[name] = found[name] + b"," + value if several else value
        self.origin = found.get(b"origin", b"")
        self.authorization = found.get(b"authorization", b"")
        self.content_type = found.get(b"content-type", b"")
        self.content_length = found.get(b"content-length", b"")
        last_event_id = found.get(b"last-event-id")
        # Browsers send it as UTF-8 (WHATWG HTML, "reestablish the connection").
        self.last_event_id = None if last_event_id is None else last_event_id.decode("utf-8", "replace")
        self._found = found if self.method == "POST" else {}  # an open stream would keep it

    @property
    def bearer(self) -> str:
        """The token of `Authorization: Bearer`; "" where there is none. Other schemes belong to some proxy."""
        scheme, _, token = self.authorization.partition(b" ")
        return token.strip().decode("latin-1") if scheme.lower() == b"bearer" else ""

    @property
    def is_json(self) -> bool:
        """Whether the content type says JSON."""
        media_type = self.content_type.partition(b";")[0].strip().lower()
        return media_type == b"application/json" or (
            media_type.startswith(b"application/") and media_type.endswith(b"+json")
        )

    @property
    def client(self) -> Client:
        """What a POST says of who sent it."""
        get = self._found.get
        purpose = get(b"sec-purpose") or get(b"purpose") or get(b"x-moz")
        return Client(
            self._peer[0] if self._peer else "",
            get(b"x-forwarded-for", b"").decode("latin-1"),
            get(b"inlive-visitor-address", b"").decode("latin-1"),
            get(b"user-agent", b""),
            purpose is not None and b"prefetch" in purpose.lower(),
            get(b"dnt") == b"1" or get(b"sec-gpc") == b"1",
        )

    def query_parameter(self, name: bytes) -> str | None:
        """The first value of a query parameter; None where it is absent."""
        for pair in self.query.split(b"&"):
            key, _, value = pair.partition(b"=")
            if key == name:
                return unquote_plus(value.decode("latin-1"))
        return None

    async def body(self, *, max_bytes: int) -> bytes:
        """The whole body. Raises `BodyTooLargeError`, `ClientGoneError`, `TimeoutError`."""
        # Python refuses to read more than 4,300 digits.
        if self.content_length.isdigit() and int(self.content_length[:20]) > max_bytes:
            raise BodyTooLargeError
        # A small body has nearly always come with the head; then no timer needs to be set for it.
        message = step(self._receive())
        if not isinstance(message, Suspended) and not message.get("more_body"):
            return self._joined(message, b"", max_bytes)
        body = b""
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                if isinstance(message, Suspended):
                    message = await message
                body = self._joined(message, body, max_bytes)
                if not message.get("more_body"):
                    return body
                message = await self._receive()

    def _joined(self, message: Message, before: bytes, max_bytes: int) -> bytes:
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        body: bytes = before + message.get("body", b"")
        if len(body) > max_bytes:
            raise BodyTooLargeError
        return body
