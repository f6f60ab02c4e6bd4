"""Keep-alives and the end of all streams."""

from __future__ import annotations

import asyncio
from pathlib import Path

from inlive_banner.channel.hub import BEAT_SLOTS
from tests.channel.driver import (
    CLOSED,
    SIGNER,
    Channel,
    Subscription,
    advance,
    eventually,
    open_channel,
    run,
    settle,
)

PERIOD_SECONDS = 15.0


async def let_pass(seconds: float) -> None:
    """Let time pass in small steps, so that each tick of a timer comes in its turn."""
    for _ in range(round(seconds * 2)):
        await advance(0.5)


async def quiet(channel: Channel, **options: object) -> Subscription:
    """A subscriber that is announced, so that nothing more of its own comes."""
    reader = await channel.subscribe(**options).started()  # type: ignore[arg-type]
    await advance(1.0)
    return reader


def test_hub_idle_connection_gets_a_comment_at_least_each_period(tmp_path: Path):
    """Also right after it opened: no gap is longer than the period (and a tick's length)."""

    async def main() -> None:
        async with open_channel(tmp_path, keep_alive_seconds=PERIOD_SECONDS) as channel:
            reader = await channel.subscribe().started()
            size, gap, longest = len(reader.raw), 0.0, 0.0
            for _ in range(round(4 * PERIOD_SECONDS * 2)):
                await advance(0.5)
                if len(reader.raw) != size:
                    size, gap = len(reader.raw), 0.0
                gap += 0.5
                longest = max(longest, gap)
            assert reader.comments >= 3
            assert longest <= PERIOD_SECONDS + PERIOD_SECONDS / BEAT_SLOTS + 0.5

    run(main())


def test_hub_comment_carries_no_id_and_moves_no_position(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path, keep_alive_seconds=PERIOD_SECONDS) as channel:
            reader = await quiet(channel)
            before = reader.last_event_id
            position = channel.stream.subscribers[reader.user_id].seq
            await let_pass(3 * PERIOD_SECONDS)
            assert reader.comments > 0
            assert b"\n\n:\n\n" in reader.raw
            assert reader.last_event_id == before
            assert channel.stream.subscribers[reader.user_id].seq == position
            await channel.publish(1)
            await reader.count("broadcast", 1)
            assert reader.seqs == [1]

    run(main())


def test_hub_busy_connection_gets_one_comment_a_period_at_most(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path, keep_alive_seconds=PERIOD_SECONDS) as channel:
            reader = await quiet(channel)
            for value in range(round(4 * PERIOD_SECONDS)):
                await channel.publish(value)
                await advance(1.0)
            await reader.count("broadcast", round(4 * PERIOD_SECONDS))
            assert reader.comments <= 4 + 1

    run(main())


def test_hub_plain_subscriber_of_a_closed_stream_gets_comments(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path, keep_alive_seconds=PERIOD_SECONDS) as channel:
            plain = await quiet(channel, stream_id=CLOSED)
            await let_pass(3 * PERIOD_SECONDS)
            assert plain.comments >= 2

    run(main())


def test_hub_stalled_connection_gathers_no_comments(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path, keep_alive_seconds=PERIOD_SECONDS) as channel:
            reader = await quiet(channel)
            reader.stall()
            await let_pass(5 * PERIOD_SECONDS)
            reader.flow()
            await settle()
            assert reader.comments <= 1
            await channel.publish(1)
            await reader.count("broadcast", 1)

    run(main())


def test_hub_connection_that_hung_up_gets_no_comments(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path, keep_alive_seconds=PERIOD_SECONDS) as channel:
            reader = await quiet(channel)
            reader.hang_up()
            await reader.ended()
            size = len(reader.raw)
            await let_pass(3 * PERIOD_SECONDS)
            assert len(reader.raw) == size

    run(main())


def test_hub_end_streams_ends_every_stream_whole(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            readers = [await channel.subscribe().started() for _ in range(3)]
            readers.append(await channel.subscribe(stream_id=CLOSED, ticket=SIGNER.make_ticket(CLOSED)).started())
            channel.app.end_streams()
            for reader in readers:
                await reader.ended()
                assert reader.whole
            assert channel.stream.subscribers == {}

    run(main())


def test_hub_end_streams_refuses_new_ones_and_still_takes_publishes(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            channel.app.end_streams()
            await settle()
            refused = await channel.request("GET", "/subscribe/15")
            assert refused.status == 503
            assert int(refused.headers["retry-after"]) > 0
            assert (await channel.request("GET", "/readyz")).status == 503
            assert (await channel.request("GET", "/healthz")).status == 200
            assert (await channel.publish(1)).status == 200

    run(main())


def test_hub_end_streams_ends_a_stream_whose_init_is_still_being_sent(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            reader = channel.subscribe()
            reader.stall()
            await settle()
            channel.app.end_streams()
            await settle()
            reader.flow()
            await reader.ended()
            assert reader.whole
            assert channel.stream.subscribers == {}

    run(main())


def test_hub_close_finishes_accepted_publishes(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            publishes = [asyncio.ensure_future(channel.publish(value)) for value in range(20)]
            await eventually(lambda: channel.log._pending == 20 or any(p.done() for p in publishes))
            await channel.app.stop()
            answers = await asyncio.gather(*publishes)
            stored = [answer for answer in answers if answer.status == 200]
            assert stored
            assert all(answer.status in (200, 503) for answer in answers)
            late = await channel.publish("late")
            assert late.status == 503
        async with open_channel(tmp_path) as channel:
            assert channel.stream.bounds.head == len(stored)

    run(main())
