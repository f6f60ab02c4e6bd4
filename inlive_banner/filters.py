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
from inlive_banner.models import Interaction, Position, Rollup

__all__ = ["NAMED_ROLLUPS", "SEARCHED_ROWS", "ActionFilter", "BannerFilter", "PeopleFilter", "StreamFilter", "newest"]

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

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        counts = without_closed_streams(Rollup.objects.order_by("-pk"), request)
        recent = counts.values_list(self.parameter_name, flat=True)[:NAMED_ROLLUPS]
        return [(value, value) for value in sorted({*recent} - {""})]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        return queryset if value is None else newest(queryset).filter(**{self.parameter_name: value})


class BannerFilter(_RecentFilter):
    """By banner."""

    title = _("banner")
    parameter_name = "name"


class ActionFilter(_RecentFilter):
    """By action."""

    title = _("action")
    parameter_name = "action"


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
