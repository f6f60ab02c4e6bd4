"""Who may read, who may publish, and what the others aren't told."""

from __future__ import annotations

import time
from unittest import mock

import pytest

from inlive_banner.signing import ChannelSigner
from tests.e2e.channel_server import click

FENCE = "nothing else comes before this"


def test_closed_stream_tells_an_outsider_nothing(server, closed, signer):
    """No position, no head, no number of viewers, no broadcast, no join; private messages come."""
    ticket = signer.make_ticket(closed)
    with server.subscribe(closed, query=f"?ticket={ticket}") as reader:
        reader.next("init")
        with server.subscribe(closed) as other, server.subscribe(closed, last_event_id="0") as outsider:
            # Both have been announced, so there would be something to tell.
            user_id = other.next("init").message["user_id"]
            assert {reader.next("system").message["viewer_count"] for _ in range(2)} == {2, 3}
            init = outsider.next("init")
            with server.publisher(init.message["token"], closed) as publisher:
                answer = publisher.publish("secret")
                assert publisher.publish("again", publish_id="same-publish-id").data.keys() == {"received_at"}
                assert publisher.publish("again", publish_id="same-publish-id").data.keys() == {"received_at"}
                assert publisher.publish(kind="request").code == 403
                publisher.publish(FENCE, kind="private", to_user_id=init.message["user_id"])
                publisher.publish(FENCE, kind="private", to_user_id=user_id)
            assert [event.type for event in outsider.until(lambda event: event.message == FENCE)] == ["private"]
            assert [event.type for event in other.until(lambda event: event.message == FENCE)] == ["private"]
        with server.subscribe(closed) as late:
            assert late.next("init").message["viewer_count"] == 1
        assert reader.next("broadcast").message == "secret"
    assert init.id == ""
    assert init.message.keys() == {"token", "user_id", "viewer_count"}
    assert init.message["viewer_count"] == 1
    assert answer.code == 200
    assert answer.data.keys() == {"received_at"}


@pytest.mark.parametrize("way", ["query", "header"])
@pytest.mark.parametrize("silent", [False, True], ids=["reader", "service"])
def test_ticket_opens_a_closed_stream(server, closed, signer, way, silent):
    ticket = signer.make_ticket(closed, silent=silent)
    where = {"query": f"?ticket={ticket}"} if way == "query" else {"authorization": f"Bearer {ticket}"}
    with server.subscribe(closed, **where) as reader:
        init = reader.next("init")
        with server.publisher(init.message["token"], closed) as publisher:
            publisher.publish("hello")
            event = reader.next("broadcast")
            publisher.publish(kind="request")
        assert reader.next("request").message == [event.envelope]
    assert init.message["head"] == init.id
    assert event.id == init.id.replace("-0", "-1")


@pytest.mark.parametrize("way", ["query", "header"])
@pytest.mark.parametrize("kind", ["forged", "expired", "other stream", "publish token", "page token", "nonsense"])
def test_ticket_that_is_not_valid_is_refused_and_not_overlooked(server, public, closed, signer, way, kind):
    """On a public stream too: who shows a ticket means to be let in by it."""
    for stream in (public, closed):
        ticket = {
            "forged": signer.make_ticket(stream)[:-1] + "_",
            "expired": ChannelSigner(token_max_age_seconds=1, ticket_seconds=-1).make_ticket(stream),
            "other stream": signer.make_ticket(stream + 1),
            "publish token": signer.make_publish_token(stream, "somebody"),
            "page token": signer.make_page_token(stream),
            "nonsense": "a-ticket",
        }[kind]
        where = {"query": f"?ticket={ticket}"} if way == "query" else {"authorization": f"Bearer {ticket}"}
        with server.subscribe(stream, **where) as stream_refused:
            assert stream_refused.status == 401
            assert stream_refused.headers["access-control-allow-origin"] == "*"


def test_stream_ends_whole_when_its_ticket_does(server, closed):
    ticket = ChannelSigner(token_max_age_seconds=1, ticket_seconds=4).make_ticket(closed)
    expires_at = float(ticket.split(":")[2])
    with server.subscribe(closed, query=f"?ticket={ticket}") as reader:
        reader.next("init")
        reader.rest(within=10)
        assert -0.1 < time.time() - expires_at < 3  # two clocks: the loop's and the wall's
    with server.subscribe(closed, query=f"?ticket={ticket}") as reader:
        assert reader.status == 401


@pytest.mark.parametrize("authorization", ["", "Basic dXNlcjpwYXNz"], ids=["empty", "of a proxy"])
def test_authorization_that_is_not_a_bearers_is_ignored(server, public, authorization):
    """The published client sends an empty one."""
    with server.subscribe(public, authorization=authorization) as stream:
        token = stream.next("init").message["token"]
        answer = server.ask(
            "POST",
            f"/publish/{public}?token={token}",
            b'{"type": "broadcast", "widget_key": "a-widget-key", "message": 1}',
            content_type="application/json",
            authorization=authorization,
        )
        assert answer.code == 200
        assert stream.next("broadcast").message == 1


def test_page_token_makes_an_identity_for_the_rest_of_the_page(server, public, signer):
    with server.subscribe(public) as stream:
        stream.next("init")
        with server.publisher(signer.make_page_token(public), public) as publisher:
            first = publisher.publish(click(user_id=""))
        with server.publisher(first.data["token"], public) as publisher:
            second = publisher.publish(click())
        envelopes = [stream.next("broadcast").envelope for _ in range(2)]
    assert first.data.keys() == {"id", "received_at", "token", "user_id"}
    assert second.data.keys() == {"id", "received_at"}
    assert [envelope["author_id"] for envelope in envelopes] == [first.data["user_id"]] * 2
    assert envelopes[0]["message"] == click(user_id=first.data["user_id"])
    assert envelopes[0]["interaction"] == "click"


def test_page_token_has_no_subscription_to_answer_a_request_to(server, public, signer):
    with server.publisher(signer.make_page_token(public), public) as publisher:
        assert publisher.publish(kind="request").code == 409


@pytest.mark.parametrize("kind", ["forged", "expired", "other stream", "ticket", "other stream's page", "nonsense", ""])
def test_token_that_is_not_valid_is_refused(server, public, signer, kind):
    with mock.patch("django.core.signing.time.time", return_value=time.time() - 31 * 24 * 3600):
        expired = signer.make_publish_token(public, "somebody")
    token = {
        "forged": signer.make_publish_token(public, "somebody")[:-1] + "_",
        "expired": expired,
        "other stream": signer.make_publish_token(public + 1, "somebody"),
        "ticket": signer.make_ticket(public),
        "other stream's page": signer.make_page_token(public + 1),
        "nonsense": "a-token",
        "": "",
    }[kind]
    with server.publisher(token, public) as publisher:
        assert publisher.publish().code == 401
    assert server.everything(public) == []


def test_wrong_widget_key_is_refused(server, public, signer):
    with server.publisher(signer.make_page_token(public), public) as publisher:
        assert publisher.publish(widget_key="another-key").code == 403
    assert server.everything(public) == []
