"""banner.js in a real browser, against the real channel, and against stand-ins for channels in trouble."""

from __future__ import annotations

import re
import threading
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from inlive_banner.envelope import read_interaction
from tests.e2e.banner_pages import PUBLISH, SUBSCRIBE, accepting, banner, banner_page, failed, kept, module, published
from tests.e2e.browser import Complaints
from tests.e2e.client import clicks_on
from tests.e2e.origin import Answer, Origin, Request
from tests.e2e.processes import STREAM_ID, WIDGET_KEY
from tests.polling import wait_until

REFUSED_TOKEN = r"401 \(Unauthorized\)"


def init(token: str, user_id: str = "u-1") -> dict[str, Any]:
    """The first event of a server that knows the original protocol only."""
    return {
        "stream_id": str(STREAM_ID),
        "author_id": "0",
        "to_user_id": user_id,
        "message": {"token": token, "user_id": user_id, "viewer_count": 1},
        "timestamp": 0,
        "type": "init",
        "widget_key": "",
    }


def test_click_with_page_token_is_stored_with_the_tutorials_fields(
    page: Page, origin: Origin, channel: str, page_token: str, name: str
) -> None:
    page.goto(origin.page("/shop/", banner_page(banner(name, channel=channel, token=page_token))))

    page.get_by_text("Banner").click()

    [told] = published(page)
    [click] = clicks_on(channel, name)
    message = click["message"]
    assert (message["name"], message["type"], message["action"], message["page"]) == (name, "banner", "click", "/shop/")
    assert message["user_id"] == click["author_id"] == told["data"]["user_id"]
    assert abs(message["time"] - click["received_at"]) < 10_000
    assert click["publish_id"] == told["publishId"]
    assert re.fullmatch(r"[0-9]{13}-[0-9]{1,20}", told["publishId"])
    assert (told["name"], told["action"]) == (name, "click")
    assert kept(page) == 0


def test_clicks_after_the_first_come_from_the_same_user(
    page: Page, origin: Origin, channel: str, page_token: str, name: str
) -> None:
    page.goto(origin.page("/", banner_page(banner(name, channel=channel, token=page_token))))

    for count in (1, 2, 3):
        page.get_by_text("Banner").click()
        published(page, count)

    clicks = clicks_on(channel, name)
    assert len(clicks) == 3
    assert len({click["author_id"] for click in clicks}) == 1
    assert {click["message"]["user_id"] for click in clicks} == {clicks[0]["author_id"]}


@pytest.mark.parametrize("how", ["left", "middle", "control", "keyboard"])
def test_each_way_to_follow_a_banner_counts_once_and_opens_its_link(
    page: Page, origin: Origin, channel: str, page_token: str, name: str, how: str
) -> None:
    origin.page("/there", "<!DOCTYPE html><link rel=icon href=data:,><title>There</title>")
    page.goto(
        origin.page("/", banner_page(banner(name, channel=channel, token=page_token, href="/there", target="_blank")))
    )
    link = page.get_by_text("Banner")

    if how == "left":
        link.click()
    elif how == "middle":
        link.click(button="middle")
    elif how == "control":
        link.click(modifiers=["Control"])
    else:
        link.press("Enter")

    # Asked of the server: on a busy machine Playwright is now and then not told of a tab in the background.
    wait_until(lambda: len(origin.had("GET", "/there")) == 1, deadline_seconds=30, what="the other tab's page")
    expect(page).to_have_url(f"{origin.url}/")
    published(page)
    assert len(clicks_on(channel, name)) == 1


def test_right_click_doesnt_count(page: Page, origin: Origin, name: str) -> None:
    accepting(origin)
    page.goto(origin.page("/", banner_page(banner(name, channel="", token="t"))))

    page.get_by_text("Banner").click(button="right")
    page.get_by_text("Banner").click()  # what a right click had begun would have come before this one

    published(page)
    assert len(origin.had("POST", PUBLISH)) == 1


