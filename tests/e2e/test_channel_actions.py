"""A browser's own EventSource on a filtered stream."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page

from inlive_banner.signing import ChannelSigner
from tests.e2e.channel_server import STREAM, ChannelServer, click
from tests.polling import wait_until

OPEN = """url => {
  window.events = [];
  window.source = new EventSource(url);
  source.onmessage = event => events.push({id: event.lastEventId, envelope: JSON.parse(event.data)});
}"""


def test_event_source_takes_the_id_that_comes_without_data(tmp_path: Path, page: Page) -> None:
    """Its position moves with what passes it by, and it dispatches no event for that."""
    signer = ChannelSigner(token_max_age_seconds=3600, ticket_seconds=3600)
    server = ChannelServer(tmp_path, KEEP_ALIVE=0.3)
    with server.running(), server.publisher(signer.make_page_token(STREAM)) as publisher:
        page.goto(f"http://127.0.0.1:{server.port}/healthz")
        page.evaluate(OPEN, f"http://127.0.0.1:{server.port}/subscribe/{STREAM}?actions=click")
        page.wait_for_function("events.length > 0")
        user_id = page.evaluate("events[0].envelope.message.user_id")
        for action in ("click", "view", "view"):
            head = publisher.publish(click(action=action)).data["id"]

        def is_told() -> bool:
            publisher.publish(kind="private", to_user_id=user_id)
            return bool(page.evaluate("events.at(-1).id") == head)

        wait_until(is_told, what="the browser to know its place")
        found = page.evaluate("events.map(event => event.envelope.interaction || event.envelope.type)")
        assert set(found) - {"system"} == {"init", "click", "private"}
        assert found.count("click") == 1
        page.evaluate("source.close()")
