"""Channels that share a log on an engine, as their clients see it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from inlive_banner.channel.logs import redis_log
from tests.channel.driver import Answer, eventually, open_channel, run
from tests.engine import Server, running_server


@pytest.fixture
def engine() -> Iterator[Server]:
    with running_server() as server:
        yield server


def test_client_goes_on_at_another_node_that_has_not_heard_of_its_position(
    tmp_path: Path, engine: Server, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(redis_log, "CHECK_SECONDS", 10**6)

    async def main() -> None:
        async with (
            open_channel(tmp_path, log_url=engine.url) as one,
            open_channel(tmp_path, log_url=engine.url) as other,
        ):
            other.app._log._engine._closed = True  # type: ignore[attr-defined]  # no wake-ups
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
