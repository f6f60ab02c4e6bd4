"""Drives the channel in process: hand-made `scope`, `receive` and `send`, and a clock that tests can put forward."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlencode

from inlive_banner.channel.app import ChannelApp
from inlive_banner.channel.config import ChannelConfig, StreamConfig
from inlive_banner.channel.logs import SqliteLog
from inlive_banner.channel.stream import Stream
from inlive_banner.channel.types import ASGIApp, Message, Scope
from inlive_banner.signing import ChannelSigner
from tests.user_agent import USER_AGENT

T = TypeVar("T")

DEADLINE_SECONDS = 10
WIDGET_KEY = "test-widget-key"
PUBLIC, CLOSED = 15, 16
"""The streams of `open_channel`: one that anybody may read, and one that needs a ticket."""
SIGNER = ChannelSigner(token_max_age_seconds=3600, ticket_seconds=600)


class ClockLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock also goes forward by hand, so that no test waits for a timer."""

    ahead_seconds = 0.0

    def time(self) -> float:
        return super().time() + self.ahead_seconds


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a test's coroutine on a loop of its own; what the loop's callbacks raise fails the test."""
    faults: list[dict[str, Any]] = []
    with asyncio.Runner(loop_factory=ClockLoop) as runner:
        runner.get_loop().set_exception_handler(lambda _, context: faults.append(context))
        result = runner.run(main)
    assert faults == []
    return result


async def advance(seconds: float) -> None:
    """Put the clock forward, and let what is due by then run."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, ClockLoop)
    loop.ahead_seconds += seconds
    await settle()


async def settle() -> None:
    """Let everything that is ready run, and what that makes ready (but no threads, and no timers to come)."""
    for _ in range(10):
        await asyncio.sleep(0)


async def eventually(condition: Callable[[], T], what: str = "") -> T:
    """What `condition` returns once that is true; fails after a deadline."""
    loop = asyncio.get_running_loop()
    turns = 0
    deadline = loop.time() + DEADLINE_SECONDS
    while not (value := condition()):
        turns += 1
        assert loop.time() < deadline, f"waited in vain for {what or condition}"
        await asyncio.sleep(0 if turns < 20 else 0.001)
    return value


def make_scope(
    method: str,
    path: str,
    *,
    query: str = "",
    headers: Iterable[tuple[str, str]] = (),
    root_path: str = "",
    client: tuple[str, int] | None = None,
) -> Scope:
    headers = list(headers)
    if not any(name.lower() == "user-agent" for name, _ in headers):
        headers.append(("user-agent", USER_AGENT))
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "root_path": root_path,
        "query_string": query.encode(),
        "client": client,
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers],
    }


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        decoded: dict[str, Any] = json.loads(self.body)
        return decoded

    @property
    def data(self) -> dict[str, Any]:
        """The `data` of an answer that is a 200."""
        assert self.status == 200, self.body
        data: dict[str, Any] = self.json["data"]
        return data


async def exchange(app: ASGIApp, scope: Scope, pieces: Iterable[bytes | None] = (b"",)) -> Answer:
    """One whole request; `None` among the pieces of its body hangs up."""
    body = list(pieces)
    last = len(body) - 1
    incoming: list[Message] = [
        {"type": "http.disconnect"}
        if piece is None
        else {"type": "http.request", "body": piece, "more_body": place < last}
        for place, piece in enumerate(body)
    ]
    sent: list[Message] = []

    async def receive() -> Message:
        return incoming.pop(0) if incoming else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    async with asyncio.timeout(DEADLINE_SECONDS):
        await app(scope, receive, send)
    if not sent:
        return Answer(0, {}, b"")
    assert [message["type"] for message in sent] == ["http.response.start", *["http.response.body"] * (len(sent) - 1)]
    assert not sent[-1].get("more_body")
    headers = {name.decode(): value.decode("latin-1") for name, value in sent[0]["headers"]}
    assert len(headers) == len(sent[0]["headers"])
    return Answer(sent[0]["status"], headers, b"".join(message["body"] for message in sent[1:]))


class Event(NamedTuple):
    id: str | None
    envelope: dict[str, Any]

    @property
    def type(self) -> str:
        kind: str = self.envelope["type"]
        return kind

    @property
    def message(self) -> Any:
        return self.envelope["message"]

    @property
    def seq(self) -> int:
        assert self.id is not None
        return int(self.id.rpartition("-")[2])


