"""The admin's pages in a real browser: in Django's own look and in Unfold's, light and dark, wide and narrow."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.e2e.admin_rows import BANNERS, ROWS
from tests.e2e.logs_page import rows, status
from tests.e2e.processes import Demo

LIST, LIVE, POSITIONS = (f"/admin/inlive_banner/{path}" for path in ("interaction/", "interaction/live/", "position/"))
LIGHT, DARK = "rgb(255, 255, 255)", "rgb(23, 26, 32)"
"""The surface of the log's cards."""
IS_LIVE = ':is([data-state="live"], [data-state="gap"])'


@pytest.fixture(scope="module", params=["project.settings", "tests.e2e.unfold_settings"], ids=["stock", "unfold"])
def demo(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, migrated_database: Path) -> Demo:
    """A demo of each look, with rows and somebody who may see them."""
    demo = Demo(tmp_path_factory.mktemp("admin"))
    demo.environment["DJANGO_SETTINGS_MODULE"] = request.param
    shutil.copy(migrated_database, demo.database)
    demo.manage("shell", "-c", "from tests.e2e.admin_rows import fill; fill()")
    return demo


@pytest.fixture(scope="module")
def cookies(browser: Browser, demo: Demo, site: str, channel: str) -> Any:
    """What a browser holds that has signed in."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{site}/admin/login/?next={POSITIONS}")
    page.fill("input[name=username]", "boss")
    page.fill("input[name=password]", "boss")
    page.locator("input[name=password]").press("Enter")
    page.wait_for_url(f"{site}{POSITIONS}")
    held = context.cookies()
    context.close()
    return held


@pytest.fixture
def boss(page: Page, cookies: Any) -> Iterator[Page]:
    """A page of somebody who may see everything."""
    page.context.add_cookies(cookies)
    return page


def open_live(page: Page, site: str) -> None:
    page.goto(site + LIVE)
    expect(page.locator(f"[data-inlive-status]{IS_LIVE}")).to_be_visible()


def serious(page: Page) -> list[str]:
    """What axe-core finds serious that is ours, after all that moves has come to rest."""
    page.evaluate("Promise.allSettled(document.getAnimations().map(animation => animation.finished))")
    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {node['html']}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
        if "inlive" in f"{node['html']} {node['target']}"
    ]


def surface(page: Page) -> str:
    colour: str = page.locator(".inlive-numbers > div").first.evaluate("part => getComputedStyle(part).backgroundColor")
    return colour


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_have_nothing_serious_of_ours(boss: Page, site: str, scheme: str) -> None:
    boss.emulate_media(color_scheme=scheme)
    open_live(boss, site)
    boss.locator(".inlive-more summary").click()
    assert serious(boss) == []

    for address in (f"{LIST}?banner={BANNERS[0]}", POSITIONS):
        boss.goto(site + address)
        assert serious(boss) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_live_page_is_light_or_dark_as_the_admin(boss: Page, site: str, scheme: str) -> None:
    boss.emulate_media(color_scheme=scheme)

    open_live(boss, site)

    assert surface(boss) == {"light": LIGHT, "dark": DARK}[scheme]


@pytest.mark.parametrize(("scheme", "chosen", "expected"), [("light", "dark", DARK), ("dark", "light", LIGHT)])
def test_live_page_follows_the_admins_own_switch(
    boss: Page, demo: Demo, site: str, scheme: str, chosen: str, expected: str
) -> None:
    """Against what the system prefers; both looks keep the choice in the browser."""
    boss.emulate_media(color_scheme=scheme)
    is_unfold = "unfold" in demo.environment["DJANGO_SETTINGS_MODULE"]
    key, value = ("adminTheme", f'"{chosen}"') if is_unfold else ("theme", chosen)
    boss.add_init_script(f"localStorage.setItem({key!r}, {value!r})")

    open_live(boss, site)

    expect(boss.locator("html.dark, html[data-theme=dark]")).to_have_count(1 if chosen == "dark" else 0)
    assert surface(boss) == expected


@pytest.mark.parametrize("width", [1440, 768, 390])
def test_live_page_is_as_wide_as_the_window(boss: Page, site: str, width: int) -> None:
    boss.set_viewport_size({"width": width, "height": 900})

    open_live(boss, site)
    boss.locator(".inlive-more summary").click()

    assert boss.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    box = boss.locator(".inlive-logs").bounding_box()
    assert box is not None
    assert box["width"] > 0.5 * width


def test_live_page_filters(boss: Page, site: str) -> None:
    open_live(boss, site)
    boss.locator(".inlive-more summary").click()
    boss.locator(".inlive-form input[name=banner]").fill(BANNERS[1])
    boss.locator(".inlive-form button").click()

    expect(rows(boss).first).to_contain_text(BANNERS[1])
    expect(rows(boss).filter(has_text=BANNERS[0])).to_have_count(0)
    expect(status(boss)).to_be_visible()


def test_list_is_filtered_by_links_and_by_the_form(boss: Page, demo: Demo, site: str) -> None:
    boss.goto(site + LIST)
    expect(boss.get_by_text(f"{ROWS} interactions").last).to_be_visible()
    filters = boss.locator("#changelist-filter")
    is_unfold = "unfold" in demo.environment["DJANGO_SETTINGS_MODULE"]
    if is_unfold:  # it keeps them in a drawer
        boss.locator('a[x-on\\:click="filterOpen = true"]').click()

    filters.get_by_role("link", name="crawler", exact=True).click()
    boss.wait_for_url(f"{site}{LIST}?label=crawler")
    labels = boss.locator("#result_list .field-reason")
    assert set(labels.all_inner_texts()) == {"crawler"}

    if is_unfold:
        boss.locator('a[x-on\\:click="filterOpen = true"]').click()
    filters.locator("input[name=banner]").fill(BANNERS[0])
    filters.get_by_role("button", name="Show", exact=True).click()
    boss.wait_for_url(lambda url: "label=crawler" in url and f"banner={BANNERS[0]}" in url)
    assert set(boss.locator("#result_list .field-name").all_inner_texts()) == {BANNERS[0]}
    assert set(labels.all_inner_texts()) == {"crawler"}


def test_list_leads_to_the_live_page_and_back(boss: Page, site: str) -> None:
    boss.goto(site + LIST)
    boss.get_by_role("link", name="Live", exact=True).click()
    expect(boss).to_have_url(site + LIVE)

    boss.get_by_role("link", name="All interactions", exact=True).click()
    expect(boss).to_have_url(site + LIST)


def test_positions_say_how_recording_does(boss: Page, site: str) -> None:
    boss.goto(site + POSITIONS)

    expect(boss.locator(".field-health")).to_have_text("Behind by 3 min")
