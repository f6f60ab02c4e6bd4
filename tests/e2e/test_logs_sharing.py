"""One stream per browser: pages of one profile share it, and each keeps its own place."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from playwright.sync_api import BrowserContext, Error, Page, expect

from tests.e2e.browser import Complaints
from tests.e2e.client import publish, publish_click
from tests.e2e.logs_page import click, count, init, row, rows, status
from tests.e2e.origin import STATIC, Answer, Origin, Request
from tests.e2e.processes import STREAM_ID, Demo
from tests.polling import wait_until

pytestmark = pytest.mark.usefixtures("complaints")

WITHOUT_LOCKS = "Object.defineProperty(Navigator.prototype, 'locks', { value: undefined })"
"""What a page has on plain http that isn't localhost."""

WATCH = """
  window.sources = 0;
  window.open_sources = new Set();
  window.EventSource = class extends EventSource {
    constructor(...given) { super(...given); window.sources += 1; window.open_sources.add(this); }
    close() { super.close(); window.open_sources.delete(this); }
  };
  window.shown = [];
  addEventListener("DOMContentLoaded", () => {
    const list = document.querySelector("[data-inlive-list]");
    if (!list) return;
    new MutationObserver((changes) => {
      // One change is one drawing: its rows are newest first.
      for (const change of changes) shown.push(...[...change.addedNodes].map((row) => row.dataset.inliveId).reverse());
    }).observe(list, { childList: true });
  });"""


@pytest.fixture
def context(context: BrowserContext) -> BrowserContext:
    """A fresh profile whose pages count their streams."""
    context.add_init_script(WATCH)
    return context


@pytest.fixture
def open_page(
    context: BrowserContext, complaints: Complaints, channel: str, site: str, demo: Demo
) -> Callable[..., Page]:
    """Opens the logs page in a tab of its own, live; unless told otherwise, from where the channel's log ended."""
    head = first_message(channel)["head"]

    def open_one(script: str = "", **data: str) -> Page:
        page = context.new_page()
        page.add_init_script(script + rendered_with(**{"inlivePosition": head} | data))
        page.goto(demo.logs_url)
        expect(status(page)).to_have_attribute("data-state", "live")
        return page

    return open_one


def rendered_with(**data: str) -> str:
    """A script that changes the root's data as if the server had rendered it so: before the page's script runs."""
    return (
        ";document.addEventListener('readystatechange', () => {"
        "const { dataset } = document.querySelector('[data-inlive-logs]') ?? { dataset: {} };"
        "delete dataset.inliveBare;"  # with its first click it would be rendered anew, and subscribe again
        f"Object.assign(dataset, {json.dumps(data)}); }});"
    )


class Storm:
    """Publishes clicks without a pause, until it is ended."""

    def __init__(self, channel: str, token: str, name: str) -> None:
        self._channel, self._token, self._name = channel, token, name
        self._stop = threading.Event()
        self.published: list[str] = []
        """Publish ids, oldest first."""
        self._thread = threading.Thread(target=self._publish, daemon=True)
        self._thread.start()

    def end(self) -> list[str]:
        """Stop; gives what was published."""
        self._stop.set()
        self._thread.join()
        return self.published

    def wait_for_more(self) -> None:
        """Until some more are published."""
        before = len(self.published)
        wait_until(lambda: len(self.published) >= before + 20, what="more clicks")

    def _publish(self) -> None:
        message = {"name": self._name, "type": "banner", "action": "click", "user_id": "u", "time": 1}
        while not self._stop.is_set():
            publish_id = f"{self._name}-storm-{len(self.published):06}"
            publish(self._channel, self._token, message, publish_id=publish_id)
            self.published.append(publish_id)


@pytest.fixture
def storm(open_page: Callable[..., Page], channel: str, page_token: str, name: str) -> Iterator[Storm]:
    """Running. All of it comes after what `open_page` has pages begin with."""
    storm = Storm(channel, page_token, name)
    yield storm
    storm.end()


def shown(page: Page, name: str) -> list[str]:
    """The publish ids of the storm's clicks in the order in which the page has ever drawn them."""
    found: list[str] = page.evaluate("prefix => shown.filter((id) => id.startsWith(prefix))", f"{name}-storm-")
    return found


