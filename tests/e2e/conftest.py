"""Fixtures of the browser tests: one browser and one set of processes a module, one browser context a test."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from django.test import override_settings
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from inlive_banner.signing import ChannelSigner
from tests.e2e.browser import LAUNCH_ARGUMENTS, Complaints, environment_of, find_chromium
from tests.e2e.logs_page import SUBSCRIBE, TICKET, with_data
from tests.e2e.origin import STATIC, Answer, Origin, Request, serving
from tests.e2e.processes import ROOT, STREAM_ID, Demo

_numbers = itertools.count()

TIMEOUT_MS = 10_000
"""What a page is waited for, at most. Where a test promises less, it says so."""


@pytest.fixture(scope="session")
def chromium_path() -> Path:
    """The browser's executable."""
    try:
        return find_chromium()
    except FileNotFoundError as error:
        pytest.fail(str(error), pytrace=False)


# Not for the session: Playwright's loop runs in this thread for as long as it lives, and other modules' tests use
# asyncio and Django's ORM, which both refuse a thread with a running loop.
@pytest.fixture(scope="module")
def browser(chromium_path: Path) -> Iterator[Browser]:
    """A headless browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium_path, args=LAUNCH_ARGUMENTS, env=environment_of(chromium_path)
        )
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A fresh profile: no storage, no cache."""
    context = browser.new_context(locale="en-GB", timezone_id="Asia/Jakarta")
    context.set_default_timeout(TIMEOUT_MS)
    yield context
    context.close()


@pytest.fixture
def complaints(context: BrowserContext) -> Iterator[Complaints]:
    """Fails the test if a page of its context has complained on the console about what wasn't allowed."""
    complaints = Complaints(context)
    yield complaints
    assert complaints.unexpected == []


@pytest.fixture
def page(context: BrowserContext, complaints: Complaints) -> Page:
    """An empty page."""
    return context.new_page()


@pytest.fixture(scope="session")
def migrated_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty database of the demo site, to be copied."""
    demo = Demo(tmp_path_factory.mktemp("migrated"))
    demo.manage("migrate", "--verbosity=0")
    # The one file is the whole database: Django has closed it, which empties SQLite's write-ahead log.
    return demo.database


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, migrated_database: Path) -> Demo:
    """A demo that the module's tests share, with nothing running yet."""
    demo = Demo(tmp_path_factory.mktemp("demo"))
    shutil.copy(migrated_database, demo.database)
    return demo


@pytest.fixture
def own_demo(tmp_path: Path, migrated_database: Path) -> Demo:
    """A demo of the test's own, whose processes it may start and kill as it likes."""
    demo = Demo(tmp_path)
    shutil.copy(migrated_database, demo.database)
    return demo


@pytest.fixture(scope="module")
def channel(demo: Demo) -> Iterator[str]:
    """The channel, running; its address."""
    with demo.channel():
        yield demo.channel_url


@pytest.fixture(scope="module")
def site(demo: Demo) -> Iterator[str]:
    """The demo site under plain WSGI, running; its address."""
    with demo.site():
        yield demo.site_url


@pytest.fixture(scope="module")
def worker(demo: Demo, channel: str) -> Iterator[None]:
    """The worker, running."""
    with demo.worker():
        yield


@pytest.fixture
def origin() -> Iterator[Origin]:
    """A web server of another origin than site and channel."""
    with serving() as origin:
        yield origin


@pytest.fixture
def stand_in(site: str, demo: Demo, origin: Origin) -> Callable[..., str]:
    """Puts the site's logs page into the origin, which then is its channel and its site too; gives the address.

    What is given by name becomes the root's data.
    """

    def put(
        *answers: Callable[[Request], Answer] | Answer, rows: str = "", query: str = "", after: str = "", **data: object
    ) -> str:
        pending = list(answers)
        rendered = requests.get(demo.logs_url + query, timeout=10).text

        def subscribe(request: Request) -> Answer:
            answer = pending.pop(0) if len(pending) > 1 else pending[0]
            return answer(request) if callable(answer) else answer

        origin.folder("/static/inlive_banner/", STATIC)
        origin.folder("/static/project/", ROOT / "project" / "static" / "project")
        origin.answer("GET", SUBSCRIBE, subscribe)
        origin.answer("GET", TICKET, lambda _: Answer(body=b'{"ticket": "fresh"}', content_type="application/json"))
        html = rendered.replace(demo.channel_url, "").replace("data-inlive-list>", f"data-inlive-list>{rows}")
        # With the first click such a page has itself rendered anew, which is more than most tests want.
        html = html.replace("data-inlive-bare ", "").replace("</section>", f"{after}</section>")
        for name, value in data.items():
            html = with_data(html, name, value)
        return origin.page("/logs/", html)

    return put


@pytest.fixture
def page_token() -> str:
    """What the template tag would render into a page of the demo site."""
    with override_settings(SECRET_KEY=Demo.SECRET_KEY):
        return ChannelSigner(token_max_age_seconds=3600, ticket_seconds=3600).make_page_token(STREAM_ID)


@pytest.fixture
def name() -> str:
    """A banner's name that no other test uses, so that all can share one channel."""
    return f"banner-{next(_numbers)}"
