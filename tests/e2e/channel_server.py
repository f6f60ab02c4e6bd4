"""A channel as a process of its own, with the settings that a test gives it, and a publisher for it."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from tests.e2e.processes import Process
from tests.e2e.sse_client import EventStream
from tests.e2e.sse_parser import demand, strict_json
from tests.ports import free_port
from tests.user_agent import USER_AGENT

__all__ = ["KEY", "STREAM", "Answer", "ChannelServer", "Publisher", "click"]

KEY = "a-widget-key"
STREAM = 15
"""A public stream; the others of a server are those in its `STREAMS`."""


class Answer(NamedTuple):
    """An answer to a publish, or to any request that isn't a subscription."""

    code: int
    message: str
    data: Any
    headers: dict[str, str]


class ChannelServer:
    """Where a channel runs, or can: a folder with its log, and a port that stays the same when it is restarted."""

    def __init__(self, folder: Path, **banner_settings: Any) -> None:
        self.folder = folder
        self.log = folder / "channel.sqlite3"
        self.output = folder / "channel.log"
        self.port = free_port()
        self.environment = {
            "DJANGO_SETTINGS_MODULE": "tests.e2e.channel_settings",
            "SECRET_KEY": "only-for-the-tests",
            "DEBUG": "off",
            "ALLOWED_HOSTS": "127.0.0.1",
            "DATABASE_URL": "sqlite://:memory:",
            "PYTHONUNBUFFERED": "1",
            "INLIVE_BANNER_JSON": json.dumps(
                {
                    "STREAM_ID": STREAM,
                    "WIDGET_KEY": KEY,
                    "CHANNEL_URL": f"http://127.0.0.1:{self.port}",
                    "CHANNEL_LOG": f"sqlite:///{self.log}",
                    "STREAMS": {STREAM: {"PUBLIC": True}},
                    "IMPOSSIBLE_RATE": 0,  # tests publish as no person does
                    **banner_settings,
                }
            ),
        }

    @property
    def command(self) -> list[str]:
        """The arguments that start it as a site's owner would."""
        return ["manage.py", "inlive_channel", "--bind", f"127.0.0.1:{self.port}"]

    @contextmanager
    def running(self, *arguments: str, ready: str = "/readyz") -> Iterator[Process]:
        """Run it, or another program with its settings; ready to serve when the block begins, gone when it ends."""
        process = Process(*(arguments or self.command), environment=self.environment, output=self.output)
        try:
            process.wait_for(f"http://127.0.0.1:{self.port}{ready}")
            yield process
        finally:
            process.end()

    @contextmanager
    def running_with(self, **config: float) -> Iterator[Process]:
        """Run it with a configuration that no setting gives."""
        with self.running("-m", "tests.e2e.serve_channel", str(self.port), json.dumps(config)) as process:
            yield process

    def subscribe(
        self, stream: int = STREAM, *, query: str = "", receive_buffer_bytes: int = 0, **headers: str
    ) -> EventStream:
        """Open an event stream. Headers are written as keywords: `last_event_id` is `Last-Event-ID`."""
        return EventStream(
            self.port,
            f"/subscribe/{stream}{query}",
            headers={name.replace("_", "-"): value for name, value in headers.items()},
            receive_buffer_bytes=receive_buffer_bytes,
        )

    def publisher(self, token: str, stream: int = STREAM, **headers: str) -> Publisher:
        """A connection that publishes. Headers are written as keywords: `user_agent` is `User-Agent`."""
        named = {name.replace("_", "-").title(): value for name, value in headers.items()}
        return Publisher(self.port, token, f"/publish/{stream}", headers=named)

    def everything(self, stream: int = STREAM) -> list[dict[str, Any]]:
        """All that the (public) stream's log holds, oldest first."""
        with self.subscribe(stream, query="?last_event_id=0") as reader:
            head = reader.next("init").message["head"]
            if reader.position == head:
                return []
            return [event.envelope for event in reader.until(lambda event: event.id == head) if event.id]

    def ask(self, method: str, target: str, body: bytes = b"", **headers: str) -> Answer:
        """Any other request, on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            named = {"user-agent": USER_AGENT, **{name.replace("_", "-"): value for name, value in headers.items()}}
            connection.request(method, target, body or None, named)
            return read_answer(connection, has_body=method != "HEAD")
        finally:
            connection.close()

    def send_raw(self, data: bytes) -> socket.socket:
        """Open a connection and send bytes over it; the caller reads and closes it."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        connection.sendall(data)
        return connection


class Publisher:
    """Publishes as one user, over one kept connection."""

    def __init__(
        self, port: int, token: str, target: str, widget_key: str = KEY, *, headers: Mapping[str, str] | None = None
    ) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        self._target = target
        self._widget_key = widget_key
        self._headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "User-Agent": USER_AGENT,
            **(headers or {}),
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    @property
    def local_port(self) -> int:
        """The port of the connection: the same one means the same connection. 0 where it is closed."""
        return int(self._connection.sock.getsockname()[1]) if self._connection.sock else 0

    def publish(self, message: Any = "hello", *, kind: str = "broadcast", **fields: Any) -> Answer:
        """Publish, and read the answer."""
        self.send(message, kind=kind, **fields)
        return self.answer()

    def send(self, message: Any = "hello", *, kind: str = "broadcast", **fields: Any) -> None:
        """Publish, and leave the answer for later."""
        body = {"type": kind, "widget_key": self._widget_key, "message": message, **fields}
        self._connection.request("POST", self._target, json.dumps(body).encode(), self._headers)

    def answer(self) -> Answer:
        """The answer to what was sent."""
        return read_answer(self._connection)


def read_answer(connection: http.client.HTTPConnection, *, has_body: bool = True) -> Answer:
    """Read an answer, and see that it has the shape and the headers that every answer has."""
    response = connection.getresponse()
    headers = {name.lower(): value for name, value in response.getheaders()}
    body = response.read()
    demand("access-control-allow-origin" in headers, f"no CORS header: {response.status} {headers}")
    if not body:
        demand(not has_body or response.status == 204, f"no body: {response.status} {headers}")
        return Answer(response.status, "", None, headers)
    demand(headers["content-type"] == "application/json", f"not JSON: {headers}")
    content = strict_json(body.decode("utf-8"))
    demand(content["code"] == response.status, f"the code isn't the status: {response.status} {content}")
    demand(isinstance(content["message"], str) and content["message"] != "", f"no words: {content}")
    demand(content.keys() <= {"code", "message", "data"}, f"more than the shape has: {content}")
    return Answer(content["code"], content["message"], content.get("data"), headers)


def click(**changes: Any) -> Mapping[str, Any]:
    """A banner's message, as the tutorial has it."""
    return {
        "name": "demo-banner",
        "type": "banner",
        "action": "click",
        "user_id": "a-visitor",
        "time": 1_700_000_000_000,
        **changes,
    }
