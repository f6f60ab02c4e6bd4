"""The parts of a logs page, found as its script finds them."""

from __future__ import annotations

from playwright.sync_api import Locator, Page

__all__ = ["count", "field", "publish_ids", "row", "rows", "status"]


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
