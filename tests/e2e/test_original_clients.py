"""What was written for the original service works against ours, from another origin, with only its address changed.

Two of its clients: pages that make the same plain calls as the tutorial's, and the client that was published on npm,
unmodified.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.browser import Complaints, find_original_client
from tests.e2e.origin import Origin
from tests.e2e.processes import STREAM_ID, WIDGET_KEY, Demo
from tests.polling import wait_until

PLAIN_BANNER = """<!DOCTYPE html><title>Plain banner</title><link rel="icon" href="data:,">
<a id="it" href="#clicked">Visit us</a>
<script>
const base = "%(base)s/", stream = %(stream)d, me = {}, answers = [];
const events = new EventSource(base + "subscribe/" + stream);
events.addEventListener("message", ({ data }) => {
  const { type, message } = JSON.parse(data);
  if (type === "init") Object.assign(me, { token: message.token, user: message.user_id });
});
document.querySelector("#it").addEventListener("click", async () => {
  const message = { name: "plain", type: "banner", action: "click", user_id: me.user, time: Date.now() };
  const answer = await fetch(base + "publish/" + stream + "?token=" + me.token, {
    method: "post",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ type: "broadcast", widget_key: "%(key)s", message }),
  });
  answers.push(await answer.json());
});
</script>"""

PLAIN_LOGS = """<!DOCTYPE html><title>Plain logs</title><link rel="icon" href="data:,">
<ol></ol><output>0</output>
<script>
const base = "%(base)s/", stream = %(stream)d, answers = [];
const isClick = (m) => m && m.type === "banner" && m.action === "click" && m.user_id && !isNaN(m.time);
const show = (m) => {
  document.querySelector("ol").append(Object.assign(document.createElement("li"), { textContent: m.user_id }));
  document.querySelector("output").value = document.querySelectorAll("li").length;
};
const askForAll = async (token) => {
  const answer = await fetch(base + "publish/" + stream + "?token=" + token, {
    method: "post",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ type: "request", widget_key: "%(key)s" }),
  });
  answers.push(await answer.json());
};
const events = new EventSource(base + "subscribe/" + stream);
events.addEventListener("message", ({ data }) => {
  const { type, message } = JSON.parse(data);
  if (type === "init") askForAll(message.token);
  else if (Array.isArray(message)) message.map((stored) => stored.message).filter(isClick).forEach(show);
  else if (isClick(message)) show(message);
});
</script>"""

CLIENT_PAGE = """<!DOCTYPE html><title>The published client</title><link rel="icon" href="data:,">
<script type="module">
import { InliveEvent, InliveWidget } from "/client/inlive-js-sdk.js";

const client = InliveWidget({ channelOrigin: "%(base)s", streamId: %(stream)d, widgetKey: "%(key)s" });
const received = { broadcasts: [], histories: [], joins: [], leaves: [] };
const hear = (name, list) => InliveEvent.subscribe("widget:" + name, ({ detail }) => list.push(detail));
hear("receive-broadcast-message", received.broadcasts);
hear("receive-broadcast-history", received.histories);
hear("user-join-event", received.joins);
hear("user-leave-event", received.leaves);