def test_banner_that_was_added_later_counts_whatever_its_own_handlers_do(page: Page, origin: Origin, name: str) -> None:
    accepting(origin)
    page.goto(origin.page("/", banner_page()))
    page.evaluate(
        """html => {
          document.body.insertAdjacentHTML("beforeend", html);
          document.querySelector("[data-inlive-banner]").onclick = (event) => event.stopPropagation();
        }""",
        banner(name, channel="", token="t", tag="div", content="<b>Inside</b>"),
    )

    page.get_by_text("Inside").click()

    assert published(page)[0]["name"] == name


def test_script_never_prevents_what_a_click_does(page: Page, origin: Origin, name: str) -> None:
    accepting(origin)
    page.goto(origin.page("/", banner_page(banner(name, channel="", token="t"))))
    page.evaluate("addEventListener('click', (event) => { window.prevented = event.defaultPrevented; })")

    page.get_by_text("Banner").click()

    expect(page).to_have_url(re.compile("#here$"))
    assert page.evaluate("prevented") is False


def test_page_without_a_token_subscribes_once_and_closes(page: Page, origin: Origin, channel: str, name: str) -> None:
    subscriptions: list[str] = []
    page.on("request", lambda request: subscriptions.append(request.url) if SUBSCRIBE in request.url else None)
    page.goto(origin.page("/", banner_page(banner(name, channel=channel))))

    page.evaluate("for (let n = 0; n < 3; n++) document.querySelector('[data-inlive-banner]').click()")

    published(page, 3)
    clicks = clicks_on(channel, name)
    assert len(clicks) == 3
    assert len({click["author_id"] for click in clicks}) == 1, "all waited for the one token"
    assert all(click["message"]["user_id"] == click["author_id"] for click in clicks)
    assert len(subscriptions) == 1


@pytest.mark.parametrize("token", ["15:forged:token", "15:1aaaaa:c2lnbmF0dXJl"], ids=["forged", "expired"])
def test_refused_page_token_is_renewed_and_the_click_stored(
    page: Page, complaints: Complaints, origin: Origin, channel: str, name: str, token: str
) -> None:
    complaints.allow(REFUSED_TOKEN)
    page.goto(origin.page("/", banner_page(banner(name, channel=channel, token=token))))

    page.get_by_text("Banner").click()

    published(page)
    assert len(clicks_on(channel, name)) == 1


def test_user_token_that_is_refused_later_is_renewed_too(
    page: Page, complaints: Complaints, origin: Origin, name: str
) -> None:
    """As when the site's secret key has been replaced while the page stayed open."""
    complaints.allow(REFUSED_TOKEN)
    tokens = iter(["first", "second"])
    valid = ["first"]
    origin.answer("GET", SUBSCRIBE, lambda _: Answer.events(init(next(tokens))))

    def publish(request: Request) -> Answer:
        accepted = request.headers.get("authorization") == f"Bearer {valid[0]}"
        return Answer.sentence(200, "OK", {}) if accepted else Answer.sentence(401, "The token isn't valid.")

    origin.answer("POST", PUBLISH, publish)
    page.goto(origin.page("/", banner_page(banner(name, channel=""))))
    page.get_by_text("Banner").click()
    published(page)

    valid[0] = "second"
    page.get_by_text("Banner").click()

    published(page, 2)


def test_token_that_was_renewed_meanwhile_is_used_by_later_refused_clicks(
    page: Page, complaints: Complaints, origin: Origin, name: str
) -> None:
    complaints.allow(REFUSED_TOKEN)
    accepted = threading.Event()
    refusals = iter(["at once"])
    origin.answer("GET", SUBSCRIBE, lambda _: Answer.events(init("new")))

    def publish(request: Request) -> Answer:
        if request.headers.get("authorization") == "Bearer new":
            accepted.set()
            return Answer.sentence(200, "OK", {})
        if not next(refusals, None):
            accepted.wait(10)
        return Answer.sentence(401, "The token has expired.")

    origin.answer("POST", PUBLISH, publish)
    page.goto(origin.page("/", banner_page(banner(name, channel="", token="old"))))

    page.evaluate("for (let n = 0; n < 2; n++) document.querySelector('[data-inlive-banner]').click()")

    published(page, 2)
    assert len(origin.had("GET", SUBSCRIBE)) == 1


