"""Channels that share a log on an engine, as their clients see it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from inlive_banner.channel import attendance, presence, relay
from inlive_banner.channel.logs import redis_log
from tests.channel.driver import (
    ABSENT,
    CLOSED,
    PUBLIC,
    SIGNER,
    Answer,
    Subscription,
    advance,
    eventually,
    open_channel,
    run,
    settle,
)
from tests.channel.logs.test_redis_log import make_deaf
from tests.engine import Server, running_cluster, running_server


@pytest.fixture
def engine() -> Iterator[Server]:
    with running_server() as server:
        yield server


@pytest.fixture(params=["valkey", "cluster"])
def store(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of an engine, alone or a cluster."""
    with running_server() if request.param == "valkey" else running_cluster() as servers:
        yield servers.url


def test_client_goes_on_at_another_node_that_has_not_heard_of_its_position(
    tmp_path: Path, engine: Server, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(redis_log, "CHECK_SECONDS", 10**6)

    async def main() -> None:
        async with (
            open_channel(tmp_path, log_url=engine.url) as one,
            open_channel(tmp_path, log_url=engine.url) as other,
        ):
            await other.subscribe().started()
            await make_deaf(other.app._log, PUBLIC)
            ids = [(await one.publish(number)).data["id"] for number in range(4)]

            reader = await other.subscribe(last_event_id=ids[2]).started()

            assert reader.init.message["recovered"] is True
            assert reader.init.message["head"] == ids[3]
            await eventually(lambda: [event.id for event in reader.events if event.type == "broadcast"] == ids[3:])

    run(main())


def test_readers_of_a_log_that_was_emptied_come_again_and_are_told(
    tmp_path: Path, engine: Server, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(redis_log, "CHECK_SECONDS", 0.05)

    async def main() -> None:
        async with open_channel(tmp_path, log_url=engine.url) as channel:
            reader = await channel.subscribe().started()
            for number in range(3):
                await channel.publish(number)
            await eventually(lambda: len([event for event in reader.events if event.type == "broadcast"]) == 3)

            engine.client.flushall()

            await reader.ended()
            assert reader.raw.endswith(b"\n\n"), "it ends whole"
            again = await channel.subscribe(last_event_id=reader.last_event_id).started()
            assert again.init.message["recovered"] is False
            assert (await channel.publish("new")).data["id"].endswith("-1")
            await eventually(lambda: again.events[-1].message == "new")

    run(main())


def test_engine_that_is_away_is_answered_with_503_and_streams_stay_open(
    tmp_path: Path, engine: Server, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(redis_log, "RETRY_FOR_SECONDS", 0.3)

    def is_try_again(answer: Answer) -> bool:
        return answer.status == 503 and int(answer.headers["retry-after"]) > 0

    async def main() -> None:
        async with open_channel(tmp_path, log_url=engine.url) as channel:
            reader = await channel.subscribe().started()
            known = (await channel.publish("before")).data["id"]
            engine.kill()

            assert is_try_again(await channel.publish("meanwhile"))
            assert (await channel.subscribe(last_event_id=f"{known}0").ended()).status == 503
            await channel.subscribe(last_event_id=known).started()
            assert not reader.task.done()

            engine.start()
            assert (await channel.publish("after")).status == 200
            await eventually(lambda: reader.events[-1].message == "after")

    run(main())


def listeners(url: str) -> int:
    """How many nodes hear the stream's wake-ups, by the engine's own count."""
    address, _, prefix = url.partition("?prefix=")
    client = redis.Redis.from_url(address)
    return int(client.execute_command("PUBSUB", "SHARDNUMSUB", f"{prefix or 'inlive'}:{{{PUBLIC}}}:wake")[1])


def test_node_without_subscribers_follows_nothing_and_misses_nothing_when_one_comes(tmp_path: Path, engine: Server):
    url = f"{engine.url}?prefix={uuid.uuid4().hex}"

    async def main() -> None:
        async with open_channel(tmp_path, log_url=url) as one, open_channel(tmp_path, log_url=url) as other:
            assert listeners(url) == 0
            first = await one.subscribe().started()
            for number in range(3):
                assert (await other.publish(number)).status == 200
            await first.count("broadcast", 3)
            assert listeners(url) == 1
            assert other.app._log.bounds(PUBLIC).head == 0

            late = await other.subscribe(last_event_id="0").started()
            fresh = await other.subscribe().started()
            assert late.init.message["recovered"] is True
            assert (await one.publish(3)).status == 200

            assert [event.message for event in await late.count("broadcast", 4)] == [0, 1, 2, 3]
            assert [event.message for event in await fresh.count("broadcast", 1)] == [3]
            assert listeners(url) == 2

    run(main())


def test_stream_is_left_some_time_after_its_last_subscriber_and_nothing_is_missing_later(
    tmp_path: Path, engine: Server
):
    url = f"{engine.url}?prefix={uuid.uuid4().hex}"

    async def main() -> None:
        async with open_channel(tmp_path, log_url=url) as one, open_channel(tmp_path, log_url=url) as other:
            stays = await other.subscribe().started()
            reader = await one.subscribe().started()
            await one.publish("before")
            (seen,) = await reader.count("broadcast", 1)
            await advance(2 * attendance.LEAVE_SECONDS)
            assert listeners(url) == 2, "left while somebody subscribes"
            reader.hang_up()
            await advance(attendance.LEAVE_SECONDS / 2)
            assert listeners(url) == 2
            await advance(attendance.LEAVE_SECONDS)
            await eventually(lambda: listeners(url) == 1)
            assert (await one.publish("meanwhile")).status == 200
            assert (await other.publish("meanwhile, too")).status == 200

            again = await one.subscribe(last_event_id=seen.id).started()
            fresh = await one.subscribe().started()
            await other.publish("after")

            assert again.init.message["recovered"] is True
            messages = [event.message for event in await again.count("broadcast", 3)]
            assert messages == ["meanwhile", "meanwhile, too", "after"]
            assert [event.message for event in await fresh.count("broadcast", 1)] == ["after"]
            assert (await stays.count("broadcast", 4))[-1].message == "after"

    run(main())


def test_node_that_begins_to_follow_counts_the_others_viewers_at_once_and_tells_nobody_of_them(
    tmp_path: Path, store: str
):
    async def main() -> None:
        async with (
            open_channel(tmp_path, log_url=store) as one,
            open_channel(tmp_path, log_url=store) as two,
            open_channel(tmp_path, log_url=store) as three,
        ):
            for channel in (one, one, two):
                await channel.subscribe().started()
            await advance(1)

            seen = (await one.publish("before")).data["id"]
            newest = await three.subscribe(last_event_id=seen).started()

            assert newest.init.message["viewer_count"] == 4
            await three.publish("last")
            await newest.got_last()
            assert told(newest) == []

    run(main())


def test_worker_is_told_of_all_that_was_acknowledged_at_any_node(
    tmp_path: Path, engine: Server, monkeypatch: pytest.MonkeyPatch
):
    """Or one that ends at the head would leave some of it out."""
    monkeypatch.setattr(redis_log, "CHECK_SECONDS", 10**6)

    async def main() -> None:
        async with (
            open_channel(tmp_path, log_url=engine.url) as one,
            open_channel(tmp_path, log_url=engine.url) as other,
        ):
            await other.subscribe().started()
            await make_deaf(other.app._log, PUBLIC)
            newest = (await one.publish("click")).data["id"]
            plain = await other.subscribe().started()
            worker = await other.subscribe(ticket=SIGNER.make_ticket(PUBLIC, silent=True)).started()

            assert worker.init.message["head"] == newest
            assert plain.init.message["head"] != newest

    run(main())


def test_private_message_reaches_its_subscriber_at_another_node(tmp_path: Path, store: str):
    async def main() -> None:
        async with open_channel(tmp_path, log_url=store) as one, open_channel(tmp_path, log_url=store) as other:
            recipient = await one.subscribe().started()
            bystander = await one.subscribe().started()

            answer = await other.publish({"b": 1}, type="private", to_user_id=recipient.user_id)

            assert answer.status == 200
            (event,) = await recipient.count("private", 1)
            assert (event.message, event.id) == ({"b": 1}, None)
            assert bystander.of("private") == []
            stranger = "11111111-2222-3333-4444-555555555555"
            assert (await other.publish("x", type="private", to_user_id=stranger)).status == 409

    run(main())


def test_history_is_sent_by_the_node_that_has_the_subscriber(tmp_path: Path, store: str):
    async def main() -> None:
        async with open_channel(tmp_path, log_url=store) as one, open_channel(tmp_path, log_url=store) as other:
            reader = await one.subscribe().started()
            for number in range(3):
                await other.publish(number)

            answer = await other.publish(ABSENT, type="request", token=reader.token)

            assert answer.status == 200
            (event,) = await reader.count("request", 1)
            assert [item["message"] for item in event.message] == [0, 1, 2]

    run(main())


def test_refusal_of_a_history_comes_back_from_the_other_node(tmp_path: Path, store: str):
    async def main() -> None:
        async with open_channel(tmp_path, log_url=store) as one, open_channel(tmp_path, log_url=store) as other:
            plain = await one.subscribe(stream_id=CLOSED).started()

            answer = await other.publish(ABSENT, type="request", token=plain.token, stream_id=CLOSED)

            assert answer.status == 403

    run(main())


def test_node_that_does_not_answer_is_not_waited_for_long(
    tmp_path: Path, engine: Server, monkeypatch: pytest.MonkeyPatch
):
    """It listens, and has no such subscriber."""
    monkeypatch.setattr(relay, "ANSWER_SECONDS", 0.05)

    async def main() -> None:
        async with (
            open_channel(tmp_path, log_url=engine.url) as one,
            open_channel(tmp_path, log_url=engine.url) as other,
        ):
            await other.subscribe().started()
            assert (await one.publish("x", type="private", to_user_id="nobody-there")).status == 409
            assert one.app._hub is not None
            assert one.app._hub.relay._waiting == {}

    run(main())


def test_engine_that_is_away_refuses_a_private_message_with_503(tmp_path: Path, engine: Server):
    async def main() -> None:
        async with open_channel(tmp_path, log_url=engine.url) as channel:
            engine.kill()
            for fields in ({"to_user_id": "nobody-there", "type": "private"}, {"type": "request"}):
                assert (await channel.publish("x", **fields)).status == 503

    run(main())


def told(reader: Subscription) -> list[tuple[str, int]]:
    """The joins and leaves that a reader was told of, and the number each time."""
    return [(event.message["status"], event.message["viewer_count"]) for event in reader.of("system")]


def test_viewers_are_those_of_all_nodes_and_each_is_told_of_at_once_and_once(
    tmp_path: Path, store: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(presence, "TELL_SECONDS", 10**6)  # only what has changed is told

    async def main() -> None:
        async with open_channel(tmp_path, log_url=store) as one, open_channel(tmp_path, log_url=store) as other:
            first = await one.subscribe().started()
            await advance(1)
            second = await other.subscribe().started()
            assert second.init.message["viewer_count"] == 2
            await advance(1)
            await eventually(lambda: told(first) == [("join", 2)])
            third = await one.subscribe().started()
            assert third.init.message["viewer_count"] == 3
            await advance(1)
            await eventually(lambda: told(second) == [("join", 3)])

            third.hang_up()

            await eventually(lambda: told(second) == [("join", 3), ("leave", 2)])
            second.hang_up()
            await eventually(lambda: told(first) == [("join", 2), ("join", 3), ("leave", 2), ("leave", 1)])

    run(main())


def test_node_that_comes_later_knows_who_is_there_and_one_that_goes_takes_its_own_along(tmp_path: Path, store: str):
    async def main() -> None:
        async with open_channel(tmp_path, log_url=store) as one:
            reader = await one.subscribe().started()
            await advance(1)
            async with open_channel(tmp_path, log_url=store) as other:
                for _ in range(2):
                    await other.subscribe().started()
                await advance(1)
                await eventually(lambda: told(reader) == [("join", 2), ("join", 3)])
            await eventually(lambda: told(reader)[2:] == [("leave", 2), ("leave", 1)])

    run(main())


@pytest.mark.parametrize("is_deaf", [False, True], ids=["dead", "only not heard"])
def test_node_that_is_not_heard_of_has_gone_unless_one_hears_nothing_at_all(
    tmp_path: Path, engine: Server, is_deaf: bool
):
    async def main() -> None:
        async with (
            open_channel(tmp_path, log_url=engine.url) as one,
            open_channel(tmp_path, log_url=engine.url) as other,
        ):
            reader = await one.subscribe().started()
            await other.subscribe().started()
            await advance(1)
            await eventually(lambda: told(reader) == [("join", 2)])

            # As a node that was killed: it says nothing any more, and no goodbye.
            other.app._hub.presence._stopped = True
            for _ in range(5):
                heard = one.app._hub.presence._heard_itself_at[PUBLIC]
                if is_deaf:
                    await make_deaf(one.app._log, PUBLIC)
                await advance(presence.TELL_SECONDS)
                if not is_deaf:
                    await eventually(lambda heard=heard: one.app._hub.presence._heard_itself_at[PUBLIC] > heard)
            await settle()

            assert told(reader) == ([("join", 2)] if is_deaf else [("join", 2), ("leave", 1)])

    run(main())
