"""An image with its size: nothing on the page moves when it arrives."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, Route

from tests.e2e.processes import ROOT
from tests.polling import wait_until
from tests.templatetags.test_inlive_banner import render

SITE = "http://site.test"
STYLES = ROOT / "inlive_banner" / "static" / "inlive_banner" / "banner.css"
IMAGE = '<svg xmlns="http://www.w3.org/2000/svg" width="728" height="90"><rect width="728" height="90"/></svg>'

BOXES = """() => [document.querySelector("img"), document.querySelector("p")].map((element) => {
  const { x, y, width, height } = element.getBoundingClientRect();
  return [x, y, width, height].map((number) => Math.round(number * 10) / 10);
})"""


@pytest.mark.parametrize(("viewport", "width"), [(600, 600), (1000, 728)])
def test_image_with_its_size_keeps_its_place_and_its_shape(page: Page, viewport: int, width: int) -> None:
    banner = render('{% inlive_banner image="/sale.svg" alt="Sale" width=728 height=90 %}')
    held: list[Route] = []
    page.route(f"{SITE}/**", lambda route: route.fulfill(body=""))
    page.route(f"{SITE}/", lambda route: route.fulfill(content_type="text/html", body=page_of(banner)))
    page.route(f"{SITE}/static/**/banner.css", lambda route: route.fulfill(content_type="text/css", path=Path(STYLES)))
    page.route(f"{SITE}/static/**/banner.js", lambda route: route.fulfill(content_type="text/javascript", body=""))
    page.route(f"{SITE}/sale.svg", lambda route: held.append(route))  # noqa: PLW0108  (playwright takes no built-in)
    page.set_viewport_size({"width": viewport, "height": 400})

    page.goto(f"{SITE}/", wait_until="domcontentloaded")
    page.wait_for_function("getComputedStyle(document.querySelector('a')).display === 'flex'")
    wait_until(lambda: page.evaluate("1") and held, what="the image's request")
    before = page.evaluate(BOXES)
    held[0].fulfill(content_type="image/svg+xml", body=IMAGE)
    page.wait_for_function("document.querySelector('img').complete && document.querySelector('img').naturalWidth")
    after = page.evaluate(BOXES)

    assert after == before
    image = after[0]
    assert image[2] == pytest.approx(width, abs=3)  # the link has a border
    assert image[2] / image[3] == pytest.approx(728 / 90, rel=0.02)


def page_of(banner: str) -> str:
    style = "<style>body { margin: 0 }</style>"
    return f'<!DOCTYPE html><title>Page</title><link rel="icon" href="data:,">{style}{banner}<p>Text below</p>'
