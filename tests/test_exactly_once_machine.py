"""Log, hub and sink together, under whatever order of publishes, crashes, reconnects, trims and redeliveries.

The log is the real file, the channel the real application driven in process, the sink the real one on a real
database. What a model would have to say is short: each acknowledged publish is one row, in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from inlive_banner.channel import subscriber
from inlive_banner.channel.app import ChannelApp
from inlive_banner.channel.logs import Appended, sqlite_file
from inlive_banner.channel.logs.sqlite import SqliteLog
from inlive_banner.envelope import parse_event_id
from inlive_banner.exceptions import LogUnavailableError
from inlive_banner.models import Interaction, Position, Rollup
from inlive_banner.tail.events import EventParser
from inlive_banner.tail.progress import Progress
from inlive_banner.tail.records import Record
from inlive_banner.tail.sink import Sink
from tests.channel.driver import PUBLIC, Answer, Channel, ClockLoop, Subscription, eventually, make_config, settle
from tests.rows import assert_rollups_count

TRIM_ENTRIES = 4
READ_ENTRIES = 3
RING_BYTES = 2000
"""A step of trimming, a read of the log, and some six frames in memory: so little that a short run has several."""

numbers = st.integers(0, 30)
"""Publish ids: few, so that they repeat."""


class ExactlyOnce(RuleBasedStateMachine):
    """One stream, its log, its worker's sink, and what publishers and readers know."""

    def __init__(self) -> None:
        super().__init__()
        for model in (Interaction, Rollup, Position):
            model.objects.all().delete()
        self.folder = Path(tempfile.mkdtemp(prefix="inlive-machine-"))
        self.runner = asyncio.Runner(loop_factory=ClockLoop)
        self.sink = Sink(PUBLIC)
        self.acknowledged: dict[str, str] = {}
        """Publish id -> the event id of its first answer, in the order of the answers."""
        self.held: dict[str, str] = {}
        """Publish id -> the event id of its latest answer: the same, unless its first entry has been trimmed."""
        self.unanswered: set[str] = set()
        """Publish ids of which some publish was cut off before its answer."""
        self.delivered: list[Record] = []
        """All that the worker has ever been sent."""
        self.readers: list[Subscription] = []
        self.positions: list[str] = []
        """Where readers may stand that have hung up: at any event that the log has given out."""

    @initialize()
    def start(self) -> None:
        self.open()

    def open(self, *, new_epoch: bool = False) -> None:
        self.channel = Channel(ChannelApp(make_config(self.folder, new_epoch=new_epoch)))
        self.runner.run(self.channel.app.start())
        self.channel.stream.ring.max_bytes = RING_BYTES

    def teardown(self) -> None:
        try:
            if hasattr(self, "channel"):
                self.check()
                self.crash(commits=True)
        finally:
            self.runner.close()
            shutil.rmtree(self.folder)

    # Publishers

    @rule(batch=st.lists(numbers, min_size=1, max_size=6))
    def publish(self, batch: list[int]) -> None:
        """Publish at once, new ones and repeats, and see the answers."""
        head, oldest = self.channel.stream.bounds.head, self.channel.stream.bounds.oldest
        answers = self.runner.run(self._publish_all(batch))
        for number, answer in zip(batch, answers, strict=True):
            publish_id, event_id = name(number), answer.data["id"]
            self.acknowledged.setdefault(publish_id, event_id)
            if seq(self.held.get(publish_id, "-0")) < oldest:
                self.held[publish_id] = event_id  # it is new, or the log has forgotten it
            assert event_id == self.held[publish_id]
            self.positions.append(event_id)
        new = {seq(answer.data["id"]) for answer in answers if seq(answer.data["id"]) > head}
        assert sorted(new) == list(range(head + 1, head + 1 + len(new)))
        assert self.channel.stream.bounds.head == head + len(new)

    @rule(batch=st.lists(numbers, min_size=1, max_size=6), at=st.sampled_from(["BEGIN", "INSERT", "COMMIT"]))
    def publish_onto_a_failing_disk(self, batch: list[int], at: str) -> None:
        """All are refused; nothing is stored of it, and no number is used up."""
        file = self.channel.log._file
        before, database = file.bounds(PUBLIC), file._db
        file._db = FailingDatabase(database, at)  # type: ignore[assignment]
        try:
            answers = self.runner.run(self._publish_all(batch))
        finally:
            file._db = database
        assert {answer.status for answer in answers} == {503}
        assert file.bounds(PUBLIC) == self.channel.stream.bounds == before

    @rule(batch=st.lists(numbers, min_size=1, max_size=6), commits=st.booleans(), new_epoch=st.booleans())
    def publish_into_a_crash(self, batch: list[int], commits: bool, new_epoch: bool) -> None:
        """The process dies with publishes under way: all committed, or none; nobody is told."""
        self.unanswered |= {name(number) for number in batch}
        self.crash(commits=commits, under_way=batch)
        self.open(new_epoch=new_epoch)

    async def _publish_all(self, batch: list[int]) -> list[Answer]:
        return await asyncio.gather(*map(self._publish, batch))

    def _publish(self, number: int) -> Coroutine[Any, Any, Answer]:
        message = {"name": f"banner-{number % 3}", "type": "banner", "action": "click", "user_id": "u", "time": number}
        message["page"] = f"/{number % 2}"
        return self.channel.publish(message, publish_id=name(number))

    # The channel

    @rule(new_epoch=st.booleans())
    def restart(self, new_epoch: bool) -> None:
        for reader in self.readers:
            reader.flow()
        self.readers.clear()
        self.runner.run(self.channel.app.stop())
        self.open(new_epoch=new_epoch)

    @rule(steps=st.integers(1, 4))
    def trim(self, steps: int) -> None:
        """By age only, and the worker isn't away for that long."""
        self.drain()
        for _ in range(steps):
            self.channel.log._file.trim(PUBLIC, before=2**62)
        self.channel.log._trimmed(PUBLIC, self.channel.log._file.bounds(PUBLIC).oldest)

    def crash(self, *, commits: bool, under_way: list[int] | None = None) -> None:
        """Drop everything in memory. `commits` says whether what is under way still gets to the disk."""
        log = self.channel.log

        async def die() -> None:
            if not commits:
                log._file.append = die_before_commit  # type: ignore[method-assign]
            publishes = [asyncio.ensure_future(self._publish(number)) for number in under_way or []]
            await settle()
            for task in [*publishes, *(reader.task for reader in self.channel.subscriptions)]:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            log._on_commit = lambda *_: None
            log._queue.put(None)
            await asyncio.to_thread(log._committer.join)
            await asyncio.to_thread(log._readers.shutdown)

        self.readers.clear()
        self.runner.run(die())
        if (timer := self.channel.app._hub._beat_timer) is not None:  # type: ignore[union-attr]
            timer.cancel()
        for connection in [*log._connections, log._file._db]:
            connection.close()
        log._file._ownership.release()

    # Readers

    @rule(stalls=st.booleans())
    def reader_comes(self, stalls: bool) -> None:
        """One that stalls takes nothing: what comes meanwhile leaves the memory, or even the log."""

        async def come() -> Subscription:
            return await self.channel.subscribe().started()

        self.readers.append(self.runner.run(come()))
        if stalls:
            self.readers[-1].stall()

    @precondition(lambda self: self.readers)
    @rule()
    def reader_goes(self) -> None:
        """It has got everything since it came, unless it stalled for so long that the log was trimmed meanwhile."""
        reader = self.readers.pop(0)
        bounds = self.channel.stream.bounds
        self.runner.run(self._take_all(reader, str(bounds.event_id(bounds.head))))
        first = seq(reader.init.id) + 1
        assert reader.seqs == list(range(first, first + len(reader.seqs)))
        done = seq(reader.last_event_id)
        assert done == bounds.head or done + 1 < bounds.oldest
        self.positions.append(reader.last_event_id)

    async def _take_all(self, reader: Subscription, head: str) -> None:
        reader.flow()
        await eventually(lambda: reader.task.done() or reader.last_event_id == head, "the reader to be at the head")
        reader.hang_up()
        await reader.ended()

    @precondition(lambda self: self.positions)
    @rule(place=st.integers(0, 60))
    def reader_comes_back(self, place: int) -> None:
        """It gets what it missed, with none missing and none twice, or is told that it can't have that."""
        position = self.positions[place % len(self.positions)]
        bounds = self.channel.stream.bounds
        reader, seqs = self.runner.run(self._read(position))
        after = seq(reader.init.id)
        assert seqs == list(range(after + 1, bounds.head + 1))
        if seq(position) > 0:  # a log that has never held anything forgets its epoch where it is told to begin one
            assert after == max(seq(position), bounds.oldest - 1)
            assert reader.init.message["recovered"] is (after == seq(position))

    # The worker

    @rule(take=st.integers(0, 12), records=st.booleans())
    def work(self, take: int, records: bool) -> None:
        """One connection of the worker's: it takes some of what comes, and dies before it records, or doesn't."""
        batch = self.receive(self.sink.position())[:take]
        if records and batch:
            self.sink.record(batch)

    @rule(start=st.integers(0, 60), size=st.integers(1, 20))
    def redeliver(self, start: int, size: int) -> None:
        """Something that was delivered before comes once more, up to where the worker is or not."""
        known = parse_event_id(self.sink.position())
        again = [
            record
            for record in self.delivered[start : start + size]
            if known and record.event_id and record.event_id.epoch == known.epoch and record.event_id.seq <= known.seq
        ]
        if again:
            report = self.sink.record(again)
            assert (report.inserted, report.duplicates, report.lost) == (0, len(again), 0)

    @rule()
    def read_from_the_oldest(self) -> None:
        """As after a position that the channel doesn't know. Publish ids tell what is there."""
        batch = self.receive("0")
        if batch and self.sink.position() != "0":
            Position.objects.update(last_event_id="feedfeedfeed-7")
            self.sink.record(batch)

    @rule()
    def check(self) -> None:
        """What is promised, once all is drained."""
        self.drain()
        rows = list(Interaction.objects.order_by("pk").values_list("publish_id", flat=True))
        assert len(rows) == len(set(rows))
        assert set(self.acknowledged) <= set(rows) <= {*self.acknowledged, *self.unanswered}
        certain = [publish_id for publish_id in self.acknowledged if publish_id not in self.unanswered]
        assert [row for row in rows if row in certain] == certain
        assert_rollups_count(Interaction.objects.all())
        bounds = self.channel.stream.bounds
        if bounds.head:
            assert self.sink.position() == str(bounds.event_id(bounds.head))
        assert Position.objects.get().lost_events == 0

    def drain(self) -> None:
        if batch := self.receive(self.sink.position()):
            self.sink.record(batch)

    def receive(self, position: str) -> list[Record]:
        """What the worker makes of one connection that begins at a position and goes on to the head."""
        reader, _ = self.runner.run(self._read(position))
        progress = Progress(parse_event_id(position))
        taken = [progress.take(event) for event in EventParser().feed(reader.raw)]
        records = [record for record in taken if record is not None]
        self.delivered += records
        return records

    async def _read(self, position: str) -> tuple[Subscription, list[int]]:
        reader = await self.channel.subscribe(last_event_id=position).started()
        head = reader.init.message["head"]
        if reader.init.id != head:
            await reader.until(lambda: reader.last_event_id == head, "the head")
        reader.hang_up()
        await reader.ended()
        return reader, reader.seqs


