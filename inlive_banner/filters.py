"""The filters of the admin's lists: those of the log say what it is asked for, and `changelists` asks; all by index."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from inlive_banner.access import without_closed_streams
from inlive_banner.envelope import parse_stream_id
from inlive_banner.livelog import LABEL_WORDS
from inlive_banner.models import Dimension, Position, Span
from inlive_banner.panel import WHO_WORDS, offered_values
from inlive_banner.periods import CUSTOM, PERIOD_WORDS
from inlive_banner.query import EVERYTHING, OTHERS, PEOPLE

__all__ = ["DetailsFilter", "KindFilter", "LogStreamFilter", "PeriodFilter", "StreamFilter", "WhoFilter"]


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


class _LogFilter(admin.ListFilter):
    """A part of what the log is asked for. It only takes its parameters and offers others: `LogList` asks for all."""

    parameter_names: tuple[str, ...]

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        for name in self.parameter_names:
            if name in params:
                self.used_parameters[name] = params.pop(name)[-1]

    def has_output(self) -> bool:
        return True

    def expected_parameters(self) -> list[str | None]:
        return [*self.parameter_names]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset


class LogStreamFilter(_LogFilter):
    """One stream: all indexes begin with it, so there is no choice of all."""

    title = _("stream")
    parameter_names = ("stream",)

    def choices(self, changelist: Any) -> Iterator[Any]:
        query = changelist.listing.query
        for stream_id in changelist.listing.streams:
            yield {
                "selected": query is not None and query.stream_id == stream_id,
                "query_string": changelist.get_query_string({"stream": f"{stream_id}"}),
                "display": f"{stream_id}",
            }


class WhoFilter(_LogFilter):
    """Everything, people, or what is labelled, as a whole or by label."""

    title = _("who")
    parameter_names = ("who", "label", "bots")

    def choices(self, changelist: Any) -> Iterator[Any]:
        query, label = changelist.listing.query, changelist.listing.label
        who = query.who if query else EVERYTHING
        for key in (EVERYTHING, PEOPLE, OTHERS):
            yield {
                "selected": who == key and not label,
                "query_string": _link(changelist, self.parameter_names, who="" if key == EVERYTHING else key),
                "display": WHO_WORDS[key],
            }
        known = LABEL_WORDS if not label else {**LABEL_WORDS, label: LABEL_WORDS.get(label, label)}
        for key, words in known.items():
            yield {
                "selected": label == key,
                "query_string": _link(changelist, self.parameter_names, label=key),
                "display": words,
            }


class PeriodFilter(_LogFilter):
    """The periods of the logs page. One from a day to a day is shown where it is chosen; a form chooses it."""

    title = _("period")
    parameter_names = ("period", "tz")

    def choices(self, changelist: Any) -> Iterator[Any]:
        query = changelist.listing.query
        chosen = query.period.key if query else ""
        for key, words in PERIOD_WORDS.items():
            if key != CUSTOM:
                yield {
                    "selected": chosen == key,
                    "query_string": _link(changelist, ("period", "from", "to"), period=key),
                    "display": words,
                }


class DetailsFilter(_LogFilter):
    """Banner, action, page, user and days: a form, since there may be any number of each."""

    title = _("banner, page, user, day")
    parameter_names = ("banner", "action", "path", "user", "from", "to", "before")
    template = "admin/inlive_banner/interaction/details_filter.html"

    def choices(self, changelist: Any) -> Iterator[Any]:
        """The form's values, once."""
        query = changelist.listing.query
        if query is None:
            return
        is_custom = query.period.key == CUSTOM
        yield {
            "query": query,
            "first_day": f"{query.period.first_day}" if is_custom else "",
            "last_day": f"{query.period.last_day}" if is_custom else "",
            "offered": offered_values(query.stream_id, using=changelist.root_queryset.db),
            "kept": [
                (name, value)
                for name, values in changelist.filter_params.items()
                if name not in self.parameter_names
                for value in values
            ],
        }


def _link(changelist: Any, without: tuple[str, ...], **params: str) -> str:
    """The list's address with these parameters, and without the others named; what is "" isn't said."""
    changes: dict[str, str | None] = dict.fromkeys((*without, "before"))
    changes.update({name: value for name, value in params.items() if value})
    address: str = changelist.get_query_string(changes)
    return address


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
