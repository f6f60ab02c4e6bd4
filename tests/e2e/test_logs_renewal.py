"""A logs page that has been away, or whose period ends, has the server render it anew, and goes on from there."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.browser import Complaints
from tests.e2e.logs_page import EPOCH, SUBSCRIBE, click, count, init, publish_ids, row, rows, status
from tests.e2e.origin import Answer, Origin, Request
from tests.polling import wait_until

PAGE = "/logs/"


def rendered(*publish_ids: str) -> str:
    """Rows as the server would have them, newest first; high enough to scroll."""
    return "".join(f'<li data-inlive-id="{each}"><p>{each}</p><time></time></li>' for each in publish_ids)


def away(page: Page) -> Locator:
    return page.locator("[data-inlive-away]")


def with_head(greeting: dict[str, Any], head: str) -> dict[str, Any]:
    """The greeting of a channel whose newest event is this one."""
    return greeting | {"message": greeting["message"] | {"head": head}}


@pytest.fixture
def released() -> threading.Event:
    return threading.Event()


def test_page_that_cant_catch_up_by_the_stream_has_itself_rendered_anew(
    page: Page, origin: Origin, stand_in: Callable[..., str], released: threading.Event
) -> None:
    """As after a night in which the channel's log was trimmed."""

    def come_back(_: Request) -> Answer:
        released.wait(10)
        stand_in(
            Answer.events(init(500), click(501, "new")), rows=rendered("publish-500"), inlive_position=f"{EPOCH}-500"
        )
        return Answer.events(init(500, recovered=False))

    page.goto(stand_in(Answer.events(init(0), click(1, "old"), ends=True), come_back))
    expect(row(page, "old")).to_have_count(1)
    page.get_by_role("button", name="Pause").focus()
    released.set()

    expect(row(page, "new")).to_have_count(1)
    expect(page.get_by_role("button", name="Pause")).to_be_focused()
    assert publish_ids(page) == ["publish-501", "publish-500"]
    assert count(page) == 1
    assert len(origin.had("GET", PAGE)) == 2
    assert origin.had("GET", SUBSCRIBE)[-1].query["last_event_id"] == [f"{EPOCH}-500"]
    expect(status(page)).to_have_attribute("data-state", "live")
    expect(away(page)).to_be_hidden()


def test_reader_who_has_paused_is_told_how_much_is_missing_and_loads_it(
    page: Page, origin: Origin, stand_in: Callable[..., str], released: threading.Event
) -> None:
    def come_back(_: Request) -> Answer:
        released.wait(10)
        return Answer.events(init(413, recovered=False), click(414, "later"))

    page.goto(stand_in(Answer.events(init(0), click(1, "old"), ends=True), come_back))
    expect(row(page, "old")).to_have_count(1)
    page.get_by_role("button", name="Pause").click()
    released.set()
    expect(away(page)).to_contain_text("Events that came while you were away: 412")
    expect(status(page)).to_have_attribute("data-state", "gap")
    assert len(origin.had("GET", PAGE)) == 1

    stand_in(Answer.events(init(414)), rows=rendered("publish-414"), inlive_position=f"{EPOCH}-414")
    page.get_by_role("button", name="Load what is missing").press("Enter")

    expect(away(page)).to_be_hidden()
    assert publish_ids(page) == ["publish-414"]
    expect(page.get_by_role("button", name="Pause")).to_have_attribute("aria-pressed", "true")
    expect(status(page)).to_have_attribute("data-state", "live")
    expect(page.get_by_role("log")).to_be_focused()  # the button that was, has gone


def test_number_that_nobody_knows_isnt_told(
    page: Page, stand_in: Callable[..., str], released: threading.Event
) -> None:
    """The places of two epochs can't be compared."""

    def come_back(_: Request) -> Answer:
        released.wait(10)
        return Answer.events(with_head(init(0, recovered=False), "fedcba9876543210-413"))

    page.goto(stand_in(Answer.events(init(0), click(1, "old"), ends=True), come_back))
    expect(row(page, "old")).to_have_count(1)
    page.get_by_role("button", name="Pause").click()
    released.set()

    expect(page.get_by_role("button", name="Load what is missing")).to_be_visible()
    expect(page.locator("[data-inlive-away-known]")).to_be_hidden()


