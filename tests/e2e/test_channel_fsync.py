"""A publish is answered with 200 only when its fsync has succeeded.

Shown by an fsync that fails: were the answer given before it, or without it, it would be 200 all the same.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.e2e.channel_server import ChannelServer
from tests.e2e.failing_fsync import FAILING, NUMBERS, UNABLE
from tests.polling import wait_until


@pytest.mark.skipif(not NUMBERS, reason="the numbers of fsync and fdatasync aren't known for this machine")
def test_channel_whose_fsync_fails_acknowledges_nothing(tmp_path: Path):
    server = ChannelServer(tmp_path)
    fifo = tmp_path / "fail"
    os.mkfifo(fifo)
    command = server.command[1:]
    with server.running("-m", "tests.e2e.failing_fsync", str(fifo), *command) as process:
        with server.subscribe() as stream:
            publisher = server.publisher(stream.next("init").message["token"])
        with publisher:
            acknowledged = [publisher.publish(publish_id=f"before-{number}").data["id"] for number in range(10)]
            fifo.open("wb").close()
            wait_until(lambda: FAILING in process.printed or UNABLE in process.printed, what="fsyncs to fail")
            if UNABLE in process.printed:
                pytest.skip("the system allows no seccomp filter")
            answers = [publisher.publish(publish_id=f"refused-{number}") for number in range(5)]
        assert [answer.code for answer in answers] == [503] * 5
        assert "disk I/O error" in process.printed
        process.kill()
    with server.running():
        # Written and never acknowledged: a process that went on would have overwritten it with the next publish.
        left = [envelope["publish_id"] for envelope in server.everything()][10:]
        assert left in ([], ["refused-4"])
        with server.subscribe() as stream, server.publisher(stream.next("init").message["token"]) as publisher:
            again = [publisher.publish(publish_id=f"refused-{number}") for number in range(5)]
        assert [answer.code for answer in again] == [200] * 5
        stored = {envelope["publish_id"]: envelope["id"] for envelope in server.everything()}
        names = [f"before-{number}" for number in range(10)] + [f"refused-{number}" for number in range(5)]
        assert sorted(stored) == sorted(names), "each once"
        assert list(stored.values())[:10] == acknowledged
        assert {answer.data["id"] for answer in again} == set(list(stored.values())[10:])