def expect_all_shown(page: Page, name: str, published: list[str]) -> None:
    wait_until(lambda: published[-1] in shown(page, name), what="the newest click")
    drawn = shown(page, name)
    # Of many that come at once only the newest are drawn; the counter tells of all.
    assert drawn == published[-len(drawn) :]
    assert count(page) == len(published)


def open_streams(page: Page) -> int:
    """How many streams a page has of its own, now."""
    found: int = page.evaluate("open_sources.size")
    return found


def streams(pages: list[Page]) -> list[int]:
    return [open_streams(page) for page in pages]


def first_message(channel: str) -> dict[str, Any]:
    """What the channel greets a subscriber with."""
    with requests.get(f"{channel}/subscribe/{STREAM_ID}", stream=True, timeout=10) as response:
        lines = (line for line in response.iter_lines(chunk_size=1) if line.startswith(b"data:"))
        message: dict[str, Any] = json.loads(next(lines)[5:])["message"]
        return message


def test_twenty_tabs_are_all_live_by_one_stream(
    open_page: Callable[..., Page], channel: str, page_token: str, name: str
) -> None:
    """HTTP/1.1 has six connections per host: without sharing, the seventh tab would wait for ever."""
    pages = [open_page() for _ in range(20)]

    publish_click(channel, page_token, name)

    for page in pages:
        expect(row(page, name)).to_have_count(1)
    wait_until(lambda: sum(streams(pages)) == 1, what="one stream")
    assert sum(page.evaluate("sources") for page in pages) == 1
    wait_until(lambda: first_message(channel)["viewer_count"] == 2, what="one viewer beside us")


@pytest.mark.parametrize("gone", ["closed", "navigated", "crashed", "asleep in the cache"])
def test_leader_goes_under_load_and_the_others_miss_and_double_nothing(
    complaints: Complaints, open_page: Callable[..., Page], storm: Storm, name: str, gone: str
) -> None:
    pages = [open_page() for _ in range(4)]
    for leader in pages[:3]:  # in turn: the lock goes to those that asked for it in this order
        storm.wait_for_more()
        # A browser takes its time to see that a tab has crashed, and gives the lock on only then.
        wait_until(lambda leader=leader: open_streams(leader) == 1, what="the next leader")
        if gone == "closed":
            leader.close()
        elif gone == "navigated":
            leader.goto("about:blank")
        elif gone == "crashed":
            with contextlib.suppress(Error):
                leader.goto("chrome://crash", timeout=1000)
        else:
            leader.evaluate("dispatchEvent(new Event('pagehide'))")
    storm.wait_for_more()

    expect_all_shown(pages[3], name, storm.end())

    wait_until(lambda: open_streams(pages[3]) == 1, what="the last leader")
    expect(status(pages[3])).to_have_attribute("data-state", "live")


def test_page_that_wakes_up_in_the_cache_follows_again_from_its_own_place(
    open_page: Callable[..., Page], storm: Storm, name: str
) -> None:
    first, second = open_page(), open_page()
    for page in (first, second):
        page.evaluate("dispatchEvent(new Event('pagehide'))")
        storm.wait_for_more()
        page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
        storm.wait_for_more()

    published = storm.end()

    for page in (first, second):
        expect_all_shown(page, name, published)
    wait_until(lambda: streams([first, second]) in ([0, 1], [1, 0]), what="one stream")


def test_tab_that_comes_late_catches_up_from_the_leader_alone(
    open_page: Callable[..., Page], storm: Storm, name: str
) -> None:
    first = open_page()
    storm.wait_for_more()

    late = open_page()
    storm.wait_for_more()

    expect_all_shown(late, name, storm.end())
    assert late.evaluate("sources") == 0
    assert open_streams(first) == 1


def test_tab_that_the_leader_cant_serve_catches_up_by_a_short_stream_of_its_own(
    open_page: Callable[..., Page], storm: Storm, channel: str, name: str
) -> None:
    """Where the leader has begun later than the late tab's rendered position, or has forgotten so much."""
    storm.wait_for_more()
    leader = open_page(inlivePosition=first_message(channel)["head"])
    storm.wait_for_more()

    late = open_page()
    storm.wait_for_more()

    wait_until(lambda: streams([leader, late]) == [1, 0], what="the short stream's end")
    storm.wait_for_more()
    expect_all_shown(late, name, storm.end())
    assert late.evaluate("sources") == 1


