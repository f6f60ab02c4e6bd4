"""Exactly once: rows, counts and position in one transaction.

Whatever dies, the transaction is there whole or not at all, so the position always says what is stored. Delivery
before it may repeat: what the position covers and what is stored already is left out.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db import DEFAULT_DB_ALIAS, IntegrityError, connections, transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from inlive_banner.envelope import FROM_OLDEST, EventId, parse_event_id
from inlive_banner.models import Gap, Interaction, Position
from inlive_banner.tail.counting import VISITORS_KEPT, count_interactions, count_visitors, prune_days
from inlive_banner.tail.coverage import Coverage, Hole, lost_between, replay_end
from inlive_banner.tail.inserting import insert_rows
from inlive_banner.tail.records import Record, Row

__all__ = ["Report", "Sink", "holder_name"]

_IDS_PER_QUERY = 500
"""SQLite before 3.32 takes 999 variables in a statement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one committed batch came to. Every record of it is counted in exactly one of the first five."""

    stream_id: int
    inserted: int
    """New rows."""
    views: int
    """New views, which are counted and have no row."""
    duplicates: int
    """Records that were stored or counted already, or that the position already covered."""
    passed_over: int
    """Events of the log that aren't interactions, and views of a server whose events have no ids."""
    malformed: int
    """Events that look like a banner's and can't be read as one."""
    lost: int
    """Numbers that were missing between the position and these records."""
    position: str
    """The stream's position after it, `<epoch>-<seq>`, or "0"."""
    received_at: datetime | None
    """When the channel received the newest interaction among the new records; None where none is one."""


def holder_name() -> str:
    """What this process is called in the database: `host:pid`."""
    return f"{socket.gethostname()}:{os.getpid()}"


