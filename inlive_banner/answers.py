"""The numbers of a period as JSON has them. `docs/api.schema.json` describes the shape."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from inlive_banner.buckets import Buckets
from inlive_banner.counts import Bar
from inlive_banner.figures import Figures, Totals
from inlive_banner.periods import Period
from inlive_banner.query import LogQuery

__all__ = ["figures_fields"]


def figures_fields(query: LogQuery, figures: Figures) -> dict[str, Any]:
    """What was asked, and its numbers. None stands for what can't be said of this question."""
    return {
        "stream_id": f"{query.stream_id}",
        "action": query.counted_action,
        "who": query.who,
        "period": _period(query.period),
        "totals": _totals(figures.totals),
        "has_more": figures.has_more,
        "before": figures.before and _totals(figures.before),
        "left_out": figures.left_out,
        "visitors": figures.visitors,
        "visitors_before": figures.visitors_before,
        "buckets": figures.buckets and _buckets(figures.buckets),
        "banners": _bars(figures.banners),
        "pages": _bars(figures.pages),
    }


def _period(period: Period) -> dict[str, Any]:
    return {"key": period.key, "since": _iso(period.since), "until": _iso(period.until), "zone": f"{period.zone}"}


def _totals(totals: Totals) -> dict[str, Any]:
    return {
        "clicks": totals.clicks,
        "views": totals.views,
        "viewed": totals.viewed,
        "clicks_without_view": totals.clicks_without_view,
        "click_rate": totals.click_rate,
    }


def _buckets(buckets: Buckets) -> dict[str, Any]:
    items = [{"start": _iso(bucket.start), "count": bucket.count} for bucket in buckets.items]
    return {"unit": buckets.unit, "until": _iso(buckets.until), "items": items}


def _bars(bars: Iterable[Bar] | None) -> list[dict[str, Any]] | None:
    return None if bars is None else [{"value": bar.value, "count": bar.count} for bar in bars]


def _iso(moment: datetime | None) -> str | None:
    """Of whole seconds, which these all have."""
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
