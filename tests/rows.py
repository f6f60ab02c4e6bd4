"""Rows as the worker would have written them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from inlive_banner.models import Interaction

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
