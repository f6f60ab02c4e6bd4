"""views.js in a real browser: what counts as seen, once, and the first click after it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.banner_pages import PUBLISH, accepting, banner, banner_page, failed, kept, module, published
from tests.e2e.browser import Complaints
from tests.e2e.client import stored_broadcasts
from tests.e2e.origin import Answer, Origin, Request
from tests.polling import wait_until

SECOND = 1_000


@pytest.fixture
def show(page: Page, origin: Origin, name: str) -> Callable[..., None]:
    """Opens a page whose banner begins so many pixels above the window's lower edge."""

    def show(*, visible: int = 100, height: int = 100, path: str = "/", **attributes: str) -> None:
        stop_clock(page)
        size = page.viewport_size
        assert size
        written = banner(
            name,
            channel="",
            token="t",
            tag="div",
            style=f"position: absolute; top: {size['height'] - visible}px; width: 300px; height: {height}px",
            **attributes,
        )
        page.goto(origin.page(path, banner_page(written, modules=module("views"))))
        settle(page)

    return show


def stop_clock(page: Page) -> None:
    """Let time pass on the test's word only."""
    page.clock.install(time="2030-01-01")
    page.clock.pause_at("2030-01-02")


def settle(page: Page) -> None:
    """Wait until the browser has looked at what is in sight, and has told: two frames."""
    page.evaluate(
        """() => new Promise((resolve) => {
          const observer = new IntersectionObserver(() => (observer.disconnect(), resolve()));
          observer.observe(document.body);
        })"""
    )


def sent(origin: Origin) -> list[dict[str, Any]]:
    """The messages that the channel had."""
    return [request.json["message"] for request in origin.had("POST", PUBLISH)]


def pass_by(page: Page) -> None:
    """Let any request that has begun arrive: it would be here before this one."""
    page.evaluate("fetch('/')")


def test_banner_in_sight_for_a_second_is_viewed_once(
    page: Page, origin: Origin, name: str, show: Callable[..., None]
) -> None:
    accepting(origin)
    show(visible=50)

    page.clock.run_for(SECOND)
    [told] = published(page)
    page.evaluate("document.querySelector('[data-inlive-banner]').style.top = '-500px'")
    settle(page)
    page.evaluate("document.querySelector('[data-inlive-banner]').style.top = '10px'")
    settle(page)
    page.clock.run_for(10 * SECOND)

    pass_by(page)
    [message] = sent(origin)
    assert (message["action"], message["name"], message["isTrusted"]) == ("view", name, True)
    assert told["action"] == "view"


def test_banner_in_sight_for_less_than_a_second_isnt_viewed(
    page: Page, origin: Origin, show: Callable[..., None]
) -> None:
    """Twice, and the two don't add up."""
    accepting(origin)
    show()
    for _ in range(2):
        page.clock.run_for(SECOND - 100)
        page.evaluate("document.querySelector('[data-inlive-banner]').style.top = '-500px'")
        settle(page)
        page.clock.run_for(2 * SECOND)
        page.evaluate("document.querySelector('[data-inlive-banner]').style.top = '10px'")
        settle(page)

    page.clock.run_for(SECOND - 100)

    pass_by(page)
    assert sent(origin) == []
    page.clock.run_for(100)
    published(page)


def test_banner_less_than_half_in_sight_isnt_viewed(page: Page, origin: Origin, show: Callable[..., None]) -> None:
    accepting(origin)
    show(visible=48)

    page.clock.run_for(10 * SECOND)

    pass_by(page)
    assert sent(origin) == []


@pytest.mark.parametrize(("part", "viewed"), [(0.48, False), (0.53, True)])
def test_banner_larger_than_the_window_is_viewed_where_it_takes_half_of_it(
    page: Page, origin: Origin, show: Callable[..., None], part: float, viewed: bool
) -> None:
    accepting(origin)
    size = page.viewport_size
    assert size
    show(visible=round(part * size["height"]), height=3 * size["height"])

    page.clock.run_for(SECOND)

    pass_by(page)
    assert [message["action"] for message in sent(origin)] == ["view"] * viewed


