"""The logs page for everybody: in each language, by keyboard, read out, on small screens, without motion."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils.translation import override
from playwright.sync_api import Browser, Page, expect

from inlive_banner.templatetags.inlive_banner import inlive_number
from tests.e2e.admin_rows import BANNERS
from tests.e2e.browser import Complaints
from tests.e2e.client import publish_click
from tests.e2e.logs_page import count, field, row, rows, status
from tests.e2e.processes import Demo
from tests.polling import wait_until

STATES = {
    "rows": "",
    "a banner's clicks of a period": f"?banner={BANNERS[2]}&period=30d&who=everything",
    "no match": "?banner=none&user=nobody",
    "a period that is over": "?period=yesterday",
    "a custom period": "?from=2026-01-01&to=2026-01-31",
    "the oldest": "?before=1-1",
}
"""A state of the page -> its address."""
WIDTHS = (320, 390, 768, 1440)

OPEN_ALL = "for (const each of document.querySelectorAll('details')) each.open = true;"
"""The filter's form and the table behind the chart."""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, migrated_database: Path) -> Demo:
    """A demo with rows."""
    demo = Demo(tmp_path_factory.mktemp("everybody"))
    shutil.copy(migrated_database, demo.database)
    demo.manage("shell", "-c", "from tests.e2e.admin_rows import fill; fill()")
    # What the channel's log has, this epoch's rows come before.
    demo.manage("shell", "-c", "from inlive_banner.models import Position; Position.objects.update(last_event_id='0')")
    return demo


@pytest.fixture
def open_logs(browser: Browser, demo: Demo, site: str, channel: str) -> Iterator[Callable[..., Page]]:
    """Opens the log in a browser of its own; `options` are the browser's."""
    with ExitStack() as ended:
        heard = []

        def open_one(query: str = "", **options: Any) -> Page:
            context = browser.new_context(**options)
            ended.callback(context.close)
            heard.append(Complaints(context))
            page = context.new_page()
            page.goto(demo.logs_url + query)
            return page

        yield open_one
        assert [complaint for one in heard for complaint in one.unexpected] == []


def live(page: Page) -> Page:
    expect(status(page)).to_have_attribute("data-state", "live")
    return page


def complaints_of_axe(page: Page) -> list[dict[str, Any]]:
    found = Axe().run(page).response["violations"]
    return [{"rule": one["id"], "at": [node["html"] for node in one["nodes"]]} for one in found]


# Languages


@pytest.mark.parametrize(
    ("locale", "language", "direction", "clicked", "calm"),
    [
        ("en-GB", "en-gb", "ltr", "clicked", "Live: new clicks appear by themselves"),
        ("id-ID", "id", "ltr", "mengeklik", "Langsung: klik baru muncul dengan sendirinya"),
        ("de-AT", "de", "ltr", "klickte auf", "Live: Neue Klicks erscheinen von selbst"),
        ("ar-EG", "ar", "rtl", "نقر على", "مباشر: تظهر النقرات الجديدة من تلقاء نفسها"),
    ],
)
def test_page_speaks_the_readers_language_live_clicks_too(
    open_logs: Callable[..., Page],
    channel: str,
    page_token: str,
    name: str,
    locale: str,
    language: str,
    direction: str,
    clicked: str,
    calm: str,
) -> None:
    page = live(open_logs(locale=locale))
    expect(status(page)).to_have_text(calm)
    log = page.locator("[data-inlive-logs]")
    expect(log).to_have_attribute("lang", language)
    expect(log).to_have_css("direction", direction)

    publish_click(channel, page_token, name)

    expect(row(page, name)).to_have_count(1)
    assert clicked in row(page, name).inner_text()
    assert field(row(page, name), "time").inner_text() == page.evaluate(
        "([language, time]) => new Intl.DateTimeFormat(language,"
        " { dateStyle: 'medium', timeStyle: 'medium', numberingSystem: 'latn' }).format(time)",
        [locale, 1_700_000_000_000],
    )