def test_each_tab_has_its_own_filter_and_its_own_pause(
    open_page: Callable[..., Page], channel: str, page_token: str, name: str
) -> None:
    whole, part, paused = open_page(), open_page(filterBanner=f"{name}-b"), open_page()
    paused.get_by_role("button", name="Pause").click()

    for letter in "abc":
        publish_click(channel, page_token, f"{name}-{letter}")

    expect(row(whole, f"{name}-c")).to_have_count(1)
    expect(row(part, f"{name}-b")).to_have_count(1)
    expect(paused.locator("[data-inlive-waiting-count]")).to_have_text("3")
    assert row(paused, f"{name}-c").count() == 0
    assert count(part) == 1
    assert rows(part).count() == 1
    assert sum(streams([whole, part, paused])) == 1


def test_browser_without_locks_has_a_stream_a_tab(
    open_page: Callable[..., Page], channel: str, page_token: str, name: str
) -> None:
    """Such as any on plain http that isn't localhost."""
    pages = [open_page(script=WITHOUT_LOCKS) for _ in range(2)]

    publish_click(channel, page_token, name)

    for page in pages:
        expect(row(page, name)).to_have_count(1)
    assert streams(pages) == [1, 1]


def test_leader_that_may_read_no_longer_hands_over(
    open_page: Callable[..., Page],
    context: BrowserContext,
    complaints: Complaints,
    channel: str,
    page_token: str,
    demo: Demo,
    name: str,
) -> None:
    complaints.allow(r"40[13] \(")
    context.route("**/refused/", lambda route: route.fulfill(status=403))
    leader = context.new_page()
    leader.add_init_script(rendered_with(inliveTicket="15:reader:1:c2lnbmF0dXJl", inliveTicketUrl="/refused/"))
    leader.goto(demo.logs_url)

    follower = open_page()

    expect(status(leader)).to_have_attribute("data-state", "refused")
    publish_click(channel, page_token, name)
    expect(row(follower, name)).to_have_count(1)
    assert streams([leader, follower]) == [0, 1]


def test_leader_that_answers_nothing_is_done_without(
    open_page: Callable[..., Page], context: BrowserContext, channel: str, page_token: str, demo: Demo, name: str
) -> None:
    """A frozen page may hold the lock."""
    frozen = context.new_page()
    frozen.goto(demo.site_url)
    frozen.evaluate(
        "name => new Promise((held) => navigator.locks.request(name, () => { held(); return new Promise(() => {}); }))",
        f"inlive-logs 1 {channel}/subscribe/{STREAM_ID}",
    )

    page = open_page()

    publish_click(channel, page_token, name)
    expect(row(page, name)).to_have_count(1)
    assert open_streams(page) == 1


def test_leader_whose_timers_stand_still_is_hurried_by_the_others(
    context: BrowserContext, complaints: Complaints, stand_in: Callable[..., str], name: str
) -> None:
    """A hidden tab's run once a minute at times."""
    complaints.allow(r"503 \(")
    address = stand_in(Answer.sentence(503, "Later."), Answer.events(init(0), click(1, name)))
    leader, follower = context.new_page(), context.new_page()
    leader.add_init_script("window.setTimeout = () => 1_000_000")
    leader.goto(address)
    expect(status(leader)).to_have_attribute("data-state", "reconnecting")

    follower.goto(address)

    expect(row(follower, name)).to_have_count(1)
    expect(status(follower)).to_have_attribute("data-state", "live")
    assert streams([leader, follower]) == [1, 0]


def test_gap_in_the_leaders_stream_is_said_by_the_followers_too(
    context: BrowserContext, complaints: Complaints, stand_in: Callable[..., str]
) -> None:
    """Each finds out by itself, since each is at a place of its own; also where nothing comes after it."""
    released = threading.Event()

    def come_back(_: Request) -> Answer:
        released.wait(10)
        return Answer.events(init(413, recovered=False))

    address = stand_in(Answer.events(init(0), click(1, "old"), ends=True), come_back)
    pages = [context.new_page() for _ in range(2)]
    for page in pages:
        page.goto(address)
        expect(row(page, "old")).to_have_count(1)
        page.get_by_role("button", name="Pause").click()
    released.set()

    for page in pages:
        expect(page.locator("[data-inlive-away]")).to_contain_text("412")
        expect(status(page)).to_have_attribute("data-state", "gap")
    wait_until(lambda: streams(pages) == [1, 0], what="one stream")


