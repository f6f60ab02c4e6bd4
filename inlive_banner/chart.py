"""A bar chart: where its bars stand, in the units of its drawing. The page's script draws what comes live the same way.

The drawing is stretched to its place, so it has bars only; what is written around them is text of the page.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils.formats import date_format

from inlive_banner.buckets import Buckets
from inlive_banner.numbers import localised

__all__ = ["BAR_STEP", "HEIGHT", "Chart", "ChartBar", "make_chart"]

HEIGHT = 100
"""Of the drawing; a bar of the chart's top is as high."""
BAR_STEP = 10
"""From a bar to the next."""
_GAP = 1
"""Left and right of a bar."""

_FORMATS = {
    "minute": "TIME_FORMAT",
    "hour": "TIME_FORMAT",
    "day": "MONTH_DAY_FORMAT",
    "week": "DATE_FORMAT",
    "month": "YEAR_MONTH_FORMAT",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartBar:
    """One bar."""

    x: int
    y: float
    height: float
    start_ms: int
    """When its time begins, Unix milliseconds."""
    label: str
    """Its time in words."""
    count: int
    width: int = BAR_STEP - 2 * _GAP

    @property
    def count_words(self) -> str:
        """The count as it is shown."""
        return localised(self.count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A drawing `width` wide and `HEIGHT` high."""

    unit: str
    """As `Buckets.unit`."""
    bars: tuple[ChartBar, ...]
    top: int
    """The count that is as high as the drawing: a round number."""
    until_ms: int
    """Where the last bar's time ends, Unix milliseconds."""

    @property
    def width(self) -> int:
        """Of the drawing."""
        return BAR_STEP * len(self.bars)

    @property
    def total(self) -> int:
        """All counts together."""
        return sum(bar.count for bar in self.bars)

    @property
    def ticks(self) -> list[ChartBar]:
        """The bars that are named below the drawing: first, middle and last."""
        last = len(self.bars) - 1
        return [self.bars[index] for index in sorted({0, last // 2, last}) if self.bars]


def make_chart(buckets: Buckets) -> Chart:
    """Draw the counts."""
    top = round_up(buckets.most)
    bars = []
    for number, bucket in enumerate(buckets.items):
        height = round(HEIGHT * bucket.count / top, 2)
        bars.append(
            ChartBar(
                x=BAR_STEP * number + _GAP,
                y=round(HEIGHT - height, 2),
                height=height,
                start_ms=int(bucket.start.timestamp() * 1000),
                label=_label(bucket.start.astimezone(buckets.zone), buckets.unit),
                count=bucket.count,
            )
        )
    return Chart(unit=buckets.unit, bars=tuple(bars), top=top, until_ms=int(buckets.until.timestamp() * 1000))


def round_up(count: int) -> int:
    """The next number of one digit and zeros, at least 4 so that a single click isn't a wall."""
    size = 1
    while True:
        for digit in (1, 2, 3, 4, 5, 6, 8):
            if digit * size >= max(count, 4):
                return digit * size
        size *= 10


def _label(time: datetime, unit: str) -> str:
    return date_format(time, _FORMATS[unit])
