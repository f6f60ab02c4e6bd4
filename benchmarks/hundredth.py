"""The hundredth part of docs/scaling.md's example, with everything that belongs to it as real processes.

    python -m benchmarks.hundredth [--seconds 20] [--clicks 1000] [--readers 100] [--idle 10000]

Two nodes on a Valkey (`appendfsync always`), two workers that share ten streams, PostgreSQL. Publishes `--clicks` a
second over 40 connections, has `--readers` read the streams live, a tenth of them each, and holds `--idle` streams open
on one more, where nothing happens. Prints the processor time of each part, in cores, what a node holds in memory, how
long a click takes to a reader, and whether all that was acknowledged is in the database.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
from django.conf import settings

from benchmarks.catch_up import postgres
from benchmarks.nodes import Subscriber, publish_request, read_answer, seconds_of, subscribe
from tests.e2e.processes import HOST, Demo, Process
from tests.engine import Server, running_server
from tests.polling import wait_until

STREAMS = range(15, 25)
QUIET = 25
PUBLISHERS = 40
_SENT = re.compile(rb'"time": ?([0-9]+)')


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=20, help="of load (default: %(default)s)")
    options.add_argument("--clicks", type=int, default=1000, help="a second (default: %(default)s)")
    options.add_argument("--readers", type=int, default=100, help="of all streams together (default: %(default)s)")
    options.add_argument("--idle", type=int, default=10_000, help="streams that only wait (default: %(default)s)")
    arguments = options.parse_args()
    settings.configure(SECRET_KEY=Demo.SECRET_KEY)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="inlive-bench-")))
        url = stack.enter_context(postgres())
        engine = stack.enter_context(running_server(appendfsync="always"))
        nodes = [_node(folder / f"{number}", url, engine) for number in range(2)]
        nodes[0].manage("migrate", "-v", "0")
        channels = [stack.enter_context(node.channel()) for node in nodes]
        workers = [stack.enter_context(_worker(node)) for node in nodes]
        asyncio.run(_run(arguments, nodes, channels, workers, engine, url))


def _node(folder: Path, url: str, engine: Server) -> Demo:
    folder.mkdir()
    node = Demo(folder)
    node.environment |= {
        "DJANGO_SETTINGS_MODULE": "tests.e2e.faults.settings",
        "DATABASE_URL": url,
        "INLIVE_CHANNEL_LOG": f"valkey://{HOST}:{engine.port}",
        "FAULTS_STREAMS": ",".join(map(str, [*STREAMS, QUIET])),
    }
    return node


@contextmanager
def _worker(node: Demo) -> Iterator[Process]:
    output = node.folder / "worker.log"
    process = Process("manage.py", "tail_inlive_clicks", "--share", environment=node.environment, output=output)
    try:
        yield process
    finally:
        process.end()


class _Reader(Subscriber):
    """Takes the time from a click's own `time` to here, both by this machine's clock."""

    def __init__(self, request: bytes, took: list[float]) -> None:
        super().__init__(request)
        self._took = took

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        now = time.time() * 1000
        self._took += [now - int(sent) for sent in _SENT.findall(data)]


async def _publish(port: int, stream_id: int, per_second: float, until: float) -> int:
    reader, writer = await asyncio.open_connection(HOST, port)
    template = publish_request(port, stream_id).replace(b'"time": 1,', b'"time": %013d,')
    head, _, body = template.partition(b"\r\n\r\n")
    head = re.sub(rb"Content-Length: [0-9]+", b"Content-Length: %d" % len(body % 0), head)
    count = 0
    due = time.monotonic()
    while due < until:
        writer.write(head + b"\r\n\r\n" + body % int(time.time() * 1000))
        await read_answer(reader)
        count += 1
        due += 1 / per_second
        await asyncio.sleep(max(due - time.monotonic(), 0))
    writer.close()
    return count


async def _run(  # noqa: PLR0917  (each part once)
    arguments: argparse.Namespace,
    nodes: list[Demo],
    channels: list[Process],
    workers: list[Process],
    engine: Server,
    url: str,
) -> None:
    ports = [node.channel_port for node in nodes]
    loop = asyncio.get_running_loop()
    for port in ports:
        await subscribe(port, arguments.idle // len(ports), QUIET)
    took: list[float] = []
    for number in range(arguments.readers):
        stream_id, port = STREAMS[number % len(STREAMS)], ports[number % len(ports)]
        request = (
            f"GET /subscribe/{stream_id} HTTP/1.1\r\nHost: {HOST}:{port}\r\nAccept: text/event-stream\r\n\r\n"
        ).encode()
        _, reader = await loop.create_connection(lambda request=request: _Reader(request, took), HOST, port)
        await reader.opened
    parts = {"nodes": channels, "workers": workers}
    before = {name: sum(process.cpu_seconds for process in processes) for name, processes in parts.items()}
    before |= {"engine": seconds_of(engine.pid), "PostgreSQL": _postgres_seconds()}
    began = time.monotonic()
    each = arguments.clicks / PUBLISHERS
    counts = await asyncio.gather(
        *(
            _publish(ports[number % len(ports)], STREAMS[number % len(STREAMS)], each, began + arguments.seconds)
            for number in range(PUBLISHERS)
        )
    )
    seconds = time.monotonic() - began
    after = {name: sum(process.cpu_seconds for process in processes) for name, processes in parts.items()}
    after |= {"engine": seconds_of(engine.pid), "PostgreSQL": _postgres_seconds()}
    await asyncio.sleep(1)
    print(f"{sum(counts):,} clicks acknowledged in {seconds:.1f} s: {sum(counts) / seconds:,.0f}/s")
    for name, cpu in after.items():
        print(f"{name:<12} {(cpu - before[name]) / seconds:.2f} cores")
    print(f"memory       {', '.join(f'{process.resident_bytes / 2**20:.0f} MiB' for process in channels)} (nodes)")
    quantiles = statistics.quantiles(took or [0, 0], n=100)
    print(f"deliveries   {len(took) / seconds:,.0f}/s, median {quantiles[49]:.0f} ms, 99 of 100 {quantiles[98]:.0f} ms")
    if len(took) != sum(counts) * arguments.readers / len(STREAMS):
        raise SystemExit(f"{len(took)} deliveries of {sum(counts)} clicks")
    with psycopg.connect(url) as connection:
        stored = "SELECT COUNT(DISTINCT publish_id), COUNT(*) FROM inlive_banner_interaction"
        wait_until(
            lambda: connection.execute(stored).fetchone() == (sum(counts), sum(counts)),
            deadline_seconds=60,
            what="rows",
        )
    print(f"database     all {sum(counts):,}, each once, {time.monotonic() - began - seconds:.1f} s after the last one")


def _postgres_seconds() -> float:
    found = subprocess.run(["pgrep", "-f", "postgres"], capture_output=True, text=True, check=True).stdout.split()  # noqa: S607  (whichever pgrep there is)
    return sum(seconds_of(int(pid)) for pid in found if Path(f"/proc/{pid}/stat").exists())


if __name__ == "__main__":
    main()
