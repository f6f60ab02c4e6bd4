"""What the log is told of what was recorded: each thing once, however often it happens."""

from __future__ import annotations

import logging

from inlive_banner.tail.events import Event
from inlive_banner.tail.malformed import describe
from inlive_banner.tail.reporter import lag_seconds
from inlive_banner.tail.sink import Report

__all__ = ["Notices"]

logger = logging.getLogger(__name__)

_WARNING_SHARE = 0.5
"""Of the retention. Behind by that much, as much time is left to find out why."""


class Notices:
    """The notices of one worker about one stream."""

    def __init__(self, stream_id: int, *, retention_seconds: float) -> None:
        self._stream_id = stream_id
        self._retention_seconds = retention_seconds
        self._told_kinds: set[str] = set()
        self._told_lag = False

    def malformed(self, event: Event) -> None:
        """Warn of an event that can't be read: once per kind, with a sample. The whole event only at DEBUG."""
        kind, sample = describe(event)
        logger.debug("stream=%s malformed: %s", self._stream_id, event)
        if kind not in self._told_kinds:
            self._told_kinds.add(kind)
            logger.warning(
                "stream=%s event=%s malformed: %s, as in %s. Counted and passed over; further ones of this kind aren't "
                "logged.",
                self._stream_id,
                event.last_event_id[:64],
                kind,
                sample,
            )

    def gap(self, asked: str, report: Report) -> None:
        """Warn that the channel goes on elsewhere than it was asked to, and of how many events may be missing."""
        logger.warning(
            "stream=%s position=%s lost=%s The channel can't go on exactly from here: its log was lost, restored or "
            "trimmed. Going on from %s; what is recorded already isn't recorded again.%s",
            self._stream_id,
            asked,
            report.lost or "unknown",
            report.position,
            "" if report.lost else " What that log had given out, and this worker hadn't recorded, is missing.",
        )

    def batch(self, report: Report) -> None:
        """Warn of what is lost, and once of a lag that comes near the retention; again after it was made up."""
        if report.lost:
            logger.warning(
                "stream=%s lost=%s position=%s Events are missing: the channel's log no longer has them.",
                self._stream_id,
                report.lost,
                report.position,
            )
        lag = lag_seconds(report)
        if lag is None:
            return
        if lag < self._retention_seconds * _WARNING_SHARE:
            self._told_lag = False
        elif not self._told_lag:
            self._told_lag = True
            logger.warning(
                "stream=%s lag_seconds=%.0f position=%s The worker is behind by more than half of the time that the "
                "channel keeps events (%.0f s). What it doesn't reach in time is lost.",
                self._stream_id,
                lag,
                report.position,
                self._retention_seconds,
            )