class Subscription:
    """A client that has asked for an event stream, and what it has got so far."""

    def __init__(self, app: ASGIApp, scope: Scope) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.raw = b""
        self.writes = 0
        self.events: list[Event] = []
        self.comments = 0
        self.positions: list[tuple[int, str]] = []
        """Ids that came without data, each with the number of events before it."""
        self.retry_ms = 0
        self.whole = False
        """True once the server has ended the response."""
        self.send_error: BaseException | None = None
        """Raised by the next sends."""
        self._unparsed = b""
        self._sending = False
        self._sends_to_take: int | None = None
        self._open = asyncio.Event()
        self._changed = asyncio.Event()
        self._gone = asyncio.Event()
        self.task = asyncio.ensure_future(app(scope, self._receive, self._send))

    async def _receive(self) -> Message:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        assert not self._sending, "the server sends while its last send still waits"
        self._sending = True
        try:
            await self._take(message)
        finally:
            self._sending = False

    async def _take(self, message: Message) -> None:
        if self._sends_to_take == 0:
            await self._open.wait()
        elif self._sends_to_take is not None:
            self._sends_to_take -= 1
        if self.send_error is not None:
            raise self.send_error
        assert not self.whole, "the server sent something after the end"
        if message["type"] == "http.response.start":
            assert not self.status
            self.status = message["status"]
            self.headers = {name.decode(): value.decode("latin-1") for name, value in message["headers"]}
        else:
            self.raw += message["body"]
            self.writes += 1
            self._parse(message["body"])
            self.whole = not message.get("more_body")
        self._changed.set()

    def _parse(self, data: bytes) -> None:
        *blocks, self._unparsed = (self._unparsed + data).split(b"\n\n")
        for block in blocks:
            if block == b":":
                self.comments += 1
                continue
            fields = dict(line.split(b": ", 1) for line in block.split(b"\n"))
            assert set(fields) <= {b"id", b"data", b"retry"}
            assert len(fields) == block.count(b"\n") + 1
            if b"retry" in fields:
                self.retry_ms = int(fields[b"retry"])
            event_id = fields[b"id"].decode() if b"id" in fields else None
            if b"data" not in fields:
                assert event_id is not None
                self.positions.append((len(self.events), event_id))
                continue
            self.events.append(Event(event_id, json.loads(fields[b"data"])))

    def stall(self, *, after_sends: int = 0) -> None:
        """Take nothing more after so many sends: each one waits from then on."""
        self._sends_to_take = after_sends
        self._open.clear()

    def flow(self) -> None:
        """Take everything again."""
        self._sends_to_take = None
        self._open.set()

    async def until(self, condition: Callable[[], T], what: str = "") -> T:
        """What `condition` returns once what has come makes that true."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not (value := condition()):
                if self.task.done():
                    raise AssertionError(f"the stream ended; {what or condition}; {self.raw[-500:]!r}")
                self._changed.clear()
                await self._changed.wait()
            return value

    async def started(self) -> Subscription:
        """Itself, once its init is there."""
        await self.until(lambda: self.events, "init")
        return self

    async def count(self, kind: str, number: int) -> list[Event]:
        """The events of a type, once there are so many."""
        await self.until(lambda: len(self.of(kind)) >= number, f"{number} {kind}")
        return self.of(kind)

    async def got_last(self) -> None:
        """Wait for the broadcast "last", with which a test ends what it publishes."""
        await self.until(lambda: [event for event in self.of("broadcast") if event.message == "last"], "the last one")

    def of(self, kind: str) -> list[Event]:
        return [event for event in self.events if event.type == kind]

    @property
    def init(self) -> Event:
        event = self.events[0]
        assert event.type == "init"
        return event

    @property
    def token(self) -> str:
        token: str = self.init.message["token"]
        return token

    @property
    def user_id(self) -> str:
        user_id: str = self.init.message["user_id"]
        return user_id

    @property
    def last_event_id(self) -> str:
        """What an EventSource would send on its next connection."""
        if self.positions and not any(event.id is not None for event in self.events[self.positions[-1][0] :]):
            return self.positions[-1][1]
        return next((event.id for event in reversed(self.events) if event.id is not None), "")

    @property
    def seqs(self) -> list[int]:
        return [event.seq for event in self.of("broadcast")]

    def hang_up(self) -> None:
        """Close the connection from the client's side."""
        self._gone.set()
        self.flow()

    async def ended(self) -> Subscription:
        """Itself, once the application is done with it."""
        await asyncio.wait([self.task], timeout=DEADLINE_SECONDS)
        assert self.task.done()
        self.task.result()
        return self


