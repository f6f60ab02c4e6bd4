"""The counts: of all, by banner and by page, over spans of time; and the visitors of a day.

Their models are `models`' too, which is where others take them from, and where Django looks for them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

__all__ = [
    "BEGINNING",
    "LONGEST_VALUE",
    "DayUnique",
    "DayVisitor",
    "Dimension",
    "Rollup",
    "Span",
    "rollup_value",
]


class Dimension(models.TextChoices):
    """What a rollup counts by."""

    ALL = "all", _("all")
    BANNER = "banner", _("banner")
    PAGE = "page", _("page")


class Span(models.IntegerChoices):
    """How long a time a rollup counts, in seconds; the two longest stand for what has no fixed length."""

    MINUTE = 60, _("minute")
    """Of streams and banners only; kept for three days more."""
    QUARTER = 900, _("quarter hour")
    """The days of all time zones begin on one."""
    DAY = 86_400, _("day")
    """UTC."""
    MONTH = 2_592_000, _("month")
    """A month of the calendar, UTC. A year is read as these, but for its two ends."""
    EVER = 0, _("all time")
    """Begins at `BEGINNING`."""


BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
"""Where all time begins: the first moment that Unix milliseconds count."""


LONGEST_VALUE = 400
"""Characters that `Rollup.value` takes."""


def rollup_value(text: str) -> str:
    """A banner's name or a page as `Rollup.value` has it: what is longer than that takes is cut, and ends in "…"."""
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


class RollupQuerySet(models.QuerySet["Rollup"]):
    """Questions about the counts."""

    def by(self, dimension: Dimension, span: Span) -> RollupQuerySet:
        """The counts of one kind. Each interaction is in exactly one of them."""
        return self.filter(dimension=dimension, span=span)


class Rollup(models.Model):
    """How many interactions of one kind a span of time had: by banner, by page, and all of a stream.

    Each interaction is counted once in each pair of dimension and span that is kept, so counts of one pair add up.
    """

    stream_id = models.PositiveBigIntegerField(_("stream"))
    dimension = models.CharField(_("by"), max_length=8, choices=Dimension)
    value = models.CharField(_("value"), max_length=LONGEST_VALUE, blank=True)
    """The banner's name, or the page (`rollup_value`); "" where all are counted."""
    action = models.CharField(_("action"), max_length=64)
    span = models.PositiveIntegerField(_("span"), choices=Span)
    start = models.DateTimeField(_("start"))
    """When the span began."""
    label = models.CharField(_("label"), max_length=32, blank=True, default="", db_default="")
    """As `Interaction.label`; "" counts people."""
    count = models.PositiveBigIntegerField(_("count"))
    viewed = models.PositiveBigIntegerField(_("viewed"), default=0, db_default=0)
    """How many of them were first clicks after a view."""

    objects = RollupQuerySet.as_manager()

    class Meta:
        verbose_name = _("count")
        verbose_name_plural = _("counts")
        constraints: ClassVar[list[models.BaseConstraint]] = [
            # The order serves sums and charts: one series over a time.
            models.UniqueConstraint(
                fields=["stream_id", "dimension", "value", "span", "action", "start", "label"],
                name="inlive_rollup_series_once",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            # What was clicked most in a time, by people or by those of one label.
            models.Index(
                fields=["stream_id", "dimension", "span", "action", "label", "start"], name="inlive_rollup_most"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.count} {self.action} on {self.value!r} from {self.start:%Y-%m-%d %H:%M}"


class DayVisitor(models.Model):
    """A visitor who did something with a banner on a day. Only there to count each once: kept for three days more."""

    stream_id = models.PositiveBigIntegerField(_("stream"))
    day = models.DateField(_("day"))
    """UTC."""
    visitor = models.CharField(_("visitor"), max_length=32)
    """As `Interaction.visitor`; never ""."""
    action = models.CharField(_("action"), max_length=64)
    name = models.CharField(_("banner"), max_length=200)

    class Meta:
        verbose_name = _("day's visitor")
        verbose_name_plural = _("days' visitors")
        constraints: ClassVar[list[models.BaseConstraint]] = [
            # Begins with what the old ones are found by.
            models.UniqueConstraint(
                fields=["stream_id", "day", "visitor", "action", "name"], name="inlive_dayvisitor_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.visitor} with {self.name!r} on {self.day}"


class DayUnique(models.Model):
    """How many different visitors did one thing with a banner on a day; people only."""

    stream_id = models.PositiveBigIntegerField(_("stream"))
    name = models.CharField(_("banner"), max_length=200)
    action = models.CharField(_("action"), max_length=64)
    day = models.DateField(_("day"))
    """UTC."""
    count = models.PositiveBigIntegerField(_("visitors"))

    class Meta:
        verbose_name = _("visitors of a day")
        verbose_name_plural = _("visitors by day")
        constraints: ClassVar[list[models.BaseConstraint]] = [
            # The order serves the sums, as in Rollup.
            models.UniqueConstraint(fields=["stream_id", "action", "day", "name"], name="inlive_dayunique_once"),
        ]

    def __str__(self) -> str:
        return f"{self.count} visitors: {self.action} on {self.name!r} on {self.day}"
