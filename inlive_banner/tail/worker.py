"""The loop: read from where the database is, record, and begin again whatever breaks."""

from __future__ import annotations

import enum
import logging
import math
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, OperationalError

from inlive_banner.envelope import EventId, parse_event_id
from inlive_banner.exceptions import SourceUnavailableError
from inlive_banner.tail.backoff import Backoff
from inlive_banner.tail.events import Event
from inlive_banner.tail.notices import Notices
from inlive_banner.tail.progress import Progress, SourceGapError
from inlive_banner.tail.records import Init, Record
from inlive_banner.tail.sink import Report, Sink
from inlive_banner.tail.source import Source, Subscription

__all__ = ["DATABASE_AWAY", "Phase", "Worker"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

DATABASE_AWAY = (OperationalError, InterfaceError)
"""What Django raises where the database can't be reached, is locked, or went away: the same call may work later."""

_STABLE_SECONDS = 5.0
"""A connection that held so long was a good one: the next trouble is new, and is met with short waits again."""

_ONCE_ATTEMPTS = 5
"""`once` is for jobs that end: it gives up where so many attempts in a row found no channel."""


class Phase(enum.Enum):
    """What a worker is doing."""

    CONNECTING = "connecting"
    """Holds nothing that isn't recorded: the process may end at any moment."""
    FOLLOWING = "following"
    """Reads and records."""
    CHANNEL_AWAY = "waiting for the channel"
    DATABASE_AWAY = "waiting for the database"
    ELSEWHERE = "left to another worker"
    """Of workers that share the streams out: this one isn't ours now."""
    ENDED = "ended"


class Worker:
    """Records one stream for as long as it runs. `run` blocks; `stop` may be called from anywhere.

    It reads on only when what it has read is committed, so a slow or absent database costs no memory: the channel
    keeps the events, and at worst cuts the connection, which then resumes. A batch is what is there: a lone click
    is committed at once, and what comes while a commit runs is the next batch.
    """

    def __init__(
        self,
        source: Source,
        sink: Sink,
        *,
        once: bool = False,
        batch_size: int = 500,
        make_backoff: Callable[[], Backoff] = Backoff,
        on_report: Callable[[Report], None] = lambda _report: None,
        on_connected: Callable[[Init], None] = lambda _init: None,
        retention_seconds: float = math.inf,
    ) -> None:
        self.phase = Phase.CONNECTING
        self._source = source
        self._sink = sink
        self._once = once
        self._batch_size = batch_size
        """A batch is committed when it has so many records; it has more by what one read brings."""
        self._on_report = on_report
        """Called in the worker's thread after each batch; what it raises ends the worker."""
        self._on_connected = on_connected
        """Called in the worker's thread with what each connection began with."""
        self._notices = Notices(sink.stream_id, retention_seconds=retention_seconds)
        self._channel_backoff = make_backoff()
        self._database_backoff = make_backoff()
        self._stopping = threading.Event()
        self._subscription: Subscription | None = None
        self._gap_after: EventId | None = None
        """Where a hole was met. If it is still there on the next connection, it is in the log."""
        self._told_history = False
        self._told: Phase | None = None
        """The phase that the log was last told of."""

    def run(self) -> None:
        """Follow the stream until `stop`, or, with `once`, up to the head that the channel named.

        Raises `SourceRefusedError` where the channel says no; database errors that waiting can't cure, and any
        where `stop` came while the database was away; and, with `once` only, `SourceUnavailableError` after
        several attempts. What was read and not recorded then isn't lost: the position stands before it.
        """
        try:
            while not self._stopping.is_set():
                try:
                    if self._follow_connection():
                        break
                except SourceGapError as gap:
                    logger.info("stream=%s %s Asking once more.", self._source.stream_id, gap)
                    self._gap_after = gap.after
                except SourceUnavailableError as error:
                    if self._once and self._channel_backoff.attempts >= _ONCE_ATTEMPTS:
                        raise
                    self._enter(Phase.CHANNEL_AWAY, error)
                    self._stopping.wait(max(self._channel_backoff.next_seconds(), error.retry_after_seconds))
        finally:
            self._enter(Phase.ENDED)

    def stop(self) -> None:
        """Ask the worker to commit what it has read and to return. Interrupts a read that blocks."""
        self._stopping.set()
        if (subscription := self._subscription) is not None:
            subscription.interrupt()

    def _follow_connection(self) -> bool:
        """Follow one connection to its end; True where there is nothing more to do.

        Raises `SourceUnavailableError` where the connection failed or broke, or ended as soon as it began.
        """
        self.phase = Phase.CONNECTING
        position = self._with_database(self._sink.position)
        with self._source.subscribe(position) as subscription:
            began = time.monotonic()
            self._subscription = subscription
            try:
                # Asked after the subscription can be seen by stop(), so that none of the two misses the other.
                if self._stopping.is_set():
                    return True
                self._with_database(self._sink.begin)
                self._enter(Phase.FOLLOWING, f"from {position}")
                if self._follow(subscription, position):
                    return True
            finally:
                self._subscription = None
                self._let_go()
                if subscription.dropped_events:
                    logger.warning(
                        "stream=%s dropped=%s Events were too long to be read.",
                        self._sink.stream_id,
                        subscription.dropped_events,
                    )
                if time.monotonic() - began >= _STABLE_SECONDS:
                    self._channel_backoff.reset()
        if time.monotonic() - began < _STABLE_SECONDS:
            raise SourceUnavailableError("The channel ended the connection as soon as it had begun.")
        return False

    def _follow(self, subscription: Subscription, position: str) -> bool:
        progress = Progress(parse_event_id(position), accepted_gap_after=self._gap_after)
        batch: list[Record] = []
        done = False
        try:
            for events in subscription:
                for event in events:
                    first = progress.init is None
                    self._take(progress, event, batch)
                    if first:
                        self._begin(subscription, progress, position)
                done = self._stopping.is_set() or (self._once and progress.is_at_head())
                if done:
                    break
                if not subscription.has_more():
                    self._record(batch)
        except SourceUnavailableError:
            self._record(batch)
            if self._stopping.is_set():
                return True
            raise
        self._record(batch)
        return done or self._stopping.is_set()

    def _take(self, progress: Progress, event: Event, batch: list[Record]) -> None:
        for part in progress.parts_of(event):
            if (record := progress.take(part)) is not None:
                batch.append(record)
                if record.malformed:
                    self._notices.malformed(part)
                if len(batch) >= self._batch_size:
                    self._record(batch)

    def _record(self, batch: list[Record]) -> None:
        """Record the batch, and empty it."""
        if not batch:
            return
        report = self._with_database(lambda: self._sink.record(batch))
        batch.clear()
        self._enter(Phase.FOLLOWING)
        logger.debug("stream=%s %s", self._sink.stream_id, report)
        self._notices.batch(report)
        self._on_report(report)

    def _let_go(self) -> None:
        if self.phase is Phase.DATABASE_AWAY:
            return  # it would only wait once more
        try:
            self._sink.end()
        except DATABASE_AWAY as error:
            # Only the admin's view of who follows is stale now; the next connection writes it anew.
            logger.debug("stream=%s holder=%s not taken back: %s", self._sink.stream_id, self._sink.holder, error)
            self._sink.disconnect()

    def _with_database(self, call: Callable[[], T]) -> T:
        """Call until the database takes it. Raises its error where `stop` comes first."""
        while True:
            try:
                result = call()
            except DATABASE_AWAY as error:
                self._sink.disconnect()
                self._enter(Phase.DATABASE_AWAY, error)
                if self._stopping.wait(self._database_backoff.next_seconds()):
                    raise
            else:
                self._database_backoff.reset()
                return result

    def _begin(self, subscription: Subscription, progress: Progress, asked: str) -> None:
        """Do what a connection's first event calls for."""
        if progress.init is None:
            return
        self._on_connected(progress.init)
        if progress.gives_history:
            if not self._told_history:
                self._told_history = True
                logger.info(
                    "stream=%s This server gives no event ids: its history is read at each connection, and clicks that "
                    "have left it by then are missed.",
                    self._sink.stream_id,
                )
            subscription.expect_history()
            self._source.request_history(progress.init.token)
        elif not progress.init.recovered and (resumed := progress.init.position) is not None:
            head = progress.init.head
            report = self._with_database(lambda: self._sink.resume(asked, resumed, head=head))
            if report is not None:
                self._notices.gap(asked, report)
                self._on_report(report)

    def _enter(self, phase: Phase, detail: object = "") -> None:
        """One line per change: retries, and a reconnection that works at once, aren't changes."""
        self.phase = phase
        if phase is self._told:
            return
        self._told = phase
        level = logging.WARNING if phase in (Phase.CHANNEL_AWAY, Phase.DATABASE_AWAY) else logging.INFO
        logger.log(level, "stream=%s %s %s", self._sink.stream_id, phase.value, detail)
