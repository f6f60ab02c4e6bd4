"""Ports for servers under test."""

from __future__ import annotations

import itertools
import os
import random
import socket
from collections.abc import Iterator

__all__ = ["free_port"]

# Below what systems hand out for outgoing connections (32,768 and up on Linux): none of those takes a port between
# the moment it is chosen and the moment a server listens. A server of a Valkey cluster takes a second one, 10,000
# higher, which is still below.
_FIRST = 10_000
_PER_PROCESS = 500
_PROCESSES = 20


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now, and that no other process of this run will choose."""
    for port in _ports:
        with socket.socket() as probe:
            # As servers do: old connections of one that has ended are no bar.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise AssertionError("itertools.cycle has ended")


def _in_turn() -> Iterator[int]:
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _PROCESSES
    ports = [_FIRST + process * _PER_PROCESS + number for number in range(_PER_PROCESS)]
    first = random.SystemRandom().randrange(_PER_PROCESS)  # two runs on one machine rarely begin at the same
    return itertools.cycle(ports[first:] + ports[:first])


_ports = _in_turn()
