"""A subscriber for tests: one raw socket, and a reader that is strict about every byte (`sse_parser`)."""

from __future__ import annotations

import re
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from tests.e2e.sse_parser import COMMENT, ChunkReader, Event, EventParser, demand, strict_json

__all__ = ["EventStream", "StreamEndedError", "read_head"]

DEADLINE_SECONDS = 10.0
"""What is waited for, comes within this time."""

_STATUS_LINE = re.compile(rb"HTTP/1\.1 (\d{3}) [ -~]+")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ([ -~]*)")


class StreamEndedError(ConnectionError):
    """The server has ended the stream, whole, before what was waited for."""


class EventStream:
    """`GET /subscribe/<stream>`, open."""

    def __init__(
        self, port: int, target: str, *, headers: Mapping[str, str] | None = None, receive_buffer_bytes: int = 0
    ) -> None:
        self._socket = socket.socket()
        if receive_buffer_bytes:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self._socket.settimeout(DEADLINE_SECONDS)
        try:
            self._socket.connect(("127.0.0.1", port))
            lines = [f"GET {target} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Accept: text/event-stream"]
            lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
            self._socket.sendall("".join(f"{line}\r\n" for line in (*lines, "")).encode())
            self.status, self.headers, rest = read_head(self._socket)
        except BaseException:
            self._socket.close()
            raise
        self._chunks = ChunkReader()
        self._parser = EventParser(filtered="actions=" in target)
        self._items: deque[Event | str] = deque()
        self.position = ""
        """The id of the last event that was read and had one, as a browser would keep it."""
        self.refusal: dict[str, Any] = {}
        """The body of an answer that isn't 200."""
        if self.status == 200:
            demand(self.headers["content-type"] == "text/event-stream; charset=utf-8", "not an event stream")
            demand(self.headers["transfer-encoding"] == "chunked", "its end couldn't be told from a broken line")
            self._items += self._parser.feed(self._chunks.feed(rest))
        else:
            self.refusal = self._read_refusal(rest)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def local_port(self) -> int:
        """The connection's port on this side."""
        port: int = self._socket.getsockname()[1]
        return port

    @property
    def retry_ms(self) -> int:
        """How long the server asks to wait before a reconnect."""
        return self._parser.retry_ms

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def reset(self) -> None:
        """Hang up without a farewell (RST), as a machine does that has lost its network and comes back."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.close()

    def next(self, kind: str = "", *, within: float = DEADLINE_SECONDS) -> Event:
        """The next event, or the next one of a type: those before it are dropped. Fails where the stream ends."""
        return self.until(lambda event: kind in ("", event.type), within=within)[-1]

    def until(self, is_last: Callable[[Event], bool], *, within: float = DEADLINE_SECONDS) -> list[Event]:
        """All events up to the first that `is_last`. Fails where the stream ends before."""
        events: list[Event] = []
        deadline = time.monotonic() + within
        while not (events and is_last(events[-1])):
            item = self._next(deadline)
            if item is None:
                raise StreamEndedError(f"The stream has ended after {[event.type for event in events]}.")
            if isinstance(item, Event):
                events.append(item)
        return events

    def wait_for_comment(self, *, within: float = DEADLINE_SECONDS) -> None:
        """Read on up to a comment; events before it are dropped."""
        deadline = time.monotonic() + within
        while (item := self._next(deadline)) != COMMENT:
            if item is None:
                raise StreamEndedError("The stream has ended.")

    def wait_for_position(self, event_id: str, *, within: float = DEADLINE_SECONDS) -> None:
        """Read on up to an id that comes without data; fails where an event comes before it."""
        deadline = time.monotonic() + within
        while (item := self._next(deadline)) != event_id:
            demand(isinstance(item, str), f"{item!r} comes before {event_id}")

    def rest(self, *, within: float = DEADLINE_SECONDS) -> list[Event]:
        """All events up to the stream's end. Fails unless it ends whole: after an event, by its last chunk."""
        deadline = time.monotonic() + within
        events: list[Event] = []
        while (item := self._next(deadline)) is not None:
            if isinstance(item, Event):
                events.append(item)
        return events

    def _next(self, deadline: float) -> Event | str | None:
        """The next event, comment or id without data; None at the end."""
        while not self._items:
            if self._chunks.ended:
                demand(not self._parser.pending, f"the stream ends within an event: {self._parser.pending!r}")
                return None
            self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionResetError("The connection has ended before the stream's last chunk.")
            self._items += self._parser.feed(self._chunks.feed(data))
        item = self._items.popleft()
        if isinstance(item, Event):
            self.position = item.id or self.position
        elif item != COMMENT:
            self.position = item
        return item

    def _read_refusal(self, body: bytes) -> dict[str, Any]:
        size = int(self.headers["content-length"])
        while len(body) < size:
            received = self._socket.recv(65536)
            demand(bool(received), f"the connection has ended within the body: {body!r}")
            body += received
        refusal: dict[str, Any] = strict_json(body.decode("utf-8"))
        demand(refusal["code"] == self.status and isinstance(refusal["message"], str), f"no refusal: {refusal}")
        return refusal


def read_head(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Read an answer's head, strictly: its status, its headers, and what has come of its body."""
    data = b""
    while b"\r\n\r\n" not in data:
        received = connection.recv(65536)
        if not received:
            raise ConnectionResetError(f"The connection has ended within the head: {data!r}.")
        data += received
    head, _, rest = data.partition(b"\r\n\r\n")
    status_line, *lines = head.split(b"\r\n")
    status = _STATUS_LINE.fullmatch(status_line)
    headers: dict[str, str] = {}
    for line in lines:
        match = _HEADER.fullmatch(line)
        demand(match is not None, f"not a header: {line!r}")
        assert match is not None
        name = match[1].decode().lower()
        demand(name not in headers, f"the header {name} comes twice")
        headers[name] = match[2].decode()
    demand(status is not None, f"not a status line: {status_line!r}")
    assert status is not None
    return int(status[1]), headers, rest
