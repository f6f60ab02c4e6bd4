"""A reader that takes nothing, and what the system knows of the connection to it."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.channel_server import ChannelServer, Publisher
from tests.e2e.sse_client import EventStream
from tests.polling import wait_until

__all__ = ["BIG", "open_stalled", "queued_bytes", "wait_until_stalled"]

BIG = "x" * 15_000
"""A message near the largest that is allowed."""


def open_stalled(server: ChannelServer) -> EventStream:
    """Open a stream whose reader takes only the beginning, into as small a buffer as there is."""
    return server.subscribe(receive_buffer_bytes=1)


def wait_until_stalled(server: ChannelServer, reader: EventStream, publisher: Publisher) -> None:
    """Publish until the server can't send any more to a reader that takes nothing."""
    sizes = [0]

    def is_full() -> bool:
        for _ in range(10):
            assert publisher.publish(BIG).code == 200
        sizes.append(queued_bytes(server, reader))
        return sizes[-1] > 0 and sizes[-1] == sizes[-2]

    wait_until(is_full, what="a full socket")


def queued_bytes(server: ChannelServer, reader: EventStream) -> int:
    """What the system holds for a reader that hasn't taken it; 0 where there is no such connection (proc(5))."""
    ports = (server.port, reader.local_port)
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        _, local, remote, _, queues, *_ = line.split()
        if tuple(int(address.partition(":")[2], 16) for address in (local, remote)) == ports:
            return int(queues.partition(":")[0], 16)
    return 0