@pytest.mark.parametrize("language", ["en", "id", "de", "ar", "es", "fr", "pl", "pt"])
def test_script_writes_numbers_as_the_server_does(open_logs: Callable[..., Page], site: str, language: str) -> None:
    page = open_logs(locale=language)
    numbers = [0, 7, 999, 1_000, 3_038, 98_765, 1_234_567]

    written = page.evaluate(
        """async ([module, numbers]) => {
            const { numberFormat } = await import(module);
            const format = numberFormat(document.querySelector("[data-inlive-logs]"));
            return numbers.map((number) => format.format(number));
        }""",
        [f"{site}/static/inlive_banner/logs/format.js", numbers],
    )

    with override(language):
        assert written == [inlive_number(number) for number in numbers]


# On a small screen, and read out


@pytest.mark.parametrize("language", ["en", "de", "ar"])
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_stands_out_at_the_side(open_logs: Callable[..., Page], width: int, language: str) -> None:
    """Opened up, with long names; of what is wider, only a region of its own scrolls."""
    page = open_logs(
        f"?banner={'long-' * 40}&who=everything", viewport={"width": width, "height": 800}, locale=language
    )
    for query in ("?banner=&period=30d", None):
        page.evaluate(OPEN_ALL)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0
        if query:
            page.goto(page.url.split("?")[0] + query)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize(("language", "scheme"), [("en", "light"), ("de", "dark"), ("ar", "light"), ("ar", "dark")])