def test_followers_say_how_it_stands_with_the_leaders_stream(
    open_page: Callable[..., Page], complaints: Complaints, context: BrowserContext
) -> None:
    complaints.allow("ERR_")
    pages = [open_page(), open_page()]

    context.set_offline(True)
    pages[0].evaluate("dispatchEvent(new Event('online'))")

    for page in pages:
        expect(status(page)).to_have_attribute("data-state", "reconnecting")
    context.set_offline(False)
    pages[0].evaluate("dispatchEvent(new Event('online'))")
    for page in pages:
        expect(status(page)).to_have_attribute("data-state", "live")
    assert sum(streams(pages)) == 1


READING = """async (events) => {
  const { Reading } = await import("/static/logs/reading.js");
  const rows = [];
  const nothing = () => {};
  const row = ({ name }) => rows.push(name);
  const listener = { row, viewers: nothing, greet: nothing, known: () => [], miss: nothing };
  const reading = new Reading({ channel: "", stream: "", widgetKey: "", position: "e-5" }, [], listener);
  const isNew = events.map(([id, name]) => {
    const message = { type: "banner", action: "click", user_id: "u", time: 1, name };
    return reading.receive({ id, data: JSON.stringify({ type: "broadcast", interaction: "click", message }) });
  });
  return { isNew, rows, position: reading.position };
}"""


def test_event_at_or_before_the_own_place_is_known_by_its_id(page: Page, origin: Origin) -> None:
    origin.folder("/static/", STATIC)
    page.goto(origin.page("/", "<!DOCTYPE html><title>Empty</title>"))

    given = page.evaluate(READING, [["e-4", "a"], ["e-5", "b"], ["e-7", "c"], ["e-7", "c"], ["e-6", "d"], ["f-1", "e"]])

    assert given == {"isNew": [False, False, True, False, False, True], "rows": ["c", "e"], "position": "f-1"}


RING = """async ({ start, isFromOldest, first, last, asked }) => {
  const { Ring } = await import("/static/logs/ring.js");
  const ring = new Ring(start, isFromOldest);
  for (let number = first; number <= last; number += 1) ring.add({ data: "x", id: `e-${number}` });
  return asked.map((position) => {
    const events = ring.after(position);
    return events && [events.length, events[0]?.id ?? "", events.at(-1)?.id ?? ""];
  });
}"""


@pytest.mark.parametrize(
    ("ring", "asked"),
    [
        (
            {"start": "e-4", "isFromOldest": False, "first": 5, "last": 7},
            {
                "e-3": None,
                "e-4": [3, "e-5", "e-7"],
                "e-6": [1, "e-7", "e-7"],
                "e-7": [0, "", ""],
                "e-9": [0, "", ""],
                "f-5": None,
                "0": None,
                "": None,
            },
        ),
        ({"start": "e-4", "isFromOldest": True, "first": 5, "last": 7}, {"0": [3, "e-5", "e-7"], "e-3": None}),
        (
            {"start": "e-0", "isFromOldest": True, "first": 1, "last": 2_001},
            {"0": None, "e-0": None, "e-1000": None, "e-1001": [1_000, "e-1002", "e-2001"]},
        ),
        ({"start": "e-0", "isFromOldest": True, "first": 1, "last": 2_000}, {"0": [2_000, "e-1", "e-2000"]}),
    ],
)
def test_ring_gives_all_that_comes_after_a_place_or_says_that_it_cant(
    page: Page, origin: Origin, ring: dict[str, object], asked: dict[str, object]
) -> None:
    origin.folder("/static/", STATIC)
    page.goto(origin.page("/", "<!DOCTYPE html><title>Empty</title>"))

    given = page.evaluate(RING, ring | {"asked": list(asked)})

    assert dict(zip(asked, given, strict=True)) == asked
