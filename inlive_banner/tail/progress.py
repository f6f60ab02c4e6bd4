"""Where one connection stands: what its events come to, and whether their numbers follow one another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

from inlive_banner.envelope import EventId, parse_event_id
from inlive_banner.exceptions import SourceUnavailableError
from inlive_banner.tail.events import Event
from inlive_banner.tail.records import Init, Record, read_history, read_init, read_record, repeated_publish_id

__all__ = ["Progress", "SourceGapError"]

_KNOWN_REPEATS = 10_000
"""Live messages of which it is remembered how often they came. Exact repeats share a millisecond: they come close."""


class SourceGapError(SourceUnavailableError):
    """The next event's number isn't the one after the last. Perhaps only the connection dropped something."""

    def __init__(self, after: EventId, found: EventId) -> None:
        super().__init__(f"After event {after} came {found}: {found.seq - after.seq - 1} are missing.")
        self.after = after
        """The last event before the hole."""


class Progress:
    """Follows the events of one connection, from the position that it was opened at."""

    def __init__(self, position: EventId | None, *, accepted_gap_after: EventId | None = None) -> None:
        self.init: Init | None = None
        """The connection's first event, once it has come."""
        self.last = position
        """The newest event of the log that was taken, at first the position."""
        self._accepted_gap_after = accepted_gap_after
        """A hole after this event was seen before: it is in the log, and another connection won't fill it."""
        self._repeats: Counter[str] = Counter()
        """How often each derived publish id came, live or within one history answer."""
        self._in_history = False
        self._has_history = False

    @property
    def gives_history(self) -> bool:
        """True where the server speaks part 1 of the protocol only.

        It gives no event ids and doesn't resume: what came before the connection is in its history, for the asking.
        """
        return self.init is not None and self.init.position is None and bool(self.init.token)

    def parts_of(self, event: Event) -> Iterator[Event]:
        """The events to take for one that came: of a history answer those that it holds, else itself.

        Exact repeats (one person, one millisecond) are told apart by a running number within one history answer, and
        within what comes live on one connection. So a repeat that the history has as its second, and that has come
        live as the first of this connection, is known when the history is read the next time.
        """
        history = read_history(event) if self.gives_history else None
        if history is None:
            yield event
            return
        live, self._repeats = self._repeats, Counter()
        self._in_history = True
        yield from history
        self._repeats = live
        self._in_history = False
        self._has_history = True

    def take(self, event: Event) -> Record | None:
        """Take the connection's next event; None where there is nothing to record of it.

        Raises `SourceGapError` at a hole in the numbers that the channel hasn't announced and that isn't accepted.
        """
        if self.init is None:
            init = read_init(event)
            self.init = init or Init()
            if init is not None:
                if not init.recovered and init.position is not None:
                    # The channel says itself where it can go on.
                    self.last = self._accepted_gap_after = init.position
                return None
        record = read_record(event, now=datetime.now(UTC))
        if record is not None and record.event_id is not None:
            self._move_to(record.event_id)
        return self._numbered(record) if record is not None and record.derived else record

    def is_at_head(self) -> bool:
        """True where the newest event that the channel named when the connection began has been taken."""
        if self.init is None:
            return False
        if self.gives_history:
            return self._has_history
        head = parse_event_id(self.init.head)
        if head is None or head == self.init.position:
            return True  # there is nothing to wait for
        return self.last is not None and self.last.epoch == head.epoch and self.last.seq >= head.seq

    def _move_to(self, event_id: EventId) -> None:
        last = self.last
        if last is not None and last.epoch == event_id.epoch:
            if event_id.seq <= last.seq:
                return  # delivered again
            if event_id.seq > last.seq + 1 and last != self._accepted_gap_after:
                raise SourceGapError(last, event_id)
        self.last = event_id

    def _numbered(self, record: Record) -> Record:
        if record.row is None:
            return record
        if len(self._repeats) >= _KNOWN_REPEATS and not self._in_history:
            self._repeats.clear()
        publish_id = record.row.publish_id
        number = self._repeats[publish_id]
        self._repeats[publish_id] += 1
        if not number:
            return record
        return record._replace(row=record.row._replace(publish_id=repeated_publish_id(publish_id, number)))
