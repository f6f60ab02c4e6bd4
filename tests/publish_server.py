"""A channel's publish address that answers what a test tells it: a real HTTP server on loopback."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, TypeAlias

__all__ = ["PublishServer", "Received", "Script", "accept", "refuse", "serving"]

RECEIVED_AT = 1_764_072_000_250


class Received(NamedTuple):
    """One post."""

    path: str
    headers: dict[str, str]
    """By lower-case name."""
    body: dict[str, Any]

    @property
    def token(self) -> str:
        return self.headers["authorization"].removeprefix("Bearer ")

    @property
    def publish_id(self) -> str:
        return self.body["publish_id"]


class _Post(BaseHTTPRequestHandler):
    server: PublishServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        with self.server.lock:
            self.server.received.append(Received(self.path, headers, body))
            script = self.server.scripts.popleft() if self.server.scripts else self.server.otherwise
        with suppress(OSError):  # the other side has gone
            script(self)

    def answer(self, status: int, answer: Any, **headers: str) -> None:
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def accept(self, **data: Any) -> None:
        self.answer(200, {"code": 200, "message": "OK", "data": {"received_at": RECEIVED_AT, **data}})

    def hang(self) -> None:
        self.server.ended.wait(20)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (http.server's name)
        pass


Script: TypeAlias = Callable[[_Post], None]


def accept(post: _Post) -> None:
    """Say yes."""
    post.accept()


def refuse(status: int, message: str = "No.", **headers: str) -> Script:
    """Say no as a channel does."""
    return lambda post: post.answer(status, {"code": status, "message": message}, **headers)


class PublishServer(ThreadingHTTPServer):
    """Answers each post by the next of `scripts`, and by `otherwise` when they are used up."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Post)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.scripts: deque[Script] = deque()
        self.otherwise: Script = _Post.accept
        self.received: list[Received] = []
        self.lock = threading.Lock()
        self.ended = threading.Event()


@contextmanager
def serving() -> Iterator[PublishServer]:
    """A channel that takes publishes for the length of the block."""
    server = PublishServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)
