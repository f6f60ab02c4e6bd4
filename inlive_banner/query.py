"""What a reader asks of the log: a stream, filters, a period."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from django.db.models import Q
from django.utils import timezone as django_timezone

from inlive_banner.envelope import CLICK
from inlive_banner.models import LONGEST_VALUE, Dimension, Interaction, rollup_value
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
        return cls.at(row.received_at, row.pk)

    @classmethod
    def at(cls, received_at: datetime, pk: int) -> Cursor:
        """The place of the row that has these; without `USE_TZ` the database gives naive times."""
        aware = received_at if django_timezone.is_aware(received_at) else django_timezone.make_aware(received_at)
        return cls(received_at=aware, pk=pk)

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
        # Pages aren't counted by the minute.
        if self.user or (self.banner and self.page) or (self.page and self.period.key == "hour"):
            return None
        if self.banner:
            return Dimension.BANNER, rollup_value(self.banner)
        if self.page:
            # Very long ones are counted together with others that begin the same.
            return (Dimension.PAGE, self.page) if len(self.page) <= LONGEST_VALUE else None
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
