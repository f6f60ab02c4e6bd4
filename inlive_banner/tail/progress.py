"""Where one connection stands: what its events come to, and whether their numbers follow one another."""

from __future__ import annotations

from datetime import UTC, datetime

from inlive_banner.envelope import EventId, parse_event_id
from inlive_banner.exceptions import SourceUnavailableError
from inlive_banner.tail.events import Event
from inlive_banner.tail.records import Init, Record, read_init, read_record

__all__ = ["Progress", "SourceGapError"]


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

    def take(self, event: Event) -> Record | None:
        """Take the connection's next event; None where there is nothing to record of it.

        Raises `SourceGapError` at a hole in the numbers that the channel hasn't announced and that isn't accepted.
        """
        if self.init is None:
            init = read_init(event)
            self.init = init or Init()
            if init is not None:
                if not init.recovered:
                    # The channel says itself that it can't go on exactly here.
                    self._accepted_gap_after = self.last
                return None
        record = read_record(event, now=datetime.now(UTC))
        if record is not None and record.event_id is not None:
            self._move_to(record.event_id)
        return record

    def is_at_head(self) -> bool:
        """True where the newest event that the channel named when the connection began has been taken."""
        if self.init is None:
            return False
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
