"""What banner.js does with a click that can't be published now: kept, bounded, and sent once later."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.e2e.banner_pages import PUBLISH, accepting, banner, banner_page, failed, kept, published
from tests.e2e.browser import Complaints
from tests.e2e.client import clicks_on
from tests.e2e.origin import Answer, Origin, Request
from tests.polling import wait_until

NETWORK_FAILURE = r"inlive-banner: TypeError|net::ERR_"

NOT_NOW = Answer.sentence(503, "Later.", Retry_After="1")
ACCEPTED = Answer.sentence(200, "OK", {"received_at": 1})


def test_offline_click_is_kept_and_sent_once_by_the_next_page(
    page: Page,
    context: BrowserContext,
    complaints: Complaints,
    origin: Origin,
    channel: str,
    page_token: str,
    name: str,
) -> None:
    complaints.allow(NETWORK_FAILURE)
    address = origin.page("/", banner_page(banner(name, channel=channel, token=page_token)))
    page.goto(address)
    context.set_offline(offline=True)
    page.get_by_text("Banner").click()
    [failure] = failed(page)
    assert failure["kept"] is True
    clicked_at = page.evaluate("Date.now()")
    page.close()
    context.set_offline(offline=False)

    next_page, third_page = context.new_page(), context.new_page()
    next_page.goto(address)
    [told] = published(next_page)
    third_page.goto(address)

    [click] = clicks_on(channel, name)
    assert click["publish_id"] == failure["publishId"] == told["publishId"]
    assert click["message"]["time"] <= clicked_at
    assert kept(third_page) == 0


def test_offline_click_is_sent_by_its_own_page_when_the_network_is_back(
    page: Page,
    context: BrowserContext,
    complaints: Complaints,
    origin: Origin,
    channel: str,
    page_token: str,
    name: str,
) -> None:
    complaints.allow(NETWORK_FAILURE)
    page.clock.install()
    page.goto(origin.page("/", banner_page(banner(name, channel=channel, token=page_token))))
    page.clock.pause_at(datetime.now(UTC) + timedelta(minutes=1))  # no timer tries again
    context.set_offline(offline=True)
    page.get_by_text("Banner").click()
    failed(page)

    context.set_offline(offline=False)

    published(page)
    assert len(clicks_on(channel, name)) == 1


def test_click_whose_answer_the_page_didnt_live_to_see_is_sent_again_under_the_same_id(
    page: Page, complaints: Complaints, origin: Origin, name: str
) -> None:
    complaints.allow(NETWORK_FAILURE)
    released = threading.Event()
    answers = iter(["slow"])

    def publish(_: Request) -> Answer:
        if next(answers, None):
            released.wait(10)
        return ACCEPTED

    origin.answer("POST", PUBLISH, publish)
    address = origin.page("/", banner_page(banner(name, channel="", token="t")))
    page.goto(address)
    page.get_by_text("Banner").click()
    wait_until(lambda: origin.had("POST", PUBLISH), what="the publish")

    page.goto(address.replace("#", "") + "?next")
    [told] = published(page)
    released.set()

    ids = [request.json["publish_id"] for request in origin.had("POST", PUBLISH)]
    assert ids == [told["publishId"]] * 2
    assert kept(page) == 0


def test_page_without_locks_leaves_alone_what_it_is_sending(page: Page, origin: Origin, name: str) -> None:
    """As from plain http. What is kept is tried in order, so the later one shows that the first was passed over."""
    released = threading.Event()

    def publish(request: Request) -> Answer:
        if request.json["message"]["name"] == name:
            released.wait(10)
        return ACCEPTED

    origin.answer("POST", PUBLISH, publish)
    page.add_init_script("delete Navigator.prototype.locks")
    page.goto(origin.page("/", banner_page(banner(name, channel="", token="t"))))
    page.get_by_text("Banner").click()
    wait_until(lambda: origin.had("POST", PUBLISH), what="the publish")
    page.evaluate(
        """() => {
          const [[url, body]] = Object.values(localStorage).map(JSON.parse);
          const later = { ...body, publish_id: "9999999999999-1", message: { ...body.message, name: "later" } };
          localStorage["inlive-banner:9999999999999-1"] = JSON.stringify([url, later]);
          dispatchEvent(new Event("online"));
        }"""
    )

    published(page)
    released.set()

    published(page, 2)
    assert [request.json["message"]["name"] for request in origin.had("POST", PUBLISH)] == [name, "later"]


def test_click_is_kept_for_the_next_page_where_the_second_script_is_missing(
    page: Page, complaints: Complaints, origin: Origin, name: str
) -> None:
    complaints.allow(r"503 \(|404 \(")
    accepting(origin, Answer.sentence(503, "Later."), ACCEPTED)
    page.goto(origin.page("/", banner_page(banner(name, channel="", token="t"), retry="/missing.js")))
    page.get_by_text("Banner").click()
    [failure] = failed(page)
    assert (failure["name"], failure["kept"]) == (name, True)
    assert "missing.js" in failure["reason"]
    assert kept(page) == 1

    page.goto(origin.page("/next", banner_page(banner(name, channel="", token="t"))))

    [told] = published(page)
    assert told["publishId"] == failure["publishId"]
    assert len(origin.had("POST", PUBLISH)) == 2
    assert kept(page) == 0


def test_second_tab_leaves_alone_what_the_first_is_sending(
    page: Page, context: BrowserContext, origin: Origin, name: str
) -> None:
    released = threading.Event()

    def publish(request: Request) -> Answer:
        if request.json["message"]["name"] == name:
            released.wait(10)
        return ACCEPTED

    origin.answer("POST", PUBLISH, publish)
    address = origin.page("/", banner_page(banner(name, channel="", token="t")))
    origin.page("/other", banner_page(banner("other", channel="", token="t")))
    page.goto(address)
    page.get_by_text("Banner").click()
    wait_until(lambda: origin.had("POST", PUBLISH), what="the publish")

    other = context.new_page()
    other.goto(f"{origin.url}/other")
    other.get_by_text("Banner").click()
    published(other)
    released.set()

    published(page)
    assert [request.json["message"]["name"] for request in origin.had("POST", PUBLISH)] == [name, "other"]


@pytest.mark.parametrize("status", [429, 503])
def test_channel_that_says_not_now_is_asked_again_when_it_said(
    page: Page, complaints: Complaints, origin: Origin, name: str, status: int
) -> None:
    complaints.allow(rf"inlive-banner: Later\.|{status} \(")
    accepting(origin, Answer.sentence(status, "Later.", Retry_After="120"), ACCEPTED)
    page.clock.install()
    page.goto(origin.page("/", banner_page(banner(name, channel="", token="t"))))
    page.get_by_text("Banner").click()
    [failure] = failed(page)
    assert (failure["kept"], failure["reason"]) == (True, "Later.")

    page.clock.fast_forward(119_000)
    page.evaluate("fetch('/')")  # a request that began before this one would be here first
    assert len(origin.had("POST", PUBLISH)) == 1

    page.clock.fast_forward(2_000)
    published(page)
    first, second = origin.had("POST", PUBLISH)
    assert first.json["publish_id"] == second.json["publish_id"]
    assert kept(page) == 0


def test_channel_that_asks_for_a_month_isnt_asked_at_once(
    page: Page, complaints: Complaints, origin: Origin, name: str
) -> None:
    """More milliseconds than a browser's timer can count make it fire at once."""
    complaints.allow(r"inlive-banner: Later\.|503 \(")
    accepting(origin, Answer.sentence(503, "Later.", Retry_After="2678400"), ACCEPTED)
    page.clock.install()
    page.goto(origin.page("/", banner_page(banner(name, channel="", token="t"))))
    page.get_by_text("Banner").click()
    failed(page)

    page.clock.fast_forward(60_000)
    page.evaluate("fetch('/')")  # a request that began before this one would be here first
    assert len(origin.had("POST", PUBLISH)) == 1