def test_server_that_refuses_every_token_is_asked_again_later(
    page: Page, complaints: Complaints, origin: Origin, name: str
) -> None:
    complaints.allow(rf"inlive-banner: No\.|{REFUSED_TOKEN}")
    origin.answer("GET", SUBSCRIBE, lambda _: Answer.events(init("t-1")))
    origin.answer("POST", PUBLISH, lambda _: Answer.sentence(401, "No."))
    page.goto(origin.page("/", banner_page(banner(name, channel="", token="t"))))

    page.get_by_text("Banner").click()

    [failure] = failed(page)
    assert (failure["reason"], failure["kept"]) == ("No.", True)
    posts = [(request.headers["authorization"], request.query) for request in origin.had("POST", PUBLISH)]
    assert posts == [("Bearer t", {}), ("Bearer t-1", {}), ("Bearer t-1", {"token": ["t-1"]})]


def test_banner_that_has_left_the_page_is_told_of_on_the_document(page: Page, origin: Origin, name: str) -> None:
    accepting(origin)
    page.goto(origin.page("/", banner_page(banner(name, channel="", token="t"))))

    page.evaluate("""() => {
      const banner = document.querySelector("[data-inlive-banner]");
      banner.click();
      banner.remove();
    }""")

    assert published(page)[0]["name"] == name


def test_server_of_the_original_protocol_gets_the_token_in_the_query(
    page: Page, complaints: Complaints, origin: Origin, name: str
) -> None:
    complaints.allow(REFUSED_TOKEN)
    origin.answer("GET", SUBSCRIBE, lambda _: Answer.events(init("t-1", "user-7")))

    def publish(request: Request) -> Answer:
        if request.query.get("token") != ["t-1"]:
            return Answer.sentence(401, "token is missing")
        return Answer.sentence(200, "OK")

    origin.answer("POST", PUBLISH, publish)
    page.goto(origin.page("/", banner_page(banner(name, channel=""))))

    page.get_by_text("Banner").click()
    published(page)
    page.get_by_text("Banner").click()
    published(page, 2)

    accepted = [request for request in origin.had("POST", PUBLISH) if request.query]
    assert [request.json["message"]["user_id"] for request in accepted] == ["user-7", "user-7"]
    assert len(origin.had("POST", PUBLISH)) == 3, "the query was tried only where Bearer had been refused, and kept"
    assert len(origin.had("GET", SUBSCRIBE)) == 1


def test_twenty_rapid_clicks_are_stored_twenty_times(
    page: Page, origin: Origin, channel: str, page_token: str, name: str
) -> None:
    page.goto(origin.page("/", banner_page(banner(name, channel=channel, token=page_token))))

    page.evaluate("for (let n = 0; n < 20; n++) document.querySelector('[data-inlive-banner]').click()")

    told = published(page, 20)
    clicks = clicks_on(channel, name)
    assert len(clicks) == 20
    page.get_by_text("Banner").click()
    published(page, 21)
    assert clicks_on(channel, name)[-1]["author_id"] == told[0]["data"]["user_id"]
    assert {click["publish_id"] for click in clicks} == {detail["publishId"] for detail in told}
    assert kept(page) == 0


