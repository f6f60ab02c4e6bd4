"""A subscriber is a position in the log: whatever happens, it gets every later broadcast once and in order."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from inlive_banner.channel.logs import sqlite_file
from inlive_banner.channel.subscriber import MAILBOX_FRAMES
from tests.channel.driver import PUBLIC, Channel, Subscription, advance, eventually, open_channel, run, settle


@dataclass
class Visitor:
    """One client through all its connections, as an EventSource: it reconnects with the last id that it saw."""

    subscription: Subscription
    session_start: int
    """The number after which the present connection begins."""
    seqs: list[int] = field(default_factory=list)
    """What it got over earlier connections."""
    messages: dict[int, object] = field(default_factory=dict)


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.integers(1, 6)),
        st.tuples(st.just("join"), st.sampled_from(["live", "oldest"])),
        st.tuples(st.just("reconnect"), st.integers(0, 3)),
        st.tuples(st.just("leave"), st.integers(0, 3)),
        st.tuples(st.just("stall"), st.integers(0, 3)),
        st.tuples(st.just("flow"), st.integers(0, 3)),
        st.tuples(st.just("private"), st.integers(0, 3)),
        st.tuples(st.just("announce"), st.just(0)),
        st.tuples(st.just("restart"), st.just(0)),
    ),
    max_size=18,
)


class World:
    """Runs operations against a channel with a tiny ring, and keeps what must come out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stored: list[int] = []
        self.visitors: list[Visitor] = []
        self.away: list[Visitor] = []

    async def play(self, operations: list[tuple[str, object]]) -> None:
        steps = list(operations)
        while True:
            async with open_channel(self.folder) as channel:
                channel.stream.ring.max_bytes = 2000
                for visitor in self.away:
                    await self.connect(channel, visitor)
                self.away = []
                restart = False
                while steps and not restart:
                    name, argument = steps.pop(0)
                    restart = name == "restart"
                    if not restart:
                        await getattr(self, name)(channel, argument)
                for visitor in list(self.visitors):
                    await (self.part(visitor) if restart else self.finish(visitor))
            if not restart:
                return

    async def publish(self, channel: Channel, number: int) -> None:
        values = range(len(self.stored), len(self.stored) + number)
        answers = await asyncio.gather(*[channel.publish({"value": value}) for value in values])
        places = sorted(
            (int(answer.data["id"].rpartition("-")[2]), v) for answer, v in zip(answers, values, strict=True)
        )
        assert [seq for seq, _ in places] == [len(self.stored) + 1 + place for place in range(number)]
        self.stored += [value for _, value in places]

    async def join(self, channel: Channel, kind: str) -> None:
        if len(self.visitors) < 4:
            subscription = await channel.subscribe(last_event_id="0" if kind == "oldest" else "").started()
            start = 0 if kind == "oldest" else len(self.stored)
            assert subscription.init.seq == start
            self.visitors.append(Visitor(subscription, start))

    async def connect(self, channel: Channel, visitor: Visitor) -> None:
        last = visitor.subscription.last_event_id
        visitor.subscription = await channel.subscribe(headers=[("last-event-id", last)]).started()
        assert visitor.subscription.init.id == last
        assert visitor.subscription.init.message["recovered"] is True
        visitor.session_start = visitor.subscription.init.seq
        self.visitors.append(visitor)

    async def reconnect(self, channel: Channel, place: int) -> None:
        if visitor := self.visitor(place):
            await self.part(visitor)
            self.away.remove(visitor)
            await self.connect(channel, visitor)

    async def leave(self, channel: Channel, place: int) -> None:
        if visitor := self.visitor(place):
            await self.part(visitor)
            self.away.remove(visitor)

    async def stall(self, channel: Channel, place: int) -> None:
        if visitor := self.visitor(place):
            visitor.subscription.stall()

    async def flow(self, channel: Channel, place: int) -> None:
        if visitor := self.visitor(place):
            visitor.subscription.flow()

    async def private(self, channel: Channel, place: int) -> None:
        if visitor := self.visitor(place):
            await channel.publish("psst", type="private", to_user_id=visitor.subscription.user_id)

    async def announce(self, channel: Channel, _: int) -> None:
        await advance(1.0)

    def visitor(self, place: int) -> Visitor | None:
        return self.visitors[place] if place < len(self.visitors) else None

    async def part(self, visitor: Visitor) -> None:
        """The visitor hangs up; what it got is a run without holes from where it began."""
        visitor.subscription.hang_up()
        await visitor.subscription.ended()
        self.visitors.remove(visitor)
        self.away.append(visitor)
        self.judge(visitor)

    async def finish(self, visitor: Visitor) -> None:
        """The visitor stays until it has got everything."""
        visitor.subscription.flow()
        missing = len(self.stored) - visitor.session_start
        await visitor.subscription.count("broadcast", missing)
        await settle()
        self.judge(visitor)
        assert visitor.seqs[-1:] in ([len(self.stored)], []) or missing == 0

    def judge(self, visitor: Visitor) -> None:
        events = visitor.subscription.events
        assert [event.type for event in events].count("init") == 1
        assert events[0].type == "init"
        got = visitor.subscription.of("broadcast")
        seqs = [event.seq for event in got]
        assert seqs == list(range(visitor.session_start + 1, visitor.session_start + 1 + len(seqs)))
        assert [event.message["value"] for event in got] == [self.stored[seq - 1] for seq in seqs]
        assert all(event.envelope["id"] == event.id for event in got)
        visitor.seqs += seqs
        assert (
            visitor.seqs == list(range(visitor.seqs[0], visitor.seqs[0] + len(visitor.seqs))) if visitor.seqs else True
        )
        assert all(event.id is None for event in events if event.type not in ("init", "broadcast"))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(OPERATIONS)
