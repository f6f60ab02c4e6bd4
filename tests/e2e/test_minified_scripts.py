"""The wheel's scripts, which are minified, do in a browser what their sources do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.banner_pages import PUBLISH, accepting, banner, banner_page, failed, kept, module, published
from tests.e2e.browser import Complaints
from tests.e2e.logs_page import click, init, row
from tests.e2e.origin import Answer, Origin
from tests.wheel import SCRIPTS, build_wheel


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the wheel's scripts."""
    folder = tmp_path_factory.mktemp("wheel")
    build_wheel(folder).extractall(folder)
    return folder / SCRIPTS


def test_minified_scripts_publish_a_click_at_once_or_later(
    page: Page, complaints: Complaints, origin: Origin, scripts: Path, name: str
) -> None:
    complaints.allow(r"inlive-banner: Later\.|503 \(")
    origin.folder("/static/", scripts)
    accepting(origin, *(Answer.sentence(*answer) for answer in ((200, "OK"), (503, "Later."), (200, "OK"))))
    page.goto(origin.page("/", banner_page(banner(name, channel="", token="t"))))

    page.get_by_text("Banner").click()
    published(page)
    page.get_by_text("Banner").click()
    failed(page)

    published(page, 2)
    assert kept(page) == 0
    assert [request.path for request in origin.requests if request.path.startswith("/static/")] == [
        "/static/banner.js",
        "/static/retry.js",
    ]


def test_minified_modules_do_what_their_sources_do(page: Page, origin: Origin, scripts: Path, name: str) -> None:
    """Consent, then a view and the click after it, and an action."""
    origin.folder("/static/", scripts)
    accepting(origin)
    page.clock.install(time="2030-01-01")
    page.clock.pause_at("2030-01-02")
    modules = module("consent", data_inlive_consent="") + module("views") + module("actions")
    written = banner(name, channel="", token="t", data_inlive_consent="")
    page.goto(origin.page("/", banner_page(written, modules=modules)))
    page.evaluate("document.dispatchEvent(new CustomEvent('inlive:consent'))")
    page.evaluate("() => new Promise((seen) => new IntersectionObserver(seen).observe(document.body))")
    page.clock.run_for(1_000)
    published(page)

    page.get_by_text("Banner").click()
    page.evaluate("inlive.track('list', 'download')")

    published(page, 3)
    messages = [request.json["message"] for request in origin.had("POST", PUBLISH)]
    assert [(message["name"], message["action"], message.get("viewed")) for message in messages] == [
        (name, "view", None),
        (name, "click", True),
        ("list", "download", None),
    ]


def test_bundled_logs_page_is_live_by_one_script(
    page: Page, origin: Origin, stand_in: Callable[..., str], scripts: Path, name: str
) -> None:
    address = stand_in(Answer.events(init(0), click(1, name)))
    origin.folder("/static/inlive_banner/", scripts)
    page.goto(address)

    expect(row(page, name)).to_have_count(1)

    asked = [request.path for request in origin.requests if request.path.endswith(".js")]
    assert [path for path in asked if "/inlive_banner/" in path] == ["/static/inlive_banner/logs.js"]