def test_click_survives_the_navigation_it_causes(page: Page, origin: Origin, name: str) -> None:
    """Even where the page is gone before the browser may post: the channel is slow to answer the preflight."""
    released = threading.Event()
    origin.page("/there", "<!DOCTYPE html><link rel=icon href=data:,><title>There</title>")

    def slow_preflight(_: Request) -> Answer:
        released.wait(10)
        return Answer(status=204)

    accepting(origin)
    origin.answer("OPTIONS", PUBLISH, slow_preflight)
    # The same server by another name is another origin, so there is a preflight.
    channel = origin.url.replace("127.0.0.1", "localhost")
    page.goto(origin.page("/", banner_page(banner(name, channel=channel, token="t", href="/there"))))

    page.get_by_text("Banner").click()
    expect(page).to_have_title("There")
    wait_until(lambda: origin.had("OPTIONS", PUBLISH), what="the preflight")
    released.set()

    [post] = wait_until(lambda: origin.had("POST", PUBLISH), what="the publish")
    assert post.json["message"]["name"] == name


def test_script_changes_nothing_on_the_page(page: Page, complaints: Complaints, origin: Origin, name: str) -> None:
    """So nothing shifts, whatever becomes of a click."""
    complaints.allow(r"inlive-banner: Later\.|503 \(")
    accepting(origin, Answer.sentence(503, "Later."), Answer.sentence(200, "OK", {}))
    page.add_init_script(
        """
        window.changes = [];
        document.addEventListener("DOMContentLoaded", () => {
          const everything = { subtree: true, childList: true, attributes: true, characterData: true };
          new MutationObserver((records) => window.changes.push(...records)).observe(document, everything);
        });
        """
    )
    page.goto(origin.page("/", banner_page(banner(name, channel="", token="t"))))

    page.get_by_text("Banner").click()

    failed(page)
    published(page)
    assert page.evaluate("changes.length") == 0


def test_slow_channel_doesnt_delay_the_page_that_a_click_opens(page: Page, origin: Origin, name: str) -> None:
    """The next page is there while the channel still holds the click's request."""
    released = threading.Event()

    def slow(_: Request) -> Answer:
        released.wait(10)
        return Answer.sentence(200, "OK", {})

    origin.answer("POST", PUBLISH, slow)
    origin.page("/there", "<!DOCTYPE html><link rel=icon href=data:,><title>There</title>")
    page.goto(origin.page("/", banner_page(banner(name, channel="", token="t", href="/there"))))

    page.get_by_text("Banner").click()

    expect(page).to_have_title("There")
    wait_until(lambda: origin.had("POST", PUBLISH), what="the publish")
    assert not released.is_set()
    released.set()


def test_click_is_stored_and_posted_before_the_page_goes_on(page: Page, origin: Origin, name: str) -> None:
    """What a handler leaves for later never happens on a page that the click leaves."""
    accepting(origin)
    page.goto(origin.page("/", banner_page(banner(name, channel="", token="t"))))
    page.evaluate(
        """() => {
          const { fetch } = window;
          window.fetch = (url, options) => (window.posted = options, fetch(url, options));
          addEventListener("click", () => {
            window.seen = { posted: window.posted, kept: Object.values(localStorage) };
          });
        }"""
    )

    page.get_by_text("Banner").click()

    published(page)
    seen = page.evaluate("seen")
    assert seen["posted"]["keepalive"] is True
    assert seen["posted"]["body"] in seen["kept"][0]


def test_first_click_counts_as_soon_as_the_page_has_been_parsed(page: Page, origin: Origin, name: str) -> None:
    accepting(origin)
    html = banner_page(banner(name, channel="", token="t"))
    click = "addEventListener('DOMContentLoaded', () => document.querySelector('[data-inlive-banner]').click());"

    page.goto(origin.page("/", html.replace("const published", f"{click} const published")))

    assert published(page)[0]["name"] == name


def test_other_actions_are_recorded_as_their_event_says(page: Page, origin: Origin, name: str) -> None:
    accepting(origin)
    page.goto(origin.page("/", banner_page(banner(name, channel="", token="t"))))

    page.evaluate(
        """detail => document.querySelector("[data-inlive-banner]").dispatchEvent(
          new CustomEvent("inlive:action", { bubbles: true, detail }))""",
        {"action": "view", "name": "another", "share": 0.5},
    )

    [told] = published(page)
    assert (told["action"], told["name"]) == ("view", "another")
    [post] = origin.had("POST", PUBLISH)
    message = post.json["message"]
    assert (message["type"], message["action"], message["name"], message["share"]) == ("banner", "view", "another", 0.5)


