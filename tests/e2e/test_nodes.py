"""The viewers of several channel nodes on one engine: real processes. faults/test_nodes.py has their clicks."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from tests.e2e.processes import STREAM_ID, Demo
from tests.e2e.sse_client import EventStream
from tests.engine import running_server


def test_viewers_of_a_node_that_was_killed_leave_the_others(tmp_path: Path) -> None:
    with ExitStack() as running:
        engine = running.enter_context(running_server())
        nodes = []
        for number in range(2):
            (tmp_path / f"{number}").mkdir()
            node = Demo(tmp_path / f"{number}")
            node.environment["INLIVE_CHANNEL_LOG"] = f"valkey://127.0.0.1:{engine.port}"
            nodes.append(node)
        processes = [running.enter_context(node.channel()) for node in nodes]
        reader = running.enter_context(EventStream(nodes[0].channel_port, f"/subscribe/{STREAM_ID}"))
        reader.next("init")
        lost = running.enter_context(EventStream(nodes[1].channel_port, f"/subscribe/{STREAM_ID}"))
        lost.next("init")
        joined = reader.next("system").envelope["message"]
        processes[1].kill()

        left = reader.next("system", within=15).envelope["message"]

    assert joined == {"status": "join", "viewer_count": 2}
    assert left == {"status": "leave", "viewer_count": 1}
