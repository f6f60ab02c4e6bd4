"""The record in the admin: to read, never to change. Nothing here costs more with a larger table."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Model, Q, QuerySet
from django.http import Http404, HttpRequest
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.formats import date_format, number_format
from django.utils.functional import cached_property
from django.utils.timezone import is_aware, localtime
from django.utils.translation import gettext_lazy as _

from inlive_banner.access import readable_streams, without_closed_streams
from inlive_banner.conf import settings
from inlive_banner.envelope import parse_stream_id
from inlive_banner.filters import ActionFilter, BannerFilter, KindFilter, PeopleFilter, StreamFilter, newest
from inlive_banner.livelog import LABEL_WORDS
from inlive_banner.models import DayUnique, Gap, Interaction, Pending, Position, Rollup

__all__ = ["DayUniqueAdmin", "GapAdmin", "InteractionAdmin", "PendingAdmin", "PositionAdmin", "RollupAdmin"]

if TYPE_CHECKING:  # generic only to type checkers
    _ModelAdmin = admin.ModelAdmin[Any]

    class _Paginator(Paginator[Any]):
        object_list: Any

else:
    _ModelAdmin = admin.ModelAdmin
    _Paginator = Paginator

LISTED_ROWS = 10_000
"""Rows that a list pages through. Counting and skipping further would cost more than anybody reads."""


class BoundedPaginator(_Paginator):
    """Counts no further than `LISTED_ROWS`."""

    @cached_property
    def count(self) -> int:
        """Rows that the list pages through: all, or the newest `LISTED_ROWS`."""
        rows: QuerySet[Any] = self.object_list
        return rows.order_by()[:LISTED_ROWS].count()


class ReadOnlyAdmin(_ModelAdmin):
    """Rows that only the worker writes: nobody adds, changes or deletes one here."""

    actions = None
    list_filter: ClassVar[tuple[type[admin.SimpleListFilter], ...]] = (StreamFilter,)
    list_per_page = 100
    list_max_show_all = 0
    ordering = ("-pk",)
    paginator = BoundedPaginator
    show_facets = admin.ShowFacets.NEVER  # a facet is a count over the whole table
    show_full_result_count = False
    sortable_by = ()  # any other order than the primary key's would sort the whole table

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Without the rows of streams that the user may not read."""
        return without_closed_streams(super().get_queryset(request), request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """No."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """No."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """No."""
        return False

    @admin.display(description=_("stream"))
    def stream(self, row: Any) -> str:
        """The stream's id as text, since a number might get thousands separators."""
        return f"{row.stream_id}"


@admin.register(Interaction)
class InteractionAdmin(ReadOnlyAdmin):
    """The log's rows, newest first, with a *Live* page beside the list."""

    list_display = ("received", "name", "action", "user_id", "page", "reason", "seen", "stream")
    list_filter: ClassVar = (StreamFilter, PeopleFilter, BannerFilter, ActionFilter)
    fields = (
        "received",
        "visited",
        "name",
        "action",
        "user_id",
        "author_id",
        "page",
        "reason",
        "visitor",
        "seen",
        "stream",
        "publish_id",
        "event_id",
    )
    search_fields = ("publish_id", "user_id", "author_id", "event_id")
    search_help_text = _(
        "Finds a publish id of any age, and beginnings of user and author ids and event ids among the newest 100,000 "
        "interactions. The list ends after 10,000."
    )

    @admin.display(description=_("received"))
    def received(self, row: Interaction) -> str:
        """The channel's clock."""
        return _to_the_second(row.received_at)

    @admin.display(description=_("visitor's time"))
    def visited(self, row: Interaction) -> str:
        """The visitor's own clock; "-" where the message says nothing usable."""
        return _to_the_second(row.visitor_time) if row.visitor_time else "-"

    @admin.display(description=_("label"))
    def reason(self, row: Interaction) -> str:
        """Why it isn't counted with what people do."""
        return _reason(row.label)

    @admin.display(description=_("viewed"))
    def seen(self, row: Interaction) -> str:
        """In words: Django's red cross would look like a fault."""
        return str(_("yes")) if row.viewed else "-"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Look a publish id up by its index; else look for beginnings of ids among the newest rows."""
        term = search_term.strip()
        if not term:
            return queryset, False
        streams = list(Position.objects.values_list("pk", flat=True))
        published = queryset.filter(stream_id__in=streams, publish_id=term)
        if published.exists():
            return published, False
        begins = Q(user_id__startswith=term) | Q(author_id__startswith=term) | Q(event_id__startswith=term)
        return newest(queryset).filter(begins), False

    def get_urls(self) -> list[URLPattern]:
        """The list's addresses, and `live/` beside it."""
        live = path("live/", self.admin_site.admin_view(self.live), name="inlive_banner_interaction_live")
        return [live, *super().get_urls()]

    def live(self, request: HttpRequest) -> TemplateResponse:
        """The live log inside the admin. `?stream=` picks a stream; those that the user may read are offered."""
        streams = readable_streams(request)
        if not self.has_view_permission(request) or not streams:
            raise PermissionDenied
        wanted = request.GET.get("stream")
        stream_id = streams[0] if wanted is None else parse_stream_id(wanted)
        if stream_id not in settings.streams:
            raise Http404(_("This site has no such stream."))
        if stream_id not in streams:
            raise PermissionDenied
        request.current_app = self.admin_site.name
        context = {
            **self.admin_site.each_context(request),
            "title": _("Live"),
            "opts": self.opts,
            "streams": streams,
            "stream_id": stream_id,
        }
        return TemplateResponse(request, "admin/inlive_banner/interaction/live.html", context)


@admin.register(Position)
class PositionAdmin(ReadOnlyAdmin):
    """How far each stream is recorded, and what was lost on the way."""

    list_display = (
        "stream",
        "last_event_id",
        "updated_at",
        "received",
        "recorded_after",
        "lost_events",
        "malformed_events",
        "connected",
        "holder",
    )
    fields = list_display
    list_filter: ClassVar = ()

    @admin.display(description=_("newest received"))
    def received(self, row: Position) -> str:
        """When the channel received the newest recorded interaction."""
        return _to_the_second(row.received_at) if row.received_at else "-"

    @admin.display(description=_("lag"))
    def recorded_after(self, row: Position) -> str:
        """How long after that it was recorded, in seconds."""
        return "-" if row.lag is None else f"{row.lag.total_seconds():.1f} s"

    @admin.display(description=_("connected since"))
    def connected(self, row: Position) -> str:
        """When the holder's connection to the channel began."""
        return _to_the_second(row.connected_since) if row.connected_since else "-"


@admin.register(Gap)
class GapAdmin(ReadOnlyAdmin):
    """Where events are missing from the record."""

    list_display = ("found", "stream", "after_event_id", "resumed_after", "lost")
    fields = list_display

    @admin.display(description=_("found"))
    def found(self, row: Gap) -> str:
        """When the worker came to it."""
        return _to_the_second(row.found_at)

    @admin.display(description=_("lost events"))
    def lost(self, row: Gap) -> str:
        """How many events are missing; "unknown" where the log that had them is gone."""
        return str(_("unknown")) if row.lost_events is None else number_format(row.lost_events, force_grouping=True)


@admin.register(Pending)
class PendingAdmin(ReadOnlyAdmin):
    """What the site itself has published and the channel hasn't taken yet."""

    list_display = ("created", "stream", "message", "staff")
    fields = ("created", "stream", "publish_id", "message", "user_agent", "purpose", "staff")
    ordering = ("pk",)  # the oldest is sent first

    @admin.display(description=_("created"))
    def created(self, row: Pending) -> str:
        """When the site published it."""
        return _to_the_second(row.created_at)


@admin.register(Rollup)
class RollupAdmin(ReadOnlyAdmin):
    """The counts: by banner and day, unless others are asked for."""

    list_display = ("start", "dimension", "value", "action", "reason", "count", "viewed", "stream")
    fields = ("start", "span", "dimension", "value", "action", "reason", "count", "viewed", "stream")
    list_filter: ClassVar = (StreamFilter, KindFilter)

    @admin.display(description=_("label"))
    def reason(self, row: Rollup) -> str:
        """What is counted: people, or why not."""
        return _reason(row.label)


@admin.register(DayUnique)
class DayUniqueAdmin(ReadOnlyAdmin):
    """The visitors of each day, people only."""

    list_display = ("day", "name", "action", "count", "stream")
    fields = list_display


def _reason(label: str) -> str:
    return str(LABEL_WORDS.get(label, label)) or "-"


def _to_the_second(time: datetime) -> str:
    """In the current time zone. Django's own formats end at the minute, and several clicks share one."""
    local = localtime(time) if is_aware(time) else time
    return f"{date_format(local, 'DATE_FORMAT')}, {local:%H:%M:%S}"
