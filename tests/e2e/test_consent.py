"""consent.js in a real browser: nothing is stored or sent before the visitor has agreed, or after they no longer do."""

from __future__ import annotations

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.e2e.banner_pages import PUBLISH, accepting, banner, banner_page, failed, kept, module, published
from tests.e2e.browser import Complaints
from tests.e2e.origin import Answer, Origin

AGREE = "document.dispatchEvent(new CustomEvent('inlive:consent'))"
WITHDRAW = "document.dispatchEvent(new CustomEvent('inlive:consent', { detail: { granted: false } }))"

CONSENT = module("consent", data_inlive_consent="")


def asking(name: str, *, modules: str = CONSENT + module("views"), **attributes: str) -> str:
    """A page whose banner waits for consent."""
    return banner_page(banner(name, channel="", token="t", data_inlive_consent="", **attributes), modules=modules)


def names(origin: Origin) -> list[str]:
    """The names of the banners whose clicks the channel had."""
    return [request.json["message"]["name"] for request in origin.had("POST", PUBLISH)]


def pass_by(page: Page) -> None:
    """Let any request that has begun arrive: it would be here before this one."""
    page.evaluate("fetch('/')")


def test_click_before_consent_leaves_no_trace(page: Page, context: BrowserContext, origin: Origin, name: str) -> None:
    accepting(origin)
    page.goto(origin.page("/", asking(name)))

    page.get_by_text("Banner").click()

    pass_by(page)
    assert names(origin) == []
    assert page.evaluate("localStorage.length + sessionStorage.length") == 0
    assert context.cookies() == []


@pytest.mark.parametrize(
    "agree", [AGREE, "document.dispatchEvent(new CustomEvent('inlive:consent', { detail: { granted: true } }))"]
)
def test_click_after_consent_is_published(page: Page, origin: Origin, name: str, agree: str) -> None:
    accepting(origin)
    page.goto(origin.page("/", asking(name)))
    page.get_by_text("Banner").click()

    page.evaluate(agree)
    page.get_by_text("Banner").click()

    published(page)
    assert names(origin) == [name]


def test_consent_given_before_the_page_needs_no_event(page: Page, origin: Origin, name: str) -> None:
    accepting(origin)
    page.goto(origin.page("/", asking(name).replace("<html", "<html data-inlive-consent-given", 1)))

    page.get_by_text("Banner").click()

    published(page)


@pytest.mark.parametrize("agreed", [True, False])
def test_banner_that_was_added_later_waits_as_the_others_do(
    page: Page, origin: Origin, name: str, agreed: bool
) -> None:
    accepting(origin)
    page.goto(origin.page("/", banner_page(modules=CONSENT)))
    if agreed:
        page.evaluate(AGREE)
    page.evaluate(
        "html => document.body.insertAdjacentHTML('beforeend', `<section>${html}</section>`)",
        banner(name, channel="", token="t", data_inlive_consent=""),
    )

    page.get_by_text("Banner").click()

    if agreed:
        published(page)
    pass_by(page)
    assert names(origin) == [name] * agreed


def test_withdrawn_consent_deletes_what_is_kept_and_stops_the_banner(
    page: Page, complaints: Complaints, origin: Origin, name: str
) -> None:
    complaints.allow(r"inlive-banner: Later\.|503 \(")
    accepting(origin, Answer.sentence(503, "Later."), Answer.sentence(200, "OK", {}))
    page.clock.install(time="2030-01-01")
    page.clock.pause_at("2030-01-02")
    page.goto(origin.page("/", asking(name)))
    page.evaluate("localStorage.setItem('of-the-site', 'stays')")
    page.evaluate(AGREE)
    page.get_by_text("Banner").click()
    failed(page)
    assert kept(page) == 1

    page.evaluate(WITHDRAW)
    page.get_by_text("Banner").click()
    page.clock.run_for(60_000)

    pass_by(page)
    assert len(names(origin)) == 1
    assert page.evaluate("Object.keys(localStorage)") == ["of-the-site"]
    page.evaluate(AGREE)
    page.get_by_text("Banner").click()
    published(page)


def test_withdrawn_consent_deletes_what_the_page_keeps_without_a_storage(
    page: Page, complaints: Complaints, origin: Origin, name: str
) -> None:
    complaints.allow(r"inlive-banner: Later\.|503 \(")
    accepting(origin, Answer.sentence(503, "Later."), Answer.sentence(200, "OK", {}))
    page.add_init_script("Object.defineProperty(window, 'localStorage', { get() { throw new Error('denied'); } })")
    page.clock.install(time="2030-01-01")
    page.clock.pause_at("2030-01-02")
    page.goto(origin.page("/", asking(name, modules=CONSENT)))  # a view after the second consent would be right
    page.evaluate(AGREE)
    page.get_by_text("Banner").click()
    failed(page)

    page.evaluate(WITHDRAW)
    page.evaluate(AGREE)
    page.clock.run_for(60_000)

    pass_by(page)
    assert len(names(origin)) == 1


@pytest.mark.parametrize("with_banner", [True, False])
def test_click_that_an_earlier_page_has_kept_waits_for_consent_too(
    page: Page, complaints: Complaints, origin: Origin, name: str, with_banner: bool
) -> None:
    """Also on a page that has no banner yet."""
    complaints.allow(r"inlive-banner: Later\.|503 \(")
    accepting(origin, Answer.sentence(503, "Later."), Answer.sentence(200, "OK", {}))
    page.clock.install(time="2030-01-01")
    page.clock.pause_at("2030-01-02")
    page.goto(origin.page("/", banner_page(banner("earlier", channel="", token="t"))))
    page.get_by_text("Banner").click()
    failed(page)
    with page.expect_response("**/retry.js"):
        page.goto(origin.page("/next", asking(name) if with_banner else banner_page(modules=CONSENT)))
    page.evaluate("import('/static/retry.js#0')")  # has run by now, and so has what awaited it before
    page.evaluate("dispatchEvent(new Event('online'))")
    page.clock.run_for(60_000)
    pass_by(page)
    assert names(origin) == ["earlier"]

    if not with_banner:
        page.evaluate(
            "html => document.body.insertAdjacentHTML('beforeend', html)",
            banner(name, channel="", token="t", data_inlive_consent=""),
        )
    page.evaluate(AGREE)

    published(page)
    assert names(origin) == ["earlier", "earlier"]
    assert kept(page) == 0


def test_withdrawn_consent_stops_views(page: Page, origin: Origin, name: str) -> None:
    accepting(origin)
    page.clock.install(time="2030-01-01")
    page.clock.pause_at("2030-01-02")
    page.goto(origin.page("/", asking(name)))
    page.evaluate(AGREE)
    page.evaluate(WITHDRAW)

    page.clock.run_for(10_000)

    pass_by(page)
    assert names(origin) == []
