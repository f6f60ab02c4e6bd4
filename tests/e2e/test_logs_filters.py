"""What of the live clicks a logs page shows and counts: what the server would have rendered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.logs_page import SUBSCRIBE, click, count, field, init, row, rows, status
from tests.e2e.origin import Answer, Origin

PEOPLE = ["sale", "spring", "share", "ann", "shop", "early", "late", "last"]
"""Who makes the clicks that a page without a filter shows."""


def other(seq: int, name: str, label: str = "", received_at: int = 1_000, **message: str) -> dict[str, Any]:
    """A click that has something of its own."""
    envelope = click(seq, name, label=label, received_at=received_at)
    envelope["message"] |= message
    envelope["interaction"] = envelope["message"]["action"]
    return envelope


def users(page: Page) -> list[str]:
    return field(rows(page), "user_id").all_text_contents()[::-1]


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        ({}, PEOPLE),
        ({"filter_banner": "spring"}, ["spring"]),
        ({"filter_banner": "Spring"}, []),
        ({"filter_action": "share"}, ["share"]),
        ({"filter_action": "click"}, ["sale", "spring", "ann", "shop", "early", "late", "last"]),
        ({"filter_user": "ann"}, ["ann"]),
        ({"filter_page": "/shop/"}, ["shop"]),
        ({"filter_page": "/shop"}, []),
        ({"filter_page": "/shop/", "filter_user": "ann"}, []),
        ({"filter_who": "people"}, PEOPLE),
        (
            {"filter_who": "everything", "filter_banner": "sale"},
            ["sale", "bot", "share", "ann", "shop", "early", "late", "last"],
        ),
        ({"filter_who": "others"}, ["bot"]),
        ({"period_since": 500}, ["sale", "spring", "share", "ann", "shop", "late", "last"]),
        ({"period_since": 2_000}, ["late", "last"]),
        (
            {"period_since": "", "period_until": "soon"},
            PEOPLE,
        ),
    ],
)
def test_filter_is_applied_to_live_clicks(
    page: Page, stand_in: Callable[..., str], data: dict[str, object], shown: list[str]
) -> None:
    clicks = [
        other(1, "sale", user_id="sale"),
        other(2, "sale", user_id="bot", label="crawler"),
        other(3, "spring", user_id="spring"),
        other(4, "sale", user_id="share", action="share"),
        other(5, "sale", user_id="ann"),
        other(6, "sale", user_id="shop", page="/shop/"),
        other(7, "sale", user_id="early", received_at=499),
        other(8, "sale", user_id="late", received_at=2_000),
        other(9, "sale", user_id="last", received_at=3_000),
    ]
    page.goto(stand_in(Answer.events(init(0), *clicks, {"type": "system", "message": {"viewer_count": 77}}), **data))

    expect(page.locator("[data-inlive-viewer-count]")).to_have_text("77")  # all have been had

    expect(rows(page)).to_have_count(len(shown))
    assert users(page) == shown
    counted = "share" if data.get("filter_action") == "share" else "click"
    assert count(page) == len([each for each in shown if (each == "share") == (counted == "share")])


@pytest.mark.parametrize("kind", ["older", "past"])
def test_page_that_stands_still_holds_no_connection(
    page: Page, origin: Origin, stand_in: Callable[..., str], kind: str
) -> None:
    rendered = '<li data-inlive-id="a"><time datetime="2023-11-14T22:13:20Z"></time></li>'
    page.goto(stand_in(Answer.events(init(0)), rows=rendered, inlive_logs=kind))

    expect(rows(page).locator("time")).to_have_text("15 Nov 2023, 05:13:20")
    page.evaluate("dispatchEvent(new Event('online'))")
    page.evaluate("fetch('/logs/')")

    assert origin.had("GET", SUBSCRIBE) == []
    expect(status(page)).to_have_attribute("data-state", "offline")


def test_label_that_is_let_through_is_named(page: Page, stand_in: Callable[..., str], name: str) -> None:
    page.goto(stand_in(Answer.events(init(0), other(1, name, label="moon")), filter_who="others"))

    expect(field(row(page, name), "label")).to_have_text("moon")
