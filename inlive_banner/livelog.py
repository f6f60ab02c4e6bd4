"""The log as a page shows it: its newest rows and total, and the position from which it goes on live."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from inlive_banner.conf import settings
from inlive_banner.envelope import CLICK
from inlive_banner.models import Interaction, Position
from inlive_banner.snapshot import Totals

__all__ = ["LABEL_WORDS", "PAGE_ROWS", "LiveLog", "LogLine", "parse_before", "read_live_log"]

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

_ROW_ID = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
_MAX_ROW_ID = 2**63 - 1


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
    """The position that lines and total were read at: what comes after it, comes live."""
    ticket: str
    """The reader's right to subscribe."""
    shows_everything: bool
    """True where what isn't people's is shown and counted too."""
    totals: Totals
    """What is recorded up to the position: of people, or of everything."""
    left_out: int
    """Clicks that aren't in the totals, because they aren't people's."""
    visitors: int
    """People who clicked: each counts once a banner and UTC day."""
    lines: tuple[LogLine, ...]
    """Newest first."""
    older_than: int | None
    """The row that the next older page ends before; None where the oldest line is shown."""
    is_newest: bool
    """False for a page of older rows, which stands still."""

    @property
    def has_more_numbers(self) -> bool:
        """True where there is more to tell than clicks."""
        return bool(self.visitors or self.totals.views)

    @property
    def click_rate(self) -> float | None:
        """Of a hundred views, those that led to a click: 0 to 100. None where no view was counted."""
        totals = self.totals
        # A view can get lost where its click doesn't, but no page has more than all of its views clicked.
        return min(100 * totals.viewed / totals.views, 100.0) if totals.views else None

    @property
    def clicks_without_view(self) -> int:
        """Clicks that aren't in the click rate: further ones on one view, and those before a view was counted."""
        return max(self.totals.clicks - self.totals.viewed, 0)

    @property
    def label_words(self) -> list[tuple[str, str | Promise]]:
        """Each known label, and its words for the lines that come live."""
        return list(LABEL_WORDS.items())


def read_live_log(stream_id: int, *, before: int | None = None, everything: bool = False) -> LiveLog:
    """Read a stream's newest lines, or those older than the row `before`. Two queries, both by index.

    People's only, unless `everything` is asked for.

    The caller has made sure that the reader may read: the result carries a ticket.
    """
    snapshot = Position.objects.snapshot(stream_id)
    # Rows up to newest_id are the snapshot's, so a batch that is recorded meanwhile isn't shown twice: it
    # comes live, after the snapshot's position.
    rows = Interaction.objects.filter(stream_id=stream_id, pk__lte=snapshot.newest_id).order_by("-pk")
    if not everything:
        rows = rows.filter(label="")
    if before is not None:
        rows = rows.filter(pk__lt=before)
    found = list(rows[: PAGE_ROWS + 1])
    shown = found[:PAGE_ROWS]
    return LiveLog(
        stream_id=str(stream_id),
        widget_key=settings.stream(stream_id).widget_key,
        channel_url=settings.channel_url,
        last_event_id=snapshot.last_event_id,
        ticket=settings.signer.make_ticket(stream_id),
        shows_everything=everything,
        totals=snapshot.everything if everything else snapshot.people,
        left_out=0 if everything else snapshot.everything.clicks - snapshot.people.clicks,
        visitors=snapshot.visitors,
        lines=tuple(_line(row) for row in shown),
        older_than=shown[-1].pk if len(found) > PAGE_ROWS else None,
        is_newest=before is None,
    )


def parse_before(text: str | None) -> int | None:
    """Read `?before=`; None for anything that can't be a row's number, which then shows the newest."""
    if text is None or not _ROW_ID.fullmatch(text) or int(text) > _MAX_ROW_ID:
        return None
    return int(text)


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
