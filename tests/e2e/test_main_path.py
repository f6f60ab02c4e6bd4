"""The main job, end to end: a visitor's click on the demo site's banner shows on an open logs page and is recorded.

Site (plain WSGI), channel and worker are three processes; the pages are the demo's own.
"""

from __future__ import annotations

from typing import Any

from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.banner_pages import banner, banner_page
from tests.e2e.browser import Complaints
from tests.e2e.client import stored_broadcasts
from tests.e2e.logs_page import count, publish_ids, row, rows, status
from tests.e2e.origin import Origin
from tests.e2e.processes import Demo
from tests.polling import wait_until

SALE = "[data-inlive-banner=summer-sale]"
"""The demo's banner that stays in its tab."""


def open_logs(context: BrowserContext, demo: Demo) -> Page:
    """An open, live logs page."""
    page = context.new_page()
    page.goto(demo.logs_url)
    expect(status(page)).to_have_attribute("data-state", "live")
    return page


def recorded(demo: Demo) -> list[str]:
    """The publish ids of all rows in the database, newest first."""
    rows = demo.query("SELECT publish_id FROM inlive_banner_interaction ORDER BY id DESC")
    return [publish_id for (publish_id,) in rows]


def rolled_up(demo: Demo) -> int:
    """The clicks that the rollups have counted."""
    kind = "action = 'click' AND dimension = 'all' AND span = 0"
    [(total,)] = demo.query(f"SELECT COALESCE(SUM(count), 0) FROM inlive_banner_rollup WHERE {kind}")
    clicks: int = total
    return clicks


def stored(demo: Demo) -> list[str]:
    """The publish ids of all that the channel has stored, newest first."""
    return [envelope["publish_id"] for envelope in reversed(stored_broadcasts(demo.channel_url))]


def all_recorded(demo: Demo) -> list[str]:
    """Wait until the worker has recorded all that the channel has stored; returns the publish ids, newest first."""
    wait_until(lambda: recorded(demo) == stored(demo), deadline_seconds=20, what="the worker to catch up")
    return recorded(demo)


def test_click_shows_at_once_on_open_logs_and_is_recorded_once(
    page: Page, context: BrowserContext, channel: str, site: str, worker: None, demo: Demo
) -> None:
    logs = open_logs(context, demo)
    clicks, listed = count(logs), rows(logs).count()
    page.goto(site)

    with context.expect_page():
        page.locator("[data-inlive-banner=demo-banner]").click()

    expect(rows(logs)).to_have_count(listed + 1, timeout=1000)
    assert count(logs) == clicks + 1
    newest = publish_ids(logs)[0]
    assert all_recorded(demo).count(newest) == 1
    assert rolled_up(demo) == len(recorded(demo))


def test_click_that_leaves_its_page_is_recorded_once(
    page: Page, context: BrowserContext, channel: str, site: str, worker: None, demo: Demo
) -> None:
    logs = open_logs(context, demo)
    clicks, before = count(logs), row(logs, "summer-sale").count()
    page.goto(site)

    page.locator(SALE).click()

    expect(page).to_have_url(f"{site}/offers/")
    expect(row(logs, "summer-sale")).to_have_count(before + 1, timeout=1000)
    assert count(logs) == clicks + 1
    assert all_recorded(demo).count(publish_ids(logs)[0]) == 1


def test_reloaded_logs_show_each_click_once_and_the_same_number(
    page: Page, context: BrowserContext, channel: str, site: str, worker: None, demo: Demo
) -> None:
    logs = open_logs(context, demo)
    before = count(logs)
    page.goto(site)
    for _ in range(3):
        page.locator(SALE).click(modifiers=["Control"])
    wait_until(lambda: count(logs) == before + 3, what="the clicks on the open page")
    shown, total = publish_ids(logs), count(logs)
    words = rows(logs).all_inner_texts()

    # Once while the worker may still be behind, so that part comes live; once when all is recorded.
    for _ in range(2):
        logs.reload()
        expect(rows(logs)).to_have_count(len(shown))
        wait_until(lambda: count(logs) == total, what="the same number")
        assert publish_ids(logs) == shown
        assert rows(logs).all_inner_texts() == words
        assert all_recorded(demo)[: len(shown)] == shown


def test_killed_channel_comes_back_and_no_acknowledged_click_is_lost_or_doubled(
    page: Page,
    context: BrowserContext,
    complaints: Complaints,
    own_demo: Demo,
    origin: Origin,
    page_token: str,
) -> None:
    """kill -9 while both pages stay open and the visitor goes on clicking."""
    # No connection, or one that was cut off between the head and the body of an answer.
    complaints.allow(r"inlive-banner: (TypeError|Status 200, and no whole answer)|net::ERR_")
    page.goto(origin.page("/", banner_page(banner("steady", channel=own_demo.channel_url, token=page_token))))

    def click(times: int) -> None:
        for _ in range(times):
            page.get_by_text("Banner").click()

    def told(kind: str, count: int) -> list[dict[str, Any]]:
        page.wait_for_function(f"count => {kind}.length >= count", arg=count, timeout=20_000)
        details: list[dict[str, Any]] = page.evaluate(kind)
        return details

    with own_demo.site(), own_demo.worker():
        with own_demo.channel() as channel:
            logs = open_logs(context, own_demo)
            before = count(logs)
            click(10)
            told("published", 5)
            click(5)
            channel.kill()
            click(5)
            expect(status(logs)).to_have_attribute("data-state", "reconnecting")
        with own_demo.channel():
            click(5)
            acknowledged = {detail["publishId"] for detail in told("published", 25)}

            expect(status(logs)).to_have_attribute("data-state", "live", timeout=20_000)
            wait_until(lambda: count(logs) == before + 25, deadline_seconds=20, what="all clicks on the open page")
            ids = all_recorded(own_demo)

    assert len(acknowledged) == 25
    assert len(ids) == len(set(ids)), "recorded once"
    assert acknowledged <= set(ids)
    assert publish_ids(logs) == ids[: len(publish_ids(logs))], "the page shows what is recorded, in its order"
    assert rolled_up(own_demo) == len(ids) == before + 25