def test_banner_isnt_viewed_while_the_tab_is_hidden(page: Page, origin: Origin, show: Callable[..., None]) -> None:
    """And has to be in sight for a whole second when it is shown again."""
    accepting(origin)
    show()
    page.clock.run_for(SECOND - 100)
    set_visibility(page, "hidden")
    page.clock.run_for(10 * SECOND)
    set_visibility(page, "visible")
    page.clock.run_for(SECOND - 100)
    pass_by(page)
    assert sent(origin) == []

    page.clock.run_for(100)

    published(page)


def set_visibility(page: Page, state: str) -> None:
    """As if the tab were left or shown: a headless browser shows all of its tabs."""
    page.evaluate(
        """state => {
          Object.defineProperty(document, "visibilityState", { configurable: true, value: state });
          document.dispatchEvent(new Event("visibilitychange"));
        }""",
        state,
    )


def test_banner_that_was_added_later_is_viewed(page: Page, origin: Origin, name: str) -> None:
    accepting(origin)
    stop_clock(page)
    page.goto(origin.page("/", banner_page(modules=module("views"))))
    page.evaluate(
        "html => document.body.insertAdjacentHTML('beforeend', `<section>${html}</section>`)",
        banner(name, channel="", token="t"),
    )
    settle(page)

    page.clock.run_for(SECOND)

    assert published(page)[0]["name"] == name


def test_two_banners_of_one_name_are_viewed_each(page: Page, origin: Origin, name: str) -> None:
    accepting(origin)
    page.clock.install()
    written = banner(name, channel="", token="t")
    page.goto(origin.page("/", banner_page(written, written, modules=module("views"))))
    settle(page)

    page.clock.run_for(SECOND)

    published(page, 2)
    assert [message["action"] for message in sent(origin)] == ["view", "view"]


def test_banner_that_waits_for_consent_is_viewed_after_it_only(
    page: Page, origin: Origin, show: Callable[..., None]
) -> None:
    accepting(origin)
    show(data_inlive_consent="")
    page.clock.run_for(10 * SECOND)
    pass_by(page)
    assert sent(origin) == []

    page.evaluate("document.querySelector('[data-inlive-banner]').removeAttribute('data-inlive-consent')")
    settle(page)
    page.clock.run_for(SECOND - 100)
    pass_by(page)
    assert sent(origin) == []
    page.clock.run_for(100)

    published(page)


def test_first_click_after_a_view_says_so_and_no_other(page: Page, origin: Origin, show: Callable[..., None]) -> None:
    accepting(origin)
    show()
    link = page.locator("[data-inlive-banner]")
    link.click()
    page.clock.run_for(SECOND)
    published(page, 2)

    link.dispatch_event("auxclick", {"button": 2})  # a right click follows nothing, and isn't recorded
    link.click(button="middle")
    link.click()

    published(page, 4)
    assert [(message["action"], message.get("viewed")) for message in sent(origin)] == [
        ("click", None),
        ("view", None),
        ("click", True),
        ("click", None),
    ]


def test_click_doesnt_say_so_before_the_channel_has_the_view(
    page: Page, complaints: Complaints, origin: Origin, show: Callable[..., None]
) -> None:
    """The page sends it again, and the first click after that does."""
    complaints.allow(r"inlive-banner: Later\.|503 \(")
    accepting(origin, Answer.sentence(503, "Later."), Answer.sentence(200, "OK", {}))
    show()
    page.clock.run_for(SECOND)
    failed(page)
    page.locator("[data-inlive-banner]").click()
    published(page)

    page.clock.run_for(2 * SECOND)  # the longest that a first wait takes
    published(page, 2)
    page.locator("[data-inlive-banner]").click()

    published(page, 3)
    told = [(message["action"], message.get("viewed")) for message in sent(origin)]
    assert told == [("view", None), ("click", None), ("view", None), ("click", True)]
    first, _, again, _ = origin.had("POST", PUBLISH)
    assert first.json["publish_id"] == again.json["publish_id"]


