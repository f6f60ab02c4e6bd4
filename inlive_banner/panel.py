"""What the log's templates show around its lines: filters and where they lead, the chart, the lists."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.db import DEFAULT_DB_ALIAS
from django.http import QueryDict
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from inlive_banner.chart import make_chart
from inlive_banner.counts import Bar
from inlive_banner.envelope import CLICK
from inlive_banner.livelog import LiveLog
from inlive_banner.models import Dimension, Rollup, Span
from inlive_banner.periods import CUSTOM, PERIOD_WORDS
from inlive_banner.query import EVERYTHING, OTHERS, PARAMETERS, PEOPLE, LogQuery

__all__ = ["WHO_WORDS", "Link", "TopLine", "offered_values", "panel_context"]

OFFERED = 200
"""Banners and pages that the filters offer; others can be typed."""
_OFFERED_OF = timedelta(days=62)

WHO_WORDS: dict[str, str | Promise] = {
    PEOPLE: _("People"),
    EVERYTHING: _("Everything"),
    OTHERS: _("Not people"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One of several ways to look at the log."""

    words: str
    url: str
    is_current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TopLine:
    """A banner or page of those that had most, and where it leads: to its own clicks."""

    value: str
    count: int
    share: float
    """Of the first one's count, 0 to 100."""
    url: str


def panel_context(log: LiveLog, params: QueryDict, *, using: str = DEFAULT_DB_ALIAS) -> dict[str, Any]:
    """The values that `inlive_banner/logs.html` needs beside the log itself."""
    query, figures = log.query, log.figures
    address = _Address(params, query)
    return {
        "chart": make_chart(figures.buckets) if figures.buckets and figures.buckets.items else None,
        "tops": [
            {"key": key, "title": title, "parameter": parameter, "lines": _top_lines(bars, parameter, address)}
            for key, title, parameter, bars in (
                ("banners", _("Banners"), "banner", figures.banners),
                ("pages", _("Pages"), "path", figures.pages),
            )
            if bars
        ],
        "periods": [
            Link(words=str(words), url=address.url(period=key), is_current=query.period.key == key)
            for key, words in PERIOD_WORDS.items()
            if key != CUSTOM
        ],
        "whose": [
            Link(words=str(words), url=address.url(who="" if key == PEOPLE else key), is_current=query.who == key)
            for key, words in WHO_WORDS.items()
        ],
        "filters": _active_filters(query, address),
        "is_unfiltered": not query.params(),
        "choices": offered_values(query.stream_id, using=using),
        "kept": address.foreign,
        "older_url": address.url(before=str(log.older_than)) if log.older_than else "",
        "newest_url": address.url(),
        "clear_url": address.url(banner="", action="", user="", path="", period="", who=""),
        "everything_url": address.url(who=EVERYTHING),
        "query_string": urlencode(query.params()),
    }


class _Address:
    """The page's own address with other parameters. What isn't ours stays in it."""

    def __init__(self, params: QueryDict, query: LogQuery) -> None:
        self.foreign = [(key, value) for key, values in params.lists() if key not in PARAMETERS for value in values]
        self._ours = query.params()

    def url(self, **changes: str) -> str:
        """Relative; of a page that is the newest unless `before` is among the changes."""
        ours = {key: value for key, value in {**self._ours, **changes}.items() if value}
        if "period" in changes:
            ours.pop("from", None)
            ours.pop("to", None)
        return f"?{urlencode([*self.foreign, *ours.items()])}"


def _active_filters(query: LogQuery, address: _Address) -> list[dict[str, str]]:
    """Each filter that is set, in words, with where it leads to take it away."""
    found: list[tuple[str, str | Promise, str]] = [
        ("banner", _("Banner"), query.banner),
        ("action", _("Action"), query.action),
        ("user", _("User"), query.user),
        ("path", _("Page"), query.page),
    ]
    return [
        {"words": str(words), "value": value, "url": address.url(**{key: ""})} for key, words, value in found if value
    ]


def _top_lines(bars: Iterable[Bar], parameter: str, address: _Address) -> list[TopLine]:
    lines = list(bars)
    most = max((line.count for line in lines), default=0) or 1
    return [
        TopLine(
            value=line.value,
            count=line.count,
            share=round(100 * line.count / most, 2),
            url=address.url(**{parameter: line.value}) if line.value else "",
        )
        for line in lines
    ]


def offered_values(stream_id: int, *, using: str = DEFAULT_DB_ALIAS) -> dict[str, list[str]]:
    """What the filters offer: all actions, and some of what was clicked this month and the one before."""
    rollups = Rollup.objects.using(using).filter(stream_id=stream_id).order_by()
    actions = rollups.filter(dimension=Dimension.ALL, value="", span=Span.EVER).values_list("action", flat=True)
    lately = rollups.filter(span=Span.MONTH, action=CLICK, label="", start__gte=timezone.now() - _OFFERED_OF)
    offered = {
        name: lately.filter(dimension=dimension).values_list("value", flat=True)[:OFFERED]
        for name, dimension in (("banners", Dimension.BANNER), ("pages", Dimension.PAGE))
    }
    return {"actions": sorted(set(actions)), **{name: sorted({*values} - {""}) for name, values in offered.items()}}