@example(
    [("publish", 6), ("join", "oldest"), ("stall", 0), ("publish", 6), ("publish", 6), ("publish", 6), ("flow", 0)]
)
@example([("join", "live"), ("publish", 3), ("restart", 0), ("publish", 1)])
def test_subscriber_through_any_history_gets_every_later_broadcast_once_in_order(
    tiny_reads: None, operations: list[tuple[str, object]]
):
    """Publishing, joining, leaving, stalling, falling out of the ring, resuming and restarting, in any order."""
    with tempfile.TemporaryDirectory() as folder:
        run(World(Path(folder)).play(operations))


def test_subscriber_gets_init_first_then_only_what_comes_after(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            await channel.publish("before")
            reader = await channel.subscribe().started()
            await channel.publish("after")
            await reader.count("broadcast", 1)
            assert [event.type for event in reader.events] == ["init", "broadcast"]
            assert reader.events[1].message == "after"

    run(main())


def test_subscriber_resuming_after_a_restart_and_before_any_publish_gets_what_it_missed(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            reader = await channel.subscribe().started()
            await channel.publish(1)
            await reader.count("broadcast", 1)
            reader.hang_up()
            await reader.ended()
            for value in (2, 3):
                await channel.publish(value)
        async with open_channel(tmp_path) as channel:
            again = await channel.subscribe(last_event_id=reader.last_event_id).started()
            assert again.init.message["recovered"] is True
            assert [event.message for event in await again.count("broadcast", 2)] == [2, 3]

    run(main())


def test_subscriber_resuming_late_in_a_long_log_reads_only_what_it_needs(
    tmp_path: Path, tiny_reads: None, monkeypatch: pytest.MonkeyPatch
):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            await asyncio.gather(*[channel.publish(value) for value in range(300)])
        async with open_channel(tmp_path) as channel:
            reads: list[tuple[int, int]] = []
            read_after = channel.log.read_after

            async def counted(stream_id: int, seq: int, *, limit: int, max_bytes: int) -> object:
                entries = await read_after(stream_id, seq, limit=limit, max_bytes=max_bytes)
                reads.append((seq, len(entries)))
                return entries

            monkeypatch.setattr(channel.log, "read_after", counted)
            epoch = channel.stream.bounds.epochs[0][1]
            reader = await channel.subscribe(last_event_id=f"{epoch}-295").started()
            assert [event.seq for event in await reader.count("broadcast", 5)] == [296, 297, 298, 299, 300]
            assert min(seq for seq, _ in reads) == 295
            assert sum(number for _, number in reads) == 5

    run(main())


def test_subscriber_that_falls_out_of_the_ring_reads_the_log_and_comes_back(tmp_path: Path, tiny_reads: None):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            channel.stream.ring.max_bytes = 1500
            reader = await channel.subscribe().started()
            reader.stall()
            for value in range(30):
                await channel.publish(value)
            assert channel.stream.ring.start > 10
            reader.flow()
            await reader.count("broadcast", 30)
            await channel.publish(30)
            await reader.count("broadcast", 31)
            assert reader.seqs == list(range(1, 32))

    run(main())


def test_subscriber_resuming_from_the_log_gets_all_notices_that_the_ring_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The original client counts joins and leaves itself: one read of the log may not step over them."""

    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            channel.stream.ring.max_bytes = 6000
            for value in range(40):
                await channel.publish(value)
            assert channel.stream.ring.start > 10
            reading, go_on = asyncio.Event(), asyncio.Event()
            read_after = channel.log.read_after

            async def slow(*arguments: int, **limits: int) -> object:
                reading.set()
                await go_on.wait()
                return await read_after(*arguments, **limits)

            monkeypatch.setattr(channel.log, "read_after", slow)
            reader = await channel.subscribe(last_event_id="0").started()
            await reading.wait()
            await channel.subscribe().started()
            await advance(1.0)  # both are announced
            await channel.publish("after the join")
            go_on.set()
            await reader.count("broadcast", 41)
            assert reader.seqs == list(range(1, 42))
            assert [event.message["status"] for event in reader.of("system")] == ["join"]

    run(main())


def test_subscriber_is_never_sent_what_is_not_answered_yet(tmp_path: Path):
    """Committed and fanned out are one step: whoever replays meanwhile gets no more than the others."""

    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            await channel.publish(1)
            channel.stream.ring.max_bytes = 1
            await channel.publish(2)
            reader = await channel.subscribe(last_event_id="0").started()
            await reader.count("broadcast", 2)
            assert reader.seqs == [1, 2]

    run(main())


@pytest.mark.parametrize("trimmed", [20, 30], ids=["a part", "all"])
def test_subscriber_whose_position_is_trimmed_while_it_reads_is_ended(
    tmp_path: Path, tiny_reads: None, monkeypatch: pytest.MonkeyPatch, trimmed: int
):
    """It reconnects, and is told `recovered: false`: a hole is never passed over in silence."""

    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            channel.stream.ring.max_bytes = 1500
            reader = await channel.subscribe().started()
            reader.stall()
            for value in range(30):
                await channel.publish(value)
            log = channel.log
            monkeypatch.setattr(sqlite_file, "TRIM_ENTRIES", trimmed)
            assert log._file.trim(PUBLIC, before=2**62) == trimmed
            log._trimmed(PUBLIC, trimmed + 1)
            reader.flow()
            await reader.ended()
            assert reader.whole
            assert reader.seqs == list(range(1, len(reader.seqs) + 1))
            again = await channel.subscribe(last_event_id=reader.last_event_id).started()
            assert again.init.message["recovered"] is False

    run(main())


def test_subscriber_when_the_log_cannot_be_read_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async def main() -> None:
        from inlive_banner.exceptions import LogUnavailableError

        async def unreadable(*_: object, **__: object) -> None:
            raise LogUnavailableError("no disk")

        async with open_channel(tmp_path) as channel:
            channel.stream.ring.max_bytes = 1
            for value in range(3):
                await channel.publish(value)
            monkeypatch.setattr(channel.log, "read_after", unreadable)
            reader = channel.subscribe(last_event_id="0")
            await reader.ended()
            assert [event.type for event in reader.events] == ["init"]
            assert reader.whole

    run(main())


def test_subscriber_that_stalls_gets_all_private_messages_up_to_its_mailbox(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            reader = await channel.subscribe().started()
            reader.stall()
            await send_private(channel, reader, number=1)  # this one is on its way already
            await send_private(channel, reader, number=MAILBOX_FRAMES)
            reader.flow()
            await reader.count("private", MAILBOX_FRAMES + 1)
            assert [event.message for event in reader.of("private")] == [0, *range(MAILBOX_FRAMES)]
            assert not reader.task.done()

    run(main())


def test_subscriber_whose_mailbox_is_full_is_cut_and_frees_it(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            reader = await channel.subscribe().started()
            reader.stall()
            await send_private(channel, reader, number=MAILBOX_FRAMES + 1)
            assert reader.user_id in channel.stream.subscribers
            await channel.publish(0, type="private", to_user_id=reader.user_id)
            await eventually(lambda: reader.user_id not in channel.stream.subscribers)
            reader.flow()
            await reader.ended()
            assert reader.whole

    run(main())


def test_subscriber_private_messages_keep_their_order_between_broadcasts(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            reader = await channel.subscribe().started()
            for value in range(5):
                await channel.publish(value)
                await send_private(channel, reader, number=1)
            await reader.count("private", 5)
            await reader.count("broadcast", 5)
            assert all(event.id is None for event in reader.of("private"))

    run(main())


@pytest.mark.parametrize("moment", ["start", "init", "join", "broadcast", "private", "history", "replay"])
def test_subscriber_whose_send_suspends_anywhere_loses_nothing(tmp_path: Path, moment: str):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            await channel.publish("stored")
            channel.stream.ring.max_bytes = 1 if moment == "replay" else 10**6
            await channel.publish("stored too")
            reader = channel.subscribe(last_event_id="0" if moment == "replay" else "")
            if moment in ("start", "init"):
                reader.stall(after_sends=0 if moment == "start" else 1)
                await settle()
                assert bool(reader.status) == (moment == "init")
                assert not reader.events
                await channel.publish("meanwhile")
                reader.flow()
                await reader.started()
            else:
                await reader.started()
                reader.stall()
                await PROVOKE[moment](channel, reader)
                await settle()
                await channel.publish("meanwhile")
                reader.flow()
            first = 1 if moment == "replay" else 3
            await channel.publish("last")
            await reader.until(lambda: reader.seqs[-1:] == [4])
            assert reader.seqs == list(range(first, 5))
            expected = {"join": "system", "private": "private", "history": "request"}.get(moment)
            if expected:
                assert len(reader.of(expected)) == 1

    run(main())


@pytest.mark.parametrize("moment", ["join", "broadcast", "private", "history"])
@pytest.mark.parametrize("late", [False, True], ids=["at_once", "after_a_wait"])
@pytest.mark.parametrize("error", [OSError("gone"), RuntimeError("fault"), asyncio.CancelledError()], ids=repr)
def test_subscriber_whose_send_raises_is_let_go_and_others_go_on(
    tmp_path: Path, moment: str, late: bool, error: BaseException
):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            reader = await channel.subscribe().started()
            others = [await channel.subscribe().started() for _ in range(3)]
            await settle()
            if late:
                reader.stall()
            else:
                reader.send_error = error
            await PROVOKE[moment](channel, reader)
            await channel.publish("meanwhile")
            await settle()
            reader.send_error = error
            reader.flow()
            await eventually(lambda: reader.user_id not in channel.stream.subscribers, "the broken one to be let go")
            await channel.publish("last")
            for other in others:
                await other.got_last()
                numbers = other.seqs
                assert numbers == list(range(1, numbers[-1] + 1))
            await asyncio.wait([reader.task], timeout=5)
            assert reader.task.done()
            if not reader.task.cancelled():
                reader.task.exception()
            channel.subscriptions.remove(reader)

    run(main())


@pytest.mark.parametrize("moment", ["start", "init", "idle", "sending"])
def test_subscriber_whose_task_is_cancelled_by_the_server_is_let_go(tmp_path: Path, moment: str):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            reader = channel.subscribe()
            if moment in ("start", "init"):
                reader.stall(after_sends=0 if moment == "start" else 1)
                await settle()
                assert bool(reader.status) == (moment == "init")
            else:
                await reader.started()
                if moment == "sending":
                    reader.stall()
                    await channel.publish(1)
                    await settle()
            reader.task.cancel()
            await asyncio.wait([reader.task], timeout=5)
            assert reader.task.cancelled()
            assert channel.stream.subscribers == {}
            assert channel.stream.idle_readers == set()
            channel.subscriptions.remove(reader)

    run(main())


def test_subscriber_ended_and_cancelled_at_once_stays_cancelled(tmp_path: Path):
    """The way in which the channel wakes its own coroutine may not swallow a cancellation of the server's."""

    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            reader = await channel.subscribe().started()
            channel.stream.subscribers[reader.user_id].end()
            reader.task.cancel()
            await asyncio.wait([reader.task], timeout=5)
            assert reader.task.cancelled()
            channel.subscriptions.remove(reader)

    run(main())


def test_subscriber_that_hung_up_leaves_nothing_behind(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            reader = await channel.subscribe().started()
            reader.stall()
            await channel.publish(1)
            await settle()
            reader.hang_up()
            await reader.ended()
            hub = channel.stream.hub
            assert channel.stream.subscribers == {}
            assert channel.stream.idle_readers == set()
            assert not any(hub._slots)

    run(main())


async def send_private(channel: Channel, reader: Subscription, *, number: int) -> None:
    for value in range(number):
        answer = await channel.publish(value, type="private", to_user_id=reader.user_id)
        assert answer.status == 200
        await asyncio.sleep(0)


async def provoke_join(channel: Channel, reader: Subscription) -> None:
    await advance(1.0)
    await channel.subscribe().started()
    await advance(1.0)


async def provoke_broadcast(channel: Channel, reader: Subscription) -> None:
    await settle()  # each of the tests that provoke publishes next


async def provoke_private(channel: Channel, reader: Subscription) -> None:
    await channel.publish("psst", type="private", to_user_id=reader.user_id)


async def provoke_history(channel: Channel, reader: Subscription) -> None:
    await channel.publish(type="request", token=reader.token)
    await settle()


async def provoke_nothing(channel: Channel, reader: Subscription) -> None:
    await settle()


PROVOKE = {
    "join": provoke_join,
    "broadcast": provoke_broadcast,
    "private": provoke_private,
    "history": provoke_history,
    "replay": provoke_nothing,
}