@pytest.mark.parametrize(("missed", "renewed"), [(2_000, False), (2_001, True)])
def test_more_events_than_are_worth_showing_one_by_one_are_rendered_by_the_server(
    page: Page, origin: Origin, stand_in: Callable[..., str], released: threading.Event, missed: int, *, renewed: bool
) -> None:
    head = 1 + missed

    def come_back(_: Request) -> Answer:
        released.wait(10)
        if renewed:
            stand_in(Answer.events(init(head), click(head + 1, "new")), inlive_position=f"{EPOCH}-{head}")
        return Answer.events(with_head(init(1), f"{EPOCH}-{head}"), *([] if renewed else [click(head, "new")]))

    page.goto(stand_in(Answer.events(init(0), click(1, "old"), ends=True), come_back))
    expect(row(page, "old")).to_have_count(1)
    released.set()

    expect(row(page, "new")).to_have_count(1)
    assert len(origin.had("GET", PAGE)) == (2 if renewed else 1)
    assert row(page, "old").count() == (0 if renewed else 1)


def test_page_is_rendered_anew_when_an_event_comes_after_its_period(
    page: Page, origin: Origin, stand_in: Callable[..., str]
) -> None:
    late = click(2, "late", received_at=5_000)

    def subscribe(_: Request) -> Answer:
        stand_in(Answer.events(init(1), late), inlive_position=f"{EPOCH}-1", period_since=5_000, period_until=9e15)
        return Answer.events(init(0), click(1, "in time", received_at=4_999), late)

    # An end that our own clock hasn't reached: the channel's decides.
    page.clock.install(time=0)
    page.goto(stand_in(subscribe, period_until=5_000))
    expect(row(page, "in time")).to_have_count(1)
    page.clock.run_for(10_000)

    expect(row(page, "late")).to_have_count(1)
    assert row(page, "in time").count() == 0
    assert count(page) == 1
    assert len(origin.had("GET", PAGE)) == 2


def test_site_that_goes_on_with_the_old_period_isnt_asked_without_a_pause(
    page: Page, origin: Origin, stand_in: Callable[..., str]
) -> None:
    """Its clock may be behind the channel's."""
    page.clock.install(time=1_000_000)
    page.goto(stand_in(Answer.events(init(0), click(1, "late", received_at=9_000_000)), period_until=9_000_000))
    for rendered_times in (2, 3):
        wait_until(lambda: len(origin.had("GET", SUBSCRIBE)) == rendered_times - 1, what="the subscription")  # noqa: B023
        expect(status(page)).to_have_attribute("data-state", "live")
        page.clock.run_for(4_000)
        page.evaluate("fetch('/inlive/ticket/')")
        page.clock.run_for(1_000 if rendered_times == 3 else 0)
        wait_until(lambda: len(origin.had("GET", PAGE)) == rendered_times, what="the page")  # noqa: B023


def test_page_whose_period_ends_by_the_clock_is_rendered_anew_and_stands_still(
    page: Page, origin: Origin, stand_in: Callable[..., str]
) -> None:
    until = int(time.time() * 1000) + 3_600_000
    page.clock.install()
    # Of everything no visitors are told, which would be fetched each minute.
    page.goto(stand_in(Answer.events(init(0)), query="?who=everything", period_until=until))
    expect(status(page)).to_have_attribute("data-state", "live")
    page.clock.fast_forward(3_500_000)
    page.evaluate("fetch('/inlive/ticket/').catch(() => {})")
    assert len(origin.had("GET", PAGE)) == 1
    stand_in(Answer.events(init(0)), period_until=until, inlive_logs="past")
    subscribed = len(origin.had("GET", SUBSCRIBE))

    page.clock.fast_forward(200_000)

    expect(page.locator("[data-inlive-logs=past]")).to_have_count(1)
    assert len(origin.had("GET", PAGE)) == 2
    page.clock.fast_forward(600_000)
    page.evaluate("fetch('/inlive/ticket/').catch(() => {})")
    assert len(origin.had("GET", PAGE)) == 2
    assert len(origin.had("GET", SUBSCRIBE)) <= subscribed + 1  # the wake after an hour's leap