def test_banner_without_consent_neither_stores_nor_sends(page: Page, origin: Origin, name: str) -> None:
    accepting(origin)
    written = banner("unasked", channel="", token="t", content="Unasked", data_inlive_consent="required")
    page.goto(origin.page("/", banner_page(written, banner(name, channel="", token="t"))))

    page.get_by_text("Unasked").click()
    assert kept(page) == 0
    page.get_by_text("Banner").click()  # what the first had begun would have come before this one

    published(page)
    assert [request.json["message"]["name"] for request in origin.had("POST", PUBLISH)] == [name]
    page.evaluate("document.querySelector('[data-inlive-consent]').removeAttribute('data-inlive-consent')")
    page.get_by_text("Unasked").click()
    published(page, 2)


def test_wrong_widget_key_is_told_in_the_channels_words(
    page: Page, complaints: Complaints, origin: Origin, channel: str, page_token: str, name: str
) -> None:
    complaints.allow(r"inlive-banner: |403 \(Forbidden\)")
    written = banner(name, channel=channel, token=page_token).replace(WIDGET_KEY, "another-key")
    page.goto(origin.page("/", banner_page(written)))

    page.get_by_text("Banner").click()

    [failure] = failed(page)
    assert "key" in failure["reason"]
    assert failure["kept"] is False


def test_eight_pages_with_banners_hold_no_connection(
    context: BrowserContext, complaints: Complaints, origin: Origin, channel: str, name: str
) -> None:
    """A browser opens six connections to a server: a seventh page would wait for ever if each held one."""
    address = origin.page("/", banner_page(banner(name, channel=channel)))
    pages = [context.new_page() for _ in range(8)]

    for page in pages:
        page.goto(address)
        page.get_by_text("Banner").click()
        published(page)

    assert len(clicks_on(channel, name)) == 8


def test_page_view_with_page_token_costs_the_channel_nothing_and_a_click_one_request(
    page: Page, origin: Origin, name: str
) -> None:
    accepting(origin)
    page.goto(origin.page("/", banner_page(banner(name, channel="", token="t"))), wait_until="networkidle")
    assert [request.path for request in origin.requests] == ["/", "/static/banner.js"]

    page.get_by_text("Banner").click()

    published(page)
    assert [request.path for request in origin.requests] == ["/", "/static/banner.js", PUBLISH]


@pytest.mark.parametrize("other_origin", [False, True], ids=["own-origin", "other-origin"])
def test_scripts_work_under_a_strict_content_security_policy(
    page: Page, complaints: Complaints, origin: Origin, name: str, other_origin: bool
) -> None:
    """The second one too, and from the static files' own origin where the policy names that."""
    complaints.allow(r"inlive-banner: Later\.|503 \(")
    accepting(origin, Answer.sentence(503, "Later."), Answer.sentence(200, "OK", {}))
    files = origin.url.replace("127.0.0.1", "localhost") if other_origin else ""
    allowed = files or "'self'"
    html = banner_page(banner(name, channel="", token="t"), static=files + "/static/", retry=f"{files}/static/retry.js")
    html = re.sub("<script>.*?</script>", "", html, flags=re.DOTALL).replace('<link rel="icon" href="data:,">', "")
    origin.page("/favicon.ico", "")
    page.goto(origin.page("/", html, Content_Security_Policy=f"default-src 'self'; script-src {allowed}"))

    page.get_by_text("Banner").click()

    wait_until(lambda: len(origin.had("POST", PUBLISH)) == 2, what="the second try")
    assert len(origin.had("GET", "/static/retry.js")) == 1


