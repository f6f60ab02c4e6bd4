"""What every log promises, whatever it stores to. A new implementation becomes a parameter of `open_log`."""

from __future__ import annotations

import asyncio
import time
import uuid

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inlive_banner.channel.logs import Draft, Entry, Log
from inlive_banner.exceptions import LogUnavailableError
from tests.channel.driver import run
from tests.channel.logs.conftest import LogOpener, make_draft

ALL = {"limit": 10**6, "max_bytes": 10**9}


async def append_all(log: Log, *drafts: Draft) -> list[int]:
    """Append all at once; the number of each."""
    return [place.event_id.seq for place in await asyncio.gather(*map(log.append, drafts))]


def some_drafts(number: int, *, start: int = 0, body: bytes = b'{"message":%d}') -> list[Draft]:
    return [
        make_draft(f"publish-{place}", received_at=place, body=body % place) for place in range(start, start + number)
    ]


def test_log_new_holds_nothing_and_has_an_epoch(open_log: LogOpener):
    async def main() -> None:
        async with open_log() as log:
            bounds = log.bounds(15)
            assert (bounds.head, bounds.oldest, len(bounds.epochs), bounds.epochs[0][0]) == (0, 1, 1, 1)
            assert log.bounds(16).epochs[0][1] != bounds.epochs[0][1]
            assert await log.read_after(15, 0, **ALL) == []
            assert await log.read_newest(15, **ALL) == []

    run(main())


def test_log_append_numbers_without_gaps_in_order(open_log: LogOpener):
    async def main() -> None:
        async with open_log() as log:
            assert await append_all(log, *some_drafts(20)) == list(range(1, 21))
            assert await append_all(log, *some_drafts(5, start=20)) == list(range(21, 26))
            assert (log.bounds(15).head, log.bounds(15).oldest) == (25, 1)

    run(main())


def test_log_append_tells_of_each_entry_before_it_returns(open_log: LogOpener):
    async def main() -> None:
        commits: list[tuple[int, list[Entry]]] = []
        async with open_log(commits) as log:
            for number, draft in enumerate(some_drafts(5), start=1):
                place = await log.append(draft)
                told = [entry for _, entries in commits for entry in entries]
                assert len(told) == number
                assert told[-1] == Entry(place.event_id, draft.body)

    run(main())