@pytest.mark.parametrize("status", [400, 403, 404, 413])
def test_publish_that_can_never_succeed_is_dropped_and_said(
    page: Page, complaints: Complaints, origin: Origin, name: str, status: int
) -> None:
    complaints.allow(rf"inlive-banner: Never\.|{status} \(")
    accepting(origin, Answer.sentence(status, "Never."))
    page.goto(origin.page("/", banner_page(banner(name, channel="", token="t"))))

    page.get_by_text("Banner").click()

    [failure] = failed(page)
    assert (failure["name"], failure["action"]) == (name, "click")
    assert (failure["reason"], failure["kept"]) == ("Never.", False)
    assert kept(page) == 0
    assert any("inlive-banner: Never." in line for line in complaints.heard)


def test_answer_that_isnt_the_channels_counts_as_none(
    page: Page, complaints: Complaints, origin: Origin, name: str
) -> None:
    """Such as the sign-in page of a hotel's network, which has status 200."""
    complaints.allow("inlive-banner: ")
    accepting(origin, Answer(body=b"<p>Welcome to our network</p>"))
    page.goto(origin.page("/", banner_page(banner(name, channel="", token="t"))))

    page.get_by_text("Banner").click()

    assert failed(page)[0]["kept"] is True
    assert kept(page) == 1


