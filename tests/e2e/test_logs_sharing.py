"""One stream per browser: pages of one profile share it, and each keeps its own place."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.e2e.browser import Complaints
from tests.e2e.client import publish_click
from tests.e2e.logs_page import count, publish_ids, row, rows, status
from tests.e2e.processes import STREAM_ID, Demo
from tests.polling import wait_until

pytestmark = pytest.mark.usefixtures("complaints")

WITHOUT_LOCKS = "Object.defineProperty(Navigator.prototype, 'locks', { value: undefined })"
"""What a page has on plain http that isn't localhost."""

COUNT_SOURCES = """
  window.sources = 0;
  window.open_sources = new Set();
  window.EventSource = class extends EventSource {
    constructor(...given) { super(...given); window.sources += 1; window.open_sources.add(this); }
    close() { super.close(); window.open_sources.delete(this); }
  }"""


@pytest.fixture
def context(context: BrowserContext) -> BrowserContext:
    """A fresh profile whose pages count their streams."""
    context.add_init_script(COUNT_SOURCES)
    return context


@pytest.fixture
def open_page(context: BrowserContext, complaints: Complaints, channel: str, site: str, demo: Demo) -> Callable[..., Page]:
    """Opens the logs page in a tab of its own, live."""

    def open_one(query: str = "", script: str = "") -> Page:
        page = context.new_page()
        if script:
            page.add_init_script(script)
        page.goto(demo.logs_url + query)
        expect(status(page)).to_have_attribute("data-state", "live")
        return page

    return open_one


@pytest.fixture
def storm(channel: str, page_token: str, name: str) -> Iterator[Callable[[], list[str]]]:
    """Publishes clicks without a pause; calling it stops that and gives their publish ids, oldest first."""
    stop = threading.Event()
    published: list[str] = []

    def publish_all() -> None:
        while not stop.is_set():
            publish_id = f"{name}-storm-{len(published):06}"
            publish_click(channel, page_token, name, publish_id=publish_id)
            published.append(publish_id)

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(publish_all)

        def end() -> list[str]:
            stop.set()
            done.result()
            return published

        yield end
        stop.set()


def open_streams(page: Page) -> int:
    """How many streams a page has of its own, now."""
    found: int = page.evaluate("open_sources.size")
    return found


def streams(pages: list[Page]) -> list[int]:
    return [open_streams(page) for page in pages]


def viewers(channel: str) -> int:
    """How many the channel counts, beside whom it tells it to."""
    with requests.get(f"{channel}/subscribe/{STREAM_ID}", stream=True, timeout=10) as response:
        lines = (line for line in response.iter_lines(chunk_size=1) if line.startswith(b"data:"))
        return int(requests.models.complexjson.loads(next(lines)[5:])["message"]["viewer_count"]) - 1


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
    wait_until(lambda: viewers(channel) == 1, what="one viewer")


def storm_ids(page: Page, name: str) -> list[str]:
    """The storm's publish ids on a page, oldest first."""
    return [each for each in reversed(publish_ids(page)) if each.startswith(f"{name}-storm-")]


def test_tab_that_leads_is_closed_under_load_and_the_others_miss_and_double_nothing(
    open_page: Callable[..., Page], storm: Callable[[], list[str]], channel: str, page_token: str, name: str
) -> None:
    pages = [open_page() for _ in range(4)]
    starts = [count(page) for page in pages]
    expect(row(pages[3], name).nth(20)).to_be_attached()

    for number in range(3):
        at = rows(pages[3]).count()
        pages[number].close()  # the one that leads: the lock goes to those that asked for it, in turn
        expect(rows(pages[3]).nth(min(at + 20, 300))).to_be_attached()
    published = storm()

    last = pages[3]
    expect(last.locator(f"[data-inlive-id='{published[-1]}']")).to_have_count(1)
    assert storm_ids(last, name) == published[-500:]
    assert open_streams(last) == 1
    assert count(last) - starts[3] >= len(published) - 500
