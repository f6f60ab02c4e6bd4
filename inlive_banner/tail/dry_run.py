"""What would be recorded, without recording it."""

from __future__ import annotations

from collections.abc import Sequence

from inlive_banner.envelope import FROM_OLDEST, EventId, parse_event_id
from inlive_banner.tail.coverage import Coverage, lost_between, replay_end
from inlive_banner.tail.records import Record
from inlive_banner.tail.sink import Report, Sink

__all__ = ["DryRunSink"]


class DryRunSink(Sink):
    """Reports like a sink, and writes nothing at all: its position moves in memory only."""

    _reached: Coverage | None = None

    def position(self) -> str:
        """The last event id that was reported, at first the stored position; "0" where nothing is recorded yet."""
        return str(self._covered().position or FROM_OLDEST)

    def record(self, records: Sequence[Record]) -> Report:
        """Say what `Sink.record` would come to."""
        return self._preview(records, self._covered())

    def resume(self, asked: str, position: EventId, *, head: str = "") -> Report | None:
        """Say what `Sink.resume` would come to."""
        covered = self._covered()
        self._reached = Coverage(position, covered.epochs, parse_event_id(replay_end(asked, position, head)))
        return self._resumed(position, lost_between(asked, position))

    def begin(self) -> None:
        """Nothing: who only looks doesn't hold the stream."""

    def end(self) -> None:
        """Nothing."""

    def _covered(self) -> Coverage:
        if self._reached is None:
            self._reached = self._coverage()
        return self._reached
