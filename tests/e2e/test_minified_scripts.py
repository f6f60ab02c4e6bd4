"""The wheel's scripts, which are minified, do in a browser what their sources do."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.e2e.banner_pages import accepting, banner, banner_page, failed, kept, published
from tests.e2e.browser import Complaints
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
