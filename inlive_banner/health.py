"""How recording does, in words: what a stream's position says about its worker."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from inlive_banner.envelope import FROM_OLDEST
from inlive_banner.models import Position

__all__ = ["BEHIND", "RECENT", "Health", "State", "judge"]

RECENT = timedelta(minutes=1)
"""What was recorded no longer ago is recorded now."""

BEHIND = timedelta(seconds=10)
"""What was recorded so long after it came, or longer, was late: a worker that keeps up needs some milliseconds."""


class State(Enum):
    """What a worker does."""

    UNBEGUN = "unbegun"
    """None has ever followed the stream."""
    ABSENT = "absent"
    """None does now: the last one has ended its connection."""
    BEHIND = "behind"
    """One records, and what it records came a while ago."""
    RECORDING = "recording"
    """One has just recorded, soon after it came."""
    WAITING = "waiting"
    """One is connected and has had nothing to record lately; or it was killed, which nobody has noticed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """A stream's state, and what belongs to it."""

    state: State
    since: datetime | None = None
    """When the worker was last heard of, or connected where it waits; as the database has it."""
    lag: timedelta | None = None
    """By how much it is behind."""


def judge(position: Position, *, now: datetime) -> Health:
    """What the position says. `now` is aware where the position's times are."""
    updated = position.updated_at
    if not position.holder:
        is_new = position.last_event_id == FROM_OLDEST and position.received_at is None
        return Health(state=State.UNBEGUN) if is_new else Health(state=State.ABSENT, since=updated)
    if now - updated > RECENT or position.received_at is None:
        return Health(state=State.WAITING, since=position.connected_since or updated)
    if position.lag is not None and position.lag >= BEHIND:
        return Health(state=State.BEHIND, since=updated, lag=position.lag)
    return Health(state=State.RECORDING, since=updated)
