"""The record in the admin: to read, never to change. Nothing here costs more with a larger table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from inlive_banner.access import readable_streams, without_closed_streams
from inlive_banner.changelists import LISTED_ROWS, BoundedList, BoundedPaginator, LogList
from inlive_banner.conf import settings
from inlive_banner.envelope import parse_stream_id
from inlive_banner.exporting import csv_chunks, json_chunks
from inlive_banner.filters import DetailsFilter, KindFilter, LogStreamFilter, PeriodFilter, StreamFilter, WhoFilter
from inlive_banner.health import judge
from inlive_banner.listing import parse_listing
from inlive_banner.models import DayUnique, Gap, Interaction, Pending, Position, Rollup
from inlive_banner.search import find_rows
from inlive_banner.wording import health_in_words, label_in_words, to_the_second

__all__ = ["DayUniqueAdmin", "GapAdmin", "InteractionAdmin", "PendingAdmin", "PositionAdmin", "RollupAdmin"]

if TYPE_CHECKING:  # generic only to type checkers
    _ModelAdmin = admin.ModelAdmin[Any]
else:
    _ModelAdmin = admin.ModelAdmin


class ReadOnlyAdmin(_ModelAdmin):
    """Rows that only the worker writes: nobody adds, changes or deletes one here."""

    actions: Sequence[str] | None = None
    list_filter: ClassVar[tuple[type[admin.ListFilter], ...]] = (StreamFilter,)
    list_per_page = 100
    list_max_show_all = 0
    ordering: ClassVar[tuple[str, ...]] = ("-pk",)
    paginator = BoundedPaginator
    show_facets = admin.ShowFacets.NEVER  # a facet is a count over the whole table
    show_full_result_count = False
    sortable_by = ()  # any other order than the primary key's would sort the whole table

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """A list in this order only."""
        return BoundedList

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
    list_filter: ClassVar = (LogStreamFilter, PeriodFilter, WhoFilter, DetailsFilter)
    ordering = ("-received_at", "-pk")
    actions = ("export_as_csv", "export_as_json_lines")
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
    search_fields = ("publish_id", "user_id")
    search_help_text = _(
        "Finds user ids and publish ids of the stream, whole or by their beginnings; on PostgreSQL publish ids only "
        "whole. The list ends after 10,000."
    )

    class Media:
        css: ClassVar = {"all": ["inlive_banner/admin.css"]}

    @admin.display(description=_("received"))
    def received(self, row: Interaction) -> str:
        """The channel's clock."""
        return to_the_second(row.received_at)

    @admin.display(description=_("visitor's time"))
    def visited(self, row: Interaction) -> str:
        """The visitor's own clock; "-" where the message says nothing usable."""
        return to_the_second(row.visitor_time) if row.visitor_time else "-"

    @admin.display(description=_("label"))
    def reason(self, row: Interaction) -> str:
        """Why it isn't counted with what people do."""
        return label_in_words(row.label)

    @admin.display(description=_("viewed"))
    def seen(self, row: Interaction) -> str:
        """In words: Django's red cross would look like a fault."""
        return str(_("yes")) if row.viewed else "-"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """A list of what the address asks for, as on the logs page."""
        return LogList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """What the address asks for among the rows that have or begin with the term."""
        term = search_term.strip()
        if not term:
            return queryset, False
        listing = parse_listing(request, using=queryset.db)
        # By what was found alone: a condition on the stream would lead SQLite to read all of it.
        found = [] if listing.query is None else find_rows(listing.query.stream_id, term, using=queryset.db)
        return queryset.filter(listing.conditions, pk__in=found), False

    @admin.action(description=_("Export as CSV"), permissions=["view"])
    def export_as_csv(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse:
        """The chosen rows as a file."""
        return _download(csv_chunks(self._chosen(request, queryset)), "csv", "text/csv; charset=utf-8")

    @admin.action(description=_("Export as JSON lines"), permissions=["view"])
    def export_as_json_lines(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse:
        """The chosen rows as a file."""
        return _download(json_chunks(self._chosen(request, queryset)), "jsonl", "application/x-ndjson")

    def _chosen(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """All rows of the list, as far as it goes, or those that are ticked."""
        if request.POST.get("select_across") == "1":
            return queryset[:LISTED_ROWS]
        # By their keys alone: beside a condition on the stream, SQLite would read all of that.
        return self.get_queryset(request).filter(pk__in=request.POST.getlist(ACTION_CHECKBOX_NAME))

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
        "health",
        "recorded_after",
        "lost",
        "malformed_events",
        "received",
        "last_event_id",
        "updated_at",
        "connected",
        "holder",
    )
    fields = list_display
    list_filter: ClassVar = ()

    @admin.display(description=_("state"))
    def health(self, row: Position) -> str:
        """What the stream's worker does, in words."""
        return health_in_words(judge(row, now=timezone.now()))

    @admin.display(description=_("lost events"))
    def lost(self, row: Position) -> str:
        """How many events are missing, and the way to where."""
        number = number_format(row.lost_events, force_grouping=True)
        if not row.lost_events:
            return number
        address = reverse(f"{self.admin_site.name}:inlive_banner_gap_changelist")
        return format_html('<a href="{}?stream={}">{}</a>', address, f"{row.pk}", number)

    @admin.display(description=_("newest received"))
    def received(self, row: Position) -> str:
        """When the channel received the newest recorded interaction."""
        return to_the_second(row.received_at) if row.received_at else "-"

    @admin.display(description=_("lag"))
    def recorded_after(self, row: Position) -> str:
        """How long after that it was recorded, in seconds."""
        return "-" if row.lag is None else f"{row.lag.total_seconds():.1f} s"

    @admin.display(description=_("connected since"))
    def connected(self, row: Position) -> str:
        """When the holder's connection to the channel began."""
        return to_the_second(row.connected_since) if row.connected_since else "-"


@admin.register(Gap)
class GapAdmin(ReadOnlyAdmin):
    """Where events are missing from the record."""

    list_display = ("found", "stream", "after_event_id", "resumed_after", "lost")
    fields = list_display

    @admin.display(description=_("found"))
    def found(self, row: Gap) -> str:
        """When the worker came to it."""
        return to_the_second(row.found_at)

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
        return to_the_second(row.created_at)


@admin.register(Rollup)
class RollupAdmin(ReadOnlyAdmin):
    """The counts: by banner and day, unless others are asked for."""

    list_display = ("start", "dimension", "value", "action", "reason", "count", "viewed", "stream")
    fields = ("start", "span", "dimension", "value", "action", "reason", "count", "viewed", "stream")
    list_filter: ClassVar = (StreamFilter, KindFilter)

    @admin.display(description=_("label"))
    def reason(self, row: Rollup) -> str:
        """What is counted: people, or why not."""
        return label_in_words(row.label)


@admin.register(DayUnique)
class DayUniqueAdmin(ReadOnlyAdmin):
    """The visitors of each day, people only."""

    list_display = ("day", "name", "action", "count", "stream")
    fields = list_display


def _download(chunks: Iterable[bytes], ending: str, content_type: str) -> HttpResponse:
    # Not streamed: no more than LISTED_ROWS, some megabytes, and an ASGI site would collect them anyway.
    headers = {"Content-Disposition": f'attachment; filename="interactions.{ending}"', "Cache-Control": "no-store"}
    return HttpResponse(b"".join(chunks), content_type=content_type, headers=headers)
