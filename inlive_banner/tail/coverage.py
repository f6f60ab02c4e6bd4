"""What a position covers of the records that come, and what is missing between them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from inlive_banner.envelope import EventId, parse_event_id
from inlive_banner.tail.records import Record

__all__ = ["Hole", "after_position", "lost_between"]


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


def after_position(
    records: Iterable[Record], position: EventId | None
) -> tuple[list[Record], EventId | None, list[Hole]]:
    """What the position doesn't cover, the position after it, and where numbers were left out in between.

    Numbers are compared within one epoch only. In a new one nothing is covered: there, publish ids tell what is
    stored. Records without an id (a server without our additions) leave the position where it is.
    """
    fresh: list[Record] = []
    holes: list[Hole] = []
    for record in records:
        event_id = record.event_id
        if event_id is not None:
            if position is not None and event_id.epoch == position.epoch:
                if event_id.seq <= position.seq:
                    continue
                if event_id.seq > position.seq + 1:
                    holes.append(Hole(position, event_id._replace(seq=event_id.seq - 1)))
            position = event_id
        fresh.append(record)
    return fresh, position, holes


def lost_between(asked: str, position: EventId) -> int | None:
    """How many events are missing where a log goes on after `position` instead of after `asked`.

    In one epoch it has been trimmed past `asked`. None across epochs, or backwards: what is missing was in a log that
    is gone.
    """
    before = parse_event_id(asked)
    if before is None or before.epoch != position.epoch or before.seq > position.seq:
        return None
    return position.seq - before.seq
