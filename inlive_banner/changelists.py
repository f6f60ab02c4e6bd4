"""The lists of the admin: in one order, counted no further than anybody reads, and that of the log by index."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.apps import apps
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.functional import cached_property

from inlive_banner.access import without_closed_streams
from inlive_banner.listing import LISTING_PARAMETERS, Listing, parse_listing
from inlive_banner.query import Cursor

__all__ = ["LISTED_ROWS", "BoundedList", "BoundedPaginator", "LogList"]

if TYPE_CHECKING:  # generic only to type checkers

    class _Paginator(Paginator[Any]):
        object_list: Any

else:
    _Paginator = Paginator

LISTED_ROWS = 10_000
"""Rows that a list pages through. Counting and skipping further would cost more than anybody reads."""


class BoundedPaginator(_Paginator):
    """Counts no further than `LISTED_ROWS`."""

    @cached_property
    def count(self) -> int:
        """Rows that the list pages through: all, or the first `LISTED_ROWS`."""
        rows: QuerySet[Any] = self.object_list
        # In the list's order, which its index has: without it a database may choose to read something longer.
        return rows[:LISTED_ROWS].count()


class BoundedList(ChangeList):
    """A list in its admin's own order. Another one, which an address may ask for, would sort the whole table."""

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        """The admin's."""
        return list(self.model_admin.get_ordering(request))

    @property
    def ends_early(self) -> bool:
        """True where there may be more rows than the list pages through."""
        return bool(self.result_count >= LISTED_ROWS)


class LogList(BoundedList):
    """The list of interactions: those that its address asks for, as the logs page reads it."""

    listing: Listing
    horizon: Cursor | None = None
    """Where rows were looked for no further back; None where all were."""
    has_tool_list = not apps.is_installed("unfold")
    """Whether the page's tools are a list's items. Unfold has no list around them."""

    def get_filters_params(self, params: Any = None) -> dict[str, Any]:
        """Without what the list doesn't know: conditions on other fields would scan the table."""
        found = super().get_filters_params(params)
        return {name: values for name, values in found.items() if name in LISTING_PARAMETERS}

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        """What is asked for; where something is searched for, of what was found."""
        using = self.root_queryset.db
        self.listing = parse_listing(request, using=using)
        self.query = self.query.strip()
        if not self.query:
            rows, self.horizon = self.listing.rows(using=using)
            self.root_queryset = without_closed_streams(rows, request)
        return super().get_queryset(request, exclude_parameters)

    @property
    def log_address(self) -> str:
        """The parameters by which the logs page shows the same, and goes on below the rows shown here; else ""."""
        if self.listing.query is None or self.listing.label or self.query:
            return ""
        rows: Iterable[Any] = self.result_list
        *_, last = [None, *rows]
        cursor = Cursor.of(last) if last is not None else self.horizon
        place = {} if cursor is None else {"before": f"{cursor}"}
        return urlencode({"stream": self.listing.query.stream_id, **self.listing.query.params(), **place})

    @property
    def exports(self) -> list[tuple[str, str]]:
        """Where all that is meant is exported, as (address, format); nothing where no such address means that."""
        if self.listing.query is None or self.listing.label or self.query:
            return []
        try:
            address = reverse("inlive_banner:export")
        except NoReverseMatch:
            return []
        params = {"stream": self.listing.query.stream_id, **self.listing.query.params()}
        return [
            (f"{address}?{urlencode({'format': form, **params})}", words)
            for form, words in (("csv", "CSV"), ("jsonl", "JSON"))
        ]
