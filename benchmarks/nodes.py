"""What a node costs, and what several of them on one engine reach together: the numbers of docs/scaling.md.

    python -m benchmarks.nodes [--seconds 5] [--connections 2000] [--logs sqlite,always,everysec]

Runs the channel as real processes: one on its own SQLite log, then one, two and three on a Valkey that is started for
it, with `appendfsync always` and `everysec`. Publishes by 1, 8 and 64 connections, each of which waits for an answer
before it publishes again. Then opens `--connections` streams at one node, and publishes 100 clicks a second to 500 of
them; and 100 a second at one of two nodes, with a subscriber at the other. Prints rates, and the processor time of
nodes and engine for each publish, connect and delivery: where load, nodes and engine share two cores the times tell
more than the rates.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from django.conf import settings

from inlive_banner.signing import ChannelSigner
from tests.e2e.processes import HOST, STREAM_ID, WIDGET_KEY, Demo, Process
from tests.engine import running_server
from tests.user_agent import USER_AGENT

_MICRO = 1_000_000
_SUBSCRIBERS = 500
_CLICKS_PER_SECOND = 100
_OPENING = 100
"""Connections that are opened at a time."""


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=5, help="of each measurement (default: %(default)s)")
    options.add_argument("--connections", type=int, default=2000, help="idle streams (default: %(default)s)")
    options.add_argument("--logs", default="sqlite,always,everysec", help="which logs (default: %(default)s)")
    arguments = options.parse_args()
    logs = arguments.logs.split(",")
    settings.configure(SECRET_KEY=Demo.SECRET_KEY)
    print("log        nodes publishers publishes/s  node us/publish  engine us/publish")
    for log in logs:
        for nodes in (1,) if log == "sqlite" else (1, 2, 3):
            with _running(log, nodes) as setup:
                for publishers in (1, 8, 64):
                    asyncio.run(_measure_publishing(setup, publishers, arguments.seconds))
    print("\nlog        connects/s  us/connect  KiB/connection  deliveries/s  us/delivery")
    for log in logs:
        with _running(log, 1) as setup:
            asyncio.run(_measure_reading(setup, arguments.connections, arguments.seconds))
    print("\nlog        us/click at a node that only follows, with one subscriber, and at the engine")
    for log in (log for log in logs if log != "sqlite"):
        with _running(log, 2) as setup:
            asyncio.run(_measure_following(setup, arguments.seconds))


class _Setup:
    """Nodes, and the engine where they have one."""

    def __init__(self, log: str, nodes: Sequence[Demo], processes: Sequence[Process], engine_pid: int | None) -> None:
        self.log = log
        self.ports = [node.channel_port for node in nodes]
        self.processes = processes
        self._engine_pid = engine_pid

    @property
    def node_seconds(self) -> float:
        """Processor time of all nodes so far."""
        return sum(process.cpu_seconds for process in self.processes)

    @property
    def engine_seconds(self) -> float:
        """Processor time of the engine so far."""
        return 0.0 if self._engine_pid is None else seconds_of(self._engine_pid)


def seconds_of(pid: int) -> float:
    """Processor time of any process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _running(log: str, count: int) -> Iterator[_Setup]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="inlive-bench-")))
        engine = None if log == "sqlite" else stack.enter_context(running_server(appendfsync=log))
        nodes, processes = [], []
        for number in range(count):
            (folder / f"{number}").mkdir()
            node = Demo(folder / f"{number}")
            if engine is not None:
                node.environment["INLIVE_CHANNEL_LOG"] = f"valkey://{HOST}:{engine.port}"
            nodes.append(node)
            processes.append(stack.enter_context(node.channel()))
        yield _Setup(log, nodes, processes, engine.pid if engine else None)