def test_view_that_couldnt_be_sent_isnt_kept_for_the_next_page(
    page: Page, complaints: Complaints, origin: Origin, name: str, show: Callable[..., None]
) -> None:
    """The click is."""
    complaints.allow(r"inlive-banner: Later\.|503 \(")
    accepting(origin, *[Answer.sentence(503, "Later.")] * 2, Answer.sentence(200, "OK", {}))
    show()
    page.clock.run_for(SECOND)
    failed(page)
    page.locator("[data-inlive-banner]").click()
    failed(page, 2)

    page.goto(origin.page("/next", banner_page(banner(name, channel="", token="t"))))

    published(page)
    pass_by(page)
    assert [message["action"] for message in sent(origin)] == ["view", "click", "click"]
    assert kept(page) == 0


def test_element_that_becomes_another_banner_is_viewed_anew(
    page: Page, origin: Origin, name: str, show: Callable[..., None]
) -> None:
    """As in a carousel: it has to be in sight for its own second, and its click carries its own view."""
    accepting(origin)
    show()
    page.clock.run_for(SECOND)
    published(page)
    link = page.locator("[data-inlive-banner]")

    rename = "(banner, name) => banner.dataset.inliveBanner = name"
    link.evaluate(rename, name)  # the same: nothing changes
    page.clock.run_for(SECOND)
    link.evaluate(rename, "second")
    page.clock.run_for(SECOND - 100)
    link.evaluate(rename, "third")
    page.clock.run_for(SECOND - 100)
    link.click()
    published(page, 2)
    page.clock.run_for(100)
    published(page, 3)
    link.click()

    published(page, 4)
    assert [(message["name"], message["action"], message.get("viewed")) for message in sent(origin)] == [
        (name, "view", None),
        ("third", "click", None),
        ("third", "view", None),
        ("third", "click", True),
    ]


def test_view_that_is_answered_late_marks_no_click_on_another_banner(
    page: Page, origin: Origin, show: Callable[..., None]
) -> None:
    """The element has become that one meanwhile."""
    released = threading.Event()

    def publish(_: Request) -> Answer:
        released.wait(30)
        return Answer.sentence(200, "OK", {})

    origin.answer("POST", PUBLISH, publish)
    show()
    page.clock.run_for(SECOND)
    wait_until(lambda: sent(origin), what="the view")
    link = page.locator("[data-inlive-banner]")
    link.evaluate("banner => banner.dataset.inliveBanner = 'second'")
    released.set()
    published(page)

    link.click()

    published(page, 2)
    assert [(message["action"], message.get("viewed")) for message in sent(origin)] == [("view", None), ("click", None)]


def test_views_that_couldnt_be_sent_leave_room_for_clicks(
    page: Page, complaints: Complaints, origin: Origin, name: str
) -> None:
    complaints.allow(r"inlive-banner: Later\.|503 \(")
    accepting(origin, Answer.sentence(503, "Later."))
    stop_clock(page)
    style = "position: absolute; top: 0; width: 50px; height: 50px"
    written = [banner(name, channel="", token="t", style=style)] * 30
    page.goto(origin.page("/", banner_page(*written, modules=module("views"))))
    settle(page)

    page.clock.run_for(SECOND)

    failed(page, 10)
    settle(page)
    assert kept(page) == 10


def test_views_that_the_channel_hasnt_answered_leave_room_for_clicks(
    page: Page, context: BrowserContext, complaints: Complaints, origin: Origin, name: str
) -> None:
    """And those that had to wait are told when there is an answer."""
    complaints.allow(r"inlive-banner: TypeError|net::ERR_")
    released = threading.Event()

    def publish(_: Request) -> Answer:
        released.wait(30)
        return Answer.sentence(200, "OK", {})

    origin.answer("POST", PUBLISH, publish)
    stop_clock(page)
    page.goto(origin.page("/", banner_page(banner(name, channel="", token="t"))))
    context.set_offline(offline=True)
    page.evaluate("for (let n = 0; n < 40; n++) document.querySelector('[data-inlive-banner]').click()")
    clicked = {failure["publishId"] for failure in failed(page, 40)}
    context.set_offline(offline=False)
    style = "position: absolute; top: 0; width: 50px; height: 50px"
    written = [banner(f"{name}-{count}", channel="", token="t", style=style) for count in range(15)]
    page.goto(origin.page("/next", banner_page(*written, modules=module("views"))))
    settle(page)

    page.clock.run_for(SECOND)

    bodies = page.evaluate("Object.values(localStorage).map(text => JSON.parse(text)[1])")
    assert clicked <= {body["publish_id"] for body in bodies}
    seen = [f"{name}-{count}" for count in range(15)]
    told = [body["message"]["name"] for body in bodies if body["message"]["action"] == "view"]
    assert sorted(told) == sorted(seen[:10])
    released.set()
    published(page, 55)
    messages = sent(origin)
    assert sorted(message["name"] for message in messages if message["action"] == "view") == sorted(seen)
    assert kept(page) == 0


