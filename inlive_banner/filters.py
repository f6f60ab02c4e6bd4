"""The filters of the admin's lists: by index, or among the newest rows only."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from inlive_banner.access import without_closed_streams
from inlive_banner.envelope import parse_stream_id
from inlive_banner.livelog import LABEL_WORDS
from inlive_banner.models import Dimension, Interaction, Position, Rollup, Span

__all__ = [
    "NAMED_ROLLUPS",
    "SEARCHED_ROWS",
    "ActionFilter",
    "BannerFilter",
    "KindFilter",
    "PeopleFilter",
    "StreamFilter",
    "newest",
]

SEARCHED_ROWS = 100_000
"""Newest rows that a filter without an index looks at: some tens of milliseconds, however large the table."""

NAMED_ROLLUPS = 1_000
"""Newest counts whose banners and actions the filters offer."""


class StreamFilter(admin.SimpleListFilter):
    """By stream: by index."""

    title = _("stream")
    parameter_name = "stream"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The recorded streams that the user may read."""
        recorded = without_closed_streams(Position.objects.order_by("pk"), request)
        return [(f"{pk}", f"{pk}") for pk in recorded.values_list("pk", flat=True)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Rows of the chosen stream; none where the address names no stream."""
        value = self.value()
        if value is None:
            return queryset
        stream_id = parse_stream_id(value)
        return queryset.none() if stream_id is None else queryset.filter(stream_id=stream_id)


class _RecentFilter(admin.SimpleListFilter):
    """By the value of a field, among the newest rows; offers the values of the newest counts."""

    parameter_name: str
    """The field's name."""
    counted_as: str
    """The field of the counts that has its values."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        days = without_closed_streams(Rollup.objects.by(Dimension.BANNER, Span.DAY).order_by("-pk"), request)
        recent = days.values_list(self.counted_as, flat=True)[:NAMED_ROLLUPS]
        return [(value, value) for value in sorted({*recent} - {""})]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        return queryset if value is None else newest(queryset).filter(**{self.parameter_name: value})


class BannerFilter(_RecentFilter):
    """By banner."""

    title = _("banner")
    parameter_name = "name"
    counted_as = "value"


class ActionFilter(_RecentFilter):
    """By action."""

    title = _("action")
    parameter_name = "action"
    counted_as = "action"


class KindFilter(admin.SimpleListFilter):
    """Counts of one kind: those of different kinds count the same interactions."""

    title = _("counted by")
    parameter_name = "kind"

    _KINDS = tuple(
        (dimension, span)
        for dimension in Dimension
        for span in Span
        if (dimension, span) != (Dimension.PAGE, Span.MINUTE)
    )

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Each kind that is kept."""
        return [(f"{dimension}-{span}", f"{dimension.label}, {span.label}") for dimension, span in self._KINDS]

    def choices(self, changelist: Any) -> Any:
        """Without the choice of all: the first is by banner and day."""
        for kind, words in self.lookup_choices:
            query = changelist.get_query_string({self.parameter_name: kind})
            yield {"selected": self._kind() == kind, "query_string": query, "display": words}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Counts of the chosen kind."""
        dimension, span = self._kind().split("-")
        return queryset.filter(dimension=dimension, span=int(span))

    def _kind(self) -> str:
        known = {f"{dimension}-{span}" for dimension, span in self._KINDS}
        value = self.value()
        return value if value in known else f"{Dimension.BANNER}-{Span.DAY}"


class PeopleFilter(admin.SimpleListFilter):
    """People, or what is labelled, as a whole or by label; among the newest rows."""

    title = _("who")
    parameter_name = "label"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """People first, then whatever isn't, then each reason."""
        return [("people", _("people only")), ("labelled", _("not people")), *LABEL_WORDS.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Rows of people, labelled ones, or those with one label."""
        value = self.value()
        if value is None:
            return queryset
        rows = newest(queryset)
        if value == "labelled":
            return rows.exclude(label="")
        return rows.filter(label="" if value == "people" else value)


def newest(queryset: QuerySet[Any]) -> QuerySet[Any]:
    """The newest `SEARCHED_ROWS` of the interactions, of all streams together."""
    last = Interaction.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    return queryset.filter(pk__gt=last - SEARCHED_ROWS)
