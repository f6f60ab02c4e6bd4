"""What was acknowledged reaches each subscriber once, in order, whatever ends: the server, or the connection."""

from __future__ import annotations

import random
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest

from tests.e2e.channel_server import ChannelServer
from tests.e2e.followers import LAST, Follower, Storm
from tests.polling import wait_until

PUBLISHERS = 8
ENDS = ("SIGKILL", "SIGTERM", "SIGKILL", "SIGTERM")
ANSWERS_BETWEEN_ENDS = 300
SUBSCRIBERS = 50
PUBLISHES_PER_SECOND = 200
PUBLISHES = 10 * PUBLISHES_PER_SECOND


@pytest.fixture
def server(tmp_path: Path) -> ChannelServer:
    return ChannelServer(tmp_path)


def failed(*futures: Future[None]) -> bool:
    return any(future.done() and future.exception() for future in futures)


def results(*futures: Future[None]) -> None:
    for future in futures:
        future.result(timeout=30)


@pytest.mark.slow
def test_end_or_kill_during_a_storm_of_publishes_loses_and_doubles_nothing(server):
    """Publishers without an answer retry by the same publish id; subscribers resume by their last event id."""
    with ExitStack() as stack:
        process = stack.enter_context(server.running())
        with server.subscribe() as stream:
            init = stream.next("init")
        storm = Storm(server, init.message["token"])
        followers = [Follower(server, init.id) for _ in range(6)]
        pool = stack.enter_context(ThreadPoolExecutor(len(followers) + PUBLISHERS))
        stack.callback(storm.stop)
        following = [pool.submit(follower.read_through) for follower in followers]
        publishing = [pool.submit(storm.publish_through, f"publisher-{name}") for name in range(PUBLISHERS)]

        def wait_for_answers(number: int) -> None:
            wait_until(lambda: len(storm.acknowledged) >= number or failed(*following, *publishing), what="answers")

        for number, end in enumerate(ENDS):
            wait_for_answers((number + 1) * ANSWERS_BETWEEN_ENDS)
            if end == "SIGKILL":
                process.kill()
            else:
                assert process.terminate() == 0
            process = stack.enter_context(server.running())
        storm.stop()
        results(*publishing)
        with server.publisher(init.message["token"]) as publisher:
            storm.acknowledged["the-last-one"] = publisher.publish(LAST, publish_id="the-last-one").data["id"]
        results(*following)
        stored = server.everything()

    assert storm.unanswered >= len(ENDS)  # else nothing was broken off
    assert all(follower.connections == 1 + len(ENDS) for follower in followers)
    assert {envelope["publish_id"]: envelope["id"] for envelope in stored} == storm.acknowledged
    assert len(stored) == len(storm.acknowledged)
    for follower in followers:
        follower.check(storm.acknowledged)


@pytest.mark.slow
def test_subscribers_that_come_and_go_under_load_see_each_event_once_in_order(server):
    """200 publishes a second and 50 subscribers; each of them leaves and resumes many times."""
    acknowledged: dict[str, str] = {}
    with ExitStack() as stack:
        stack.enter_context(server.running())
        with server.subscribe() as stream:
            init = stream.next("init")
        followers = [Follower(server, init.id) for _ in range(SUBSCRIBERS)]
        pool = stack.enter_context(ThreadPoolExecutor(SUBSCRIBERS + PUBLISHERS))

        def wait_for(number: int) -> None:
            wait_until(lambda: len(acknowledged) >= min(number, PUBLISHES), what="time to come back")

        def come_and_go(follower: Follower, chance: random.Random) -> None:
            while not follower.done:
                by_query, reset = chance.random() < 0.5, chance.random() < 0.5
                follower.read(at_most=chance.randint(1, 400), by_query=by_query, reset=reset)
                wait_for(len(acknowledged) + chance.choice((0, 1, 10, 100)))

        following = [pool.submit(come_and_go, follower, random.Random(seed)) for seed, follower in enumerate(followers)]
        begin = time.monotonic()
        numbers = count()

        def publish_at_a_steady_rate() -> None:
            with server.publisher(init.message["token"]) as publisher:
                while (number := next(numbers)) < PUBLISHES:
                    due = begin + number / PUBLISHES_PER_SECOND
                    wait_until(lambda due=due: time.monotonic() >= due)  # type: ignore[misc]
                    acknowledged[f"number-{number:06}"] = publisher.publish(publish_id=f"number-{number:06}").data["id"]

        results(*[pool.submit(publish_at_a_steady_rate) for _ in range(PUBLISHERS)])
        passed = time.monotonic() - begin
        with server.publisher(init.message["token"]) as publisher:
            acknowledged["the-last-one"] = publisher.publish(LAST, publish_id="the-last-one").data["id"]
        results(*following)

    assert passed < 1.5 * PUBLISHES / PUBLISHES_PER_SECOND
    assert sum(follower.connections for follower in followers) > 5 * SUBSCRIBERS
    for follower in followers:
        follower.check(acknowledged)
