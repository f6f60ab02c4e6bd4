"""Several channel nodes on one engine: real processes, one of which is killed under load."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from tests.e2e.processes import STREAM_ID, WIDGET_KEY, Demo, Process
from tests.e2e.sse_client import EventStream, StreamEndedError
from tests.engine import Server, running_server
from tests.polling import wait_until

NODES = 3
PUBLISHERS = 6

DEADLINE_SECONDS = 60
"""By then a client is through, or gives up: the test then tells what it got."""


@pytest.fixture
def engine() -> Iterator[Server]:
    """A Valkey that is durable."""
    with running_server() as server:
        yield server


@pytest.fixture
def nodes(tmp_path: Path, engine: Server) -> list[Demo]:
    """Demos that differ in their ports only; the first one has the database."""
    found = []
    for number in range(NODES):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        node = Demo(folder)
        node.environment["INLIVE_CHANNEL_LOG"] = f"valkey://127.0.0.1:{engine.port}"
        found.append(node)
    found[0].manage("migrate", "-v", "0")
    return found


class Publisher(threading.Thread):
    """Publishes one click after the other, each at the node that is next; tries again until it is answered."""

    def __init__(self, number: int, nodes: list[Demo], token: str, clicks: int) -> None:
        super().__init__(daemon=True)
        self._number = number
        self._nodes = itertools.cycle(nodes[number % NODES :] + nodes[: number % NODES])
        self._token = token
        self._clicks = clicks
        self.acknowledged: list[str] = []

    def run(self) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        for place in range(self._clicks):
            publish_id = f"click-{self._number}-{place:04}"
            message = {"name": "sale", "type": "banner", "action": "click", "user_id": f"u-{self._number}", "time": 1}
            while time.monotonic() < deadline:
                try:
                    answer = self._send(next(self._nodes), message, publish_id)
                except requests.RequestException:  # also an answer that ends within its body
                    continue  # nobody knows what has become of it: the next node is asked
                if answer.status_code == requests.codes.ok:
                    self.acknowledged.append(publish_id)
                    break
                assert answer.status_code == requests.codes.unavailable, answer.text

    def _send(self, node: Demo, message: dict[str, object], publish_id: str) -> requests.Response:
        return requests.post(
            f"{node.channel_url}/publish/{STREAM_ID}",
            json={"type": "broadcast", "widget_key": WIDGET_KEY, "message": message, "publish_id": publish_id},
            headers={"Authorization": f"Bearer {self._token}"},
            timeout=10,
        )


class Reader(threading.Thread):
    """Reads all broadcasts; goes on at another node from its position when its own one ends."""

    def __init__(self, nodes: list[Demo], until: int) -> None:
        super().__init__(daemon=True)
        self._nodes = itertools.cycle(nodes)
        self._until = until
        self.got: list[str] = []
        self.not_recovered = 0

    def run(self) -> None:
        position = "0"
        deadline = time.monotonic() + DEADLINE_SECONDS
        while len(self.got) < self._until and time.monotonic() < deadline:
            port = next(self._nodes).channel_port
            try:
                with EventStream(port, f"/subscribe/{STREAM_ID}?last_event_id={position}") as stream:
                    while len(self.got) < self._until:
                        envelope = stream.next().envelope
                        if envelope["type"] == "init":
                            self.not_recovered += not envelope["message"]["recovered"]
                        if envelope["type"] == "broadcast":
                            self.got.append(envelope["publish_id"])
                            position = envelope["id"]
            except (OSError, StreamEndedError):
                continue


@pytest.mark.parametrize(("how", "clicks"), [("one is killed", 100), ("one after the other is restarted", 400)])
def test_nodes_come_and_go_under_load_and_nobody_loses_or_doubles_a_click(
    nodes: list[Demo], page_token: str, how: str, clicks: int
) -> None:
    """So many clicks of each publisher that they go on all the time."""
    total = PUBLISHERS * clicks
    with ExitStack() as running:
        processes: list[Process] = [running.enter_context(node.channel()) for node in nodes]
        running.enter_context(nodes[0].worker())
        publishers = [Publisher(number, nodes, page_token, clicks) for number in range(PUBLISHERS)]
        readers = [Reader(nodes[number:] + nodes[:number], total) for number in range(NODES)]
        for thread in (*publishers, *readers):
            thread.start()
        wait_until(lambda: sum(len(one.acknowledged) for one in publishers) > total // 9, what="some clicks")
        if how == "one is killed":
            processes[1].kill()
        else:
            for number, node in enumerate(nodes):
                assert processes[number].terminate() == 0
                running.enter_context(node.channel())
        for thread in (*publishers, *readers):
            thread.join(DEADLINE_SECONDS + 20)
            assert not thread.is_alive()
        acknowledged = [publish_id for one in publishers for publish_id in one.acknowledged]
        assert len(acknowledged) == total
        rows = "SELECT publish_id FROM inlive_banner_interaction ORDER BY id"
        wait_until(lambda: len(nodes[0].query(rows)) == total, deadline_seconds=30, what="all rows")
        stored = [publish_id for (publish_id,) in nodes[0].query(rows)]

    assert sorted(stored) == sorted(acknowledged)
    assert len(set(stored)) == total
    for reader in readers:
        assert reader.got == stored, "the same clicks in the same order at each node, and in the database"
        assert reader.not_recovered == 0
    for number in range(PUBLISHERS):
        own = [publish_id for publish_id in stored if publish_id.startswith(f"click-{number}-")]
        assert own == sorted(own)


def test_viewers_of_a_node_that_was_killed_leave_the_others(nodes: list[Demo]) -> None:
    with ExitStack() as running:
        processes = [running.enter_context(node.channel()) for node in nodes[:2]]
        reader = running.enter_context(EventStream(nodes[0].channel_port, f"/subscribe/{STREAM_ID}"))
        reader.next("init")
        lost = running.enter_context(EventStream(nodes[1].channel_port, f"/subscribe/{STREAM_ID}"))
        lost.next("init")
        joined = reader.next("system").envelope["message"]
        processes[1].kill()

        left = reader.next("system", within=20).envelope["message"]

    assert joined == {"status": "join", "viewer_count": 2}
    assert left == {"status": "leave", "viewer_count": 1}
