"""Subscribing to certain actions only."""

from __future__ import annotations

import pytest

from tests.e2e.channel_server import click

FENCE = click(action="share", name="fence")


def publish_some(server, stream, signer):
    with server.publisher(signer.make_page_token(stream), stream) as publisher:
        for message in (click(action="view"), click(), "hello", click(action="view"), FENCE):
            assert publisher.publish(message).code == 200


@pytest.mark.parametrize(
    ("actions", "expected"),
    [("click,share", ["click", "share"]), ("click%2Cshare", ["click", "share"]), ("!view", ["click", None, "share"])],
)
def test_actions_are_delivered_live_replayed_and_as_history(server, public, signer, actions, expected):
    with server.subscribe(public, query=f"?actions={actions}") as live:
        token = live.next("init").message["token"]
        publish_some(server, public, signer)
        with server.subscribe(public, query=f"?actions={actions}&last_event_id=0") as late:
            for stream in (live, late):
                events = stream.until(lambda event: event.message == FENCE)
                found = [event.envelope.get("interaction") for event in events if event.type == "broadcast"]
                assert found == expected
        with server.publisher(token, public) as publisher:
            publisher.publish(kind="request")
        history = live.next("request").message
    assert [envelope.get("interaction") for envelope in history] == expected


def test_position_of_a_filtered_subscriber_moves_with_the_keep_alive(server, public, signer):
    with server.subscribe(public, query="?actions=click") as reader:
        reader.next("init")
        publish_some(server, public, signer)
        click_id = reader.next("broadcast").id
        with server.subscribe(public) as other:
            head = other.next("init").message["head"]
        reader.wait_for_position(head)
        assert click_id != head == reader.position
    with server.subscribe(public, query="?actions=click", last_event_id=head) as again:
        init = again.next("init")
        assert init.message["recovered"] is True
        with server.publisher(signer.make_page_token(public), public) as publisher:
            publisher.publish(click(name="next"))
        assert again.next("broadcast").message["name"] == "next"


@pytest.mark.parametrize("actions", ["", "!", ",", "click,", "x" * 65, ",".join("abcdefghijklmnopq")])
def test_actions_that_are_none_are_a_400(server, public, actions):
    with server.subscribe(public, query=f"?actions={actions}") as refused:
        assert refused.status == 400
        assert refused.refusal["message"].startswith("actions ")
