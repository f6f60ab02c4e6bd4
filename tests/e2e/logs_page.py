"""The parts of a logs page, found as its script finds them, and what a stand-in for its channel sends."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Locator, Page

from tests.e2e.processes import STREAM_ID

__all__ = [
    "EPOCH",
    "SUBSCRIBE",
    "TICKET",
    "click",
    "count",
    "envelope",
    "field",
    "init",
    "publish_ids",
    "row",
    "rows",
    "status",
    "with_data",
]

SUBSCRIBE = f"/subscribe/{STREAM_ID}"
TICKET = "/inlive/ticket/"
EPOCH = "0123456789abcdef"
"""Of the log that the stand-in pretends to have."""


def status(page: Page) -> Locator:
    """The sentence that says how the page is connected."""
    return page.locator("[data-inlive-status]")


def rows(page: Page) -> Locator:
    """The rows, newest first."""
    return page.locator("[data-inlive-list] > li")


def row(page: Page, name: str) -> Locator:
    """The rows of one banner's name."""
    return rows(page).filter(has=page.get_by_text(name, exact=True))


def field(row: Locator, name: str) -> Locator:
    """A part of a row."""
    return row.locator(f"[data-inlive-field={name}]")


def count(page: Page) -> int:
    """How many clicks the page says there were."""
    return int(page.locator("[data-inlive-count]").get_attribute("data-inlive-count") or "")


def publish_ids(page: Page) -> list[str]:
    """The publish ids of the rows, newest first."""
    found: list[str] = rows(page).evaluate_all("rows => rows.map(row => row.dataset.inliveId)")
    return found


def init(head: int, **message: object) -> dict[str, Any]:
    """The first event of our channel."""
    message = {"token": "t", "user_id": "u", "viewer_count": 1, "head": f"{EPOCH}-{head}", "recovered": True} | message
    return envelope(type="init", message=message, id=f"{EPOCH}-{head}")


def click(seq: int, name: str, **fields: object) -> dict[str, Any]:
    """A broadcast that our channel has found to be a click."""
    message = {"name": name, "type": "banner", "action": "click", "user_id": f"u-{seq}", "time": 1_700_000_000_000}
    given: dict[str, object] = {"id": f"{EPOCH}-{seq}", "publish_id": f"publish-{seq}", "interaction": "click"}
    return envelope(message=message, **given | fields)


def envelope(**fields: object) -> dict[str, Any]:
    given = {
        "stream_id": str(STREAM_ID),
        "author_id": "0",
        "to_user_id": "",
        "message": {},
        "timestamp": 0,
        "type": "broadcast",
        "widget_key": "",
    }
    return given | fields


def with_data(html: str, name: str, value: object) -> str:
    """The page with another value of the root's `data-<name>`; underscores stand for dashes."""
    attribute = f"data-{name.replace('_', '-')}"
    without = re.sub(rf' {attribute}(="[^"]*")?(?=[ >])', "", html)
    changed = without.replace("<section ", f'<section {attribute}="{value}" ', 1)
    assert changed != without
    return changed
