"""Periods of time as people name them: today, the last seven days, from this day to that one, in the reader's zone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import TypeAlias
from zoneinfo import ZoneInfo

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

__all__ = ["ALL", "CUSTOM", "PERIOD_WORDS", "Period", "parse_period", "parse_zone"]

ALL = ""
"""The period of everything that is recorded."""
CUSTOM = "custom"
"""From a day to a day, both included."""

PERIOD_WORDS: dict[str, str | Promise] = {
    ALL: _("All time"),
    "hour": _("Last hour"),
    "today": _("Today"),
    "yesterday": _("Yesterday"),
    "7d": _("Last 7 days"),
    "30d": _("Last 30 days"),
    CUSTOM: _("From … to …"),
}
"""The periods that a reader may choose, in the order in which they are offered."""

_DAYS = {"today": (0, 0), "yesterday": (1, 1), "7d": (6, 0), "30d": (29, 0)}
"""How many days before today each begins, and ends."""

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_ZONE = re.compile(r"[A-Za-z0-9_+-]{1,32}(/[A-Za-z0-9_+-]{1,32}){0,2}", re.ASCII)
_EARLIEST, _LATEST = date(1990, 1, 1), date(2900, 1, 1)

_Moments: TypeAlias = tuple[datetime | None, datetime | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A time with its beginning and without its end; everything where it has neither."""

    key: str = ALL
    """One of `PERIOD_WORDS`."""
    since: datetime | None = None
    """Aware, UTC; on a quarter hour, but for the last hour's, which is on a minute."""
    until: datetime | None = None
    """Aware, UTC; as `since`. It may lie ahead: today ends at midnight."""
    before: _Moments = (None, None)
    """The period of the same length that ends where this one begins, as (since, until)."""
    zone: tzinfo = UTC
    """Where days begin and end as the reader means them."""
    first_day: date | None = None
    """The first day, in the zone; None where the period isn't one of days."""
    last_day: date | None = None
    """The last day, in the zone; None as before."""

    @property
    def words(self) -> str:
        """The period in words."""
        return str(PERIOD_WORDS[self.key])

    @property
    def since_ms(self) -> int | None:
        """`since` in Unix milliseconds."""
        return int(self.since.timestamp() * 1000) if self.since else None

    @property
    def until_ms(self) -> int | None:
        """`until` in Unix milliseconds."""
        return int(self.until.timestamp() * 1000) if self.until else None

    def is_over(self, now: datetime) -> bool:
        """True where nothing can come any more."""
        return self.until is not None and self.until <= now

    def params(self) -> dict[str, str]:
        """What an address says to mean this period; empty for everything."""
        params = {"period": self.key} if self.key else {}
        if self.key == CUSTOM:
            params |= {"from": f"{self.first_day}", "to": f"{self.last_day}"}
        return params


def parse_period(params: Mapping[str, str], *, zone: tzinfo, now: datetime) -> Period:
    """Read `period`, `from` and `to` of an address. What can't be meant means everything.

    `now` is aware. Of a custom period one day may be missing, which then is the other one; days that are the wrong way
    round are exchanged.
    """
    key = params.get("period", ALL)
    today = now.astimezone(zone).date()
    days = [day for name in ("from", "to") if (day := _parse_date(params.get(name, "")))]
    if days:  # whatever period was chosen before they were
        return _days(CUSTOM, min(days), max(days), zone)
    if key == "hour":
        minute = now.astimezone(UTC).replace(second=0, microsecond=0)
        since = minute - timedelta(minutes=59)
        # Goes on while the page is open: as long again, then it begins anew.
        until = since + timedelta(hours=2)
        return Period(key=key, since=since, until=until, before=(since - timedelta(hours=1), since), zone=zone)
    if key in _DAYS:
        first, last = (today - timedelta(days=days) for days in _DAYS[key])
        return _days(key, first, last, zone)
    return Period(zone=zone)


def parse_zone(text: str | None, default: tzinfo) -> tzinfo:
    """The time zone of that name (IANA), or the default where there is none of that name."""
    if not text or not _ZONE.fullmatch(text):
        return default
    try:
        return ZoneInfo(text)
    except (LookupError, OSError, ValueError):  # unknown, a folder, or not a zone's file
        return default


def _days(key: str, first: date, last: date, zone: tzinfo) -> Period:
    length = last - first + timedelta(days=1)
    since, until = _midnight(first, zone), _midnight(last + timedelta(days=1), zone)
    before = (_midnight(first - length, zone), since)
    return Period(key=key, since=since, until=until, before=before, zone=zone, first_day=first, last_day=last)


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _parse_date(text: str) -> date | None:
    if not _DATE.fullmatch(text):
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if _EARLIEST <= day <= _LATEST else None
