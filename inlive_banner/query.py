"""What a reader asks of the log: a stream, filters, a period; and the rows that answer it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from django.db import DEFAULT_DB_ALIAS
from django.db.models import Q, QuerySet, Sum, Value
from django.db.models.functions import Concat, Length, Substr
from django.utils import timezone as django_timezone

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
from inlive_banner.periods import Period, parse_period, parse_zone

__all__ = ["EVERYTHING", "OTHERS", "PARAMETERS", "PEOPLE", "Cursor", "LogQuery", "parse_query"]

PARAMETERS = ("period", "from", "to", "banner", "action", "user", "path", "who", "bots", "before")
"""What an address may say of a log. Not `page`, which is what pages of other lists are called."""

PEOPLE, EVERYTHING, OTHERS = "people", "everything", "others"
"""Whose interactions are meant: people's; all; all but people's."""

_CURSOR = re.compile(r"([0-9]{1,18})-([1-9][0-9]{0,18})", re.ASCII)
_MAX_ROW_ID = 2**63 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)  # noqa: UP017  (the name UTC would hide Django's timezone)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """A place in the log's order, next to a row: where a page of older rows begins."""

    received_at: datetime
    """Aware."""
    pk: int

    @classmethod
    def of(cls, row: Interaction) -> Cursor:
        """The place of a row."""
        time = row.received_at
        return cls(received_at=time if django_timezone.is_aware(time) else django_timezone.make_aware(time), pk=row.pk)

    @classmethod
    def parse(cls, text: str | None) -> Cursor | None:
        """Read what `str` gives; None for anything else."""
        match = _CURSOR.fullmatch(text or "")
        if match is None or int(match[2]) > _MAX_ROW_ID:
            return None
        try:
            return cls(received_at=_EPOCH + timedelta(microseconds=int(match[1])), pk=int(match[2]))
        except OverflowError:
            return None

    def __str__(self) -> str:
        return f"{(self.received_at - _EPOCH) // _MICROSECOND}-{self.pk}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogQuery:
    """One question to the log. Text that is "" isn't asked for."""

    stream_id: int
    banner: str = ""
    """The banner's name, whole."""
    action: str = ""
    user: str = ""
    """A user's id as the message has it, whole."""
    page: str = ""
    """The path of a page, whole; or as `rollup_value` cuts it, which means all that begin so."""
    who: str = PEOPLE
    """`PEOPLE`, `EVERYTHING` or `OTHERS`."""
    period: Period = field(default_factory=Period)

    @property
    def counted_action(self) -> str:
        """The action that the numbers count: a click where no other is asked for."""
        return self.action or CLICK

    @property
    def series(self) -> tuple[Dimension, str] | None:
        """What rollups it is counted by, as (dimension, value); None where no rollup counts it."""
        if self.user or (self.banner and self.page) or (self.page and self.period.key == "hour"):
            return None
        if self.banner:
            return Dimension.BANNER, rollup_value(self.banner)
        if self.page:
            # Pages aren't counted by the minute, and very long ones together with others that begin the same.
            is_counted = self.period.key != "hour" and len(self.page) <= LONGEST_VALUE
            return (Dimension.PAGE, self.page) if is_counted else None
        return Dimension.ALL, ""

    @property
    def labels(self) -> Q:
        """The condition on `label` that says whose interactions are meant."""
        if self.who == EVERYTHING:
            return Q()
        return Q(label="") if self.who == PEOPLE else ~Q(label="")

    def means(self, label: str) -> bool:
        """Whether what has this label is meant."""
        return self.who == EVERYTHING or (label == "") == (self.who == PEOPLE)

    def rows(self, *, using: str = DEFAULT_DB_ALIAS) -> QuerySet[Interaction]:
        """The rows, newest first by the channel's clock. Read by index, whatever is asked for."""
        rows = Interaction.objects.using(using).filter(stream_id=self.stream_id)
        narrowest = self._narrowest(using)
        if narrowest == "":
            # In the words of the indexes that have these rows alone.
            rows = rows.filter(self.labels)
            is_rare = self.action not in ("", CLICK)
            rows = rows.filter(~Q(action=CLICK)) if is_rare else rows.filter(pk__gt=0)
        elif self.who != EVERYTHING:
            rows = unindexed(rows, "label", "", is_equal=self.who == PEOPLE)
        for name, value in (("name", self.banner), ("user_id", self.user), ("action", self.action)):
            if value:
                rows = rows.filter(**{name: value}) if narrowest in ("", name) else unindexed(rows, name, value)
        if self.page:
            rows = self._on_page(rows, by_index=narrowest == "page")
        if self.period.since:
            rows = rows.filter(received_at__gte=self.period.since)
        if self.period.until:
            rows = rows.filter(received_at__lt=self.period.until)
        return rows.order_by("-received_at", "-pk")

    def _narrowest(self, using: str) -> str:
        """The field to read along: of several that are asked for the one with the fewest rows, as far as is known.

        A database that has never been analyzed, as SQLite's mostly, would take any.
        """
        if self.user:
            return "user_id"
        if self.banner and self.page:
            ever = Rollup.objects.using(using).filter(stream_id=self.stream_id, span=Span.EVER)
            banner = ever.filter(dimension=Dimension.BANNER, value=rollup_value(self.banner))
            page = ever.filter(dimension=Dimension.PAGE, value=rollup_value(self.page))
            counts = [found.aggregate(total=Sum("count"))["total"] or 0 for found in (banner, page)]
            return "name" if counts[0] < counts[1] else "page"
        return "name" if self.banner else "page" if self.page else ""

    def older(self, cursor: Cursor, *, using: str = DEFAULT_DB_ALIAS) -> QuerySet[Interaction]:
        """The rows after the cursor in their order, so older than its row."""
        after = Q(received_at__lt=cursor.received_at) | Q(pk__lt=cursor.pk)
        return self.rows(using=using).filter(after, received_at__lte=cursor.received_at)

    def _on_page(self, rows: QuerySet[Interaction], *, by_index: bool) -> QuerySet[Interaction]:
        # Compared in two parts: where it also says that the page is this one, SQLite puts that into the expression of
        # the index, and doesn't know it again.
        beginning, rest = self.page[:INDEXED_PAGE], self.page[INDEXED_PAGE:]
        indexed = PAGE_BEGINNING if by_index else Concat(PAGE_BEGINNING, Value(""))
        parts = rows.alias(page_beginning=indexed, page_rest=Substr("page", INDEXED_PAGE + 1))
        found = Q(page_rest=rest)
        if len(self.page) == LONGEST_VALUE and rollup_value(f"{self.page}…") == self.page:
            cut = Substr("page", INDEXED_PAGE + 1, len(rest) - 1)
            parts = parts.alias(page_cut=cut, page_length=Length("page"))
            found |= Q(page_cut=rest[:-1], page_length__gt=LONGEST_VALUE)
        return parts.filter(found, page_beginning=beginning)

    def params(self) -> dict[str, str]:
        """What an address says to ask the same of its stream, in a fixed order."""
        filters = {"banner": self.banner, "action": self.action, "user": self.user, "path": self.page}
        params = {**self.period.params(), **{key: value for key, value in filters.items() if value}}
        return params if self.who == PEOPLE else {**params, "who": self.who}


def parse_query(params: Mapping[str, str], stream_id: int, *, now: datetime | None = None) -> LogQuery:
    """Read an address's parameters: `period`, `from`, `to`, `tz`, `banner`, `action`, `user`, `path`, `who`.

    What can't be meant isn't asked for: an unknown period means all time, an unknown zone the site's own.
    """
    zone = parse_zone(params.get("tz"), django_timezone.get_current_timezone())
    who = params.get("who", "")
    if params.get("bots") == "1":  # as the address said it before there were more filters
        who = who or EVERYTHING
    # Blanks stay: names may begin or end with them, and links from the lists of names have to find these.
    banner, action, user, page = (params.get(key, "").replace("\0", "") for key in ("banner", "action", "user", "path"))
    return LogQuery(
        stream_id=stream_id,
        who=who if who in (EVERYTHING, OTHERS) else PEOPLE,
        period=parse_period(params, zone=zone, now=now or django_timezone.now()),
        banner=banner,
        action=action,
        user=user,
        page=page,
    )
