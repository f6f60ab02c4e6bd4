"""Banners as people see them, or hear them: whoever they are, and whatever page is around."""

from __future__ import annotations

import re
import threading
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.template import Context, Template
from playwright.sync_api import Page, expect

from tests.e2e.banner_pages import banner, banner_page, published
from tests.e2e.logs_page import row
from tests.e2e.origin import STATIC, Answer, Origin, Request
from tests.e2e.processes import Demo

IMAGE = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="728" height="90"><rect width="728" height="90" fill="#067"/></svg>'
)

TEXT_BANNER = '{% inlive_banner name="text" href="#text" text="Summer sale" %}'
IMAGE_BANNER = '{% inlive_banner name="image" href="#image" image="/sale.svg" alt="To the summer sale" %}'
BLOCK_BANNER = banner(
    "block",
    channel="",
    token="t",
    href="#block",
    **{"class": "inlive-banner"},
    content="<span><strong>Summer sale</strong> <small>until Friday</small></span>",
)


def styled_page(origin: Origin, *banners: str, direction: str = "ltr", image_size: str = "") -> str:
    """Put up a page with what the template tag renders, and give the image a size; returns its address."""
    origin.folder("/static/inlive_banner/", STATIC)
    origin.answer("GET", "/sale.svg", lambda _: Answer(body=IMAGE, content_type="image/svg+xml"))
    rendered = Template("{% load inlive_banner %}" + "".join(banners)).render(Context())
    rendered = rendered.replace("<img ", f"<img {image_size} ")
    return origin.page(
        "/",
        f"""<!DOCTYPE html><html lang="en" dir="{direction}"><head><meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark"><title>A page</title><link rel="icon" href="data:,">
        </head><body><main><h1>A page</h1>{rendered}<p id="below">Below</p></main></body></html>""",
    )


def complaints_of_axe(page: Page) -> list[dict[str, Any]]:
    """What axe-core has found, shortened."""
    found = Axe().run(page).response["violations"]
    return [{"rule": one["id"], "at": [node["html"] for node in one["nodes"]]} for one in found]