def test_axe_finds_nothing_in_any_state(open_logs: Callable[..., Page], state: str, language: str, scheme: str) -> None:
    page = open_logs(STATES[state], locale=language, color_scheme=scheme)
    page.evaluate(OPEN_ALL)

    assert complaints_of_axe(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_a_page_that_has_no_clicks_yet(browser: Browser, own_demo: Demo, scheme: Any) -> None:
    """Which shows what to paste."""
    with own_demo.channel(), own_demo.site():
        page = browser.new_page(color_scheme=scheme)
        page.goto(own_demo.logs_url)
        expect(page.get_by_text("{% load inlive_banner %}")).to_be_visible()

        assert complaints_of_axe(page) == []
        page.close()


@pytest.mark.parametrize("language", ["en", "ar"])
def test_axe_finds_nothing_on_the_page_of_who_may_not_read(browser: Browser, own_demo: Demo, language: str) -> None:
    """Which says whom to ask, and for what."""
    own_demo.environment["INLIVE_LOGS_PUBLIC"] = "off"
    create = "from django.contrib.auth.models import User; User.objects.create_user('ann', password='ann', is_staff=1)"
    own_demo.manage("shell", "-c", create)
    with own_demo.site():
        page = browser.new_page(locale=language)
        page.goto(f"{own_demo.site_url}/admin/login/?next=/inlive/logs/")
        page.fill("input[name=username]", "ann")
        page.fill("input[name=password]", "ann")
        page.locator("input[name=password]").press("Enter")
        page.wait_for_url(own_demo.logs_url)
        expect(page.locator("pre")).to_contain_text("interaction")
        expect(page.get_by_text("ann", exact=True)).to_be_visible()

        assert complaints_of_axe(page) == []
        page.close()


@pytest.mark.parametrize("reduced", [False, True])
def test_new_row_moves_only_where_motion_is_welcome(
    open_logs: Callable[..., Page], channel: str, page_token: str, name: str, *, reduced: bool
) -> None:
    page = live(open_logs(reduced_motion="reduce" if reduced else "no-preference"))

    publish_click(channel, page_token, name)

    expect(row(page, name)).to_have_class("inlive-new")
    moves = row(page, name).evaluate("row => getComputedStyle(row).animationName")
    assert (moves == "none") is reduced


# By keyboard


def focused(page: Page) -> str:
    """What has the focus: its words, or its label."""
    words: str = page.evaluate(
        "(document.activeElement.labels?.[0] ?? document.activeElement).innerText.trim().split(/\\s*\\n/)[0]"
        " || document.activeElement.getAttribute('aria-label') || ''"
    )
    return words


def is_marked(page: Page) -> bool:
    """Whether one sees where the focus is."""
    outlined: bool = page.evaluate(
        "(style => style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1)"
        "(getComputedStyle(document.activeElement))"
    )
    return outlined


def tab_to(page: Page, words: str) -> None:
    for _ in range(80):
        page.keyboard.press("Tab")
        if focused(page) == words:
            return
    raise AssertionError(f"Tab never came to {words!r}.")


def test_tab_goes_through_everything_in_its_order_and_shows_where_it_is(open_logs: Callable[..., Page]) -> None:
    page = live(open_logs("?period=30d&who=everything"))
    page.evaluate(OPEN_ALL)
    wanted = page.locator(
        "[data-inlive-logs] :is(a[href], button, summary, input:not([type=hidden]), select, [tabindex='0'])"
    )
    visible = [one for one in wanted.all() if one.is_visible()]
    places = []
    page.locator("h1").evaluate("heading => { heading.tabIndex = -1; heading.focus(); }")

    for _ in range(200):
        page.keyboard.press("Tab")
        place = wanted.evaluate_all("all => all.indexOf(document.activeElement)")
        if place < 0:
            break
        if place not in places:  # the parts of a date are one by one
            places.append(place)
            assert is_marked(page), focused(page)

    assert places == sorted(places)
    assert len(places) == len(visible) > 25


def test_period_filter_and_what_takes_it_away_work_by_keyboard(open_logs: Callable[..., Page]) -> None:
    page = live(open_logs())
    tab_to(page, "Last 30 days")
    page.keyboard.press("Enter")
    page.wait_for_url("**period=30d**")

    tab_to(page, "Filter")
    page.keyboard.press("Enter")
    tab_to(page, "Banner")
    page.keyboard.type(BANNERS[1])
    page.keyboard.press("Escape")  # the offered values
    tab_to(page, "Action")
    page.keyboard.type("share")
    tab_to(page, "Show")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**banner={BANNERS[1]}**")
    asked = parse_qs(urlsplit(page.url).query)
    assert {key: asked[key] for key in ("period", "banner", "action")} == {
        "period": ["30d"],
        "banner": [BANNERS[1]],
        "action": ["share"],
    }

    tab_to(page, f"Banner: {BANNERS[1]} \N{MULTIPLICATION SIGN}")
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "banner=" not in url)
    assert "action=share" in page.url


def test_pause_works_by_keyboard_and_keeps_the_focus_while_clicks_come(
    open_logs: Callable[..., Page], channel: str, page_token: str, name: str
) -> None:
    page = live(open_logs())
    tab_to(page, "Pause")

    page.keyboard.press("Space")
    before = count(page)
    publish_click(channel, page_token, name)

    expect(page.locator("[data-inlive-waiting-count]")).to_have_text("1")
    assert count(page) == before + 1
    assert focused(page) == "Pause"
    expect(page.locator("[data-inlive-pause]")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Space")
    expect(row(page, name)).to_have_count(1)
    assert focused(page) == "Pause"


def test_rows_are_scrolled_by_keyboard_and_stay_where_they_were_read(
    open_logs: Callable[..., Page], channel: str, page_token: str, name: str
) -> None:
    page = live(open_logs())
    tab_to(page, "Pause")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('role')") == "log"

    page.keyboard.press("PageDown")
    wait_until(lambda: page.evaluate("document.activeElement.scrollTop > 100"), what="the rows further down")
    publish_click(channel, page_token, name)

    newer = page.locator("[data-inlive-newer]")
    expect(newer).to_be_visible()
    expect(row(page, name)).to_have_count(0)
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(row(page, name)).to_have_count(1)
    assert page.evaluate("document.activeElement.getAttribute('role')") == "log"
    expect(rows(page).first).to_be_in_viewport()
