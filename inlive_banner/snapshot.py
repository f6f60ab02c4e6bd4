"""What is recorded of a stream, as one moment of the database has it."""

from __future__ import annotations

from dataclasses import dataclass

from inlive_banner.envelope import FROM_OLDEST

__all__ = ["Snapshot", "Totals"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """A stream's counts."""

    clicks: int = 0
    viewed: int = 0
    """Clicks among them that were the first on a banner whose view was counted."""
    views: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What one statement saw of a stream: position and counts that belong together."""

    last_event_id: str = FROM_OLDEST
    """The event id up to which everything is recorded; "0" where nothing is yet."""
    newest_id: int = 0
    """The primary key of the newest row up to that position; 0 where there is none."""
    people: Totals = Totals()
    """What people did, up to that position."""
    everything: Totals = Totals()
    """The same and what is labelled."""
    visitors: int = 0
    """Visitors who clicked, people only: each counts once a banner and UTC day."""
