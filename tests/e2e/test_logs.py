"""logs.js in a real browser: the site's own logs page, live from the real channel or from a stand-in."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from tests.e2e.browser import Complaints
from tests.e2e.client import publish, publish_click
from tests.e2e.logs_page import (
    EPOCH,
    SUBSCRIBE,
    TICKET,
    click,
    count,
    envelope,
    field,
    init,
    publish_ids,
    row,
    rows,
    status,
)
from tests.e2e.origin import Answer, Origin, Request, serving
from tests.e2e.processes import Demo
from tests.polling import wait_until

CASES = json.loads((Path(__file__).parents[1] / "interaction_cases.json").read_text(encoding="utf-8"))


@pytest.fixture
def live(page: Page, channel: str, site: str, demo: Demo, page_token: str, name: str) -> Page:
    """The site's logs page, live, and with all that other tests have published."""
    page.goto(demo.logs_url)
    expect(status(page)).to_have_attribute("data-state", "live")
    publish_click(channel, page_token, f"{name}-newest")
    expect(row(page, f"{name}-newest")).to_have_count(1)
    return page


def ticket_of(html: str) -> str:
    return html.partition('data-inlive-ticket="')[2].partition('"')[0]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["why"])
def test_read_interaction_decides_as_its_python_twin(interaction_reader: Page, case: dict[str, Any]) -> None:
    decided = interaction_reader.evaluate("message => readInteraction(message)", case["message"])

    assert decided == case["interaction"]


@pytest.fixture(scope="module")
def interaction_reader(browser: Browser) -> Iterator[Page]:
    """A page in which `readInteraction` can be called."""
    with serving() as origin:
        page = browser.new_page()
        page.goto(origin.page("/", "<!DOCTYPE html><title>Empty</title>"))
        page.evaluate("async () => Object.assign(globalThis, await import('/static/logs.js'))")
        yield page
        page.close()


def test_click_shows_within_a_second_without_a_reload(live: Page, channel: str, page_token: str, name: str) -> None:
    before = count(live)

    publish_click(channel, page_token, name, page="/shop/")

    expect(row(live, name)).to_have_count(1, timeout=1000)
    shown = row(live, name)
    expect(field(shown, "user_id")).to_have_text("u-1")
    expect(field(shown, "page")).to_have_text("/shop/")
    expect(field(shown, "action")).to_have_text("")
    expect(shown).to_contain_text("clicked")
    assert shown.evaluate("row => getComputedStyle(row).animationName") == "inlive-flash"
    assert count(live) == before + 1


def test_rows_are_newest_first(live: Page, channel: str, page_token: str, name: str) -> None:
    for number in range(5):
        publish_click(channel, page_token, f"{name}-{number}")

    expect(row(live, f"{name}-4")).to_have_count(1)
    names = live.locator("[data-inlive-list] > li [data-inlive-field=name]").all_text_contents()
    assert names[:5] == [f"{name}-{number}" for number in (4, 3, 2, 1, 0)]


def test_time_is_shown_in_the_readers_zone_and_way(live: Page, channel: str, page_token: str, name: str) -> None:
    publish_click(channel, page_token, name)

    shown = field(row(live, name), "time")
    expect(shown).to_have_text("15 Nov 2023, 05:13:20")  # Jakarta, British English
    expect(shown).to_have_attribute("datetime", "2023-11-14T22:13:20.000Z")


def test_time_that_cant_be_a_date_gives_way_to_the_channels(
    live: Page, channel: str, page_token: str, name: str
) -> None:
    publish_click(channel, page_token, name, time=1e17)

    expect(field(row(live, name), "time")).to_contain_text(time.strftime("%Y", time.gmtime()))


def test_markup_in_a_click_is_shown_as_text(live: Page, channel: str, page_token: str, name: str) -> None:
    markup = f'<img src=x onerror="throw name"> <script>throw 1</script> {name}'

    publish_click(channel, page_token, markup, page=markup, user_id=markup)

    shown = row(live, markup).first
    for each in ("name", "page", "user_id"):
        expect(field(shown, each)).to_have_text(markup)
    assert shown.locator("img, script").count() == 0


def test_other_action_is_listed_and_not_counted(live: Page, channel: str, page_token: str, name: str) -> None:
    before = count(live)

    publish_click(channel, page_token, name, action="share")

    expect(field(row(live, name), "action")).to_have_text("share")
    assert count(live) == before


