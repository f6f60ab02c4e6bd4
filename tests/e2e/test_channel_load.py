"""What the channel does to itself where readers vanish or take nothing: no spinning, no growing, no waiting."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest

from tests.e2e.channel_server import ChannelServer
from tests.e2e.sockets import BIG, open_stalled
from tests.polling import wait_until

STALLED_READERS = 30
PUBLISHES = 2500
"""37 MB; more than the channel may keep, and 1 GB if it kept it for each stalled reader."""
MAX_GROWTH_BYTES = 25 * 1024 * 1024
"""The ring (4 MB), a chunk and a socket's buffer for each stalled reader, and the publishes under way."""


@pytest.fixture
def server(tmp_path: Path) -> ChannelServer:
    return ChannelServer(tmp_path)


def viewers(server: ChannelServer) -> int:
    """How many others are connected and have been announced."""
    with server.subscribe() as stream:
        count: int = stream.next("init").message["viewer_count"]
        return count - 1


def test_server_after_readers_have_vanished_is_idle_and_serves_others(server):
    """A loop of sends to a client that has gone would take a whole core, and stop everybody else."""
    with server.running_with(keep_alive_seconds=0.5, announce_seconds=0.1) as process, server.subscribe() as other:
        token = other.next("init").message["token"]
        leavers = [server.subscribe() for _ in range(10)]
        wait_until(lambda: viewers(server) == 11, what="all to be announced")
        for leaver in leavers[:5]:
            leaver.close()
        for leaver in leavers[5:]:
            leaver.reset()
        wait_until(lambda: viewers(server) == 1, what="all that left to be forgotten")

        other.wait_for_comment()
        used, begin = process.cpu_seconds, time.monotonic()
        for _ in range(3):
            other.wait_for_comment()
        passed = time.monotonic() - begin
        assert passed > 0.9
        assert process.cpu_seconds - used < 0.2 * passed
        with server.publisher(token) as publisher:
            assert publisher.publish("still here").code == 200
        assert other.next("broadcast").message == "still here"


@pytest.mark.slow
def test_readers_that_take_nothing_cost_no_memory_and_are_cut(server):
    """TCP_USER_TIMEOUT is what cuts them; nothing in ASGI could. A reader that takes is kept, and misses nothing."""
    with ExitStack() as stack:
        process = stack.enter_context(server.running_with(stall_seconds=1.5, announce_seconds=0.1))
        reader = stack.enter_context(server.subscribe())
        token = reader.next("init").message["token"]
        for _ in range(STALLED_READERS):
            stack.enter_context(open_stalled(server))
        wait_until(lambda: viewers(server) == STALLED_READERS + 1, what="all to be announced")
        before = process.resident_bytes
        numbers = count()

        def flood() -> int:
            most = 0
            with server.publisher(token) as publisher:
                while next(numbers) < PUBLISHES:
                    assert publisher.publish(BIG).code == 200
                    most = max(most, process.resident_bytes)
            return most

        pool = stack.enter_context(ThreadPoolExecutor(5))
        floods = [pool.submit(flood) for _ in range(4)]
        received = pool.submit(reader.until, lambda event: event.message == "last", within=30)
        most = max(flooding.result() for flooding in floods)
        assert most - before < MAX_GROWTH_BYTES

        wait_until(lambda: viewers(server) == 1, what="all that take nothing to be cut")
        with server.publisher(token) as publisher:
            publisher.publish("last")
        assert sum(event.type == "broadcast" for event in received.result()) == PUBLISHES + 1
        assert process.resident_bytes - before < MAX_GROWTH_BYTES
    assert "Traceback" not in process.printed


def test_log_at_its_size_limit_refuses_publishes_and_keeps_all_that_it_has(tmp_path):
    """Nothing acknowledged is dropped to make room."""
    server = ChannelServer(tmp_path, LOG_MAX_BYTES=500_000)
    with server.running(), server.subscribe() as stream:
        token = stream.next("init").message["token"]
        with server.publisher(token) as publisher:
            answers = [publisher.publish(BIG) for _ in range(60)]
            kept = [answer.data["id"] for answer in answers if answer.code == 200]
            refused = [answer for answer in answers if answer.code != 200]
            assert kept
            assert {answer.code for answer in refused} == {503}
            assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
        assert [stream.next("broadcast").id for _ in kept] == kept
        assert [envelope["id"] for envelope in server.everything()] == kept
