"""What the worker's command prints on stdout: its data. Notices go to the log."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from typing import Protocol

from django.utils import timezone
from django.utils.translation import gettext as _

from inlive_banner.tail.sink import Report

__all__ = ["Output", "Reporter", "lag_seconds"]

_COUNTS = ("inserted", "views", "duplicates", "passed_over", "malformed", "lost")


class Output(Protocol):
    """What lines are written to, such as a command's stdout."""

    def write(self, text: str, /) -> object:
        """Write the text."""

    def flush(self) -> object:
        """Hand on what was written."""


class Reporter:
    """Prints reports of batches, or a summary of them. For the threads of several workers."""

    def __init__(self, out: Output, *, as_json: bool, dry_run: bool = False) -> None:
        self._out = out
        self._as_json = as_json
        self._dry_run = dry_run
        self._lock = threading.Lock()
        self._totals: dict[int, Counter[str]] = {}
        self._positions: dict[int, str] = {}

    def batch(self, report: Report) -> None:
        """Take the report of a batch that was committed; with JSON print it as one line, at once.

        Raises `OSError` where the output can't be written.
        """
        with self._lock:
            counts = {name: getattr(report, name) for name in _COUNTS}
            self._totals.setdefault(report.stream_id, Counter()).update(counts)
            self._positions[report.stream_id] = report.position
            if self._as_json:
                self._print(json.dumps(self._line_of(report)))

    def summary(self, stream_ids: Iterable[int]) -> None:
        """Print one line of text for each stream; nothing with JSON, whose lines add up to the same."""
        if self._as_json:
            return
        sentence = _(
            "stream {stream}: {inserted} recorded, {views} views counted, {duplicates} stored before, "
            "{passed_over} passed over, {malformed} malformed, {lost} lost; position {position}"
        )
        if self._dry_run:
            sentence = _(
                "stream {stream}: would record {inserted}, would count {views} views, {duplicates} stored before, "
                "{passed_over} passed over, {malformed} malformed, {lost} lost; position would be {position}; "
                "nothing was written"
            )
        with self._lock:
            for stream_id in stream_ids:
                total = self._totals.get(stream_id, Counter())
                counts = {name: total[name] for name in _COUNTS}
                position = self._positions.get(stream_id, _("unchanged"))
                self._print(sentence.format(stream=stream_id, position=position, **counts))

    def _line_of(self, report: Report) -> dict[str, object]:
        line = asdict(report)
        del line["received_at"]
        line = {"stream": line.pop("stream_id"), **line, "lag_seconds": lag_seconds(report)}
        return line | {"dry_run": True} if self._dry_run else line

    def _print(self, line: str) -> None:
        self._out.write(f"{line}\n")
        self._out.flush()  # whoever reads a pipe wants each line when it is true


def lag_seconds(report: Report) -> float | None:
    """How long ago the channel received the batch's newest interaction; None where it had none.

    Not below 0, whatever the two machines' clocks say.
    """
    if report.received_at is None:
        return None
    return max(round((timezone.now() - report.received_at).total_seconds(), 3), 0.0)