def test_broadcast_that_is_no_interaction_isnt_listed(live: Page, channel: str, page_token: str, name: str) -> None:
    before = count(live)

    publish(channel, page_token, {"text": f"{name}-chat"})
    publish(channel, page_token, f"{name}-chat")
    publish_click(channel, page_token, name)

    expect(row(live, name)).to_have_count(1)
    expect(live.get_by_text(f"{name}-chat")).to_have_count(0)
    assert count(live) == before + 1


def test_state_is_said_in_words(live: Page) -> None:
    expect(status(live)).to_have_text("Live: new clicks appear by themselves")


def test_viewers_are_counted_as_they_come_and_go(live: Page, browser: Browser, demo: Demo) -> None:
    """Each browser counts once."""
    viewers = live.locator("[data-inlive-viewer-count]")
    expect(viewers).to_be_visible()
    expect(viewers).to_have_text("1")

    with browser.new_context() as other:
        other.new_page().goto(demo.logs_url)
        expect(viewers).to_have_text("2")

    expect(viewers).to_have_text("1")


def test_expired_ticket_is_renewed_by_the_page_itself(
    page: Page,
    complaints: Complaints,
    channel: str,
    demo: Demo,
    origin: Origin,
    stand_in: Callable[..., str],
    page_token: str,
    name: str,
) -> None:
    complaints.allow(r"401 \(Unauthorized\)")
    address = stand_in()
    rendered = requests.get(demo.logs_url, timeout=10).text
    valid = ticket_of(rendered)
    origin.page("/logs/", rendered.replace(valid, "15:reader:1:c2lnbmF0dXJl"))
    origin.answer("GET", TICKET, lambda _: Answer(body=json.dumps({"ticket": valid}).encode()))
    page.goto(address)

    expect(status(page)).to_have_attribute("data-state", "live")
    publish_click(channel, page_token, name)
    expect(row(page, name)).to_have_count(1)


def test_stream_that_ends_is_resumed_from_the_last_event_seen(
    page: Page, complaints: Complaints, origin: Origin, stand_in: Callable[..., str], name: str
) -> None:
    """First by the EventSource itself, by header; then, after it has given up, by the page, with a fresh ticket."""
    complaints.allow(r"401 \(Unauthorized\)")
    page.goto(
        stand_in(
            Answer.events(init(0), click(1, f"{name}-1"), ends=True),
            Answer.events(init(1), click(2, f"{name}-2"), ends=True),
            Answer.sentence(401, "The ticket has expired."),
            Answer.events(init(2), click(3, f"{name}-3")),
        )
    )

    expect(row(page, f"{name}-3")).to_have_count(1)
    expect(status(page)).to_have_attribute("data-state", "live")
    first, second, third, fourth = origin.had("GET", SUBSCRIBE)
    assert first.query["last_event_id"] == ["0"]
    assert second.headers["last-event-id"] == f"{EPOCH}-1"
    assert third.headers["last-event-id"] == f"{EPOCH}-2"
    assert "last-event-id" not in fourth.headers
    assert fourth.query == {"last_event_id": [f"{EPOCH}-2"], "actions": ["!view"], "ticket": ["fresh"]}
    assert [row(page, f"{name}-{number}").count() for number in (1, 2, 3)] == [1, 1, 1]
    assert count(page) == 3


def test_reader_who_may_read_no_longer_is_told_and_the_page_stops_asking(
    page: Page, complaints: Complaints, origin: Origin, stand_in: Callable[..., str]
) -> None:
    complaints.allow(r"40[13] \(")
    page.clock.install()
    address = stand_in(Answer.sentence(401, "The ticket has expired."))
    origin.answer("GET", TICKET, lambda _: Answer.sentence(403, "You may not read this log."))
    page.goto(address)
    wait_until(lambda: origin.had("GET", SUBSCRIBE), what="the subscription")
    expect(status(page)).to_have_attribute("data-state", "reconnecting")

    page.clock.fast_forward(2_000)

    expect(status(page)).to_have_attribute("data-state", "refused")
    expect(status(page)).to_contain_text("Reload the page")
    page.clock.fast_forward(600_000)
    assert len(origin.had("GET", TICKET)) == 1


def test_channel_that_refuses_is_asked_less_and_less_often(
    page: Page, complaints: Complaints, origin: Origin, stand_in: Callable[..., str]
) -> None:
    complaints.allow(r"503 \(")
    page.clock.install()
    page.goto(stand_in(Answer.sentence(503, "Shutting down.")))

    waits = [wait_before_attempt(page, origin, number) for number in range(2, 10)]

    assert waits[0] <= 1_000
    assert all(wait <= 46_000 for wait in waits)
    assert max(waits[5:]) >= 8_000