class FailingDatabase:
    """The log's connection, on a disk that fails at one kind of statement."""

    def __init__(self, database: sqlite3.Connection, at: str) -> None:
        self._database = database
        self._at = at

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
        self._fail(sql)
        return self._database.execute(sql, *arguments)

    def executemany(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
        self._fail(sql)
        return self._database.executemany(sql, *arguments)

    def _fail(self, sql: str) -> None:
        if sql.startswith(self._at):
            raise sqlite3.OperationalError("disk I/O error")


def die_before_commit(drafts: object) -> list[Appended]:
    raise LogUnavailableError("the process is dead by now")


def name(number: int) -> str:
    return f"publish-{number:04}"


def seq(event_id: str | None) -> int:
    assert event_id is not None
    return int(event_id.rpartition("-")[2])


def run_machine(machine: type[RuleBasedStateMachine], *, examples: int) -> None:
    with (
        mock.patch.object(sqlite_file, "TRIM_ENTRIES", TRIM_ENTRIES),
        mock.patch.object(subscriber, "READ_ENTRIES", READ_ENTRIES),
        # The machine trims when it likes, by the committing thread's connection: nothing else may be under way there.
        mock.patch.object(SqliteLog, "_trim", return_value=False),
        mock.patch.object(SqliteLog, "_forget_secrets"),
    ):
        run_state_machine_as_test(
            machine, settings=settings(max_examples=examples, stateful_step_count=25, deadline=None)
        )


@pytest.mark.django_db(transaction=True)
def test_log_hub_and_sink_in_any_order_of_faults_record_each_publish_once():
    run_machine(ExactlyOnce, examples=50)
