"""Log, hub and sink together, under whatever order of publishes, crashes, reconnects, trims and redeliveries.

The log is the real file, the channel the real application driven in process, the sink the real one on a real
database. What a model would have to say is short: each acknowledged publish is one row, in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from inlive_banner.channel.app import ChannelApp
from inlive_banner.channel.logs import Appended, sqlite_file
from inlive_banner.envelope import parse_event_id
from inlive_banner.exceptions import LogUnavailableError
from inlive_banner.models import Interaction, Position, Rollup
from inlive_banner.tail.events import EventParser
from inlive_banner.tail.progress import Progress
from inlive_banner.tail.records import Record
from inlive_banner.tail.sink import Sink
from tests.channel.driver import PUBLIC, Channel, ClockLoop, Subscription, make_config, settle

TRIM_ENTRIES = 4
"""A step of trimming, small enough that a short run has several."""

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
        self.unanswered: set[str] = set()
        """Publish ids of which some publish was cut off before its answer."""
        self.delivered: list[Record] = []
        """All that the worker has ever been sent."""
        self.readers: list[Subscription] = []
        self.closed_readers: list[str] = []
        """Where readers stood that have hung up."""

    @initialize()
    def start(self) -> None:
        self.open()

    def open(self, *, new_epoch: bool = False) -> None:
        self.channel = Channel(ChannelApp(make_config(self.folder, new_epoch=new_epoch)))
        self.runner.run(self.channel.app.start())

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
        before = dict(self.acknowledged)
        head = self.channel.stream.bounds.head
        for number, data in zip(batch, self.runner.run(self._publish_all(batch)), strict=True):
            publish_id = name(number)
            first = self.acknowledged.setdefault(publish_id, data["id"])
            if publish_id in before and seq(data["id"]) <= head:
                assert data["id"] == first or publish_id in self.trimmed_ids(first)
        new = [seq(data["id"]) for data in self.answers if seq(data["id"]) > head]
        assert sorted(set(new)) == list(range(head + 1, head + 1 + len(set(new))))

    @rule(batch=st.lists(numbers, min_size=1, max_size=6), commits=st.booleans(), new_epoch=st.booleans())
    def publish_into_a_crash(self, batch: list[int], commits: bool, new_epoch: bool) -> None:
        """The process dies with publishes under way: all committed, or none; nobody is told."""
        self.unanswered |= {name(number) for number in batch}
        self.crash(commits=commits, under_way=batch)
        self.open(new_epoch=new_epoch)

    async def _publish_all(self, batch: list[int]) -> list[dict[str, Any]]:
        answers = await asyncio.gather(*map(self._publish, batch))
        self.answers = [answer.data for answer in answers]
        return self.answers

    def _publish(self, number: int) -> Any:
        message = {"name": f"banner-{number % 3}", "type": "banner", "action": "click", "user_id": "u", "time": number}
        return self.channel.publish(message, publish_id=name(number))

    # The channel

    @rule(new_epoch=st.booleans())
    def restart(self, new_epoch: bool) -> None:
        self.readers.clear()
        self.runner.run(self.channel.app.stop())
        self.open(new_epoch=new_epoch)

    @rule()
    def trim(self) -> None:
        """One step. By age only, and the worker isn't away for that long."""
        self.drain()
        with mock.patch.object(sqlite_file, "TRIM_ENTRIES", TRIM_ENTRIES):
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

    @rule()
    def reader_comes(self) -> None:

        async def come() -> Subscription:
            return await self.channel.subscribe().started()

        self.readers.append(self.runner.run(come()))

    @precondition(lambda self: self.readers)
    @rule()
    def reader_goes(self) -> None:
        reader = self.readers.pop(0)
        numbers = reader.seqs
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))) if numbers else True
        self.closed_readers.append(reader.last_event_id)
        reader.hang_up()
        self.runner.run(reader.ended())

    @precondition(lambda self: self.closed_readers)
    @rule()
    def reader_comes_back(self) -> None:
        """It gets what it missed, with none missing and none twice, or is told that it can't have that."""
        position = self.closed_readers.pop(0)
        bounds = self.channel.stream.bounds
        reader, seqs = self.runner.run(self._read(position))
        start = bounds.start_after(position)
        assert reader.init.message["recovered"] is start.recovered
        assert seqs == list(range(start.seq + 1, bounds.head + 1))
        if position.partition("-")[0] == bounds.epochs[-1][1] and start.recovered:
            assert start.seq == seq(position)

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
        counted = {(rollup.name, rollup.action): 0 for rollup in Rollup.objects.all()}
        for rollup in Rollup.objects.all():
            counted[rollup.name, rollup.action] += rollup.count
        assert counted == Counter(Interaction.objects.values_list("name", "action"))
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

    def trimmed_ids(self, event_id: str) -> set[str]:
        """The publish ids whose first entry, with this event id, the log doesn't hold any more."""
        gone = seq(event_id) < self.channel.stream.bounds.oldest
        return {publish_id for publish_id, first in self.acknowledged.items() if first == event_id and gone}


def die_before_commit(drafts: object) -> list[Appended]:
    raise LogUnavailableError("the process is dead by now")


def name(number: int) -> str:
    return f"publish-{number:04}"


def seq(event_id: str) -> int:
    return int(event_id.rpartition("-")[2])


@pytest.mark.django_db(transaction=True)
def test_log_hub_and_sink_in_any_order_of_faults_record_each_publish_once():
    run_state_machine_as_test(ExactlyOnce, settings=settings(max_examples=50, stateful_step_count=25, deadline=None))