def test_views_are_told_on_where_another_tab_has_sent_those_that_waited(
    page: Page, complaints: Complaints, origin: Origin, name: str
) -> None:
    complaints.allow(r"inlive-banner: Later\.|503 \(")
    accepting(origin, *[Answer.sentence(503, "Later.")] * 10, Answer.sentence(200, "OK", {}))
    stop_clock(page)
    style = "position: absolute; top: 0; width: 50px; height: 50px"
    written = [banner(name, channel="", token="t", style=style)] * 10
    page.goto(origin.page("/", banner_page(*written, modules=module("views"))))
    settle(page)
    page.clock.run_for(SECOND)
    failed(page, 10)
    page.evaluate("localStorage.clear()")  # as the other tab does when it has the answers

    page.evaluate("html => document.body.insertAdjacentHTML('beforeend', html)", banner(name, channel="", token="t"))
    settle(page)
    page.clock.run_for(SECOND)

    published(page)


def test_refused_view_marks_no_click(
    page: Page, complaints: Complaints, origin: Origin, show: Callable[..., None]
) -> None:
    complaints.allow(r"inlive-banner: Never\.|403 \(")
    accepting(origin, Answer.sentence(403, "Never."), Answer.sentence(200, "OK", {}))
    show()
    page.clock.run_for(SECOND)
    failed(page)

    page.locator("[data-inlive-banner]").click()

    published(page)
    assert "viewed" not in sent(origin)[1]


def test_page_that_comes_back_is_viewed_again(page: Page, origin: Origin, show: Callable[..., None]) -> None:
    """From the browser's back/forward cache, which headless browsers under automation don't have: its event."""
    accepting(origin)
    show()
    page.clock.run_for(SECOND)
    published(page)
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: false }))")
    page.clock.run_for(SECOND)
    pass_by(page)
    assert len(sent(origin)) == 1

    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    page.clock.run_for(SECOND)

    published(page, 2)
    page.clock.run_for(SECOND)
    pass_by(page)
    assert [message["action"] for message in sent(origin)] == ["view", "view"]


def test_view_and_marked_click_reach_the_channel_from_a_page_that_leaves(
    page: Page, origin: Origin, channel: str, page_token: str, name: str
) -> None:
    """Another origin than the page's, and the click leads away in the same tab."""
    origin.page("/there", "<!DOCTYPE html><link rel=icon href=data:,><title>There</title>")
    written = banner(name, channel=channel, token=page_token, href="/there")
    page.goto(origin.page("/", banner_page(written, modules=module("views"))))
    [told] = published(page)  # a second passes
    assert told["action"] == "view"

    page.get_by_text("Banner").click()
    expect(page).to_have_title("There")

    def messages() -> list[dict[str, Any]]:
        envelopes = stored_broadcasts(channel)
        return [one["message"] for one in envelopes if one["message"].get("name") == name]

    wait_until(lambda: len(messages()) == 2, what="view and click")
    assert [(message["action"], message.get("viewed")) for message in messages()] == [("view", None), ("click", True)]
    assert len({message["user_id"] for message in messages()}) == 1


def test_banner_that_has_gone_isnt_viewed(page: Page, origin: Origin, show: Callable[..., None]) -> None:
    accepting(origin)
    show()
    page.clock.run_for(SECOND - 100)
    page.evaluate("document.querySelector('[data-inlive-banner]').remove()")
    settle(page)

    page.clock.run_for(SECOND)

    pass_by(page)
    assert sent(origin) == []


def test_module_of_views_costs_one_request_a_view(page: Page, origin: Origin, show: Callable[..., None]) -> None:
    accepting(origin)
    show()
    assert not [request for request in origin.requests if request.method == "POST"]

    page.clock.run_for(SECOND)

    published(page)
    wait_until(lambda: len(sent(origin)) == 1, what="the view")
