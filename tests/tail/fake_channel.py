"""A channel that does what a test tells it: a real HTTP server on loopback that can cut, stall and send garbage."""

from __future__ import annotations

import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeAlias

from inlive_banner.envelope import parse_event_id
from tests.tail.making import EPOCH, encode_event, encode_init

__all__ = ["Connection", "FakeChannel", "Script", "serving"]


class Connection(BaseHTTPRequestHandler):
    """One request, and what can be done to who sent it."""

    protocol_version = "HTTP/1.1"
    server: FakeChannel

    @property
    def last_event_id(self) -> str:
        return self.headers["Last-Event-ID"]

    def answer(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        """A whole answer."""
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def begin(self) -> None:
        """The head of an event stream."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def send(self, data: bytes) -> None:
        """One piece of the stream."""
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

    def end_stream(self) -> None:
        """The stream's clean end."""
        self.wfile.write(b"0\r\n\r\n")

    def reset(self) -> None:
        """Break the connection, as a process that is killed does."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def stall(self) -> None:
        """Send nothing more until the channel ends or the other side has gone."""
        while not self.server.ended.is_set():
            self.connection.settimeout(0.05)
            try:
                if not self.connection.recv(1):
                    return
            except TimeoutError:
                continue
            except OSError:
                return

    def follow(self) -> None:
        """Be a channel: init, what the log holds after the position, then what is published."""
        self.begin()
        position = parse_event_id(self.last_event_id)
        seq = position.seq if position is not None and position.epoch == EPOCH else 0
        self.send(encode_init(f"{EPOCH}-{seq}", head=f"{EPOCH}-{self.server.head}", recovered=True))
        while self.server.wait_for_more_than(seq):
            head = self.server.head
            self.send(b"".join(encode_event(number) for number in range(seq + 1, head + 1)))
            seq = head

    def do_GET(self) -> None:
        self.close_connection = True
        self.server.connections.append(self)
        script = self.server.scripts.popleft() if self.server.scripts else Connection.follow
        with suppress(OSError):  # the other side has gone
            script(self)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (http.server's name)
        pass


Script: TypeAlias = Callable[[Connection], None]


class FakeChannel(ThreadingHTTPServer):
    """Serves each connection by the next of `scripts`, and by `Connection.follow` when they are used up."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Connection)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.scripts: deque[Script] = deque()
        self.connections: list[Connection] = []
        self.head = 0
        """Clicks 1 to `head` are in the log."""
        self.ended = threading.Event()
        self._published = threading.Condition()

    def publish(self, count: int = 1) -> None:
        """Append so many clicks."""
        with self._published:
            self.head += count
            self._published.notify_all()

    def wait_for_more_than(self, seq: int) -> bool:
        """Wait until the log has more than `seq` clicks; False where the channel ends first."""
        with self._published:
            self._published.wait_for(lambda: self.head > seq or self.ended.is_set())
        return not self.ended.is_set()

    def end(self) -> None:
        """Stop serving; open connections end."""
        self.shutdown()
        self.ended.set()
        with self._published:
            self._published.notify_all()
        self.server_close()


@contextmanager
def serving() -> Iterator[FakeChannel]:
    """A channel that serves for the length of the block."""
    channel = FakeChannel()
    thread = threading.Thread(target=channel.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield channel
    finally:
        channel.end()
        thread.join(timeout=5)