class Sink:
    """Writes the records of one stream. Any number of sinks, in any processes, may write the same stream."""

    def __init__(self, stream_id: int, *, using: str = DEFAULT_DB_ALIAS) -> None:
        self.stream_id = stream_id
        self._using = using
        self._positions = Position.objects.using(using)
        self.holder = holder_name()
        """Who writes, as the position's row names it."""
        self._connected_since: datetime | None = None
        self._pruned_before = date.min
        """No visitors are left of the days before this one."""

    def position(self) -> str:
        """The last event id that is recorded, "0" where nothing is yet. Makes the stream's row where there is none.

        Must not be called in a transaction. Raises Django's database errors.
        """
        return self._positions.get_or_create(stream_id=self.stream_id)[0].last_event_id

    def record(self, records: Sequence[Record]) -> Report:
        """Store what is new of the records, which are in the order of the log, and move the position. Commits.

        Raises Django's database errors; then nothing of the batch is stored, or all of it, where the connection
        was lost during the commit. In both cases the same call can simply be made again.
        """
        self.position()  # makes the row, so that the transaction can begin by locking it
        with transaction.atomic(using=self._using, durable=True):
            return self._record(records)

    def resume(self, asked: str, position: EventId, *, head: str = "") -> Report | None:
        """Move on to where the channel can go on, which isn't what was asked for, and record the gap. Commits.

        `asked` is the position that the channel couldn't honour, `position` the one that it named instead (wire
        protocol, part 2, rule 2); it may lie before `asked`, where the log was put back from a backup. `head` is the
        newest event that the channel had then; "" where it doesn't say. Returns None where another worker has moved
        the position meanwhile. Raises Django's database errors.
        """
        lost = lost_between(asked, position)
        with transaction.atomic(using=self._using, durable=True):
            moved = (
                self._mine()
                .filter(last_event_id=asked)
                .update(
                    last_event_id=str(position),
                    replay_end=replay_end(asked, position, head),
                    updated_at=timezone.now(),
                    lost_events=F("lost_events") + (lost or 0),
                )
            )
            if not moved:
                return None
            self._note_gap(asked, position, lost)
        return self._resumed(position, lost)

    def begin(self) -> None:
        """Say in the position's row that this worker follows the stream from now on. Commits.

        Only tells people who works: it is no lock, and another worker may say the same. Raises Django's database
        errors.
        """
        self.position()
        self._connected_since = timezone.now()
        self._mine().update(**self._holding())

    def end(self) -> None:
        """Take back what `begin` said, unless another worker has said it since. Commits. Raises as `begin`."""
        self._connected_since = None
        self._mine().filter(holder=self.holder).update(holder="", connected_since=None)

    def disconnect(self) -> None:
        """Give up the calling thread's connection, which may be broken; the next call opens another."""
        connections[self._using].close()

    def _mine(self) -> QuerySet[Position]:
        return self._positions.filter(stream_id=self.stream_id)

    def _holding(self) -> dict[str, Any]:
        # With each batch, too: of several workers the row names the one that recorded last, and so one that lives.
        since = self._connected_since
        return {} if since is None else {"holder": self.holder, "connected_since": since}

    def _record(self, records: Sequence[Record]) -> Report:
        mine = self._mine()
        # The first statement writes: it takes the lock at which a second sink waits, on PostgreSQL and SQLite alike.
        # (SELECT FOR UPDATE does nothing on SQLite, and a transaction there that reads first and writes later fails
        # at once with "database is locked", whatever its timeout.)
        mine.update(updated_at=timezone.now())
        coverage = self._coverage()
        fresh, holes = coverage.take(records)
        rows, views = _rows_by_id(fresh), _views_by_id(fresh)
        new = [*self._insert_new(rows), *views.values()]
        count_interactions(self._using, self.stream_id, new)
        count_visitors(self._using, self.stream_id, new)
        report = self._report(records, fresh, holes, coverage, inserted=len(rows), views=len(views))
        self._prune(report.received_at)
        for hole in holes:
            self._note_gap(str(hole.after), hole.resumed_after, hole.lost)
        now = timezone.now()
        timely: dict[str, Any] = {}
        if report.received_at is not None:
            timely = {"received_at": report.received_at, "lag": max(now - report.received_at, timedelta())}
        mine.update(
            last_event_id=report.position,
            epochs=coverage.epochs,
            replay_end=str(coverage.replay_end or ""),
            updated_at=now,
            lost_events=F("lost_events") + report.lost,
            malformed_events=F("malformed_events") + report.malformed,
            **timely,
            **self._holding(),
        )
        return report

    def _preview(self, records: Sequence[Record], coverage: Coverage) -> Report:
        """What `_record` would come to, from here on. Only reads."""
        fresh, holes = coverage.take(records)
        rows, views = _rows_by_id(fresh), _views_by_id(fresh)
        self._leave_out_stored(rows)
        return self._report(records, fresh, holes, coverage, inserted=len(rows), views=len(views))

    def _coverage(self) -> Coverage:
        fields = ("last_event_id", "epochs", "replay_end")
        found = self._mine().values_list(*fields).first() or (FROM_OLDEST, (), "")
        return Coverage(parse_event_id(found[0]), found[1], parse_event_id(found[2]))

    def _prune(self, newest: datetime | None) -> None:
        if newest is None:
            return
        # By the log's clock, not ours: a worker that catches up on last week counts that week's days. But not by a
        # clock that has run ahead: it would take today's visitors away.
        before = min(newest.astimezone(UTC), timezone.now().astimezone(UTC)).date() - VISITORS_KEPT
        if before > self._pruned_before and not prune_days(self._using, self.stream_id, before=before):
            self._pruned_before = before

    def _note_gap(self, after: str, resumed_after: EventId, lost: int | None) -> None:
        Gap.objects.using(self._using).create(
            stream_id=self.stream_id,
            after_event_id=after,
            resumed_after=str(resumed_after),
            lost_events=lost,
            found_at=timezone.now(),
        )

    def _resumed(self, position: EventId, lost: int | None) -> Report:
        return Report(
            stream_id=self.stream_id,
            inserted=0,
            views=0,
            duplicates=0,
            passed_over=0,
            malformed=0,
            lost=lost or 0,
            position=str(position),
            received_at=None,
        )

    def _report(
        self,
        records: Sequence[Record],
        fresh: Sequence[Record],
        holes: Sequence[Hole],
        coverage: Coverage,
        *,
        inserted: int,
        views: int,
    ) -> Report:
        malformed = sum(record.malformed for record in fresh)
        times = [record.row.received_at for record in fresh if record.row is not None and _is_recorded(record)]
        return Report(
            stream_id=self.stream_id,
            inserted=inserted,
            views=views,
            duplicates=len(records) - len(fresh) + len(times) - inserted - views,
            passed_over=len(fresh) - len(times) - malformed,
            malformed=malformed,
            lost=sum(hole.lost for hole in holes),
            position=str(coverage.position or FROM_OLDEST),
            received_at=times[-1] if times else None,
        )

    def _insert_new(self, rows: dict[str, Row]) -> list[Row]:
        try:
            with transaction.atomic(using=self._using):
                insert_rows(connections[self._using], self.stream_id, list(rows.values()))
        except IntegrityError:
            # Some are stored already. That is rare (another epoch brings them again), so only then are all of them
            # looked up; doing it always took half of PostgreSQL's time. ignore_conflicts would be no answer: on SQLite
            # it also swallows rows that break any other constraint, and here they break it again and are told.
            self._leave_out_stored(rows)
            insert_rows(connections[self._using], self.stream_id, list(rows.values()))
        return list(rows.values())

    def _leave_out_stored(self, rows: dict[str, Row]) -> None:
        # order_by(): to give the model's order, SQLite would walk all rows of the stream for every batch.
        stored = Interaction.objects.using(self._using).filter(stream_id=self.stream_id).order_by()
        for publish_ids in _batched(list(rows), _IDS_PER_QUERY):
            for publish_id in stored.filter(publish_id__in=publish_ids).values_list("publish_id", flat=True):
                del rows[publish_id]


def _is_recorded(record: Record) -> bool:
    # A view has no row to be known again by, so where events have no ids a history would count it each time it is read.
    return not (record.is_view and record.event_id is None)


def _rows_by_id(records: Iterable[Record]) -> dict[str, Row]:
    """The rows to store by publish id: of several with one id the first."""
    rows: dict[str, Row] = {}
    for record in records:
        if record.row is not None and not record.is_view:
            rows.setdefault(record.row.publish_id, record.row)
    return rows


def _views_by_id(records: Iterable[Record]) -> dict[str, Row]:
    """The views to count by publish id: of several with one id the first."""
    views: dict[str, Row] = {}
    for record in records:
        if record.row is not None and record.is_view and _is_recorded(record):
            views.setdefault(record.row.publish_id, record.row)
    return views


def _batched(items: Sequence[str], size: int) -> Iterable[Sequence[str]]:
    return (items[start : start + size] for start in range(0, len(items), size))
