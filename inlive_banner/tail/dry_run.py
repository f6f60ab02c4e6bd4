"""What would be recorded, without recording it."""

from __future__ import annotations

from collections.abc import Sequence

from inlive_banner.envelope import FROM_OLDEST, EventId
from inlive_banner.tail.coverage import lost_between
from inlive_banner.tail.records import Record
from inlive_banner.tail.sink import Report, Sink

__all__ = ["DryRunSink"]


class DryRunSink(Sink):
    """Reports like a sink, and writes nothing at all: its position moves in memory only."""

    _position = ""

    def position(self) -> str:
        """The last event id that was reported, at first the stored position; "0" where nothing is recorded yet."""
        if not self._position:
            self._position = self._mine().values_list("last_event_id", flat=True).first() or FROM_OLDEST
        return self._position

    def record(self, records: Sequence[Record]) -> Report:
        """Say what `Sink.record` would come to."""
        report = self._preview(records, self.position())
        self._position = report.position
        return report

    def resume(self, asked: str, position: EventId) -> Report | None:
        """Say what `Sink.resume` would come to."""
        lost = lost_between(asked, position)
        self._position = str(position)
        return self._resumed(position, lost)

    def begin(self) -> None:
        """Nothing: who only looks doesn't hold the stream."""

    def end(self) -> None:
        """Nothing."""
