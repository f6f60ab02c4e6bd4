"""logs.js and a server that speaks part 1 of the protocol only (wire protocol, part 3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import requests
from playwright.sync_api import Page, expect

from tests.e2e.browser import Complaints
from tests.e2e.logs_page import count, rows, status
from tests.e2e.origin import STATIC, Origin
from tests.e2e.processes import ROOT, Demo
from tests.plain_channel import PlainChannel, serving
from tests.polling import wait_until


@pytest.fixture
def plain_channel() -> Iterator[PlainChannel]:
    with serving() as channel:
        yield channel


@pytest.fixture
def open_logs(page: Page, site: str, demo: Demo, origin: Origin, plain_channel: PlainChannel) -> Callable[..., None]:
    """Opens the site's logs page on the plain channel, with clicks of these users rendered, oldest first."""
    rendered = requests.get(demo.logs_url, timeout=10).text

    def open_with(*users: str) -> None:
        row = rendered.partition("<template data-inlive-row>")[2].partition("</template>")[0]
        rendered_rows = ""
        for user in reversed(users):
            filled = row.replace('data-inlive-field="user_id">', f'data-inlive-field="user_id">{user}')
            filled = filled.replace('data-inlive-field="name">', 'data-inlive-field="name">sale')
            rendered_rows += filled.replace("<time ", '<time datetime="1970-01-01T00:00:00.001Z" ')
        html = rendered.replace(demo.channel_url, plain_channel.url)
        origin.folder("/static/inlive_banner/", STATIC)
        origin.folder("/static/project/", ROOT / "project" / "static" / "project")
        page.goto(origin.page("/logs/", html.replace("data-inlive-list>", f"data-inlive-list>{rendered_rows}")))

    return open_with


def click(user_id: str) -> dict[str, object]:
    return {"name": "sale", "type": "banner", "action": "click", "user_id": user_id, "time": 1}


def users(page: Page) -> list[str]:
    """Whom the rows name, newest first."""
    return page.locator("[data-inlive-list] [data-inlive-field=user_id]").all_text_contents()


def test_page_shows_what_the_history_has_after_the_rendered_rows(
    page: Page, plain_channel: PlainChannel, open_logs: Callable[..., None]
) -> None:
    for user in "abcd":
        plain_channel.publish(click(user))
    plain_channel.publish("chat")

    open_logs("a", "b")

    expect(rows(page)).to_have_count(4)
    assert users(page) == ["d", "c", "b", "a"]
    assert count(page) == 2
    expect(status(page)).to_have_attribute("data-state", "live")


def test_page_without_rows_shows_the_whole_history_and_goes_on_live(
    page: Page, plain_channel: PlainChannel, open_logs: Callable[..., None]
) -> None:
    plain_channel.publish(click("a"))
    open_logs()
    expect(rows(page)).to_have_count(1)

    plain_channel.publish(click("b"))
    plain_channel.publish(click("b"))

    expect(rows(page)).to_have_count(3)
    assert users(page) == ["b", "b", "a"]
    assert count(page) == 3


def test_page_whose_connection_ends_shows_what_came_meanwhile_and_nothing_twice(
    page: Page, plain_channel: PlainChannel, open_logs: Callable[..., None]
) -> None:
    open_logs()
    wait_until(lambda: plain_channel.requests == 1)
    plain_channel.publish(click("a"))
    expect(rows(page)).to_have_count(1)
    plain_channel.publish(click("b"), live=False)
    plain_channel.before_history = [click("c")]

    plain_channel.cut()

    expect(rows(page)).to_have_count(3, timeout=15_000)
    assert users(page) == ["c", "b", "a"]


def test_page_that_gets_no_history_shows_what_is_live_and_says_that_there_may_be_a_gap(
    page: Page, complaints: Complaints, plain_channel: PlainChannel, open_logs: Callable[..., None]
) -> None:
    complaints.allow(r"503 \(Service Unavailable\)")
    plain_channel.history_status = 503
    plain_channel.publish(click("a"))
    open_logs()
    expect(status(page)).to_have_attribute("data-state", "gap")

    plain_channel.publish(click("b"))

    expect(rows(page)).to_have_count(1)
    assert users(page) == ["b"]
