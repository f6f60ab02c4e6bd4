"""Presence, delivery in turns, history: what the subscribers of one stream have to do with each other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inlive_banner.channel import ring as ring_module
from inlive_banner.channel import stream as stream_module
from inlive_banner.channel.frames import frame
from inlive_banner.channel.logs import Appended, Draft, Entry
from inlive_banner.channel.types import Message
from tests.channel.driver import (
    CLOSED,
    PUBLIC,
    SIGNER,
    Channel,
    Subscription,
    advance,
    eventually,
    open_channel,
    run,
    settle,
)


def notices(subscription: Subscription) -> list[tuple[str, int]]:
    return [(event.message["status"], event.message["viewer_count"]) for event in subscription.of("system")]


async def settle_presence() -> None:
    """Let announcements come due, and then their delivery."""
    await advance(1.0)
    await advance(1.0)


def test_stream_announces_a_subscriber_after_a_second_to_the_others_only(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            first = await channel.subscribe().started()
            await settle_presence()
            second = await channel.subscribe().started()
            await advance(0.9)
            await settle()
            assert notices(first) == []
            await settle_presence()
            assert notices(first) == [("join", 2)]
            assert notices(second) == []

    run(main())


def test_stream_never_announces_who_leaves_within_a_second(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            first = await channel.subscribe().started()
            await settle_presence()
            second = await channel.subscribe().started()
            second.hang_up()
            await second.ended()
            await settle_presence()
            assert notices(first) == []
            assert channel.stream.announced == 1

    run(main())


def test_stream_tells_of_a_leave_once(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            first, second = [await channel.subscribe().started() for _ in range(2)]
            await settle_presence()
            second.hang_up()
            await second.ended()
            await settle_presence()
            assert notices(first) == [("join", 2), ("leave", 1)]

    run(main())


def test_stream_viewer_count_in_init_is_the_announced_and_oneself(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            first = await channel.subscribe().started()
            assert first.init.message["viewer_count"] == 1
            unannounced = await channel.subscribe().started()
            assert unannounced.init.message["viewer_count"] == 1
            await settle_presence()
            third = await channel.subscribe().started()
            assert third.init.message["viewer_count"] == 3

    run(main())


def test_stream_silent_reader_is_not_counted_and_not_announced_but_reads_all(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            viewer = await channel.subscribe().started()
            worker = await channel.subscribe(ticket=SIGNER.make_ticket(PUBLIC, silent=True)).started()
            assert worker.init.message["viewer_count"] == 0
            await settle_presence()
            assert notices(viewer) == []
            assert notices(worker) == [("join", 1)]
            await channel.publish("hello")
            await worker.count("broadcast", 1)
            worker.hang_up()
            await worker.ended()
            await settle_presence()
            assert notices(viewer) == []

    run(main())


PRESENCE = st.lists(
    st.tuples(st.sampled_from(["join", "leave", "wait", "publish", "resume", "stall", "flow"]), st.integers(0, 4)),
    max_size=16,
)


class Audience:
    """Subscribers that come and go, and what each must have been told of the others."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.inside: list[Subscription] = []
        self.announced: set[Subscription] = set()
        self.told: dict[Subscription, list[str]] = {}

    def at(self, place: int) -> Subscription | None:
        return self.inside[place] if place < len(self.inside) else None

    async def join(self, _: int) -> None:
        joined = await self.channel.subscribe().started()
        assert joined.init.message["viewer_count"] == len(self.announced) + 1
        self.told[joined] = []
        self.inside.append(joined)

    async def resume(self, _: int) -> None:
        resumed = await self.channel.subscribe(last_event_id="0").started()
        self.told[resumed] = []
        self.inside.append(resumed)

    async def leave(self, place: int) -> None:
        if one := self.at(place):
            one.hang_up()
            await one.ended()
            self.inside.remove(one)
            if one in self.announced:
                self.announced.discard(one)
                self.tell("leave", about=one)

    async def wait(self, _: int) -> None:
        await advance(1.0)
        for one in self.inside:
            if one not in self.announced:
                self.announced.add(one)
                self.tell("join", about=one)

    def tell(self, status: str, *, about: Subscription) -> None:
        for one in self.inside:
            if one is not about:
                self.told[one].append(status)

    async def publish(self, value: int) -> None:
        await self.channel.publish(value)

    async def stall(self, place: int) -> None:
        if one := self.at(place):
            one.stall()

    async def flow(self, place: int) -> None:
        if one := self.at(place):
            one.flow()

    async def judge(self) -> None:
        for one in self.inside:
            one.flow()
        await self.wait(0)
        await self.channel.publish("last")
        for one in self.inside:
            await one.got_last()
            got = [status for status, _ in notices(one)]
            assert got == self.told[one]
            # The original client counts so; its own announcement is in its init's number already.
            assert one.init.message["viewer_count"] + got.count("join") - got.count("leave") == len(self.announced)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PRESENCE)
