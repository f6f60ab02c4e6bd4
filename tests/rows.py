"""Rows as the worker would have written them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connections

from inlive_banner.models import Interaction, Rollup
from inlive_banner.tail.inserting import add_counts

KEPT_PAIRS = [
    (dimension, span)
    for dimension in ("all", "banner", "page")
    for span in (0, 60, 900, 86_400, 2_592_000)
    if (dimension, span) != ("page", 60)
]
"""Dimension and span of the counts that are kept."""

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def make_interaction(number: int, **overrides: Any) -> Interaction:
    """The stream's interaction with this number, a second after the one before; not saved."""
    time = NOON + timedelta(seconds=number, milliseconds=250)
    values = {
        "stream_id": 15,
        "event_id": f"a1b2c3d4-{number}",
        "publish_id": f"publish-{number:03}",
        "name": "sale",
        "action": "click",
        "user_id": f"visitor-{number}",
        "author_id": f"author-{number}",
        "page": "/",
        "visitor_time": time,
        "received_at": time + timedelta(milliseconds=500),
    }
    return Interaction(**(values | overrides))


def save_rollups(count: int, *, time: datetime = NOON, using: str = "default", **overrides: Any) -> None:
    """Count so many interactions of one kind at one time, as the worker would have done it."""
    values = {"stream_id": 15, "name": "sale", "page": "/", "action": "click", "label": "", "viewed": 0} | overrides
    by = {"all": "", "banner": values.pop("name"), "page": values.pop("page")}
    rollups = [
        {
            **values,
            "dimension": dimension,
            "value": by[dimension],
            "span": span,
            "start": start_of(time, span),
            "count": count,
        }
        for dimension, span in KEPT_PAIRS
    ]
    add_counts(connections[using], Rollup, rollups, added=("count", "viewed"))


def start_of(time: datetime, span: int) -> datetime:
    """When the span of so many seconds began that the time lies in; 0 and 2,592,000 stand for all time and a month."""
    if span == 0:
        return datetime(1970, 1, 1, tzinfo=UTC)
    if span == 2_592_000:
        return datetime(time.astimezone(UTC).year, time.astimezone(UTC).month, 1, tzinfo=UTC)
    return datetime.fromtimestamp(time.timestamp() // span * span, UTC)


def assert_rollups_count(counted: Iterable[Any], *, using: str = "default", minutes: bool = True) -> None:
    """See that each pair of dimension and span counts each interaction once: rows, and the views that have none.

    Without `minutes` those may be there or not, as where old ones were forgotten.
    """
    interactions = list(counted)
    pairs = [pair for pair in KEPT_PAIRS if minutes or pair[1] != 60]
    expected: dict[tuple[Any, ...], tuple[int, int]] = {}
    for row in interactions:
        values = {"all": "", "banner": row.name, "page": row.page if len(row.page) <= 400 else f"{row.page[:399]}…"}
        for dimension, span in pairs:
            start = start_of(row.received_at, span)
            key = (getattr(row, "stream_id", 15), dimension, span, values[dimension], row.action, row.label, start)
            count, viewed = expected.get(key, (0, 0))
            expected[key] = (count + 1, viewed + row.viewed)
    keys = ("stream_id", "dimension", "span", "value", "action", "label", "start", "count", "viewed")
    found = {
        tuple(key): (count, viewed)
        for *key, count, viewed in Rollup.objects.using(using).values_list(*keys)
        if minutes or key[2] != 60
    }
    assert found == expected
