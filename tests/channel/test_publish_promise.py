"""A 200 is a promise: durable first, once, and a 503 where nothing was stored."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from inlive_banner.channel.logs import sqlite as sqlite_module
from tests.channel.driver import (
    CLOSED,
    Channel,
    eventually,
    open_channel,
    run,
    settle,
)


@contextmanager
def held_up(folder: Path) -> Iterator[None]:
    """Commits wait: somebody else holds the log's write lock."""
    other = sqlite3.connect(folder / "channel.sqlite3", isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")
    finally:
        other.close()


def fill_disk(channel: Channel, *, full: bool) -> None:
    """Let the log's database grow no further, as on a full disk; or again."""
    database = channel.log._file._db
    pages = database.execute("PRAGMA page_count").fetchone()[0]
    database.execute(f"PRAGMA max_page_count={pages if full else 10**6}")


async def fill_until_503(channel: Channel) -> tuple[int, Any]:
    """Publish until the log takes no more; how many it took, and the refusal."""
    fill_disk(channel, full=True)
    for stored in range(200):
        answer = await channel.publish("x" * 1000)
        if answer.status != 200:
            return stored, answer
    raise AssertionError("the disk isn't full")


def test_publish_is_neither_answered_nor_fanned_out_before_it_is_durable(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            reader = await channel.subscribe().started()
            with held_up(tmp_path):
                task = asyncio.ensure_future(channel.publish(1))
                await eventually(lambda: channel.log._pending == 1)
                await settle()
                assert not task.done()
                assert reader.of("broadcast") == []
            assert (await task).status == 200
            await reader.count("broadcast", 1)

    run(main())


def test_publish_is_fanned_out_before_it_is_answered(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            seen = []
            for _ in range(5):
                await channel.publish(1)
                seen.append(channel.stream.ring.seq)
            assert seen == [1, 2, 3, 4, 5]

    run(main())


def test_publish_of_many_at_once_shares_few_commits(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            statements: list[str] = []
            channel.log._file._db.set_trace_callback(statements.append)
            with held_up(tmp_path):
                tasks = [asyncio.ensure_future(channel.publish(value)) for value in range(50)]
                await eventually(lambda: channel.log._pending == 50)
            answers = await asyncio.gather(*tasks)
            assert {answer.status for answer in answers} == {200}
            assert statements.count("COMMIT") <= 3
            assert len({answer.data["id"] for answer in answers}) == 50

    run(main())


def test_publish_repeated_across_batches_answers_the_same_and_sends_nothing(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            reader = await channel.subscribe().started()
            first = await channel.publish("one", publish_id="publish-1")
            await channel.publish("two", publish_id="publish-2")
            again = await channel.publish("something else", publish_id="publish-1")
            assert again.data == first.data
            await channel.publish("three")
            await reader.count("broadcast", 3)
            assert [event.message for event in reader.of("broadcast")] == ["one", "two", "three"]
            assert reader.seqs == [1, 2, 3]

    run(main())


def test_publish_repeated_within_one_batch_is_stored_once(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            reader = await channel.subscribe().started()
            with held_up(tmp_path):
                ids = ["publish-a", "publish-b", "publish-a", "publish-c", "publish-a", "publish-b"]
                tasks = [
                    asyncio.ensure_future(channel.publish(publish_id, publish_id=publish_id)) for publish_id in ids
                ]
                await eventually(lambda: channel.log._pending == len(ids))
            data = [(await task).data for task in tasks]
            assert data[0] == data[2] == data[4]
            assert data[1] == data[5]
            await channel.publish("last")
            await reader.count("broadcast", 4)
            assert reader.seqs == [1, 2, 3, 4]
            assert [event.message for event in reader.of("broadcast")] == [
                "publish-a",
                "publish-b",
                "publish-c",
                "last",
            ]

    run(main())


def test_publish_repeated_after_a_restart_answers_the_same(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            first = await channel.publish(1, publish_id="publish-1")
        async with open_channel(tmp_path) as channel:
            reader = await channel.subscribe(last_event_id="0").started()
            assert (await channel.publish(2, publish_id="publish-1")).data == first.data
            await channel.publish(3)
            await reader.count("broadcast", 2)
            assert [event.message for event in reader.of("broadcast")] == [1, 3]

    run(main())


def test_publish_id_belongs_to_its_stream(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            await channel.publish(1, publish_id="publish-1")
            await channel.publish(2, publish_id="publish-1", stream_id=CLOSED)
            assert channel.stream_of(CLOSED).bounds.head == 1

    run(main())


@pytest.mark.parametrize("cancelled", [0, 1, 2])
def test_publish_whose_publisher_is_cancelled_breaks_no_batch(tmp_path: Path, cancelled: int):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            reader = await channel.subscribe().started()
            with held_up(tmp_path):
                tasks = [asyncio.ensure_future(channel.publish(value)) for value in range(3)]
                await eventually(lambda: channel.log._pending == 3)
                tasks[cancelled].cancel()
                await asyncio.wait([tasks[cancelled]])
            for place, task in enumerate(tasks):
                if place != cancelled:
                    assert (await task).status == 200
            await reader.count("broadcast", 3)
            assert [event.message for event in reader.of("broadcast")] == [0, 1, 2]
            assert channel.log._pending == 0

    run(main())


def test_publish_when_the_disk_is_full_is_a_503_that_stores_nothing_and_recovers(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            reader = await channel.subscribe().started()
            stored, refused = await fill_until_503(channel)
            assert (refused.status, refused.json["code"]) == (503, 503)
            assert int(refused.headers["retry-after"]) > 0
            assert refused.headers["access-control-allow-origin"] == "*"
            assert channel.stream.bounds.head == stored
            fill_disk(channel, full=False)
            assert (await channel.publish("last")).status == 200
            await reader.count("broadcast", stored + 1)
            assert reader.seqs == list(range(1, stored + 2))
        async with open_channel(tmp_path) as channel:
            assert channel.stream.bounds.head == stored + 1

    run(main())


def test_publish_in_a_batch_that_fails_is_a_503_for_all_of_it(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            stored, _ = await fill_until_503(channel)
            with held_up(tmp_path):
                tasks = [asyncio.ensure_future(channel.publish("x" * 5000)) for _ in range(3)]
                await eventually(lambda: channel.log._pending == 3)
            assert {(await task).status for task in tasks} == {503}
            assert channel.stream.bounds.head == stored

    run(main())


def test_publish_at_the_logs_size_limit_is_a_503(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path, log_max_bytes=60_000) as channel:
            statuses = [(await channel.publish("x" * 3000)).status for _ in range(30)]
            stored = statuses.count(200)
            assert statuses == [200] * stored + [503] * (30 - stored)
            assert 0 < stored < 30
            assert channel.stream.bounds.head == stored

    run(main())


def test_publish_when_too_many_wait_is_a_503_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sqlite_module, "MAX_PENDING", 3)

    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            with held_up(tmp_path):
                tasks = [asyncio.ensure_future(channel.publish(value)) for value in range(3)]
                await eventually(lambda: channel.log._pending == 3)
                assert (await channel.publish("one too many")).status == 503
            assert {(await task).status for task in tasks} == {200}
            assert (await channel.publish("again")).status == 200

    run(main())


def test_publish_when_the_log_fails_unforeseen_is_a_503_and_recovers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            with monkeypatch.context() as patch:

                def broken(_: object) -> None:
                    raise RuntimeError("unforeseen")

                patch.setattr(channel.log._file, "append", broken)
                assert (await channel.publish(1)).status == 503
            assert (await channel.publish(2)).status == 200

    run(main())


def test_publish_goes_on_after_trimming_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The committing thread may not die of anything: all later publishes would wait for ever."""
    monkeypatch.setattr(sqlite_module, "TRIM_INTERVAL_SECONDS", 0.0)

    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            failed = asyncio.Event()
            loop = asyncio.get_running_loop()

            def broken(*_: object, **__: object) -> int:
                loop.call_soon_threadsafe(failed.set)
                monkeypatch.setattr(sqlite_module, "TRIM_INTERVAL_SECONDS", 60.0)
                raise sqlite3.IntegrityError("unforeseen")

            monkeypatch.setattr(channel.log._file, "trim", broken)
            await channel.publish(1)
            await failed.wait()
            async with asyncio.timeout(5):
                assert (await channel.publish(2)).status == 200

    run(main())