@pytest.mark.parametrize(
    ("policy", "nonce"),
    [("default-src 'self'", ""), ("default-src 'self'; script-src 'nonce-n0nce'", "n0nce")],
    ids=["self", "nonce"],
)
def test_page_with_all_modules_works_under_a_strict_content_security_policy(
    page: Page, complaints: Complaints, origin: Origin, name: str, policy: str, nonce: str
) -> None:
    """Also where the policy knows scripts by nonce only: what a script imports is its own."""
    complaints.allow(r"inlive-banner: Later\.|503 \(")
    accepting(origin, Answer.sentence(503, "Later."), Answer.sentence(200, "OK", {}))
    origin.page("/favicon.ico", "")
    modules = "".join(module(part) for part in ("views", "actions")) + module("consent", data_inlive_consent="")
    html = banner_page(banner(name, channel="", token="t", data_inlive_consent=""), modules=modules)
    html = re.sub("<script>.*?</script>", "", html, flags=re.DOTALL).replace('<link rel="icon" href="data:,">', "")
    html = html.replace("</head>", '<link rel="stylesheet" href="/static/banner.css"></head>')
    html = html.replace("<script ", f'<script nonce="{nonce}" ') if nonce else html
    page.goto(origin.page("/", html, Content_Security_Policy=policy))

    page.evaluate("document.dispatchEvent(new CustomEvent('inlive:consent'))")
    page.get_by_text("Banner").click()
    page.evaluate(f"inlive.track('{name}', 'share')")

    def actions() -> set[str]:
        return {request.json["message"]["action"] for request in origin.had("POST", PUBLISH)}

    wait_until(lambda: actions() == {"click", "share", "view"}, what="click, view and action")
    wait_until(lambda: origin.had("GET", "/static/retry.js"), what="the second script")
    wait_until(lambda: not kept(page), what="the second try")


def test_script_loads_nothing_that_a_banners_attributes_name(
    page: Page, complaints: Complaints, origin: Origin, name: str
) -> None:
    """Else those who may write attributes into a page could run their code on it."""
    complaints.allow(r"inlive-banner: Later\.|503 \(")
    accepting(origin, Answer.sentence(503, "Later."))
    written = banner(name, channel="", token="t", data_inlive_retry="/static/logs.js")
    page.goto(origin.page("/", banner_page(written)))

    page.get_by_text("Banner").click()

    failed(page)
    assert not origin.had("GET", "/static/logs.js")


@pytest.mark.parametrize("how", ["left", "keyboard"])
@pytest.mark.parametrize("target", ["/there?direct", "http"], ids=["path", "address"])
def test_redirecting_link_leads_directly_where_its_click_was_recorded(
    page: Page, origin: Origin, name: str, how: str, target: str
) -> None:
    """Else the click would be counted by the redirect too."""
    accepting(origin)
    origin.page("/there", "<!DOCTYPE html><link rel=icon href=data:,><title>There</title>")
    direct = origin.url.replace("127.0.0.1", "localhost") + "/there" if target == "http" else target
    page.goto(
        origin.page("/", banner_page(banner(name, channel="", token="t", href="/redirect", data_inlive_href=direct)))
    )

    page.get_by_text("Banner").press("Enter") if how == "keyboard" else page.get_by_text("Banner").click()

    expect(page).to_have_title("There")
    wait_until(lambda: origin.had("POST", PUBLISH), what="the publish")
    assert not origin.had("GET", "/redirect")


@pytest.mark.parametrize("how", ["middle", "control"])
def test_redirecting_link_leads_directly_in_a_new_tab_too(page: Page, origin: Origin, name: str, how: str) -> None:
    accepting(origin)
    origin.page("/there", "<!DOCTYPE html><link rel=icon href=data:,><title>There</title>")
    written = banner(name, channel="", token="t", href="/redirect", data_inlive_href="/there")
    page.goto(origin.page("/", banner_page(written)))

    if how == "middle":
        page.get_by_text("Banner").click(button="middle")
    else:
        page.get_by_text("Banner").click(modifiers=["Control"])

    # Asked of the server: on a busy machine Playwright is now and then not told of a tab in the background.
    wait_until(lambda: origin.had("GET", "/there"), deadline_seconds=30, what="the new tab's page")
    published(page)
    assert not origin.had("GET", "/redirect")


