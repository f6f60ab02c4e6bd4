"""What outlives the channel's process: tokens, tickets, event ids, publish ids."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.channel_server import ChannelServer


@pytest.fixture
def server(tmp_path: Path) -> ChannelServer:
    return ChannelServer(tmp_path)


def test_token_and_position_survive_a_kill_and_an_end(server):
    """The client keeps its first token for as long as its page lives."""
    with server.running() as process, server.subscribe() as stream:
        init = stream.next("init")
        with server.publisher(init.message["token"]) as publisher:
            first = publisher.publish("first", publish_id="the-first-one")
        process.kill()
    with server.running() as process, server.publisher(init.message["token"]) as publisher:
        with server.subscribe(last_event_id=first.data["id"]) as stream:
            resumed = stream.next("init")
            assert (resumed.id, resumed.message["recovered"]) == (first.data["id"], True)
            # As after any restart: read before anything new was published.
            assert resumed.message["head"] == first.data["id"]
            second = publisher.publish("second")
            assert publisher.publish("again", publish_id="the-first-one").data == first.data
            assert stream.next("broadcast").id == second.data["id"]
        assert process.terminate() == 0
    with server.running(), server.publisher(init.message["token"]) as publisher:
        publisher.publish("third")
        stored = server.everything()
    assert [envelope["message"] for envelope in stored] == ["first", "second", "third"]
    assert [envelope["id"] for envelope in stored[:2]] == [first.data["id"], second.data["id"]]
    assert {envelope["author_id"] for envelope in stored} == {init.message["user_id"]}
    assert {envelope["id"].partition("-")[0] for envelope in stored} == {first.data["id"].partition("-")[0]}


def test_emptied_log_begins_a_new_epoch_and_tells_who_resumes(server):
    with server.running(), server.subscribe() as stream:
        token = stream.next("init").message["token"]
        with server.publisher(token) as publisher:
            lost = [publisher.publish("lost").data["id"] for _ in range(3)]
    for path in server.folder.glob("channel.sqlite3*"):
        path.unlink()
    with server.running(), server.publisher(token) as publisher:
        new = publisher.publish("new").data["id"]
        with server.subscribe(last_event_id=lost[-1]) as stream:
            assert stream.next("init").message["recovered"] is False
            assert stream.next("broadcast").id == new
    assert new.endswith("-1")
    assert new.partition("-")[0] != lost[0].partition("-")[0]