def publish_request(port: int, stream_id: int = STREAM_ID) -> bytes:
    """A click, as a browser posts it."""
    message = {"name": "sale", "type": "banner", "action": "click", "user_id": "u", "time": 1, "page": "/news/"}
    body = json.dumps({"type": "broadcast", "widget_key": WIDGET_KEY, "message": message}).encode()
    token = ChannelSigner(token_max_age_seconds=3600, ticket_seconds=3600).make_page_token(stream_id)
    head = (
        f"POST /publish/{stream_id} HTTP/1.1\r\nHost: {HOST}:{port}\r\nContent-Type: application/json\r\n"
        f"User-Agent: {USER_AGENT}\r\nAuthorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def read_answer(reader: asyncio.StreamReader) -> None:
    """Read an answer whole. Ends the benchmark where it isn't 200."""
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 "):
        raise SystemExit(head.decode())
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(int(length.split(b":")[1]))


async def _publish(port: int, until: float, *, pause: float = 0) -> int:
    """Publish one after the other until that time (monotonic seconds); how many were answered."""
    reader, writer = await asyncio.open_connection(HOST, port)
    request = publish_request(port)
    count = 0
    while time.monotonic() < until:
        writer.write(request)
        await read_answer(reader)
        count += 1
        if pause:
            await asyncio.sleep(pause)
    writer.close()
    return count


async def _measure_publishing(setup: _Setup, publishers: int, seconds: float) -> None:
    await _publish(setup.ports[0], time.monotonic() + 0.5)
    nodes, engine, began = setup.node_seconds, setup.engine_seconds, time.monotonic()
    ports = [setup.ports[number % len(setup.ports)] for number in range(publishers)]
    counts = await asyncio.gather(*(_publish(port, began + seconds) for port in ports))
    took, count = time.monotonic() - began, sum(counts)
    node, engine = setup.node_seconds - nodes, setup.engine_seconds - engine
    print(
        f"{setup.log:<10} {len(setup.ports):>5} {publishers:>10} {count / took:>11,.0f} "
        f"{_MICRO * node / count:>16.0f} {_MICRO * engine / count:>18.0f}",
        flush=True,
    )


class Subscriber(asyncio.Protocol):
    """Counts the broadcasts that it is sent."""

    opened: asyncio.Future[None]
    deliveries = 0

    def __init__(self, request: bytes) -> None:
        self._request = request
        self.opened = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        transport.write(self._request)  # type: ignore[attr-defined]  # of a TCP connection it is a Transport

    def data_received(self, data: bytes) -> None:
        """Count."""
        if not self.opened.done() and b'"init"' in data:
            self.opened.set_result(None)
        self.deliveries += data.count(b'"interaction"')


async def subscribe(
    port: int, count: int, stream_id: int = STREAM_ID
) -> list[tuple[asyncio.BaseTransport, Subscriber]]:
    """Open so many streams, each once it has begun."""
    request = (
        f"GET /subscribe/{stream_id} HTTP/1.1\r\nHost: {HOST}:{port}\r\nUser-Agent: {USER_AGENT}\r\n"
        "Accept: text/event-stream\r\n\r\n"
    ).encode()
    loop = asyncio.get_running_loop()
    made: list[tuple[asyncio.BaseTransport, Subscriber]] = []
    while len(made) < count:
        opening = [
            loop.create_connection(lambda: Subscriber(request), HOST, port)
            for _ in range(min(_OPENING, count - len(made)))
        ]
        opened = await asyncio.gather(*opening)
        await asyncio.gather(*(subscriber.opened for _, subscriber in opened))
        made += opened
    return made


async def _measure_reading(setup: _Setup, count: int, seconds: float) -> None:
    port, process = setup.ports[0], setup.processes[0]
    warm = await subscribe(port, _OPENING)
    resident, cpu, began = process.resident_bytes, process.cpu_seconds, time.monotonic()
    made = await subscribe(port, count)
    took = time.monotonic() - began
    each = _MICRO * (process.cpu_seconds - cpu) / count
    await asyncio.sleep(1)  # what was needed to open them is given back
    memory = (process.resident_bytes - resident) / 1024 / count
    subscribers = [subscriber for _, subscriber in made[:_SUBSCRIBERS]]
    for transport, _ in (*warm, *made[_SUBSCRIBERS:]):
        transport.close()
    await asyncio.sleep(2)  # their leaving is told to the others
    for subscriber in subscribers:
        subscriber.deliveries = 0
    cpu, began = process.cpu_seconds, time.monotonic()
    published = await _publish(port, began + seconds, pause=1 / _CLICKS_PER_SECOND)
    await asyncio.sleep(0.5)  # the last of them are on their way
    reading = process.cpu_seconds - cpu
    deliveries = sum(subscriber.deliveries for subscriber in subscribers)
    if deliveries != published * len(subscribers):
        raise SystemExit(f"{deliveries} deliveries of {published} clicks to {len(subscribers)} subscribers")
    print(
        f"{setup.log:<10} {count / took:>10,.0f} {each:>11.0f} {memory:>15.1f} {deliveries / seconds:>13,.0f} "
        f"{_MICRO * reading / deliveries:>12.1f}",
        flush=True,
    )


async def _measure_following(setup: _Setup, seconds: float) -> None:
    await subscribe(setup.ports[1], 1)
    await _publish(setup.ports[0], time.monotonic() + 0.5, pause=0.01)
    node, engine = setup.processes[1].cpu_seconds, setup.engine_seconds
    count = await _publish(setup.ports[0], time.monotonic() + seconds, pause=1 / _CLICKS_PER_SECOND)
    node, engine = setup.processes[1].cpu_seconds - node, setup.engine_seconds - engine
    print(f"{setup.log:<10} {_MICRO * node / count:>8.0f} {_MICRO * engine / count:>8.0f}", flush=True)


if __name__ == "__main__":
    main()