def wait_before_attempt(page: Page, origin: Origin, number: int) -> int:
    """Milliseconds, by the page's clock, from one subscription's failure to the next one."""
    wait_until(lambda: len(origin.had("GET", SUBSCRIBE)) == number - 1, what=f"attempt {number - 1}")
    expect(status(page)).to_have_attribute("data-state", re.compile("reconnecting|unreachable"))
    waited = 0
    while len(origin.had("GET", TICKET)) < number - 1:
        assert waited < 60_000
        page.clock.fast_forward(250)
        page.evaluate("fetch('/logs/')")  # a ticket that was asked for before this has been answered
        waited += 250
    return waited


@pytest.mark.parametrize(
    "happens",
    [
        "dispatchEvent(new Event('online'))",
        "dispatchEvent(new Event('pagehide')), dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))",
    ],
    ids=["network back", "shown again from the cache"],
)
def test_page_that_comes_back_goes_on_from_its_own_position(
    page: Page, origin: Origin, stand_in: Callable[..., str], name: str, happens: str
) -> None:
    page.goto(
        stand_in(
            Answer.events(init(0), click(1, f"{name}-1")),
            Answer.events(init(1), click(2, f"{name}-2")),
        )
    )
    expect(row(page, f"{name}-1")).to_have_count(1)

    page.evaluate(happens)

    expect(row(page, f"{name}-2")).to_have_count(1)
    assert origin.had("GET", SUBSCRIBE)[-1].query["last_event_id"] == [f"{EPOCH}-1"]
    assert count(page) == 2


def test_gap_is_said_and_stays_said(page: Page, origin: Origin, stand_in: Callable[..., str], name: str) -> None:
    page.goto(
        stand_in(
            Answer.events(init(0, recovered=False), click(1, f"{name}-1"), ends=True),
            Answer.events(init(1), click(2, f"{name}-2")),
        )
    )

    expect(row(page, f"{name}-2")).to_have_count(1)
    expect(status(page)).to_have_attribute("data-state", "gap")
    expect(status(page)).to_contain_text("may be missing")


def test_click_that_comes_again_under_another_id_is_shown_once(
    page: Page, stand_in: Callable[..., str], name: str
) -> None:
    """As after the channel's log has been restored from a backup: new epoch, same publish ids."""
    again = click(1, name) | {"id": "fedcba9876543210-1"}
    page.goto(
        stand_in(
            Answer.events(init(0), click(1, name), ends=True),
            Answer.events(init(0, recovered=False), again, click(2, f"{name}-2")),
        )
    )

    # Waited for, since such a page is rendered anew by itself, and then reads all of it once more.
    wait_until(lambda: row(page, f"{name}-2").count() == row(page, name).count() == 1, what="both rows")
    wait_until(lambda: count(page) == 2, what="both counted")


def test_click_that_the_server_has_rendered_isnt_shown_again(
    page: Page, stand_in: Callable[..., str], name: str
) -> None:
    page.goto(
        stand_in(
            Answer.events(init(0, recovered=False), click(1, name), click(2, f"{name}-2")),
            rows='<li data-inlive-id="publish-1">A click</li>',
        )
    )

    expect(row(page, f"{name}-2")).to_have_count(1)
    assert publish_ids(page) == ["publish-2", "publish-1"]
    assert count(page) == 1


def test_view_is_neither_asked_for_nor_shown_or_counted(
    page: Page, origin: Origin, stand_in: Callable[..., str], name: str
) -> None:
    """Also where the channel doesn't know how to leave it out."""
    view = click(1, f"{name}-view", interaction="view")
    view["message"]["action"] = "view"
    page.goto(stand_in(Answer.events(init(0), view, click(2, name)), query="?bots=1"))

    expect(row(page, name)).to_have_count(1)
    expect(rows(page)).to_have_count(1)
    assert count(page) == 1
    assert origin.had("GET", SUBSCRIBE)[0].query["actions"] == ["!view"]


def test_labelled_click_is_neither_shown_nor_counted(page: Page, stand_in: Callable[..., str], name: str) -> None:
    crawler = click(1, f"{name}-crawler", label="crawler")
    page.goto(stand_in(Answer.events(init(0), crawler, click(2, name, label=""))))

    expect(row(page, name)).to_have_count(1)
    expect(rows(page)).to_have_count(1)
    expect(field(row(page, name), "label")).to_be_hidden()
    assert count(page) == 1


