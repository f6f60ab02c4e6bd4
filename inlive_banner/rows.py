"""The rows that a question means: which index they are read along, and how far back one page looks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Q, QuerySet, Sum, Value
from django.db.models.functions import Concat, Length, Substr

from inlive_banner.envelope import CLICK
from inlive_banner.models import (
    INDEXED_PAGE,
    LONGEST_VALUE,
    PAGE_BEGINNING,
    Dimension,
    Interaction,
    Rollup,
    Span,
    rollup_value,
    unindexed,
)
from inlive_banner.query import EVERYTHING, Cursor, LogQuery

__all__ = ["LOOKED_AT", "LogRows", "RowsPage"]

LOOKED_AT = 4_000
"""Rows of its index that one page looks at, at most: some 10 ms. Few pages need more than they show."""

_ALL, _ACTION, _BANNER, _PAGE, _USER = "", "action", "name", "page", "user_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsPage:
    """Some of the rows, newest first by the channel's clock."""

    rows: tuple[Interaction, ...]
    older: Cursor | None
    """Where the next page begins; None where there is nothing older."""
    looked_back_to: datetime | None = None
    """Where the page has fewer rows than it may because it looked no further back; there may be older ones."""


class LogRows:
    """The rows of one question, in one database.

    Rows are read along the index of one of the filters, the narrowest, in the order in which they are shown. What the
    other filters leave out is read and passed over: where they leave out nearly everything, that would be the whole
    index, so a page ends after `LOOKED_AT`.
    """

    def __init__(self, query: LogQuery, *, using: str = DEFAULT_DB_ALIAS) -> None:
        self._query = query
        self._using = using
        self._along = self._narrowest()

    def newest(self, *, back_to: Cursor | None = None) -> QuerySet[Interaction]:
        """All of them; or down to `back_to`, that place included."""
        rows = self._others_passed_over(self._indexed())
        if back_to is None:
            return rows
        inside = Q(received_at__gt=back_to.received_at) | Q(pk__gte=back_to.pk)
        return rows.filter(inside, received_at__gte=back_to.received_at)

    def older(self, cursor: Cursor, *, back_to: Cursor | None = None) -> QuerySet[Interaction]:
        """Those after the cursor in their order, so older than its row."""
        return _after(self.newest(back_to=back_to), cursor)

    def horizon(self, before: Cursor | None = None) -> Cursor | None:
        """The place of the last row that a page looks at; None where it needn't stop: it can't be long, or it ends."""
        if self._is_exact():
            return None
        rows = self._indexed() if before is None else _after(self._indexed(), before)
        # Read from the index alone.
        last = rows.values_list("received_at", "pk")[LOOKED_AT - 1 : LOOKED_AT].first()
        return None if last is None else Cursor.at(*last)

    def page(self, *, before: Cursor | None = None, limit: int) -> RowsPage:
        """The newest, or the newest of those that are older than `before`; at most `limit`."""
        horizon = self.horizon(before)
        rows = self.newest(back_to=horizon) if before is None else self.older(before, back_to=horizon)
        found = tuple(rows[: limit + 1])
        if len(found) > limit:
            return RowsPage(rows=found[:limit], older=Cursor.of(found[limit - 1]))
        return RowsPage(rows=found, older=horizon, looked_back_to=horizon.received_at if horizon else None)

    def _narrowest(self) -> str:
        """The field to read along: of several that are asked for the one with the fewest rows, as far as is known.

        A database that has never been analyzed, as SQLite's mostly, would take any.
        """
        query = self._query
        if query.user:
            return _USER
        if query.banner and query.page:
            ever = Rollup.objects.using(self._using).filter(stream_id=query.stream_id, span=Span.EVER)
            banner = ever.filter(dimension=Dimension.BANNER, value=rollup_value(query.banner))
            page = ever.filter(dimension=Dimension.PAGE, value=rollup_value(query.page))
            counts = [found.aggregate(total=Sum("count"))["total"] or 0 for found in (banner, page)]
            return _BANNER if counts[0] < counts[1] else _PAGE
        if query.banner:
            return _BANNER
        if query.page:
            return _PAGE
        return _ACTION if query.action not in ("", CLICK) else _ALL

    def _indexed(self) -> QuerySet[Interaction]:
        """All rows of the part of the index that is read along, in its order."""
        query, along = self._query, self._along
        rows = Interaction.objects.using(self._using).filter(stream_id=query.stream_id)
        if along == _ALL:
            # In the words of the indexes that have these rows alone.
            rows = rows.filter(query.labels, pk__gt=0)
        elif along == _ACTION:
            rows = rows.filter(~Q(action=CLICK), action=query.action)
        elif along == _PAGE:
            rows = rows.alias(page_beginning=PAGE_BEGINNING).filter(page_beginning=query.page[:INDEXED_PAGE])
        else:
            rows = rows.filter(**{along: query.banner if along == _BANNER else query.user})
        if query.period.since:
            rows = rows.filter(received_at__gte=query.period.since)
        if query.period.until:
            rows = rows.filter(received_at__lt=query.period.until)
        return rows.order_by("-received_at", "-pk")

    def _is_exact(self) -> bool:
        """Whether that part of the index has no other rows than those that are asked for."""
        query, along = self._query, self._along
        if along != _ALL and query.who != EVERYTHING:
            return False
        if along == _PAGE and len(query.page) >= INDEXED_PAGE:
            return False
        asked = {_ACTION: query.action, _BANNER: query.banner, _PAGE: query.page, _USER: query.user}
        return not any(value for name, value in asked.items() if name != along)

    def _others_passed_over(self, rows: QuerySet[Interaction]) -> QuerySet[Interaction]:
        query, along = self._query, self._along
        if along != _ALL:
            rows = rows.filter(query.labels)  # the indexes by label ask for a word that isn't said here
        # PostgreSQL knows how frequent each value is, as long as it is compared as it is.
        is_plain = along == _ALL or connections[self._using].vendor != "sqlite"
        for name, value in ((_BANNER, query.banner), (_USER, query.user), (_ACTION, query.action)):
            if value and name != along:
                rows = rows.filter(**{name: value}) if is_plain else unindexed(rows, name, value)
        return self._on_page(rows) if query.page else rows

    def _on_page(self, rows: QuerySet[Interaction]) -> QuerySet[Interaction]:
        # Compared in two parts: where it also says that the page is this one, SQLite puts that into the expression of
        # the index, and doesn't know it again.
        page = self._query.page
        if self._along == _PAGE and len(page) < INDEXED_PAGE:
            return rows  # what begins so has no more characters
        beginning, rest = page[:INDEXED_PAGE], page[INDEXED_PAGE:]
        parts = rows.alias(page_rest=Substr("page", INDEXED_PAGE + 1))
        found = Q(page_rest=rest)
        if len(page) == LONGEST_VALUE and rollup_value(f"{page}…") == page:
            cut = Substr("page", INDEXED_PAGE + 1, len(rest) - 1)
            parts = parts.alias(page_cut=cut, page_length=Length("page"))
            found |= Q(page_cut=rest[:-1], page_length__gt=LONGEST_VALUE)
        if self._along != _PAGE:
            parts = parts.alias(plain_beginning=Concat(PAGE_BEGINNING, Value(""))).filter(plain_beginning=beginning)
        return parts.filter(found)


def _after(rows: QuerySet[Interaction], cursor: Cursor) -> QuerySet[Interaction]:
    after = Q(received_at__lt=cursor.received_at) | Q(pk__lt=cursor.pk)
    return rows.filter(after, received_at__lte=cursor.received_at)
