"""The log as a page shows it: rows and numbers of one moment, and the position from which it goes on live."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache

from django.db import DEFAULT_DB_ALIAS
from django.utils import dateformat, timezone
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from inlive_banner.conf import settings
from inlive_banner.envelope import CLICK
from inlive_banner.figures import Figures, read_figures
from inlive_banner.models import Interaction
from inlive_banner.moment import read_at_one_moment
from inlive_banner.query import Cursor, LogQuery
from inlive_banner.rows import LogRows

__all__ = ["LABEL_WORDS", "PAGE_ROWS", "LiveLog", "LogLine", "read_live_log"]

PAGE_ROWS = 50
"""Rows on one page of the log."""

LABEL_WORDS: dict[str, str | Promise] = {
    "crawler": _("crawler"),
    "prefetch": _("prefetched"),
    "automation": _("automated browser"),
    "synthetic": _("made by a script"),
    "rate": _("too many at once"),
    "own": _("own address"),
    "staff": _("staff"),
}
"""Why a line isn't counted with what people do, in words; a label that isn't here stands for itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One line of the log."""

    publish_id: str
    """Tells the page's script which rows it already has."""
    user_id: str
    action: str
    name: str
    """The banner's name."""
    page: str
    """The path of the page the banner stood on, or ""."""
    time: datetime
    """When the visitor did it, by the visitor's own clock; the channel's where that one says nothing usable."""
    label: str = ""
    """Why it isn't counted with what people do; "" where it is."""

    @property
    def other_action(self) -> str:
        """The action where it isn't a click, else "": the line then names it."""
        return "" if self.action == CLICK else self.action

    @property
    def label_words(self) -> str:
        """The label in words, or "" where there is none."""
        return str(LABEL_WORDS.get(self.label, self.label))

    @property
    def iso_time(self) -> str:
        """The time as HTML's `datetime` takes it: UTC, milliseconds."""
        # Without USE_TZ the time is naive and means TIME_ZONE, which Django makes the process's own.
        return self.time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    @property
    def shown_time(self) -> str:
        """The time as a reader takes it: the current language and time zone."""
        local = timezone.localtime(self.time) if timezone.is_aware(self.time) else self.time
        return f"{_date_words(local.date(), get_language())}, {local:%H:%M:%S} {dateformat.format(local, 'T')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveLog:
    """The context of `inlive_banner/logs.html`: what one moment of the database says about a stream."""

    stream_id: str
    """Decimal text, as on the wire."""
    widget_key: str
    """What the page's script asks a server of the original protocol with, for its history."""
    channel_url: str
    """Where the page's script subscribes, without a trailing slash."""
    last_event_id: str
    """The position that lines and numbers were read at: what comes after it, comes live."""
    ticket: str
    """The reader's right to subscribe."""
    query: LogQuery
    """What was asked for."""
    figures: Figures
    lines: tuple[LogLine, ...]
    """Newest first."""
    older_than: Cursor | None
    """Where the next older page begins; None where there is nothing older."""
    looked_back_to: datetime | None
    """Where lines were looked for no further back, so that there may be older ones before it; else None."""
    kind: str
    """`live`; `older` for a page of older rows, and `past` for a period that is over, which both stand still."""

    @property
    def is_live(self) -> bool:
        """True where new lines come by themselves."""
        return self.kind == "live"

    @property
    def label_words(self) -> list[tuple[str, str | Promise]]:
        """Each known label, and its words for the lines that come live."""
        return list(LABEL_WORDS.items())


def read_live_log(
    query: LogQuery, *, before: Cursor | None = None, now: datetime | None = None, using: str = DEFAULT_DB_ALIAS
) -> LiveLog:
    """Read what the query asks for: the newest lines, or those older than `before`, and the numbers.

    The caller has made sure that the reader may read: the result carries a ticket.
    """
    now = now or timezone.now()
    is_over = query.period.is_over(now)

    def read(position: str) -> LiveLog:
        found = LogRows(query, using=using).page(before=before, limit=PAGE_ROWS)
        return LiveLog(
            stream_id=str(query.stream_id),
            widget_key=settings.stream(query.stream_id).widget_key,
            channel_url=settings.channel_url,
            last_event_id=position,
            ticket=settings.signer.make_ticket(query.stream_id),
            query=query,
            figures=read_figures(query, now=now, using=using),
            lines=tuple(_line(row) for row in found.rows),
            older_than=found.older,
            looked_back_to=found.looked_back_to,
            kind="past" if is_over else "live" if before is None else "older",
        )

    return read_at_one_moment(query.stream_id, read, using=using)


@lru_cache(maxsize=100)
def _date_words(date: date, language: str | None) -> str:  # noqa: ARG001  (what is cached, is so for a language)
    return date_format(date)


def _line(row: Interaction) -> LogLine:
    return LogLine(
        publish_id=row.publish_id,
        user_id=row.user_id,
        action=row.action,
        name=row.name,
        page=row.page,
        time=row.visitor_time or row.received_at,
        label=row.label,
    )