def test_site_that_cant_be_reached_is_asked_again_and_the_page_goes_on_meanwhile(
    page: Page, complaints: Complaints, origin: Origin, stand_in: Callable[..., str], released: threading.Event
) -> None:
    complaints.allow(r"503 \(")
    pages = [Answer.sentence(503, "Later."), Answer.sentence(503, "Later.")]

    def come_back(_: Request) -> Answer:
        released.wait(10)
        origin.answer("GET", PAGE, lambda _: pages.pop() if pages else origin.stored(PAGE))
        return Answer.events(init(500, recovered=False), click(501, "live"))

    page.clock.install()
    page.goto(stand_in(Answer.events(init(0), click(1, "old"), ends=True), come_back))
    expect(row(page, "old")).to_have_count(1)
    released.set()
    page.clock.run_for(1_000)
    expect(row(page, "live")).to_have_count(1)
    expect(away(page)).to_contain_text("Events that came while you were away: 499")
    stand_in(Answer.events(init(501), click(502, "newest")), inlive_position=f"{EPOCH}-501")

    for attempts in (2, 3, 4):
        wait_until(lambda attempts=attempts: len(origin.had("GET", PAGE)) >= attempts, what=f"attempt {attempts}")
        page.evaluate("fetch('/inlive/ticket/')")  # the answer to what was asked before this has been had
        page.clock.run_for(11_000)

    expect(row(page, "newest")).to_have_count(1)
    expect(away(page)).to_be_hidden()


@pytest.mark.parametrize("how", ["403", "no log"])
def test_reader_who_may_see_the_page_no_longer_is_told(
    page: Page,
    complaints: Complaints,
    origin: Origin,
    stand_in: Callable[..., str],
    released: threading.Event,
    how: str,
) -> None:
    complaints.allow(r"403 \(")

    def come_back(_: Request) -> Answer:
        released.wait(10)
        sign_in = Answer(body=b"<!DOCTYPE html><title>Sign in</title>")
        origin.answer("GET", PAGE, lambda _: Answer.sentence(403, "No.") if how == "403" else sign_in)
        return Answer.events(init(500, recovered=False))

    page.goto(stand_in(Answer.events(init(0), click(1, "old"), ends=True), come_back))
    expect(row(page, "old")).to_have_count(1)
    released.set()

    expect(status(page)).to_have_attribute("data-state", "refused")
    assert row(page, "old").count() == 1


MARKED = '<p data-inlive-refresh="one">{}</p><p data-inlive-refresh="another">{}</p>'


def test_first_click_has_the_page_rendered_with_chart_and_lists(
    page: Page, origin: Origin, stand_in: Callable[..., str]
) -> None:
    """A page that had nothing to draw, and so no place for it."""
    page.clock.install()
    page.goto(stand_in(Answer.events(init(0), click(1, "first")), inlive_bare=""))
    page.clock.run_for(100)
    expect(row(page, "first")).to_have_count(1)
    fresh = stand_in(Answer.events(init(1)), rows=rendered("first"), after=MARKED.format("one", "chart"))
    assert page.url == fresh

    page.clock.run_for(6_000)

    expect(page.locator("[data-inlive-refresh=another]")).to_have_text("chart")
    expect(row(page, "first")).to_have_count(1)
    page.clock.run_for(60_000)
    assert len(origin.had("GET", PAGE)) <= 3, "once for the chart, then by the minute"


@pytest.mark.parametrize(
    ("listed", "after"),
    [(1, 6_000), (10, 16_000)],
    ids=["room for one more", "a full list"],
)
def test_value_that_no_list_has_yet_comes_from_the_server(
    page: Page, origin: Origin, stand_in: Callable[..., str], listed: int, after: int
) -> None:
    """Soon, where it belongs on the list; where others have more, with the numbers."""
    lines = "".join(f'<li data-value="v{place}" data-count="9"><b>9</b></li>' for place in range(listed))
    most = '<div data-inlive-refresh="tops"><section data-inlive-most="banner"><ol>{}</ol></section></div>'
    page.clock.install()
    page.goto(stand_in(Answer.events(init(0), click(1, "new")), after=most.format(lines)))
    page.clock.run_for(500)
    expect(row(page, "new")).to_have_count(1)
    stand_in(Answer.events(init(0)), after=most.format('<li data-value="new" data-count="1"><b>1</b></li>'))
    page.clock.run_for(after - 2_000)
    page.evaluate("fetch('/inlive/ticket/').catch(() => {})")
    assert len(origin.had("GET", PAGE)) == 1

    page.clock.run_for(2_000)

    expect(page.locator("[data-inlive-most] li").first).to_have_attribute("data-value", "new")
    assert len(origin.had("GET", PAGE)) == 2