def test_page_of_everything_shows_labelled_clicks_says_why_and_counts_them(
    page: Page, stand_in: Callable[..., str], name: str
) -> None:
    known, unknown = click(1, f"{name}-1", label="own"), click(2, f"{name}-2", label="<b>moon light")
    page.goto(stand_in(Answer.events(init(0), known, unknown, click(3, name)), query="?bots=1"))

    expect(row(page, name)).to_have_count(1)
    assert field(row(page, f"{name}-1"), "label").text_content() == "own address"
    assert field(row(page, f"{name}-2"), "label").text_content() == "<b>moon light"
    expect(field(row(page, name), "label")).to_be_hidden()
    assert count(page) == 3


def test_switch_between_people_and_everything_works_without_javascript(browser: Browser, site: str, demo: Demo) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(demo.logs_url)
        page.get_by_role("link", name="Everything", exact=True).click()
        expect(page.locator("[data-filter-who=everything]")).to_have_count(1)
        assert page.url.endswith("?who=everything")

        page.get_by_role("link", name="People", exact=True).click()
        expect(page.locator("[data-filter-who=people]")).to_have_count(1)


def test_modules_are_let_through_by_the_nonce_of_the_page(
    page: Page, origin: Origin, stand_in: Callable[..., str], name: str
) -> None:
    address = stand_in(Answer.events(init(0), click(1, name)))
    html = requests.get(address, timeout=10).text.replace('<script type="module"', '<script nonce="abc" type="module"')
    origin.page("/logs/", html, Content_Security_Policy="default-src 'self'; script-src 'nonce-abc'")

    page.goto(address)

    expect(row(page, name)).to_have_count(1)


def test_server_of_the_original_protocol_is_read_too(
    page: Page, complaints: Complaints, stand_in: Callable[..., str], name: str
) -> None:
    complaints.allow(r"404 \(Not Found\)")  # this one has no history, either
    first = envelope(type="init", message={"token": "t", "user_id": "u", "viewer_count": 1})
    plain = click(1, name)
    for ours in ("id", "publish_id", "interaction"):
        del plain[ours]
    page.goto(stand_in(Answer.events(first, plain, envelope(message="chat"), plain)))

    expect(row(page, name)).to_have_count(2)  # without ids, two that are alike are two
    assert count(page) == 2


def test_channels_decision_comes_before_the_pages_own(page: Page, stand_in: Callable[..., str], name: str) -> None:
    undecided = click(1, name)
    del undecided["interaction"]
    page.goto(stand_in(Answer.events(init(0), undecided, click(2, f"{name}-2"))))

    expect(row(page, f"{name}-2")).to_have_count(1)
    assert row(page, name).count() == 0
    assert count(page) == 1


def test_many_clicks_keep_the_list_short_and_the_count_exact(
    page: Page, stand_in: Callable[..., str], name: str
) -> None:
    clicks = [click(seq, f"{name}-{seq}") for seq in range(1, 2001)]
    released = threading.Event()

    def later(_: Request) -> Answer:
        released.wait(10)
        return Answer.events(init(400), *clicks[400:])

    page.goto(stand_in(Answer.events(init(0), *clicks[:400], ends=True), later))
    expect(row(page, f"{name}-400")).to_have_count(1)
    released.set()

    expect(row(page, f"{name}-2000")).to_have_count(1)
    expect(rows(page)).to_have_count(500)
    assert row(page, f"{name}-1501").count() == 1
    assert count(page) == 2000
    expect(page.locator("[data-inlive-count]")).to_have_text("2,000")


def test_hidden_tab_is_kept_up_to_date(page: Page, stand_in: Callable[..., str], name: str) -> None:
    """No animation frames run in a tab that nobody sees."""
    page.add_init_script("window.requestAnimationFrame = () => 1")
    page.goto(stand_in(Answer.events(init(0), click(1, name))))

    expect(row(page, name)).to_have_count(1)


def test_burst_is_drawn_at_once_and_not_row_by_row(page: Page, stand_in: Callable[..., str], name: str) -> None:
    page.add_init_script(
        """addEventListener("DOMContentLoaded", () => {
          window.draws = 0;
          const list = document.querySelector("[data-inlive-list]");
          new MutationObserver(() => { window.draws += 1; }).observe(list, { childList: true });
        })"""
    )
    page.goto(stand_in(Answer.events(init(0), *(click(seq, f"{name}-{seq}") for seq in range(1, 201)))))

    expect(row(page, f"{name}-200")).to_have_count(1)
    assert page.evaluate("draws") < 50
