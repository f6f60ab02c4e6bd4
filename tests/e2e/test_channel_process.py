"""How the channel's process ends: by one signal cleanly, by a second one at once."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pytest

from tests.e2e.channel_server import ChannelServer
from tests.e2e.sockets import open_stalled, wait_until_stalled

END_SECONDS = 5.0
"""What a signal promises: the process has ended by then."""

HALF_A_PUBLISH = (
    b"POST /publish/15?token=%b HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
)


@pytest.fixture
def server(tmp_path: Path) -> ChannelServer:
    return ChannelServer(tmp_path)


@contextmanager
def blocked_log(server: ChannelServer) -> Iterator[Callable[[], None]]:
    """Hold the log's write lock, so that a publish stays in flight; yields what lets go of it."""
    with closing(sqlite3.connect(server.log, isolation_level=None)) as log:
        log.execute("BEGIN IMMEDIATE")

        def release() -> None:
            log.execute("ROLLBACK")

        yield release


@pytest.mark.slow
def test_sigterm_with_open_streams_ends_each_whole_and_exits_0(server):
    """Idle streams, a reader that takes nothing, a publish in flight, one that is half sent."""
    with ExitStack() as stack:
        process = stack.enter_context(server.running())
        stalled = stack.enter_context(open_stalled(server))
        token = stack.enter_context(server.subscribe()).next("init").message["token"]
        publisher = stack.enter_context(server.publisher(token))
        before = publisher.publish("before").data["id"]
        wait_until_stalled(server, stalled, publisher)
        half = stack.enter_context(server.send_raw(HALF_A_PUBLISH % token.encode()))
        streams = [stack.enter_context(server.subscribe()) for _ in range(20)]
        release = stack.enter_context(blocked_log(server))
        publisher.send("in flight")

        begin = time.monotonic()
        process.signal(signal.SIGTERM)
        for stream in streams:
            assert [event.type for event in stream.rest() if event.type != "system"] == ["init"]
        release()
        answer = publisher.answer()
        assert process.wait() == 0
        assert time.monotonic() - begin < END_SECONDS
        with suppress(ConnectionResetError):
            assert half.recv(1) == b""

    assert answer.code == 200
    assert "Traceback" not in process.printed
    with server.running():
        stored = server.everything()
    assert stored[0]["id"] == before
    assert (stored[-1]["id"], stored[-1]["message"]) == (answer.data["id"], "in flight")


def test_sigint_with_an_open_stream_ends_it_whole_and_exits_0(server):
    with server.running() as process, server.subscribe() as stream:
        stream.next("init")
        begin = time.monotonic()
        process.signal(signal.SIGINT)
        assert stream.rest() == []
        assert process.wait() == 0
        assert time.monotonic() - begin < END_SECONDS
    assert "Traceback" not in process.printed
    # Only a log that was closed has been moved back into its one file.
    assert [path.name for path in server.folder.glob("channel.sqlite3-*")] == []


def test_second_signal_while_a_publish_is_in_flight_forces_the_end(server):
    """After the first one alone, the publish would have more time to be answered."""
    with server.running() as process, server.subscribe() as stream:
        token = stream.next("init").message["token"]
        with server.publisher(token) as publisher, blocked_log(server):
            publisher.send("in flight")
            process.signal(signal.SIGTERM)
            assert stream.rest() == []
            begin = time.monotonic()
            process.signal(signal.SIGTERM)
            process.wait()
            assert time.monotonic() - begin < 1.5