def test_stream_presence_in_any_order_adds_up_for_every_client(
    tmp_path_factory: pytest.TempPathFactory, operations: list[tuple[str, int]]
):
    """Each client that counts +1 and -1 from its init's number, as the original does, ends at the true number."""

    async def main() -> None:
        async with open_channel(tmp_path_factory.mktemp("log")) as channel:
            audience = Audience(channel)
            for name, argument in operations:
                await getattr(audience, name)(argument)
            await audience.judge()

    run(main())


def test_stream_broadcasts_committed_together_come_in_few_writes(tmp_path: Path):
    """The first one comes at once; one wake-up then delivers all that has been committed since the last."""

    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            reader = await channel.subscribe().started()
            await asyncio.gather(*[channel.publish(value) for value in range(200)])
            await advance(stream_module.FLUSH_SECONDS)
            await reader.count("broadcast", 200)
            assert reader.writes < 60

    run(main())


def test_stream_waits_as_long_as_a_delivery_takes_and_no_longer_than_the_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(stream_module, "FLUSH_SECONDS", 0.01)
    monkeypatch.setattr(stream_module, "MAX_FLUSH_SECONDS", 0.3)

    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            loop = asyncio.get_running_loop()
            reader = await channel.subscribe().started()
            (subscriber,) = channel.stream_of(PUBLIC).subscribers.values()
            send = subscriber._send

            async def send_slowly(message: Message) -> None:
                loop.ahead_seconds += 0.5  # less than until the reader is announced, which is delivered too
                await send(message)

            subscriber._send = send_slowly
            await channel.publish(1)
            await reader.count("broadcast", 1)
            subscriber._send = send
            await channel.publish(2)
            await advance(0.15)
            assert reader.seqs == [1]
            await advance(0.15)
            assert reader.seqs == [1, 2]

    run(main())


def test_stream_more_readers_than_a_turn_all_get_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stream_module, "TURN_SUBSCRIBERS", 3)

    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            readers = [await channel.subscribe().started() for _ in range(10)]
            for value in range(5):
                await channel.publish(value)
            await advance(1.0)
            for reader in readers:
                await reader.count("broadcast", 5)
                assert reader.seqs == [1, 2, 3, 4, 5]

    run(main())


def test_stream_reader_that_leaves_during_a_turn_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stream_module, "TURN_SUBSCRIBERS", 1)

    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            readers = [await channel.subscribe().started() for _ in range(6)]
            await channel.publish(1)
            for reader in readers[::2]:
                reader.hang_up()
                await reader.ended()
            await channel.publish(2)
            await advance(1.0)
            for reader in readers[1::2]:
                await reader.count("broadcast", 2)
                assert reader.seqs == [1, 2]

    run(main())


def test_stream_delivers_more_than_one_chunk_to_an_idle_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ring_module, "MAX_CHUNK_BYTES", 500)

    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            readers = [await channel.subscribe().started() for _ in range(3)]
            await settle_presence()  # nothing but the broadcasts shall wake them from now on
            entries = [Entry(channel.stream.bounds.event_id(seq), b'{"type":"broadcast"}') for seq in range(1, 41)]
            channel.stream.committed(entries)
            for reader in readers:
                await reader.count("broadcast", 40)
                assert reader.seqs == list(range(1, 41))

    run(main())