@pytest.mark.parametrize("status", [403, 404])
@pytest.mark.parametrize("kind", ["text/html", "application/json"])
def test_refusal_that_isnt_the_channels_is_tried_again(
    page: Page, complaints: Complaints, origin: Origin, name: str, status: int, kind: str
) -> None:
    """Such as a proxy's page while the site is deployed."""
    complaints.allow(rf"inlive-banner: Status {status}|{status} \(")
    body = b"<h1>Not here</h1>" if kind == "text/html" else b'{"detail": "Not here"}'
    accepting(origin, Answer(status=status, body=body, content_type=kind), ACCEPTED)
    page.clock.install()
    page.goto(origin.page("/", banner_page(banner(name, channel="", token="t"))))
    page.get_by_text("Banner").click()
    [failure] = failed(page)
    assert failure["kept"] is True
    assert kept(page) == 1

    page.clock.fast_forward(2_000)

    published(page)
    first, second = origin.had("POST", PUBLISH)
    assert first.json["publish_id"] == second.json["publish_id"]
    assert kept(page) == 0


def test_click_that_a_firewall_refuses_for_ever_holds_up_no_other(
    page: Page, context: BrowserContext, complaints: Complaints, origin: Origin, name: str
) -> None:
    complaints.allow(r"inlive-banner: (Status 403|TypeError)|403 \(|net::ERR_")

    def publish(request: Request) -> Answer:
        is_refused = request.json["message"]["name"] == "refused"
        return Answer(status=403, body=b"<h1>Attack</h1>") if is_refused else ACCEPTED

    origin.answer("POST", PUBLISH, publish)
    written = [banner(each, channel="", token="t", content=each) for each in ("refused", name)]
    page.clock.install()  # so that each click has a time of its own
    page.goto(origin.page("/", banner_page(*written)))
    context.set_offline(offline=True)
    for count, each in enumerate(("refused", name), 1):
        page.get_by_text(each).click()
        failed(page, count)
        page.clock.fast_forward(1)

    context.set_offline(offline=False)

    assert [told["name"] for told in published(page)] == [name]
    assert kept(page) == 1


def test_no_more_than_fifty_clicks_are_kept_and_the_oldest_leave(
    page: Page, context: BrowserContext, complaints: Complaints, origin: Origin, name: str
) -> None:
    complaints.allow(NETWORK_FAILURE)
    accepting(origin)
    address = origin.page("/", banner_page(banner(name, channel="", token="t")))
    page.clock.install()  # so that each click has a time of its own
    page.goto(address)
    context.set_offline(offline=True)
    for count in range(1, 54):
        page.clock.fast_forward(1)
        page.get_by_text("Banner").evaluate("banner => banner.click()")
        failed(page, count)
    lost = {failure["publishId"] for failure in failed(page, 53)[:3]}
    assert kept(page) == 50
    page.close()
    context.set_offline(offline=False)

    next_page = context.new_page()
    next_page.goto(address)

    sent = {told["publishId"] for told in published(next_page, 50)}
    assert len(sent) == 50
    assert not sent & lost


def test_click_older_than_the_channel_remembers_ids_is_dropped(
    page: Page, context: BrowserContext, complaints: Complaints, origin: Origin, name: str
) -> None:
    complaints.allow(NETWORK_FAILURE)
    accepting(origin)
    address = origin.page("/", banner_page(banner(name, channel="", token="t")))
    # The random part of an id mustn't be taken for a part of the time before it.
    page.add_init_script("Math.random = () => 0xdf / 2 ** 53")
    page.goto(address)
    context.set_offline(offline=True)
    page.get_by_text("Banner").click()
    failed(page)
    page.close()
    context.set_offline(offline=False)

    late = context.new_page()
    late.clock.install(time=datetime.now(UTC) + timedelta(days=8))
    late.goto(address)
    late.get_by_text("Banner").click()

    published(late)
    assert len(origin.had("POST", PUBLISH)) == 1
    assert kept(late) == 0


