"""actions.js in a real browser: what visitors do beside following banners."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Error, Page, expect

from tests.e2e.banner_pages import PUBLISH, accepting, banner, banner_page, module, published
from tests.e2e.browser import Complaints
from tests.e2e.origin import Answer, Origin
from tests.e2e.processes import STREAM_ID, WIDGET_KEY
from tests.polling import wait_until

CARRIER = module(
    "actions",
    data_inlive_banner="page",
    data_inlive_stream=str(STREAM_ID),
    data_inlive_widget_key=WIDGET_KEY,
    data_inlive_channel="",
    data_inlive_token="t",
)


def messages(origin: Origin) -> list[tuple[str, str]]:
    """Name and action of what the channel had."""
    said = [request.json["message"] for request in origin.had("POST", PUBLISH)]
    return [(message["name"], message["action"]) for message in said]


@pytest.mark.parametrize("how", ["left", "middle", "keyboard"])
def test_click_on_an_element_with_an_action_records_it(
    page: Page, context: BrowserContext, origin: Origin, how: str
) -> None:
    accepting(origin)
    link = '<a href="#list" data-inlive-action="download" data-inlive-name="price-list">List</a>'
    page.goto(origin.page("/", banner_page(link, modules=CARRIER)))

    if how == "keyboard":
        page.get_by_text("List").press("Enter")
    else:
        page.get_by_text("List").click(button=how)

    [told] = published(page)
    assert messages(origin) == [("price-list", "download")]
    assert told["isTrusted"] is True


def test_right_click_on_an_element_with_an_action_records_nothing(page: Page, origin: Origin) -> None:
    accepting(origin)
    link = '<a href="#list" data-inlive-action="download" data-inlive-name="list">List</a>'
    page.goto(origin.page("/", banner_page(link, modules=CARRIER)))

    page.get_by_text("List").click(button="right")
    page.get_by_text("List").click()

    published(page)
    assert messages(origin) == [("list", "download")]


def test_action_survives_the_navigation_it_causes(page: Page, origin: Origin) -> None:
    accepting(origin)
    origin.page("/list", "<!DOCTYPE html><link rel=icon href=data:,><title>The list</title>")
    link = '<a href="/list" data-inlive-action="download"><b>List</b></a>'
    page.goto(origin.page("/", banner_page(link, modules=CARRIER)))

    page.get_by_text("List").click()

    expect(page).to_have_title("The list")
    wait_until(lambda: origin.had("POST", PUBLISH), what="the publish")
    assert messages(origin) == [("page", "download")]


@pytest.mark.parametrize(("own", "expected"), [("", "around"), ('data-inlive-name="own"', "own")])
def test_action_inside_a_banner_is_recorded_beside_its_click(
    page: Page, origin: Origin, own: str, expected: str
) -> None:
    accepting(origin)
    content = f'<button type="button" data-inlive-action="share" {own}>Share</button>'
    page.goto(
        origin.page(
            "/", banner_page(banner("around", channel="", token="t", tag="div", content=content), modules=CARRIER)
        )
    )

    page.get_by_text("Share").click()

    published(page, 2)
    assert sorted(messages(origin)) == sorted([("around", "click"), (expected, "share")])


def test_action_with_a_name_needs_any_banner_and_one_without_is_complained_of(
    page: Page, complaints: Complaints, origin: Origin, name: str
) -> None:
    complaints.allow("inlive-banner: no name for the action download")
    accepting(origin)
    links = (
        '<a href="#1" data-inlive-action="download">Nameless</a> '
        '<a href="#2" data-inlive-action="download" data-inlive-name="list">Named</a> '
    )
    page.goto(origin.page("/", banner_page(links, banner(name, channel="", token="t"), modules=module("actions"))))

    page.get_by_text("Nameless").click()
    page.get_by_text("Named").click()

    published(page)
    assert messages(origin) == [("list", "download")]
    assert len(complaints.heard) == 1


@pytest.mark.parametrize("later", [False, True], ids=["parsed", "added-later"])
def test_banner_with_an_action_has_one_record_of_a_click(page: Page, origin: Origin, name: str, later: bool) -> None:
    accepting(origin)
    written = banner(name, channel="", token="t", data_inlive_action="download")
    page.goto(origin.page("/", banner_page(*[] if later else [written], modules=module("actions"))))
    if later:
        page.evaluate("html => document.body.insertAdjacentHTML('beforeend', html)", written)

    page.get_by_text("Banner").click()
    published(page)
    page.get_by_text("Banner").click()

    published(page, 2)
    assert messages(origin) == [(name, "download")] * 2


def test_action_leaves_the_mark_of_a_view_to_the_banners_click(page: Page, origin: Origin, name: str) -> None:
    accepting(origin)
    page.clock.install(time="2030-01-01")
    page.clock.pause_at("2030-01-02")
    modules = module("views") + module("actions")
    page.goto(origin.page("/", banner_page(banner(name, channel="", token="t"), modules=modules)))
    page.evaluate("() => new Promise((seen) => new IntersectionObserver(seen).observe(document.body))")
    page.clock.run_for(1_000)
    published(page)

    page.evaluate(f"inlive.track('{name}', 'share')")
    page.get_by_text("Banner").click()

    published(page, 3)
    marks = [request.json["message"].get("viewed") for request in origin.had("POST", PUBLISH)]
    assert marks == [None, None, True]


def test_track_resolves_with_what_was_published(page: Page, origin: Origin) -> None:
    accepting(origin)
    page.goto(origin.page("/", banner_page(modules=CARRIER)))

    told: dict[str, Any] = page.evaluate("inlive.track('newsletter', 'sign-up', { list: 'weekly' })")

    [post] = origin.had("POST", PUBLISH)
    message = post.json["message"]
    assert told["publishId"] == post.json["publish_id"]
    assert (message["name"], message["action"], message["extra"]) == ("newsletter", "sign-up", {"list": "weekly"})
    assert message["isTrusted"] is True


def test_track_rejects_with_what_failed(page: Page, complaints: Complaints, origin: Origin) -> None:
    complaints.allow(r"inlive-banner: Never\.|403 \(")
    accepting(origin, Answer.sentence(403, "Never."))
    page.goto(origin.page("/", banner_page(modules=CARRIER)))

    told = page.evaluate("inlive.track('a', 'b').catch(error => [error.message, error.detail])")

    assert told[0] == "Never."
    assert (told[1]["reason"], told[1]["kept"], told[1]["action"]) == ("Never.", False, "b")


def test_tracks_under_way_at_once_are_told_apart(page: Page, origin: Origin) -> None:
    accepting(origin)
    page.goto(origin.page("/", banner_page(modules=CARRIER)))

    told = page.evaluate("Promise.all(['a', 'b', 'c'].map(name => inlive.track(name, 'x', { of: name })))")

    assert [(detail["name"], detail["extra"]["of"]) for detail in told] == [("a", "a"), ("b", "b"), ("c", "c")]
    assert len({detail["publishId"] for detail in told}) == 3


@pytest.mark.parametrize(
    ("banners", "modules", "words"),
    [
        ([], module("actions"), "no banner on the page"),
        ([banner("x", channel="", token="t", data_inlive_consent="")], module("actions"), "hasn't agreed"),
    ],
    ids=["no-carrier", "no-consent"],
)
def test_track_that_nobody_takes_rejects(
    page: Page, origin: Origin, banners: list[str], modules: str, words: str
) -> None:
    accepting(origin)
    page.goto(origin.page("/", banner_page(*banners, modules=modules)))

    told = page.evaluate("inlive.track('a', 'b').catch(error => [error.message, error.detail.kept])")

    assert words in told[0]
    assert told[1] is False
    unhandled = page.evaluate(
        """() => new Promise((resolve) => {
          addEventListener("unhandledrejection", () => resolve(true));
          inlive.track("a", "b");
          setTimeout(setTimeout, 0, resolve, 0, false);
        })"""
    )
    assert unhandled is False
    assert not origin.had("POST", PUBLISH)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("", "name is undefined"),
        ("'', 'b'", 'name is ""'),
        ("1, 'b'", "name is 1"),
        ("'a'.repeat(201), 'b'", "1 to 200 characters"),
        ("'a'", "action is undefined"),
        ("'a', 'b'.repeat(65)", "1 to 64 characters"),
        ("'a', 'b', null", "extra is null"),
        ("'a', 'b', [1]", "extra is [1]"),
        ("'a', 'b', { big: 1n }", "BigInt"),
    ],
)
def test_track_with_arguments_that_cant_be_recorded_throws_a_type_error(
    page: Page, origin: Origin, arguments: str, words: str
) -> None:
    accepting(origin)
    page.goto(origin.page("/", banner_page(modules=CARRIER)))

    with pytest.raises(Error, match=rf"TypeError: .*{re.escape(words)}"):
        page.evaluate(f"inlive.track({arguments})")

    assert not origin.had("POST", PUBLISH)


def test_script_that_runs_earlier_waits_until_track_is_there(page: Page, origin: Origin) -> None:
    """As the module's head says."""
    accepting(origin)
    early = """<script>
      const greet = () => inlive.track("newsletter", "sign-up");
      window.inlive ? greet() : addEventListener("inlive:ready", greet, { once: true });
    </script>"""
    page.goto(origin.page("/", banner_page(modules=early + CARRIER)))

    published(page)
    assert messages(origin) == [("newsletter", "sign-up")]


def test_action_waits_for_consent_as_its_carrier_does(page: Page, origin: Origin) -> None:
    accepting(origin)
    carrier = CARRIER.replace("data-inlive-banner", "data-inlive-consent data-inlive-banner")
    link = '<a href="#list" data-inlive-action="download">List</a>'
    page.goto(origin.page("/", banner_page(link, modules=carrier + module("consent"))))
    page.get_by_text("List").click()

    page.evaluate("document.dispatchEvent(new CustomEvent('inlive:consent'))")
    page.get_by_text("List").click()

    published(page)
    assert messages(origin) == [("page", "download")]
