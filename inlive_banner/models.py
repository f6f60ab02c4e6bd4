"""The record: each interaction once, the position it was recorded up to, and the counts, all moved together.

Only the worker's sink adds here, one transaction per batch.
"""

from __future__ import annotations

from typing import ClassVar, TypeVar

from django.db import models
from django.db.models import F, Func, Q, Value
from django.db.models.functions import Concat
from django.utils.translation import gettext_lazy as _

from inlive_banner.envelope import CLICK, FROM_OLDEST
from inlive_banner.rollups import (
    BEGINNING,
    LONGEST_VALUE,
    DayUnique,
    DayVisitor,
    Dimension,
    Rollup,
    Span,
    rollup_value,
)

__all__ = [
    "BEGINNING",
    "INDEXED_PAGE",
    "LONGEST_VALUE",
    "PAGE_BEGINNING",
    "DayUnique",
    "DayVisitor",
    "Dimension",
    "Gap",
    "Interaction",
    "Pending",
    "Position",
    "Rollup",
    "Span",
    "rollup_value",
    "unindexed",
]

INDEXED_PAGE = 200
"""Characters of a page that are indexed: PostgreSQL indexes 2,704 bytes at most, and a page may have more."""

PAGE_BEGINNING = Func(
    F("page"),
    template=f"SUBSTR(%(expressions)s, 1, {INDEXED_PAGE})",
    output_field=models.CharField(max_length=INDEXED_PAGE),
)
"""What of a page is indexed. The numbers stand in the SQL itself: as a parameter SQLite wouldn't know them again."""


class Interaction(models.Model):
    """One thing that a visitor did with a banner; a click is one kind."""

    stream_id = models.PositiveBigIntegerField(_("stream"))
    event_id = models.CharField(_("event id"), max_length=64)
    """Given by the channel's log (`<epoch>-<seq>`); "" where the server gives none."""
    publish_id = models.CharField(_("publish id"), max_length=64)
    """Given by the publisher; with the stream it names the interaction for ever."""
    name = models.CharField(_("banner"), max_length=200)
    action = models.CharField(_("action"), max_length=64)
    user_id = models.CharField(_("user"), max_length=128)
    """As the message has it."""
    author_id = models.CharField(_("author"), max_length=128)
    """As the channel knows it."""
    page = models.CharField(_("page"), max_length=1000, blank=True)
    # db_default: a worker that was started before a migration may go on until it is restarted.
    label = models.CharField(_("label"), max_length=32, blank=True, default="", db_default="")
    """Why it isn't counted with what people do (`envelope.LABELS`, or what a newer channel knows); "" where it is."""
    visitor = models.CharField(_("visitor"), max_length=32, blank=True, default="", db_default="")
    """A pseudonym that holds for one UTC day; "" where the channel gave none."""
    viewed = models.BooleanField(_("viewed"), default=False, db_default=False)
    """True for the first click on a banner whose view was counted before."""
    visitor_time = models.DateTimeField(_("visitor's time"), null=True)
    """The visitor's own clock, for display only; null where it can't be a date."""
    received_at = models.DateTimeField(_("received"))
    """The channel's clock: order, periods and counts use this one."""

    class Meta:
        verbose_name = _("interaction")
        verbose_name_plural = _("interactions")
        ordering: ClassVar[list[str]] = ["-received_at", "-pk"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["stream_id", "publish_id"], name="inlive_interaction_once"),
        ]
        # Each filter of the pages has one, in the order in which rows are shown, so that a page reads its own rows and
        # no others. Two filters together read along the one whose rows are fewer. The first three are for what has no
        # other filter, and only that asks for an id above 0: else SQLite, where nobody has ever run ANALYZE, takes one
        # of them for a banner in a period, and reads all of the period.
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["stream_id", "-received_at", "-id"], condition=Q(id__gt=0), name="inlive_interaction_order"
            ),
            # What pages show by default; however many are labelled, it must not read past them.
            models.Index(
                fields=["stream_id", "-received_at", "-id"],
                condition=Q(id__gt=0, label=""),
                name="inlive_interaction_people",
            ),
            models.Index(
                fields=["stream_id", "-received_at", "-id"],
                condition=Q(id__gt=0) & ~Q(label=""),
                name="inlive_interaction_others",
            ),
            # Nearly all are clicks: what a page of clicks passes over is little.
            models.Index(
                fields=["stream_id", "action", "-received_at", "-id"],
                condition=~Q(action=CLICK),
                name="inlive_interaction_action",
            ),
            models.Index(fields=["stream_id", "name", "-received_at", "-id"], name="inlive_interaction_banner"),
            models.Index(
                F("stream_id"),
                PAGE_BEGINNING,
                F("received_at").desc(),
                F("id").desc(),
                name="inlive_interaction_page",
            ),
            # The operators by which PostgreSQL finds beginnings, whatever its language; SQLite has no such thing.
            models.Index(
                fields=["stream_id", "user_id", "received_at", "id"],
                opclasses=["int8_ops", "varchar_pattern_ops", "timestamptz_ops", "int8_ops"],
                name="inlive_interaction_user",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.action} on {self.name!r} by {self.user_id}"