def test_redirecting_link_is_followed_where_there_is_no_javascript(browser: Browser, origin: Origin, name: str) -> None:
    origin.page("/redirect", "<!DOCTYPE html><title>Redirected</title>")
    written = banner(name, channel="", token="t", href="/redirect", data_inlive_href="/there")
    context = browser.new_context(java_script_enabled=False)
    try:
        page = context.new_page()
        page.goto(origin.page("/", banner_page(written)))

        page.get_by_text("Banner").click()

        expect(page).to_have_title("Redirected")
    finally:
        context.close()
    assert not origin.had("POST", PUBLISH)


@pytest.mark.parametrize(
    "target", ["javascript:document.title='run'", " javascript:document.title='run'", "data:text/html,x", ""]
)
def test_script_puts_no_other_scheme_into_a_links_href(page: Page, origin: Origin, name: str, target: str) -> None:
    """A page's text that was cleaned of such hrefs may still have the attribute."""
    accepting(origin)
    page.goto(origin.page("/", banner_page(banner(name, channel="", token="t", data_inlive_href=target))))

    page.get_by_text("Banner").click()

    published(page)
    expect(page).to_have_url(re.compile("#here$"))
    expect(page.get_by_text("Banner")).to_have_attribute("href", "#here")


def test_banner_that_waits_for_consent_keeps_its_redirect(page: Page, origin: Origin, name: str) -> None:
    origin.page("/redirect", "<!DOCTYPE html><link rel=icon href=data:,><title>Redirected</title>")
    written = banner(
        name, channel="", token="t", href="/redirect", data_inlive_href="/there", data_inlive_consent="required"
    )
    page.goto(origin.page("/", banner_page(written)))

    page.get_by_text("Banner").click()

    expect(page).to_have_title("Redirected")


@pytest.mark.parametrize("driven", [True, False])
def test_message_says_whether_the_browser_is_under_automation(
    page: Page, origin: Origin, name: str, driven: bool
) -> None:
    accepting(origin)
    if driven:
        page.add_init_script("Object.defineProperty(navigator, 'webdriver', { value: true })")
    page.goto(origin.page("/", banner_page(banner(name, channel="", token="t"))))

    page.get_by_text("Banner").click()

    published(page)
    [post] = origin.had("POST", PUBLISH)
    assert hint_of(post) == ("automation" if driven else "")


def hint_of(post: Request) -> str:
    """What the channel reads of it."""
    interaction = read_interaction({**post.json["message"], "user_id": "u"})
    assert interaction is not None
    return interaction.hint


@pytest.mark.parametrize(
    ("act", "hint"),
    [
        ("banner.click()", "synthetic"),
        ("banner.dispatchEvent(new MouseEvent('click', { bubbles: true }))", "synthetic"),
        (
            "banner.dispatchEvent(new CustomEvent('inlive:action', { bubbles: true, detail: { action: 'x' } }))",
            "synthetic",
        ),
        (
            "banner.dispatchEvent(new CustomEvent('inlive:action', { bubbles: true, detail: { isTrusted: true } }))",
            "",
        ),
    ],
)
def test_message_says_whether_a_script_has_made_its_event(
    page: Page, origin: Origin, name: str, act: str, hint: str
) -> None:
    accepting(origin)
    page.goto(origin.page("/", banner_page(banner(name, channel="", token="t"))))

    page.get_by_text("Banner").evaluate(f"banner => {act}")

    published(page)
    [post] = origin.had("POST", PUBLISH)
    assert hint_of(post) == hint