def test_stream_commit_larger_than_the_ring_reaches_an_idle_reader_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Its place has left the ring before it is served: it reads the log."""

    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            channel.stream.ring.max_bytes = 1500
            reader = await channel.subscribe().started()
            await settle_presence()
            append, go_on = channel.log._file.append, threading.Event()

            def held(drafts: Sequence[Draft]) -> list[Appended]:
                assert go_on.wait(10)
                return append(drafts)

            monkeypatch.setattr(channel.log._file, "append", held)
            publishes = [asyncio.ensure_future(channel.publish(value)) for value in range(30)]
            await eventually(lambda: channel.log._pending == 30, "all to wait for one commit")
            go_on.set()
            await asyncio.gather(*publishes)
            assert channel.stream.ring.start > 20
            await advance(stream_module.FLUSH_SECONDS)
            await reader.count("broadcast", 30)
            assert reader.seqs == list(range(1, 31))

    run(main())


def test_stream_reader_that_begins_to_wait_during_a_turn_is_sent_nothing_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """ASGI's send isn't called again before it has returned."""
    monkeypatch.setattr(stream_module, "TURN_SUBSCRIBERS", 1)

    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            readers = {reader.user_id: reader for reader in [await channel.subscribe().started() for _ in range(4)]}
            await settle_presence()
            channel.stream.committed([Entry(channel.stream.bounds.event_id(1), b'{"type":"broadcast"}')])
            for _ in range(5):
                if not channel.stream._turn:
                    await asyncio.sleep(0)
            waiting = list(channel.stream._turn)
            assert waiting
            for subscriber in waiting:
                readers[subscriber.user_id].stall()
                subscriber.send_alone(frame(b'{"type":"private"}'))
            await settle()
            for reader in readers.values():
                reader.flow()
                await reader.count("broadcast", 1)
                await settle()
                assert reader.seqs == [1]
            assert [len(readers[subscriber.user_id].of("private")) for subscriber in waiting] == [1] * len(waiting)

    run(main())


def test_stream_broadcast_that_comes_during_a_delivery_reaches_those_already_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(stream_module, "TURN_SUBSCRIBERS", 1)

    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            readers = [await channel.subscribe().started() for _ in range(4)]
            await settle_presence()
            channel.stream.committed([Entry(channel.stream.bounds.event_id(1), b'{"type":"broadcast"}')])
            for _ in range(5):
                if not channel.stream._turn:
                    await asyncio.sleep(0)
            assert channel.stream._turn
            channel.stream.committed([Entry(channel.stream.bounds.event_id(2), b'{"type":"broadcast"}')])
            for reader in readers:
                await reader.count("broadcast", 2)
                assert reader.seqs == [1, 2]

    run(main())


def test_stream_answers_a_request_with_the_stored_envelopes_to_the_asking_user_only(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            for value in range(3):
                await channel.publish(value)
            asking, other = [await channel.subscribe().started() for _ in range(2)]
            assert (await channel.publish(type="request", token=asking.token)).status == 200
            (answer,) = await asking.count("request", 1)
            assert [item["message"] for item in answer.message] == [0, 1, 2]
            assert all(item["type"] == "broadcast" and item["id"] for item in answer.message)
            assert (answer.id, answer.envelope["to_user_id"]) == (None, asking.user_id)
            await settle()
            assert other.of("request") == []

    run(main())


def test_stream_history_of_an_empty_stream_is_an_empty_array(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            reader = await channel.subscribe().started()
            await channel.publish(type="request", token=reader.token)
            assert (await reader.count("request", 1))[0].message == []

    run(main())


def test_stream_history_is_bounded_by_count_to_the_newest(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path, history_limit=2) as channel:
            for value in range(5):
                await channel.publish(value)
            reader = await channel.subscribe().started()
            await channel.publish(type="request", token=reader.token)
            assert [item["message"] for item in (await reader.count("request", 1))[0].message] == [3, 4]

    run(main())


def test_stream_history_is_bounded_by_bytes_to_the_newest(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path, history_max_bytes=1500) as channel:
            for value in range(10):
                await channel.publish([value, "x" * 200])
            reader = await channel.subscribe().started()
            await channel.publish(type="request", token=reader.token)
            (answer,) = await reader.count("request", 1)
            numbers = [item["message"][0] for item in answer.message]
            assert numbers == list(range(10 - len(numbers), 10))
            assert 1 <= len(numbers) < 5
            assert len(reader.raw) < 1500 + 1500

    run(main())


def test_stream_second_request_while_the_first_waits_is_told_to_wait(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            reader = await channel.subscribe().started()
            reader.stall()
            await channel.publish(1)
            await settle()
            assert (await channel.publish(type="request", token=reader.token)).status == 200
            second = await channel.publish(type="request", token=reader.token)
            assert second.status == 429
            assert int(second.headers["retry-after"]) > 0
            reader.flow()
            await reader.count("request", 1)
            assert (await channel.publish(type="request", token=reader.token)).status == 200
            await reader.count("request", 2)

    run(main())


def test_stream_histories_being_made_at_once_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            await channel.publish(1)
            running = most = 0
            go_on = asyncio.Event()
            read_newest = channel.log.read_newest

            async def counted(*arguments: int, **limits: int) -> object:
                nonlocal running, most
                running += 1
                most = max(most, running)
                await go_on.wait()
                running -= 1
                return await read_newest(*arguments, **limits)

            monkeypatch.setattr(channel.log, "read_newest", counted)
            readers = [await channel.subscribe().started() for _ in range(9)]
            for reader in readers:
                assert (await channel.publish(type="request", token=reader.token)).status == 200
            await eventually(lambda: running == 4, "four histories")
            await settle()
            go_on.set()
            for reader in readers:
                await reader.count("request", 1)
            assert most == 4

    run(main())


def test_stream_closed_plain_subscriber_gets_init_and_private_and_nothing_else(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            plain = await channel.subscribe(stream_id=CLOSED, last_event_id="0").started()
            reader = await channel.subscribe(stream_id=CLOSED, ticket=SIGNER.make_ticket(CLOSED)).started()
            await settle_presence()
            for value in range(3):
                await channel.publish(value, stream_id=CLOSED)
            await channel.publish("psst", stream_id=CLOSED, type="private", to_user_id=plain.user_id)
            await plain.count("private", 1)
            await reader.count("broadcast", 3)
            late = await channel.subscribe(stream_id=CLOSED).started()
            await settle_presence()
            reader.hang_up()
            await reader.ended()
            await settle_presence()
            assert [event.type for event in plain.events] == ["init", "private"]
            assert set(plain.init.message) == {"token", "user_id", "viewer_count"}
            assert (plain.init.id, plain.init.message["viewer_count"]) == (None, 1)
            assert late.init.message["viewer_count"] == 1
            assert b"id:" not in plain.raw

    run(main())
