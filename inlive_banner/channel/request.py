"""What the channel reads of an HTTP request: a few headers, two query parameters, a bounded body."""

from __future__ import annotations

import asyncio
from urllib.parse import unquote_plus

from inlive_banner.channel.driving import Suspended, step
from inlive_banner.channel.types import Message, Receive, Scope

__all__ = ["BodyTooLargeError", "ClientGoneError", "Request"]

BODY_SECONDS = 20.0
"""How long a body may take to arrive. A browser's fetch is there at once; a stalled client is answered 400."""


class BodyTooLargeError(Exception):
    """The body is larger than allowed."""


class ClientGoneError(Exception):
    """The client hung up before its request was whole."""


class Request:
    """One HTTP request, read lazily."""

    __slots__ = (
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
        self.method: str = scope["method"]
        self.query: bytes = scope["query_string"]
        self.origin = self.authorization = self.content_type = self.content_length = b""
        self.last_event_id: str | None = None
        for name, value in scope["headers"]:
            if name == b"content-type":
                self.content_type = value
            elif name == b"authorization":
                self.authorization = value
            elif name == b"origin":
                self.origin = value
            elif name == b"content-length":
                self.content_length = value
            elif name == b"last-event-id":
                # Browsers send it as UTF-8 (WHATWG HTML, "reestablish the connection").
                self.last_event_id = value.decode("utf-8", "replace")

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
