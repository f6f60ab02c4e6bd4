"""The record: each interaction once, the position it was recorded up to, and the counts, all moved together.

Only the worker's sink writes here, one transaction per batch. Rows are kept in the order of the log, so a
stream's newest row has its highest primary key.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import OuterRef, Q, Subquery, Sum
from django.db.models.functions import Coalesce, JSONObject
from django.utils.translation import gettext_lazy as _

from inlive_banner.envelope import CLICK, FROM_OLDEST, VIEW
from inlive_banner.snapshot import Snapshot, Totals

__all__ = ["DayUnique", "DayVisitor", "Gap", "Interaction", "Pending", "Position", "Rollup"]


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
        ordering: ClassVar[list[str]] = ["-pk"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["stream_id", "publish_id"], name="inlive_interaction_once"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["stream_id", "-id"], name="inlive_interaction_newest"),
            # The logs page leaves the labelled out: however many they are, it must not read past them.
            models.Index(fields=["stream_id", "-id"], condition=Q(label=""), name="inlive_interaction_people"),
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
    label = models.CharField(_("label"), max_length=32, blank=True, default="", db_default="")
    """As `Interaction.label`; "" counts people."""
    count = models.PositiveBigIntegerField(_("count"))
    viewed = models.PositiveBigIntegerField(_("viewed"), default=0, db_default=0)
    """How many of them were first clicks after a view."""

    class Meta:
        verbose_name = _("count")
        verbose_name_plural = _("counts")
        constraints: ClassVar[list[models.BaseConstraint]] = [
            # The order serves the sums: a stream's total of one action, then one period of it.
            models.UniqueConstraint(
                fields=["stream_id", "action", "quarter", "name", "label"], name="inlive_rollup_labelled_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.count} {self.action} on {self.name!r} from {self.quarter:%Y-%m-%d %H:%M}"


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


class PositionQuerySet(models.QuerySet["Position"]):
    """Questions about what is recorded."""

    def snapshot(self, stream_id: int) -> Snapshot:
        """Read a stream's position, totals and newest row in one statement.

        One statement sees one state of the database at every isolation level, so they belong together whatever a
        worker commits meanwhile. Rows with a primary key up to `newest_id` are those of the snapshot.
        """
        # As one JSON object, because a subquery gives one value and each further one would read all counts again.
        of_stream = Rollup.objects.filter(stream_id=OuterRef("stream_id"), action__in=(CLICK, VIEW)).order_by()
        totals = of_stream.values("stream_id").annotate(totals=JSONObject(**_SUMS)).values("totals")
        visitors = (
            DayUnique.objects.filter(stream_id=OuterRef("stream_id"), action=CLICK)
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
                Subquery(totals),
                Coalesce(Subquery(visitors), 0, output_field=models.BigIntegerField()),
                Coalesce(Subquery(newest), 0, output_field=models.BigIntegerField()),
            )
            .first()
        )
        if row is None:
            return Snapshot()
        sums = {key: int(value or 0) for key, value in (row[1] or {}).items()}
        return Snapshot(
            last_event_id=row[0],
            newest_id=row[3],
            people=Totals(**{key: sums.get(f"people_{key}", 0) for key in ("clicks", "viewed", "views")}),
            everything=Totals(**{key: sums.get(key, 0) for key in ("clicks", "viewed", "views")}),
            visitors=row[2],
        )


_CLICKS, _VIEWS, _PEOPLE = Q(action=CLICK), Q(action=VIEW), Q(label="")

_SUMS = {
    "clicks": Sum("count", filter=_CLICKS),
    "viewed": Sum("viewed", filter=_CLICKS),
    "views": Sum("count", filter=_VIEWS),
    "people_clicks": Sum("count", filter=_CLICKS & _PEOPLE),
    "people_viewed": Sum("viewed", filter=_CLICKS & _PEOPLE),
    "people_views": Sum("count", filter=_VIEWS & _PEOPLE),
}


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
