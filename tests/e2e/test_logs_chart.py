"""The chart and the lists of a logs page, as clicks come; and the reader's time zone."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.client import publish_click
from tests.e2e.logs_page import click, count, init, row, rows
from tests.e2e.origin import Answer
from tests.e2e.processes import Demo


@pytest.fixture
def recorded(demo: Demo, channel: str, page_token: str) -> Callable[..., None]:
    """Has so many clicks on each banner recorded, before the page is rendered."""

    def record(**clicks: int) -> None:
        for name, number in clicks.items():
            for _ in range(number):
                publish_click(channel, page_token, name, page=f"/{name}/")
        demo.manage("tail_inlive_clicks", "--once")

    return record


def live(seq: int, name: str, **fields: Any) -> dict[str, Any]:
    """A click of now."""
    envelope = click(seq, name, received_at=int(time.time() * 1000), **fields)
    envelope["message"]["page"] = f"/{name}/"
    return envelope


def charted(page: Page) -> int:
    """The clicks in the table behind the chart."""
    total: int = page.locator("[data-inlive-chart] tr[data-count]").evaluate_all(
        "rows => rows.reduce((sum, row) => sum + Number(row.dataset.count), 0)"
    )
    return total


def listed(page: Page, parameter: str) -> list[tuple[str, str]]:
    """The lines of a list: (value, count)."""
    lines = page.locator(f"[data-inlive-most={parameter}] li")
    return [(line.locator("a").inner_text(), line.locator("b").inner_text()) for line in lines.all()]


def test_chart_and_lists_go_on_with_each_click(
    page: Page, stand_in: Callable[..., str], recorded: Callable[..., None], name: str
) -> None:
    often, rarely = f"{name}-often", f"{name}-rarely"
    recorded(**{often: 2, rarely: 1})
    query = "?period=today&tz=Asia/Jakarta"
    page.goto(stand_in(Answer.events(init(0)), query=query))
    before, charted_before = count(page), charted(page)
    mine = [line for line in listed(page, "banner") if line[0].startswith(name)]
    assert mine == [(often, "2"), (rarely, "1")]
    assert before == charted_before >= 3

    events = [live(1, rarely), live(2, rarely), live(3, rarely, label="staff")]
    page.goto(stand_in(Answer.events(init(0), *events), query=query))

    expect(row(page, rarely)).to_have_count(3)  # the one of before, and two of three
    assert count(page) == charted(page) == before + 2
    mine = [line for line in listed(page, "banner") if line[0].startswith(name)]
    assert mine == [(rarely, "3"), (often, "2")]
    assert (f"/{rarely}/", "3") in listed(page, "path")


def test_bars_follow_the_table_and_their_top_grows(
    page: Page, stand_in: Callable[..., str], recorded: Callable[..., None], name: str
) -> None:
    recorded(**{name: 1})
    events = [live(seq, name) for seq in range(1, 41)]
    page.goto(stand_in(Answer.events(init(0), *events), query=f"?period=today&tz=Asia/Jakarta&banner={name}"))
    expect(rows(page)).to_have_count(41)

    highest = page.locator("[data-inlive-chart] rect").evaluate_all(
        "bars => Math.max(...bars.map((bar) => Number(bar.getAttribute('height'))))"
    )

    counts = page.locator("[data-inlive-chart] tr[data-count]").evaluate_all("r => r.map((x) => +x.dataset.count)")
    top = float(page.locator("[data-inlive-top]").inner_text().replace(",", ""))
    assert top >= max(counts)
    assert highest == pytest.approx(100 * max(counts) / top)
    assert sum(counts) == 41


def test_minutes_go_on_after_the_page_was_made(
    page: Page, stand_in: Callable[..., str], recorded: Callable[..., None], name: str
) -> None:
    recorded(**{name: 1})
    late = live(1, name)
    late["received_at"] += 3 * 60_000
    page.goto(stand_in(Answer.events(init(0), late), query=f"?period=hour&banner={name}"))
    expect(rows(page)).to_have_count(2)

    bars = page.locator("[data-inlive-chart] tr[data-count]")

    assert bars.count() in (63, 64)  # a minute may have begun meanwhile
    assert bars.last.get_attribute("data-count") == "1"
    assert page.locator("[data-inlive-chart] rect").count() == bars.count()


def test_number_is_of_the_action_that_is_asked_for(page: Page, stand_in: Callable[..., str], name: str) -> None:
    shared = live(2, name, interaction="share")
    shared["message"]["action"] = "share"
    page.goto(stand_in(Answer.events(init(0), live(1, name), shared), query="?action=share"))

    expect(row(page, name)).to_have_count(1)
    assert count(page) == 1


def test_links_and_form_name_the_readers_zone(page: Page, stand_in: Callable[..., str]) -> None:
    """The site's zone is UTC, the reader's another one."""
    page.goto(stand_in(Answer.events(init(0))))

    link = page.get_by_role("link", name="Today")
    expect(link).to_have_attribute("href", re.compile("period=today&tz=Asia%2FJakarta$"))
    assert page.locator(".inlive-form input[name=tz]").get_attribute("value") == "Asia/Jakarta"