def test_log_append_to_several_streams_at_once_numbers_each_by_itself(open_log: LogOpener):
    async def main() -> None:
        commits: list[tuple[int, list[Entry]]] = []
        async with open_log(commits) as log:
            drafts = [make_draft(f"publish-{place}", stream_id=15 + place % 2) for place in range(20)]
            assert await append_all(log, *drafts) == [1 + place // 2 for place in range(20)]
            for stream_id in (15, 16):
                told = [entry.event_id.seq for stream, entries in commits if stream == stream_id for entry in entries]
                assert told == list(range(1, 11))

    run(main())


@pytest.mark.parametrize("at_once", [True, False])
def test_log_append_repeated_is_answered_with_the_first_and_stores_nothing(open_log: LogOpener, at_once: bool):
    async def main() -> None:
        commits: list[tuple[int, list[Entry]]] = []
        async with open_log(commits) as log:
            drafts = [
                make_draft("publish-1", received_at=1, body=b'{"message":1}'),
                make_draft("publish-2", received_at=2, body=b'{"message":2}'),
                make_draft("publish-1", received_at=3, body=b'{"message":3}'),
                make_draft("publish-3", received_at=4, body=b'{"message":4}'),
            ]
            if at_once:
                places = list(await asyncio.gather(*map(log.append, drafts)))
            else:
                places = [await log.append(draft) for draft in drafts]
            assert [place.event_id.seq for place in places] == [1, 2, 1, 3]
            assert [place.received_at for place in places] == [1, 2, 1, 4]
            assert [place.duplicate for place in places] == [False, False, True, False]
            assert [body for _, body in await log.read_after(15, 0, **ALL)] == [
                b'{"message":1}', b'{"message":2}', b'{"message":4}',
            ]  # fmt: skip
            assert sum(len(entries) for _, entries in commits) == 3

    run(main())


def test_log_append_same_publish_id_on_another_stream_is_another_entry(open_log: LogOpener):
    async def main() -> None:
        async with open_log() as log:
            for stream_id in (15, 16):
                assert not (await log.append(make_draft(stream_id=stream_id))).duplicate

    run(main())


def test_log_reopened_goes_on_with_its_epoch_and_numbers(open_log: LogOpener):
    async def main() -> None:
        async with open_log() as log:
            await append_all(log, *some_drafts(3))
            before = log.bounds(15)
        async with open_log() as log:
            assert log.bounds(15).head == 3
            assert log.bounds(15).event_id(3) == before.event_id(3)
            assert [body for _, body in await log.read_after(15, 0, **ALL)] == [b'{"message":%d}' % n for n in range(3)]
            repeated = await log.append(make_draft("publish-1"))
            assert (repeated.duplicate, repeated.event_id.seq) == (True, 2)
            assert await append_all(log, *some_drafts(1, start=3)) == [4]

    run(main())


@pytest.mark.parametrize(
    ("seq", "limit", "expected"), [(0, 3, [1, 2, 3]), (4, 3, [5, 6, 7]), (8, 5, [9, 10]), (10, 5, []), (99, 5, [])]
)
def test_log_read_after_gives_the_next_entries(open_log: LogOpener, seq: int, limit: int, expected: list[int]):
    async def main() -> None:
        async with open_log() as log:
            await append_all(log, *some_drafts(10))
            entries = await log.read_after(15, seq, limit=limit, max_bytes=10**6)
            assert [entry.event_id for entry in entries] == [log.bounds(15).event_id(number) for number in expected]
            assert [entry.body for entry in entries] == [b'{"message":%d}' % (number - 1) for number in expected]
            assert await log.read_after(16, 0, **ALL) == []

    run(main())


@pytest.mark.parametrize(("limit", "expected"), [(3, [8, 9, 10]), (20, list(range(1, 11)))])
def test_log_read_newest_gives_the_last_entries_oldest_first(open_log: LogOpener, limit: int, expected: list[int]):
    async def main() -> None:
        async with open_log() as log:
            await append_all(log, *some_drafts(10))
            entries = await log.read_newest(15, limit=limit, max_bytes=10**6)
            assert [entry.event_id.seq for entry in entries] == expected
            assert [entry.body for entry in entries] == [b'{"message":%d}' % (number - 1) for number in expected]

    run(main())


@pytest.mark.parametrize("max_bytes", [1, 100, 250, 1000])
def test_log_reads_stop_at_their_bytes_but_give_one_entry_at_least(open_log: LogOpener, max_bytes: int):
    async def main() -> None:
        async with open_log() as log:
            await append_all(log, *some_drafts(10, body=b'{"m":"%03d' + b"x" * 88 + b'"}'))
            first = await log.read_after(15, 2, limit=100, max_bytes=max_bytes)
            newest = await log.read_newest(15, limit=100, max_bytes=max_bytes)
            size = len(first[0].body)
            expected = min(8, max(1, max_bytes // size))
            assert [entry.event_id.seq for entry in first] == list(range(3, 3 + expected))
            fitting = min(10, max(1, max_bytes // size))
            assert [entry.event_id.seq for entry in newest] == list(range(11 - fitting, 11))

    run(main())


def test_log_close_finishes_what_was_accepted(open_log: LogOpener):
    async def main() -> None:
        async with open_log() as log:
            appends = [asyncio.ensure_future(log.append(draft)) for draft in some_drafts(50)]
            await asyncio.sleep(0)
        assert [(await append).event_id.seq for append in appends] == list(range(1, 51))
        async with open_log() as log:
            assert log.bounds(15).head == 50

    run(main())


def test_log_append_after_close_is_refused(open_log: LogOpener):
    async def main() -> None:
        async with open_log() as log:
            pass
        with pytest.raises(LogUnavailableError):
            await log.append(make_draft())

    run(main())


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.tuples(st.sampled_from([15, 16]), st.integers(0, 8)), min_size=1, max_size=8), max_size=5))
def test_log_of_any_batches_with_repeats_holds_each_publish_id_once(
    open_log: LogOpener, batches: list[list[tuple[int, int]]]
):
    """Over batches and restarts: each id once, numbers without gaps, each repeat answered with the first's place."""

    async def main() -> None:
        places: dict[tuple[int, str], int] = {}
        store = uuid.uuid4().hex  # each example has its own
        for batch in batches:
            async with open_log(store=store) as log:
                drafts = [make_draft(f"publish-{number}", stream_id=stream_id) for stream_id, number in batch]
                known = {stream_id: await log.read_after(stream_id, 0, **ALL) for stream_id in (15, 16)}
                appended = await asyncio.gather(*map(log.append, drafts))
                for draft, place in zip(drafts, appended, strict=True):
                    key = (draft.stream_id, draft.publish_id)
                    assert places.setdefault(key, place.event_id.seq) == place.event_id.seq
                for stream_id in (15, 16):
                    entries = await log.read_after(stream_id, 0, **ALL)
                    assert entries[: len(known[stream_id])] == known[stream_id]
                    assert [entry.event_id.seq for entry in entries] == list(range(1, len(entries) + 1))
                    assert log.bounds(stream_id).head == len(entries)
                    new = {draft.publish_id for draft in drafts if draft.stream_id == stream_id}
                    assert len(entries) - len(known[stream_id]) <= len(new)

    run(main())


def test_log_has_nobody_to_notify_where_it_is_alone(open_log: LogOpener):
    async def main() -> None:
        async with open_log() as log:
            assert not await log.notify(15, b"{}")

    run(main())


def test_log_daily_secret_is_one_a_day_and_outlives_the_log(open_log: LogOpener):
    async def main() -> None:
        async with open_log() as log:
            first, again = await asyncio.gather(log.daily_secret(20_000), log.daily_secret(20_000))
            assert first == again
            assert len(first) == 32
        async with open_log(store="another") as log:
            assert await log.daily_secret(20_000) != first

    run(main())


def test_log_daily_secret_of_today_outlives_the_log(open_log: LogOpener):
    today = int(time.time() // 86400)

    async def main() -> None:
        async with open_log() as log:
            first = await log.daily_secret(today)
        async with open_log() as log:
            assert await log.daily_secret(today) == first

    run(main())