def test_storage_denied_clicks_are_published_and_retried_by_the_page_itself(
    page: Page, complaints: Complaints, origin: Origin, name: str
) -> None:
    """In a sandboxed frame both storage and locks throw."""
    complaints.allow(r"inlive-banner: Later\.|503 \(")
    accepting(origin, NOT_NOW, ACCEPTED)
    origin.page("/frame", banner_page(banner(name, channel=origin.url, token="t")))
    page.goto(
        origin.page(
            "/",
            '<!DOCTYPE html><title>Outer</title><link rel="icon" href="data:,">'
            '<iframe src="/frame" sandbox="allow-scripts"></iframe>',
        )
    )
    frame = page.frame_locator("iframe")

    frame.get_by_text("Banner").click()

    told = wait_until(
        lambda: frame.locator("body").evaluate("() => published"), deadline_seconds=10, what="the second try"
    )
    assert told[0]["name"] == name
    first, second = origin.had("POST", PUBLISH)
    assert first.json["publish_id"] == second.json["publish_id"]


def test_page_without_any_storage_retries_clicks_itself(
    page: Page, complaints: Complaints, origin: Origin, name: str
) -> None:
    """Some apps' built-in browsers have null in its place."""
    complaints.allow(r"inlive-banner: Later\.|503 \(")
    accepting(origin, NOT_NOW, ACCEPTED)
    page.add_init_script("Object.defineProperty(window, 'localStorage', { value: null })")
    page.goto(origin.page("/", banner_page(banner(name, channel="", token="t"))))

    page.get_by_text("Banner").click()

    assert published(page)[0]["name"] == name
    first, second = origin.had("POST", PUBLISH)
    assert first.json["publish_id"] == second.json["publish_id"]


def test_full_storage_stops_neither_a_click_nor_its_second_try(
    page: Page, complaints: Complaints, origin: Origin, name: str
) -> None:
    complaints.allow(r"inlive-banner: Later\.|503 \(")
    accepting(origin, NOT_NOW, ACCEPTED)
    page.goto(origin.page("/", banner_page(banner(name, channel="", token="t"))))
    page.evaluate(
        """() => {
          for (let length = 1 << 20; length > 1; ) {
            try {
              localStorage.setItem(Math.random(), "x".repeat(length));
            } catch {
              length /= 2;
            }
          }
        }"""
    )

    page.get_by_text("Banner").click()

    published(page)
    assert kept(page) == 0
    first, second = origin.had("POST", PUBLISH)
    assert first.json["publish_id"] == second.json["publish_id"]


def test_clicks_that_fail_together_wait_no_longer_than_one(
    page: Page, complaints: Complaints, origin: Origin, name: str
) -> None:
    complaints.allow(r"inlive-banner: Later\.|503 \(")
    accepting(origin, *[Answer.sentence(503, "Later.")] * 10, ACCEPTED)
    page.clock.install()
    page.goto(origin.page("/", banner_page(banner(name, channel="", token="t"))))
    page.evaluate("for (let n = 0; n < 10; n++) document.querySelector('[data-inlive-banner]').click()")
    failed(page, 10)

    page.clock.fast_forward(2_000)

    published(page, 10)
    assert kept(page) == 0


def test_click_that_fails_later_doesnt_put_off_the_next_try(
    page: Page, complaints: Complaints, origin: Origin, name: str
) -> None:
    """Else a visitor who clicks every second would never see any of it sent."""
    complaints.allow(r"inlive-banner: Later\.|503 \(")
    accepting(origin, *[Answer.sentence(503, "Later.")] * 2, ACCEPTED)
    page.clock.install()
    page.add_init_script("Math.random = () => 0")  # without jitter the first wait is a second
    page.goto(origin.page("/", banner_page(banner(name, channel="", token="t"))))
    page.clock.pause_at(datetime.now(UTC) + timedelta(minutes=1))
    page.get_by_text("Banner").evaluate("banner => banner.click()")
    failed(page)
    page.clock.fast_forward(600)
    page.get_by_text("Banner").evaluate("banner => banner.click()")
    failed(page, 2)

    page.clock.fast_forward(600)

    published(page, 2)
