"""The record: each interaction once, the position it was recorded up to, and the counts, all moved together.

Only the worker's sink writes here, one transaction per batch. Rows are kept in the order of the log, so a
stream's newest row has its highest primary key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from django.db import models
from django.db.models import OuterRef, Subquery, Sum
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _

from inlive_banner.envelope import CLICK, FROM_OLDEST

__all__ = ["Gap", "Interaction", "Pending", "Position", "Rollup", "Snapshot"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What one statement saw of a stream: position and counts that belong together."""

    last_event_id: str
    """The event id up to which everything is recorded; "0" where nothing is yet."""
    clicks: int
    """Recorded clicks up to that position."""
    newest_id: int
    """The primary key of the newest row up to that position; 0 where there is none."""


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
    visitor_time = models.DateTimeField(_("visitor's time"), null=True)
    """The visitor's own clock, for display only; null where it can't be a date."""
    received_at = models.DateTimeField(_("received"))
    """The channel's clock: order, periods and counts use this one."""

    class Meta:
        verbose_name = _("interaction")
        verbose_name_plural = _("interactions")
        ordering: ClassVar[list[str]] = ["-pk"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["stream_id", "publish_id"], name="inlive_interaction_once"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["stream_id", "-id"], name="inlive_interaction_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.action} on {self.name!r} by {self.user_id}"


class Rollup(models.Model):
    """How many interactions of one kind a quarter of an hour had.

    Quarter hours in UTC, because the days of all time zones begin on one.
    """

    stream_id = models.PositiveBigIntegerField(_("stream"))
    name = models.CharField(_("banner"), max_length=200)
    action = models.CharField(_("action"), max_length=64)
    quarter = models.DateTimeField(_("quarter hour"))
    """Its beginning, UTC."""
    count = models.PositiveBigIntegerField(_("count"))

    class Meta:
        verbose_name = _("count")
        verbose_name_plural = _("counts")
        constraints: ClassVar[list[models.BaseConstraint]] = [
            # The order serves the sums: a stream's total of one action, then one period of it.
            models.UniqueConstraint(fields=["stream_id", "action", "quarter", "name"], name="inlive_rollup_once"),
        ]

    def __str__(self) -> str:
        return f"{self.count} {self.action} on {self.name!r} from {self.quarter:%Y-%m-%d %H:%M}"


class PositionQuerySet(models.QuerySet["Position"]):
    """Questions about what is recorded."""

    def snapshot(self, stream_id: int) -> Snapshot:
        """Read a stream's position, click total and newest row in one statement.

        One statement sees one state of the database at every isolation level, so the three belong together
        whatever a worker commits meanwhile. Rows with a primary key up to `newest_id` are those of the snapshot.
        """
        clicks = (
            Rollup.objects.filter(stream_id=OuterRef("stream_id"), action=CLICK)
            .order_by()
            .values("stream_id")
            .annotate(total=Sum("count"))
            .values("total")
        )
        # Not Max(): grouped, it reads all rows of the stream; the first by index reads one.
        newest = Interaction.objects.filter(stream_id=OuterRef("stream_id")).order_by("-pk").values("pk")[:1]
        row = (
            self.filter(stream_id=stream_id)
            .values_list(
                "last_event_id",
                Coalesce(Subquery(clicks), 0, output_field=models.BigIntegerField()),
                Coalesce(Subquery(newest), 0, output_field=models.BigIntegerField()),
            )
            .first()
        )
        last_event_id, total, newest_id = row or (FROM_OLDEST, 0, 0)
        return Snapshot(last_event_id=last_event_id, clicks=total, newest_id=newest_id)


class Position(models.Model):
    """How far a stream is recorded. Moved in the same transaction as the rows that it covers."""

    stream_id = models.PositiveBigIntegerField(_("stream"), primary_key=True)
    last_event_id = models.CharField(_("last event id"), max_length=64, default=FROM_OLDEST)
    """The last event that the worker is done with."""
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

    objects = PositionQuerySet.as_manager()

    class Meta:
        verbose_name = _("position")
        verbose_name_plural = _("positions")

    def __str__(self) -> str:
        return f"stream {self.stream_id} at {self.last_event_id}"


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