def test_numbers_that_cant_be_counted_live_are_fetched_and_nothing_else(
    page: Page, origin: Origin, stand_in: Callable[..., str]
) -> None:
    page.clock.install()
    page.goto(stand_in(Answer.events(init(0), click(1, "old")), after=MARKED.format("one", "low")))
    expect(row(page, "old")).to_have_count(1)
    page.clock.run_for(13_000)
    page.evaluate("fetch('/inlive/ticket/').catch(() => {})")
    assert len(origin.had("GET", PAGE)) == 1
    stand_in(Answer.events(init(0)), rows=rendered("other"), after=MARKED.format("two", "<script>throw 1</script>high"))

    page.clock.run_for(3_000)

    expect(page.locator("[data-inlive-refresh=one]")).to_have_text("two")
    expect(page.locator("[data-inlive-refresh=another]")).to_have_text("high")
    assert publish_ids(page) == ["publish-1"]
    assert count(page) == 1
    assert len(origin.had("GET", SUBSCRIBE)) == 1

    # Where nothing came meanwhile, a minute is enough.
    page.clock.run_for(58_000)
    page.evaluate("fetch('/inlive/ticket/').catch(() => {})")
    assert len(origin.had("GET", PAGE)) == 2
    page.clock.run_for(4_000)
    wait_until(lambda: len(origin.had("GET", PAGE)) == 3, what="the numbers of a minute later")


@pytest.mark.parametrize("why", ["paused", "hidden", "nothing to fetch"])
def test_numbers_are_left_alone(page: Page, origin: Origin, stand_in: Callable[..., str], why: str) -> None:
    page.clock.install()
    if why == "hidden":
        page.add_init_script("Object.defineProperty(document, 'hidden', { value: true })")
    after = "" if why == "nothing to fetch" else MARKED.format("one", "low")
    page.goto(stand_in(Answer.events(init(0), click(1, "old")), query="?who=everything", after=after))
    page.clock.run_for(1_000)
    expect(rows(page)).to_have_count(1)
    if why == "paused":
        page.get_by_role("button", name="Pause").click()

    page.clock.run_for(130_000)

    page.evaluate("fetch('/inlive/ticket/').catch(() => {})")
    assert len(origin.had("GET", PAGE)) == 1


def test_reader_who_is_filling_in_the_form_isnt_disturbed(
    page: Page, origin: Origin, stand_in: Callable[..., str], released: threading.Event
) -> None:
    def come_back(_: Request) -> Answer:
        released.wait(10)
        return Answer.events(init(500, recovered=False))

    form = '<form><input name="banner" aria-label="Banner"></form>'
    page.clock.install()
    page.goto(stand_in(Answer.events(init(0), click(1, "old"), ends=True), come_back, after=form))
    expect(row(page, "old")).to_have_count(1)
    page.get_by_role("textbox").fill("spri")
    released.set()
    page.clock.run_for(1_000)
    expect(away(page)).to_be_visible()
    page.clock.run_for(20_000)
    assert page.get_by_role("textbox").input_value() == "spri"
    assert len(origin.had("GET", SUBSCRIBE)) == 2
    stand_in(Answer.events(init(500), click(501, "new")), inlive_position=f"{EPOCH}-500")

    page.get_by_role("textbox").blur()
    page.clock.run_for(6_000)

    expect(row(page, "new")).to_have_count(1)


def test_channel_that_cant_be_reached_for_long_is_said_with_what_to_check(
    page: Page, complaints: Complaints, stand_in: Callable[..., str]
) -> None:
    complaints.allow(r"503 \(")
    page.clock.install()
    page.goto(stand_in(Answer.sentence(503, "Shutting down.")))
    expect(status(page)).to_have_attribute("data-state", "reconnecting")

    page.clock.fast_forward(15_000)

    expect(status(page)).to_have_attribute("data-state", "unreachable")
    expect(status(page)).to_contain_text("CHANNEL_URL")


@pytest.mark.parametrize(
    ("slept", "hidden", "reopened"),
    [(46_000, False, 2), (20_000, False, 1), (90_000, True, 1), (200_000, True, 2)],
)
def test_machine_that_has_slept_opens_its_stream_anew(
    page: Page, origin: Origin, stand_in: Callable[..., str], slept: int, reopened: int, *, hidden: bool
) -> None:
    """A connection that has died in the sleep doesn't know it; a hidden tab's timers are late without any sleep."""
    page.clock.install()
    if hidden:
        page.add_init_script("Object.defineProperty(document, 'hidden', { value: true })")
    page.goto(stand_in(Answer.events(init(0), click(1, "a")), Answer.events(init(1), click(2, "b"))))
    page.clock.run_for(1_000)
    expect(row(page, "a")).to_have_count(1)

    page.clock.fast_forward(slept)
    page.clock.run_for(16_000)

    expect(row(page, "b")).to_have_count(reopened - 1)
    assert len(origin.had("GET", SUBSCRIBE)) == reopened