class Channel:
    """The channel's application, and clients of it."""

    def __init__(self, app: ChannelApp) -> None:
        self.app = app
        self.subscriptions: list[Subscription] = []

    @property
    def stream(self) -> Stream:
        return self.stream_of(PUBLIC)

    @property
    def log(self) -> SqliteLog:
        log = self.app._log
        assert isinstance(log, SqliteLog)
        return log

    def stream_of(self, stream_id: int) -> Stream:
        assert self.app._hub is not None
        return self.app._hub.streams[stream_id]

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: str = "",
        headers: Iterable[tuple[str, str]] = (),
        pieces: Iterable[bytes | None] = (b"",),
        client: tuple[str, int] | None = None,
    ) -> Answer:
        scope = make_scope(method, path, query=query, headers=headers, client=client)
        return await exchange(self.app, scope, pieces)

    async def publish(
        self,
        message: Any = "hello",
        *,
        stream_id: int = PUBLIC,
        token: str | None = None,
        headers: Iterable[tuple[str, str]] = (),
        peer: str = "",
        **fields: Any,
    ) -> Answer:
        """Publish a broadcast, or what `fields` make of it; ABSENT takes a field out. `peer` is the client's address,
        unknown where a test doesn't say."""
        if token is None:
            token = make_token(stream_id)
        body = {"type": "broadcast", "widget_key": WIDGET_KEY, "message": message} | fields
        encoded = json.dumps({key: value for key, value in body.items() if value is not ABSENT}).encode()
        headers = [("content-type", "application/json"), *headers]
        return await self.post(encoded, stream_id=stream_id, token=token, headers=headers, peer=peer)

    async def post(
        self,
        *pieces: bytes | None,
        stream_id: int = PUBLIC,
        token: str | None = None,
        headers: Iterable[tuple[str, str]] = (("content-type", "application/json"),),
        peer: str = "",
    ) -> Answer:
        query = urlencode({"token": make_token(stream_id) if token is None else token})
        client = (peer, 50_000) if peer else None
        return await self.request(
            "POST", f"/publish/{stream_id}", query=query, headers=headers, pieces=pieces, client=client
        )

    def subscribe(
        self, *, stream_id: int = PUBLIC, headers: Iterable[tuple[str, str]] = (), **query: str
    ) -> Subscription:
        scope = make_scope("GET", f"/subscribe/{stream_id}", query=urlencode(query), headers=headers)
        subscription = Subscription(self.app, scope)
        self.subscriptions.append(subscription)
        return subscription


ABSENT = object()
BODY = '{"type": "broadcast", "widget_key": "test-widget-key", "message": %s}'
"""A publish as text, for messages that aren't Python's to write."""
USER_ID = "11111111-2222-3333-4444-555555555555"
"""Who publishes where a test doesn't say."""


def make_token(stream_id: int = PUBLIC, user_id: str = USER_ID) -> str:
    return SIGNER.make_publish_token(stream_id, user_id)


def make_config(folder: Path, **overrides: Any) -> ChannelConfig:
    streams = {
        PUBLIC: StreamConfig(stream_id=PUBLIC, widget_key=WIDGET_KEY, public=True),
        CLOSED: StreamConfig(stream_id=CLOSED, widget_key=WIDGET_KEY),
    }
    values: dict[str, Any] = {
        "log_url": f"sqlite:///{folder / 'channel.sqlite3'}",
        "streams": streams,
        "signer": SIGNER,
    }
    return ChannelConfig(**values | overrides)


@contextlib.asynccontextmanager
async def open_channel(folder: Path, **overrides: Any) -> AsyncIterator[Channel]:
    """A channel with its log in `folder`, until the end of the block; then all its streams must end."""
    channel = Channel(ChannelApp(make_config(folder, **overrides)))
    await channel.app.start()
    try:
        yield channel
    finally:
        await channel.app.stop()
        for subscription in channel.subscriptions:
            subscription.flow()
        tasks = [subscription.task for subscription in channel.subscriptions]
        if tasks:
            _, pending = await asyncio.wait(tasks, timeout=DEADLINE_SECONDS)
            for task in pending:
                task.cancel()
            assert not pending
