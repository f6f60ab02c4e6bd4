"""Who is told of whom, and when."""

from __future__ import annotations

import time

FENCE = "nothing else comes before this"


def test_subscriber_is_announced_to_the_others_after_a_second(server, public):
    """One join and one leave, and nothing of oneself."""
    with server.subscribe(public) as watcher:
        token = watcher.next("init").message["token"]
        begin = time.monotonic()
        with server.subscribe(public) as guest:
            assert guest.next("init").message["viewer_count"] in (1, 2)
            join = watcher.next()
            # The watcher's own announcement may come first to the guest, who came in before it.
            told = [event.message for event in _all_before_fence(server, public, token, guest)]
            assert {"status": "join", "viewer_count": 2} not in told
        leave = watcher.next("system")
        assert [event.type for event in _all_before_fence(server, public, token, watcher)] == []
    assert join.message == {"status": "join", "viewer_count": 2}
    assert 0.9 < join.at - begin < 4
    assert leave.message == {"status": "leave", "viewer_count": 1}
    for event in (join, leave):
        assert event.id == ""
        assert {name: event.envelope[name] for name in ("author_id", "to_user_id", "timestamp", "widget_key")} == {
            "author_id": "0",
            "to_user_id": "",
            "timestamp": 0,
            "widget_key": "",
        }


def test_subscriber_that_leaves_sooner_is_never_announced(server, public):
    """The guest who comes after it is announced after it would have been."""
    with server.subscribe(public) as watcher:
        token = watcher.next("init").message["token"]
        with server.subscribe(public) as hasty:
            hasty.next("init")
        with server.subscribe(public) as guest:
            guest.next("init")
            assert watcher.next().message == {"status": "join", "viewer_count": 2}
        assert watcher.next().message == {"status": "leave", "viewer_count": 1}
        assert _all_before_fence(server, public, token, watcher) == []


def test_reader_with_a_services_ticket_is_neither_counted_nor_announced(server, public, signer):
    ticket = signer.make_ticket(public, silent=True)
    with server.subscribe(public) as watcher, server.subscribe(public, authorization=f"Bearer {ticket}") as service:
        token = watcher.next("init").message["token"]
        service.next("init")
        with server.subscribe(public) as guest:
            guest.next("init")
            assert watcher.next().message == {"status": "join", "viewer_count": 2}
            with server.subscribe(public) as another:
                assert another.next("init").message["viewer_count"] == 3
            service.close()
            events = _all_before_fence(server, public, token, watcher)
            assert events == []


def _all_before_fence(server, stream_id, token, stream):
    with server.publisher(token, stream_id) as publisher:
        publisher.publish(FENCE)
    return stream.until(lambda event: event.message == FENCE)[:-1]
