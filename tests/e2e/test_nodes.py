"""Several channel nodes on one engine, as real processes. faults/test_nodes.py has the clicks of such under faults."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest
import requests

from tests.e2e.processes import STREAM_ID, WIDGET_KEY, Demo, Process
from tests.e2e.sse_client import EventStream, StreamEndedError
from tests.engine import Server, running_server


class Nodes(NamedTuple):
    """Two nodes, and the engine that they share."""

    demos: list[Demo]
    processes: list[Process]
    engine: Server


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Nodes]:
    """All of it, running."""
    with ExitStack() as running:
        engine = running.enter_context(running_server())
        demos = []
        for number in range(2):
            (tmp_path / f"{number}").mkdir()
            demos.append(Demo(tmp_path / f"{number}"))
            demos[-1].environment["INLIVE_CHANNEL_LOG"] = f"valkey://127.0.0.1:{engine.port}"
        yield Nodes(demos, [running.enter_context(demo.channel()) for demo in demos], engine)


def subscribe(node: Demo, last_event_id: str = "") -> EventStream:
    return EventStream(node.channel_port, f"/subscribe/{STREAM_ID}?last_event_id={last_event_id}")


def publish(node: Demo, token: str, **fields: object) -> requests.Response:
    body = {"widget_key": WIDGET_KEY, **fields}
    headers = {"Authorization": f"Bearer {token}"}
    return requests.post(f"{node.channel_url}/publish/{STREAM_ID}", json=body, headers=headers, timeout=10)


def test_private_message_and_history_reach_their_subscriber_at_another_node(nodes: Nodes, page_token: str) -> None:
    one, other = nodes.demos
    with subscribe(one) as stream:
        init = stream.next("init").envelope["message"]
        for number in range(2):
            assert publish(other, page_token, type="broadcast", message={"n": number}).status_code == 200

        private = publish(other, page_token, type="private", message={"hello": 1}, to_user_id=init["user_id"])
        asked = publish(other, init["token"], type="request")

        assert (private.status_code, asked.status_code) == (200, 200)
        assert stream.next("private").envelope["message"] == {"hello": 1}
        history = stream.next("request").envelope["message"]
        assert [item["message"] for item in history] == [{"n": 0}, {"n": 1}]
        stranger = "11111111-2222-3333-4444-555555555555"
        assert publish(other, page_token, type="private", message={}, to_user_id=stranger).status_code == 409


def test_readers_of_a_log_that_was_emptied_are_told_at_each_node(nodes: Nodes, page_token: str) -> None:
    one, other = nodes.demos
    with subscribe(one) as stream:
        stream.next("init")
        seen = publish(one, page_token, type="broadcast", message={"n": 0}).json()["data"]["id"]
        stream.next("broadcast")
        nodes.engine.client.flushall()

        with pytest.raises(StreamEndedError):
            stream.next("broadcast", within=20)

    assert publish(other, page_token, type="broadcast", message={"n": 1}).status_code == 200
    for node in nodes.demos:
        with subscribe(node, seen) as again:
            assert again.next("init").envelope["message"]["recovered"] is False
            assert again.next("broadcast").envelope["message"] == {"n": 1}


def test_viewers_of_a_node_that_was_killed_leave_the_others(nodes: Nodes) -> None:
    one, other = nodes.demos
    with subscribe(one) as reader, subscribe(other) as lost:
        reader.next("init")
        lost.next("init")
        joined = reader.next("system").envelope["message"]
        nodes.processes[1].kill()

        left = reader.next("system", within=15).envelope["message"]

    assert joined == {"status": "join", "viewer_count": 2}
    assert left == {"status": "leave", "viewer_count": 1}