@pytest.mark.parametrize("direction", ["ltr", "rtl"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_a_page_with_banners(page: Page, origin: Origin, scheme: str, direction: str) -> None:
    page.emulate_media(color_scheme=scheme)
    page.goto(styled_page(origin, TEXT_BANNER, IMAGE_BANNER, BLOCK_BANNER, direction=direction))

    assert complaints_of_axe(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_the_logs_page(
    page: Page, origin: Origin, demo: Demo, channel: str, site: str, page_token: str, name: str, scheme: str
) -> None:
    page.emulate_media(color_scheme=scheme)
    page.goto(origin.page("/", banner_page(banner(name, channel=channel, token=page_token))))
    page.get_by_text("Banner").click()
    published(page)
    page.goto(demo.logs_url)
    expect(row(page, name)).to_have_count(1)

    assert complaints_of_axe(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_banner_has_contrast(page: Page, origin: Origin, scheme: str) -> None:
    """Text and arrow on both ends of the gradient, which axe-core doesn't judge: 4.5 to 1, as WCAG's AA has it."""
    page.emulate_media(color_scheme=scheme)
    page.goto(styled_page(origin, TEXT_BANNER))

    text, arrow, gradient = page.locator(".inlive-banner").evaluate(
        """banner => [
          getComputedStyle(banner).color,
          getComputedStyle(banner.firstElementChild, "::after").color,
          getComputedStyle(banner).backgroundImage,
        ]"""
    )

    ends = re.findall(r"rgb\([^)]*\)", gradient)
    assert len(ends) == 2
    assert (luminance(ends[0]) < 0.5) == (scheme == "dark")
    assert min(contrast(front, back) for front in (text, arrow) for back in ends) >= 4.5


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_focus_ring_is_seen_on_any_background(page: Page, origin: Origin, scheme: str) -> None:
    """Of two colours with 9 to 1 between them, one has 3 to 1 with whatever is around."""
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.goto(styled_page(origin, TEXT_BANNER))

    page.keyboard.press("Tab")

    ring = page.locator(".inlive-banner:focus-visible")
    outline, halo, width, style = ring.evaluate(
        """banner => {
          const { outlineColor, boxShadow, outlineWidth, outlineStyle } = getComputedStyle(banner);
          return [outlineColor, boxShadow, outlineWidth, outlineStyle];
        }"""
    )
    assert (width, style) == ("3px", "solid")
    assert "3px" in halo
    assert contrast(outline, re.findall(r"rgb\([^)]*\)", halo)[0]) >= 9


def luminance(colour: str) -> float:
    """WCAG's relative luminance of a colour as browsers write it, such as `rgb(27, 34, 48)`."""
    channels = [int(number) / 255 for number in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """WCAG's contrast ratio, 1 to 21."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_banner_keeps_border_and_ring_under_forced_colours(page: Page, origin: Origin) -> None:
    """Also where the pointer is over it, which has a mark of its own there."""
    page.emulate_media(forced_colors="active")
    page.goto(styled_page(origin, TEXT_BANNER))
    shown = page.locator(".inlive-banner")

    shown.hover()
    expect(shown).to_have_css("outline-width", "1px")
    page.keyboard.press("Tab")

    expect(shown).to_have_css("outline-width", "3px")
    expect(shown).to_have_css("outline-style", "solid")
    expect(shown).to_have_css("border-top-style", "solid")


@pytest.mark.parametrize(("motion", "duration"), [("reduce", "0s"), ("no-preference", "0.15s, 0.15s")])
def test_banner_moves_only_where_motion_is_welcome(page: Page, origin: Origin, motion: str, duration: str) -> None:
    page.emulate_media(reduced_motion=motion)
    page.goto(styled_page(origin, TEXT_BANNER))

    expect(page.locator(".inlive-banner")).to_have_css("transition-duration", duration)


@pytest.mark.parametrize(("direction", "arrow"), [("ltr", "\u2192"), ("rtl", "\u2190")])
def test_arrow_points_the_way_that_the_page_reads(page: Page, origin: Origin, direction: str, arrow: str) -> None:
    page.goto(styled_page(origin, TEXT_BANNER, direction=direction))

    content = page.locator(".inlive-banner span").evaluate("span => getComputedStyle(span, '::after').content")

    assert content == f'"{arrow}" / ""'


@pytest.mark.parametrize(
    ("size", "height"),
    [('width="728" height="90"', 90), ("", None)],
    ids=["of-the-image", "of-the-stylesheet"],
)
def test_nothing_moves_when_an_image_arrives(page: Page, origin: Origin, size: str, height: int | None) -> None:
    released = threading.Event()

    def slow_image(_: Request) -> Answer:
        released.wait(10)
        return Answer(body=IMAGE, content_type="image/svg+xml")

    page.add_init_script(
        """
        window.shifts = [];
        new PerformanceObserver((list) => shifts.push(...list.getEntries().map(entry => entry.value)))
          .observe({ type: "layout-shift", buffered: true });
        """
    )
    address = styled_page(origin, IMAGE_BANNER, image_size=size)
    origin.answer("GET", "/sale.svg", slow_image)
    page.goto(address, wait_until="domcontentloaded")
    before = page.locator("#below").bounding_box()

    released.set()
    page.wait_for_function("document.querySelector('.inlive-banner img').complete")
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    assert page.locator("#below").bounding_box() == before
    assert page.evaluate("shifts") == []
    if height:
        box = page.locator(".inlive-banner img").bounding_box()
        assert box
        assert (box["width"], box["height"]) == (728, height)


def test_image_with_a_size_shrinks_with_the_page(page: Page, origin: Origin) -> None:
    address = styled_page(origin, IMAGE_BANNER, image_size='width="728" height="90"')
    page.set_viewport_size({"width": 320, "height": 600})
    page.goto(address)

    box = page.locator(".inlive-banner img").bounding_box()

    assert box
    assert box["width"] < 320
    assert box["width"] / box["height"] == pytest.approx(728 / 90, rel=0.02)


def test_two_banners_give_the_page_no_ids(page: Page, origin: Origin) -> None:
    page.goto(styled_page(origin, TEXT_BANNER, IMAGE_BANNER, BLOCK_BANNER))

    expect(page.locator(".inlive-banner")).to_have_count(3)
    expect(page.locator(".inlive-banner[id], .inlive-banner [id]")).to_have_count(0)