_Rows = TypeVar("_Rows", bound=models.Model)


def unindexed(rows: models.QuerySet[_Rows], field: str, value: str, *, is_equal: bool = True) -> models.QuerySet[_Rows]:
    """The rows whose field is, or isn't, the value; said so that no index of the field is taken for it.

    A database without statistics, as SQLite's mostly is, takes the one of two indexes that more conditions fit.
    """
    name = f"plain_{field}"
    condition = Q(**{name: value})
    found: models.QuerySet[_Rows] = rows.alias(**{name: Concat(field, Value(""))})
    return found.filter(condition if is_equal else ~condition)


class Position(models.Model):
    """How far a stream is recorded. Moved in the same transaction as the rows that it covers."""

    stream_id = models.PositiveBigIntegerField(_("stream"), primary_key=True)
    last_event_id = models.CharField(_("last event id"), max_length=64, default=FROM_OLDEST)
    """The last event that the worker is done with."""
    epochs = models.JSONField(_("epochs"), default=list, db_default=models.Value([], models.JSONField()), blank=True)
    """The highest number recorded of each epoch, as `[epoch, number]`, the newest last, the last 50 of them. Views
    have no row, so this tells which ones are counted where a log of an earlier epoch comes again."""
    replay_end = models.CharField(_("replay end"), max_length=64, blank=True, default="", db_default="")
    """The newest event of the log when it took another one's place. What it has beyond that is new, also under numbers
    that were recorded before. "" where that doesn't matter any more."""
    updated_at = models.DateTimeField(_("updated"), auto_now=True)
    lost_events = models.PositiveBigIntegerField(_("lost events"), default=0)
    """Events whose numbers the log no longer had when the worker came to them."""
    malformed_events = models.PositiveBigIntegerField(_("malformed events"), default=0)
    """Broadcasts that look like a banner's but can't be read as one; passed over."""
    received_at = models.DateTimeField(_("newest received"), null=True, blank=True)
    """When the channel received the newest interaction that was recorded; null where none is yet."""
    lag = models.DurationField(_("lag"), null=True, blank=True)
    """How long after `received_at` that interaction was recorded."""
    holder = models.CharField(_("holder"), max_length=200, blank=True, default="")
    """`host:pid` of the worker that began to follow or recorded last; "" where that one has ended its connection.
    One that was killed stays here until another comes."""
    connected_since = models.DateTimeField(_("connected since"), null=True, blank=True)
    """When the holder's connection to the channel began; null where there is no holder."""

    class Meta:
        verbose_name = _("position")
        verbose_name_plural = _("positions")

    def __str__(self) -> str:
        return f"stream {self.stream_id} at {self.last_event_id}"


class Lease(models.Model):
    """Which of the workers that share the streams out records this one. Shown nowhere, as is `LiveWorker`."""

    stream_id = models.PositiveBigIntegerField(primary_key=True)
    holder = models.CharField(max_length=200, blank=True, default="", db_index=True)
    """The `LiveWorker` that has it, "" for nobody. It counts for as long as that one lives."""

    def __str__(self) -> str:
        return f"stream {self.stream_id} of {self.holder or 'nobody'}"


class LiveWorker(models.Model):
    """A worker that shares the streams out with others, and says again and again that it lives."""

    name = models.CharField(max_length=200, primary_key=True)
    alive_until = models.DateTimeField()
    """By the database's clock, which is the same for all workers."""

    def __str__(self) -> str:
        return self.name


class Gap(models.Model):
    """A place in a stream where events are missing from the record: the channel's log no longer had them."""

    stream_id = models.PositiveBigIntegerField(_("stream"))
    after_event_id = models.CharField(_("after event"), max_length=64)
    """The last event that was recorded before it."""
    resumed_after = models.CharField(_("resumed after"), max_length=64)
    """The event after which recording went on: of the same epoch, or of the log that took the place of that one."""
    lost_events = models.PositiveBigIntegerField(_("lost events"), null=True)
    """How many events are missing; null where nobody can know, because the log itself is another one."""
    found_at = models.DateTimeField(_("found"))

    class Meta:
        verbose_name = _("gap")
        verbose_name_plural = _("gaps")

    def __str__(self) -> str:
        return f"stream {self.stream_id} after {self.after_event_id}"


class Pending(models.Model):
    """A publish of the site's own that the channel hasn't taken yet: kept until it has.

    Nothing here says who the visitor was: an address is never stored.
    """

    publish_id = models.CharField(_("publish id"), max_length=64, unique=True)
    """Makes it harmless that several processes may send the same row, or one sends it twice."""
    stream_id = models.PositiveBigIntegerField(_("stream"))
    message = models.TextField(_("message"))
    """The interaction as the wire has it, JSON."""
    user_agent = models.CharField(_("user agent"), max_length=500, blank=True)
    """The visitor's: the channel knows crawlers by it."""
    purpose = models.CharField(_("purpose"), max_length=100, blank=True)
    """What the browser said of its request (`prefetch`)."""
    staff = models.BooleanField(_("by staff"), default=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("pending publish")
        verbose_name_plural = _("pending publishes")

    def __str__(self) -> str:
        return f"{self.publish_id} for stream {self.stream_id}"
