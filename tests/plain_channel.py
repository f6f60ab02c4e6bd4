"""A server that speaks part 1 of the wire protocol only: no event ids, no resume, no tickets, no publish ids.

Written from the protocol's text, because no such server is left to run.
"""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

__all__ = ["PlainChannel", "serving"]

_CORS = {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "authorization, content-type"}


class PlainChannel(ThreadingHTTPServer):
    """Keeps its history in memory. Times of arrival at a subscriber are those of `publish`, unless it is held back."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.history: list[dict[str, Any]] = []
        self.history_status = 200
        """What a `request` is answered with."""
        self.requests = 0
        """How often the history was asked for."""
        self.before_history: list[dict[str, Any]] = []
        """Published when the history is asked for, so that it arrives live before the history, and is in it."""
        self.outboxes: list[queue.SimpleQueue[dict[str, Any] | None]] = []
        """One per open subscription, the newest last. None ends it."""
        self.lock = threading.Lock()

    def publish(self, message: Any, *, author_id: str = "author", live: bool = True) -> dict[str, Any]:
        """Store a broadcast and send it to all who are subscribed; not `live` stores it only."""
        envelope = {
            "stream_id": "15",
            "author_id": author_id,
            "to_user_id": "",
            "message": message,
            "timestamp": 0,
            "type": "broadcast",
            "widget_key": "demo-widget-key",
        }
        with self.lock:
            self.history.append(envelope)
            for outbox in self.outboxes if live else ():
                outbox.put(envelope)
        return envelope

    def cut(self) -> None:
        """End all subscriptions."""
        with self.lock:
            for outbox in self.outboxes:
                outbox.put(None)
            self.outboxes.clear()

    def end(self) -> None:
        """Stop serving."""
        self.cut()
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: PlainChannel

    def do_GET(self) -> None:
        self.close_connection = True
        outbox: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        with self.server.lock:
            self.server.outboxes.append(outbox)
            token = f"token:{len(self.server.outboxes) - 1}"
        self._head(200, "text/event-stream")
        message = {"token": token, "user_id": "u", "viewer_count": 1}
        init = {"stream_id": "15", "author_id": "0", "to_user_id": "u", "message": message, "timestamp": 0}
        with suppress(OSError):
            self._event(init | {"type": "init", "widget_key": ""})
            while (envelope := outbox.get()) is not None:
                self._event(envelope)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        (token,) = parse_qs(urlsplit(self.path).query)["token"]
        assert body == {"type": "request", "widget_key": "demo-widget-key"}
        self.server.requests += 1
        for message in self.server.before_history:
            self.server.publish(message)
        answer = {"stream_id": "15", "author_id": "0", "to_user_id": "u", "timestamp": 0, "widget_key": ""}
        if self.server.history_status == 200:
            with self.server.lock:
                history = list(self.server.history)
                self.server.outboxes[int(token.partition(":")[2])].put(answer | {"type": "request", "message": history})
        text = json.dumps({"code": self.server.history_status, "message": "OK"}).encode()
        self._head(self.server.history_status, "application/json", length=len(text))
        self.wfile.write(text)

    def do_OPTIONS(self) -> None:
        self._head(204, "text/plain", length=0)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (http.server's name)
        pass

    def _head(self, status: int, content_type: str, *, length: int | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": content_type, **_CORS}.items():
            self.send_header(name, value)
        self.send_header("Connection", "close") if length is None else self.send_header("Content-Length", str(length))
        self.end_headers()

    def _event(self, envelope: dict[str, Any]) -> None:
        self.wfile.write(b"data: " + json.dumps(envelope).encode() + b"\n\n")


@contextmanager
def serving() -> Iterator[PlainChannel]:
    """A channel that serves for the length of the block."""
    channel = PlainChannel()
    thread = threading.Thread(target=channel.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield channel
    finally:
        channel.end()
        thread.join(timeout=5)
