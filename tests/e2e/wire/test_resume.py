"""Where a subscription begins."""

from __future__ import annotations

import pytest


@pytest.fixture
def stored(server, public):
    """The event ids of five broadcasts."""
    with server.subscribe(public) as stream:
        token = stream.next("init").message["token"]
    with server.publisher(token, public) as publisher:
        return [publisher.publish(number).data["id"] for number in range(5)]


def read(server, public, stored, **where):
    """The init, and the numbers of the broadcasts up to the head."""
    with server.subscribe(public, **where) as stream:
        init = stream.next("init")
        assert init.message["head"] == stored[-1]
        if init.id == stored[-1]:
            return init, []
        return init, [event.message for event in stream.until(lambda event: event.id == stored[-1])]


def test_event_ids_count_from_one_without_gaps(stored):
    epochs, numbers = zip(*(event_id.split("-") for event_id in stored), strict=True)
    assert numbers == ("1", "2", "3", "4", "5")
    assert len(set(epochs)) == 1


def test_subscribe_without_an_id_gets_what_is_live_only(server, public, stored):
    init, numbers = read(server, public, stored)
    assert (init.id, numbers) == (stored[-1], [])
    assert "recovered" not in init.message


def test_subscribe_with_a_header_gets_what_came_after(server, public, stored):
    init, numbers = read(server, public, stored, last_event_id=stored[1])
    assert (init.id, init.message["recovered"], numbers) == (stored[1], True, [2, 3, 4])


def test_subscribe_with_a_query_gets_what_came_after(server, public, stored):
    init, numbers = read(server, public, stored, query=f"?last_event_id={stored[3]}")
    assert (init.id, init.message["recovered"], numbers) == (stored[3], True, [4])


def test_subscribe_with_both_goes_by_the_header(server, public, stored):
    init, numbers = read(server, public, stored, query=f"?last_event_id={stored[0]}", last_event_id=stored[4])
    assert (init.id, init.message["recovered"], numbers) == (stored[4], True, [])


def test_subscribe_from_0_gets_everything(server, public, stored):
    init, numbers = read(server, public, stored, last_event_id="0")
    assert (init.message["recovered"], numbers) == (True, [0, 1, 2, 3, 4])


def test_subscribe_from_the_place_before_the_first_misses_nothing(server, public, stored):
    before_first = stored[0].replace("-1", "-0")
    init, numbers = read(server, public, stored, last_event_id=before_first)
    assert (init.id, init.message["recovered"], numbers) == (before_first, True, [0, 1, 2, 3, 4])


@pytest.mark.parametrize(
    "last_event_id", ["0123456789ab-3", "nonsense", "-1", "3", "0x", "\xff\xfe", "a" * 5000, "..%00", "9" * 40]
)
def test_subscribe_with_an_id_of_nowhere_gets_everything_and_is_told(server, public, stored, last_event_id):
    init, numbers = read(server, public, stored, last_event_id=last_event_id)
    assert (init.message["recovered"], numbers) == (False, [0, 1, 2, 3, 4])


def test_subscribe_with_an_id_beyond_the_end_is_told(server, public, stored):
    """The log can vouch for what it holds, so nothing is sent twice."""
    init, numbers = read(server, public, stored, last_event_id=stored[-1].replace("-5", "-6"))
    assert (init.id, init.message["recovered"], numbers) == (stored[-1], False, [])
