"""What is recorded already of the events that come, and what is missing between them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from inlive_banner.envelope import EventId, parse_event_id
from inlive_banner.tail.records import Record

__all__ = ["KEPT_EPOCHS", "Coverage", "Hole", "lost_between", "replay_end"]

KEPT_EPOCHS = 50
"""A log begins an epoch where it is lost or put back: hardly ever. So these reach back beyond any backup's age."""


class Hole(NamedTuple):
    """Numbers that are missing between two events of one epoch."""

    after: EventId
    """The last event before it."""
    resumed_after: EventId
    """Its last number: the next event is there again."""

    @property
    def lost(self) -> int:
        """How many events are missing."""
        return self.resumed_after.seq - self.after.seq


class Coverage:
    """How far a stream is recorded: a position, and the highest number of each epoch.

    Within the position's epoch nothing up to the position is new. Where the log becomes another one, or an earlier
    one again, publish ids tell which rows are stored, and the highest numbers which views are counted.
    """

    def __init__(
        self, position: EventId | None, epochs: Iterable[tuple[str, int]] = (), replay_end: EventId | None = None
    ) -> None:
        self.position = position
        self._highest = dict(epochs)
        """Epoch -> number; the newest epoch last."""
        self.replay_end = replay_end
        """Beyond this the log is new, also where numbers are given a second time; None where that can't be."""

    @property
    def epochs(self) -> list[tuple[str, int]]:
        """The newest `KEPT_EPOCHS` epochs, the newest last, with the highest number recorded of each."""
        return list(self._highest.items())[-KEPT_EPOCHS:]

    def take(self, records: Iterable[Record]) -> tuple[list[Record], list[Hole]]:
        """Move on over the records. Returns what isn't known to be recorded, and where numbers were left out.

        Records without an id (a server without our additions) leave everything where it is.
        """
        fresh: list[Record] = []
        holes: list[Hole] = []
        for record in records:
            event_id, position = record.event_id, self.position
            if event_id is not None:
                if position is not None and event_id.epoch == position.epoch:
                    if event_id.seq <= position.seq:
                        continue
                    if event_id.seq > position.seq + 1:
                        holes.append(Hole(position, event_id._replace(seq=event_id.seq - 1)))
                if self._move_to(event_id) and record.is_view:
                    continue
            fresh.append(record)
        return fresh, holes

    def _move_to(self, event_id: EventId) -> bool:
        """True where this number of this epoch was recorded before."""
        epoch, seq = event_id
        highest = self._highest.get(epoch, 0)
        if self.position is None or epoch != self.position.epoch:
            self._highest.pop(epoch, None)  # it becomes the newest
        if (end := self.replay_end) is not None and epoch == end.epoch and seq > end.seq:
            highest, self.replay_end = 0, None
        self._highest[epoch] = max(highest, seq)
        self.position = event_id
        return seq <= highest


def lost_between(asked: str, position: EventId) -> int | None:
    """How many events are missing where a log goes on after `position` instead of after `asked`.

    In one epoch it has been trimmed past `asked`. None across epochs, or backwards: what is missing was in a log that
    is gone.
    """
    before = parse_event_id(asked)
    if before is None or before.epoch != position.epoch or before.seq > position.seq:
        return None
    return position.seq - before.seq


def replay_end(asked: str, position: EventId, head: str) -> str:
    """Up to where a log that goes on after `position` instead of after `asked` can hold what was recorded before.

    That is `head`, the newest event that it has, or "" where nothing says. A log that went back within its epoch gives
    new numbers from there on, even if nothing says so.
    """
    if parse_event_id(head) is not None:
        return head
    before = parse_event_id(asked)
    went_back = before is not None and before.epoch == position.epoch and before.seq > position.seq
    return str(position) if went_back else ""