const { initialSubscription } = await client.connectToChannel();
const element = (name, widgetKey) => {
  const widget = (Base) => customElements.define(name, class extends Base {});
  client.register({ widgetKey, widgets: [{ name, widget }] });
  return document.body.appendChild(document.createElement(name));
};
globalThis.probe = { initialSubscription, received, element, widget: element("a-widget") };
</script>"""


@pytest.fixture(scope="module")
def base(demo: Demo) -> Iterator[str]:
    """The channel as the demo mounts it: an origin and a prefix."""
    with demo.site_with_channel() as url:
        yield url


def put(origin: Origin, path: str, html: str, base: str, key: str = WIDGET_KEY) -> str:
    """Put one of the pages there, told only where the channel is, the stream and the key."""
    return origin.page(path, html % {"base": base, "stream": STREAM_ID, "key": key})


def listed(page: Page) -> list[str]:
    return page.locator("li").all_text_contents()


def test_plain_pages_show_the_history_and_each_click_as_it_comes(
    page: Page, context: BrowserContext, origin: Origin, base: str
) -> None:
    page.goto(put(origin, "/banner", PLAIN_BANNER, base))
    page.wait_for_function("me.token")
    user = page.evaluate("me.user")
    page.get_by_text("Visit us").click()
    wait_until(lambda: page.evaluate("answers"), what="the answer")

    logs = context.new_page()
    logs.goto(put(origin, "/logs", PLAIN_LOGS, base))
    wait_until(lambda: listed(logs).count(user) == 1, what="the click before, from the history")
    total = len(listed(logs))

    page.get_by_text("Visit us").click()
    wait_until(lambda: listed(logs).count(user) == 2, what="the click, live")
    page.get_by_text("Visit us").click()
    wait_until(lambda: listed(logs).count(user) == 3, what="the next one")
    expect(logs.locator("output")).to_have_text(str(total + 2))
    assert [answer["code"] for answer in page.evaluate("answers")] == [200, 200, 200]
    assert [answer["code"] for answer in logs.evaluate("answers")] == [200]


def test_plain_page_with_a_wrong_key_is_told_so_in_words(
    page: Page, complaints: Complaints, origin: Origin, base: str
) -> None:
    complaints.allow(r"403 \(Forbidden\)")
    page.goto(put(origin, "/banner", PLAIN_BANNER, base, key="not-the-key"))
    page.wait_for_function("me.token")

    page.get_by_text("Visit us").click()

    [answer] = wait_until(lambda: page.evaluate("answers"), what="the answer")
    assert answer["code"] == 403
    assert "widget" in answer["message"]


@pytest.fixture
def client(page: Page, origin: Origin, base: str) -> Page:
    """A page that has connected by the published client."""
    return connect(page, origin, base)


def connect(page: Page, origin: Origin, base: str) -> Page:
    origin.folder("/client/", find_original_client())
    page.goto(put(origin, "/client", CLIENT_PAGE, base))
    page.wait_for_function("globalThis.probe")
    return page


def received(client: Page, kind: str) -> list[Any]:
    """Wait until the client has told of at least one of a kind; returns all."""
    client.wait_for_function("kind => probe.received[kind].length", arg=kind)
    told: list[Any] = client.evaluate("kind => probe.received[kind]", kind)
    return told


def test_published_client_connects(client: Page) -> None:
    first = client.evaluate("probe.initialSubscription")

    assert first["streamId"] == STREAM_ID
    assert first["type"] == "init"
    assert first["toUserId"] == first["message"]["userId"]
    assert first["message"]["token"]
    assert first["message"]["viewerCount"] == 1


def test_published_client_hears_its_own_broadcast_once(client: Page) -> None:
    answer = client.evaluate("probe.widget.sendBroadcast({ helloWorld: 'there' }, { timestamp: 1.5 })")

    [broadcast] = received(client, "broadcasts")
    assert answer["code"] == 200
    assert answer["message"] == "OK"
    assert broadcast["message"] == {"helloWorld": "there"}
    assert broadcast["timestamp"] == 1.5
    assert broadcast["authorId"] == client.evaluate("probe.initialSubscription.message.userId")


def test_published_client_gets_the_history_oldest_first(client: Page) -> None:
    for number in (1, 2):
        client.evaluate("number => probe.widget.sendBroadcast({ number })", number)

    answer = client.evaluate("probe.widget.getBroadcastHistory()")

    [history] = received(client, "histories")
    assert answer["code"] == 200
    newest = history["message"][-2:]
    assert [stored["message"] for stored in newest] == [{"number": 1}, {"number": 2}]
    assert {stored["type"] for stored in newest} == {"broadcast"}


def test_published_client_counts_viewers_as_they_join_and_leave(
    client: Page, context: BrowserContext, origin: Origin, base: str
) -> None:
    # Announced after a second, as the other is; else the other's joining could come before ours.
    before = client.evaluate("probe.widget.viewerCount")
    other = connect(context.new_page(), origin, base)
    joined = received(client, "joins")

    other.close()

    left = received(client, "leaves")
    assert joined[0] == {"viewerCount": before + 1}
    assert left[0] == {"viewerCount": before}


def test_published_client_rejects_a_wrong_key_with_code_and_message(client: Page, complaints: Complaints) -> None:
    complaints.allow(r"403 \(Forbidden\)")

    error = client.evaluate(
        "probe.element('another-widget', 'not-the-key').sendBroadcast({ hello: 'there' }).catch((error) => error)"
    )

    assert error["code"] == 403
    assert isinstance(error["message"], str)
    assert "widget" in error["message"]
