"""Labels and visitors, of real requests."""

from __future__ import annotations

import pytest

from tests.e2e.channel_server import STREAM, ChannelServer, click


def envelopes(server, stream, signer, number):
    """The first envelopes of a stream, as the worker gets them."""
    with server.subscribe(stream, query="?last_event_id=0", authorization=f"Bearer {ticket(signer, stream)}") as worker:
        worker.next("init")
        return [worker.next("broadcast").envelope for _ in range(number)]


def ticket(signer, stream):
    return signer.make_ticket(stream, silent=True)


@pytest.mark.parametrize(
    ("headers", "changes", "label"),
    [
        ({}, {}, None),
        ({"user_agent": "python-requests/2.32.5"}, {}, "crawler"),
        ({"user_agent": ""}, {}, "crawler"),
        ({"sec_purpose": "prefetch"}, {}, "prefetch"),
        ({}, {"webdriver": True}, "automation"),
        ({}, {"isTrusted": False}, "synthetic"),
        ({"user_agent": "curl/8"}, {"action": "view"}, "crawler"),
    ],
)
def test_label_says_what_is_no_persons(server, public, signer, headers, changes, label):
    with server.subscribe(public) as reader:
        reader.next("init")
        with server.publisher(signer.make_page_token(public), public, **headers) as publisher:
            assert publisher.publish(click(**changes)).code == 200
        envelope = reader.next("broadcast").envelope
    assert envelope.get("label") == label
    assert "visitor" not in envelope


def test_label_staff_goes_with_the_token(server, public, signer):
    with server.publisher(signer.make_page_token(public, staff=True), public) as publisher:
        first = publisher.publish(click(user_id=""))
    with server.publisher(first.data["token"], public) as publisher:
        publisher.publish(click())
    assert [envelope["label"] for envelope in envelopes(server, public, signer, 2)] == ["staff", "staff"]


def test_label_rate_and_own_come_of_the_settings(tmp_path, signer):
    server = ChannelServer(tmp_path, IMPOSSIBLE_RATE=2, OWN_ADDRESSES=["192.0.2.0/24"], HONOUR_DNT=False)
    with server.running():
        for headers in ({"x_forwarded_for": "198.51.100.7"}, {}):
            with server.publisher(signer.make_page_token(STREAM), **headers) as publisher:
                for _ in range(4):
                    publisher.publish(click())
        for headers in ({"x_forwarded_for": "192.0.2.3"}, {"dnt": "1", "x_forwarded_for": "198.51.100.7"}):
            with server.publisher(signer.make_page_token(STREAM), **headers) as publisher:
                publisher.publish(click())
        found = envelopes(server, STREAM, signer, 10)
    # Those of whom the proxy doesn't say who they are may be any number of people.
    labels = [None, None, "rate", "rate", None, None, None, None, "own", "rate"]
    assert [envelope.get("label") for envelope in found] == labels
    assert all("visitor" in envelope for envelope in found)
    assert "192.0.2.3" not in server.output.read_text()


def test_visitor_is_for_the_worker_alone(server, public, signer):
    with server.publisher(signer.make_page_token(public), public) as publisher:
        publisher.publish(click())
        publisher.publish("hello")
    first, second = envelopes(server, public, signer, 2)
    assert len(first["visitor"]) == 22
    assert "visitor" not in second
    del first["visitor"]
    assert server.everything(public) == [first, second]
    query = f"?ticket={signer.make_ticket(public)}&last_event_id=0"
    with server.subscribe(public, query=query) as reader:
        token = reader.next("init").message["token"]
        assert reader.next("broadcast").envelope == first
        with server.publisher(token, public) as publisher:
            publisher.publish(kind="request")
        assert reader.next("request").message == [first, second]


def test_visitor_is_whom_a_trusted_proxy_names(server, public, signer):
    for headers in (
        {"x_forwarded_for": "198.51.100.1"},
        {"x_forwarded_for": "6.6.6.6, 198.51.100.1"},
        {"x_forwarded_for": "198.51.100.2"},
        {"x_forwarded_for": "nonsense"},
    ):
        with server.publisher(signer.make_page_token(public), public, **headers) as publisher:
            assert publisher.publish(click()).code == 200
    visitors = [envelope.get("visitor") for envelope in envelopes(server, public, signer, 4)]
    assert visitors[0] == visitors[1]
    assert visitors[0] != visitors[2]
    assert visitors[3] is None


def test_interaction_of_who_opts_out_is_answered_and_not_recorded(server, public, signer):
    for headers in ({"dnt": "1"}, {"sec_gpc": "1"}, {}):
        with server.publisher(signer.make_page_token(public), public, **headers) as publisher:
            answer = publisher.publish(click(name=str(headers)))
            assert answer.code == 200
            assert answer.data.get("recorded", True) is not bool(headers)
    (recorded,) = envelopes(server, public, signer, 1)
    assert recorded["message"]["name"] == "{}"
    assert recorded["id"].endswith("-1")


def test_visitor_is_the_same_after_a_restart_and_after_a_kill(tmp_path, signer):
    server = ChannelServer(tmp_path)
    for kill in (True, False, False):
        with server.running() as process:
            with server.publisher(signer.make_page_token(STREAM)) as publisher:
                publisher.publish(click())
            if kill:
                process.kill()
    with server.running():
        found = {envelope["visitor"] for envelope in envelopes(server, STREAM, signer, 3)}
    assert len(found) == 1


def test_service_token_publishes_in_a_visitors_name(server, public, signer):
    service = signer.make_service_token(public)
    # On the way a proxy has put the site's own address into the header that proxies use.
    forwarded = {"inlive_visitor_address": "198.51.100.9", "x_forwarded_for": "192.0.2.1"}
    with server.publisher(service, public, **forwarded, user_agent="Mozilla/5.0 X") as publisher:
        answer = publisher.publish(click(user_id="their-visitor"))
    with server.publisher(
        signer.make_page_token(public), public, x_forwarded_for="198.51.100.9", user_agent="Mozilla/5.0 X"
    ) as publisher:
        publisher.publish(click())
    by_service, by_page = envelopes(server, public, signer, 2)
    assert answer.data.keys() == {"id", "received_at"}
    assert by_service["author_id"] == "their-visitor"
    assert by_service["visitor"] == by_page["visitor"]
