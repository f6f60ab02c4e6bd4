"""Three nodes on an engine of three servers, two workers that share four streams, PostgreSQL; and one of them dies."""

from __future__ import annotations

import itertools
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from django.test import override_settings

from inlive_banner.signing import ChannelSigner
from tests.e2e.faults.databases import Database, PostgresDatabase
from tests.e2e.faults.proxy import Proxy
from tests.e2e.faults.publisher import Load, stored
from tests.e2e.faults.stage import Stage
from tests.e2e.processes import HOST, Demo, Process
from tests.e2e.sse_client import EventStream, StreamEndedError
from tests.engine import Cluster, running_cluster
from tests.polling import wait_until
from tests.ports import free_port

STREAMS = (15, 16, 17, 18)
NODES = 3
PACE_SECONDS = 0.03
"""Of each of eight publishers."""
TAKEOVER_SECONDS = 10
"""What docs/nodes.md promises of a worker's streams."""

logger = logging.getLogger(__name__)

_prefixes = itertools.count()


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """An engine of three servers, each with a third of the streams' keys."""
    with running_cluster() as cluster:
        yield cluster


class Reader(threading.Thread):
    """Reads a stream's broadcasts until it is told to end; goes on at another node when its own one goes."""

    def __init__(self, stream_id: int, ports: list[int]) -> None:
        super().__init__(daemon=True)
        self._target = f"/subscribe/{stream_id}?last_event_id="
        self._ports = itertools.cycle(ports)
        self.stream_id = stream_id
        self.got: list[str] = []
        self.not_recovered = 0
        self.ending = threading.Event()

    def run(self) -> None:
        position = "0"
        while not self.ending.is_set():
            try:
                with EventStream(next(self._ports), f"{self._target}{position}") as stream:
                    while not self.ending.is_set():
                        envelope = stream.next(within=30).envelope
                        if envelope["type"] == "init":
                            self.not_recovered += not envelope["message"]["recovered"]
                        if envelope["type"] == "broadcast":
                            self.got.append(envelope["publish_id"])
                            position = envelope["id"]
            except (OSError, StreamEndedError):
                continue


class Nodes:
    """The stage, with several nodes behind a balancer."""

    def __init__(self, stage: Stage, balancer: Proxy, ports: list[int], engine_url: str) -> None:
        self.stage = stage
        self.ports = ports
        stage.channel_url = f"http://{HOST}:{balancer.port}"
        stage.environment |= {
            "INLIVE_CHANNEL_URL": stage.channel_url,
            "INLIVE_CHANNEL_INTERNAL_URL": stage.channel_url,
            "INLIVE_CHANNEL_LOG": f"{engine_url}?prefix=nodes{next(_prefixes)}",
            "FAULTS_STREAMS": ",".join(map(str, STREAMS)),
        }
        with override_settings(SECRET_KEY=Demo.SECRET_KEY):
            signer = ChannelSigner(token_max_age_seconds=3600, ticket_seconds=3600)
            tokens = {stream_id: signer.make_page_token(stream_id) for stream_id in STREAMS}
        self.loads = [
            Load(stage.channel_url, token, stream_id=stream_id, pace_seconds=PACE_SECONDS)
            for stream_id, token in tokens.items()
        ]
        self.nodes = [self.start(number) for number in range(len(ports))]
        self.workers = [stage.worker(arguments=["--share"]) for _ in range(2)]

    def start(self, number: int) -> Process:
        """Start a node, ready to serve."""
        port = self.ports[number]
        process = self.stage.start("manage.py", "inlive_channel", "--bind", f"{HOST}:{port}")
        process.wait_for(f"http://{HOST}:{port}/readyz")
        return process

    def rows(self) -> dict[int, int]:
        """How many rows each stream has now."""
        return {stream_id: len(stored(self.stage.database, stream_id)) for stream_id in STREAMS}

    def recorded_by(self) -> dict[str, set[int]]:
        """Which worker has which streams, by the end of its name, `<pid>:<anything>`."""
        found = self.stage.database.query("SELECT holder, stream_id FROM inlive_banner_lease WHERE holder <> ''")
        return {holder: {stream for name, stream in found if name == holder} for holder, _ in found}

    def wait_for_rows(self, *, within: float = 30) -> None:
        """Wait until each stream has new rows; log how long that takes."""
        before, began = self.rows(), time.monotonic()
        wait_until(
            lambda: all(count > before[stream_id] for stream_id, count in self.rows().items()),
            deadline_seconds=within,
            what="new rows of each stream",
        )
        logger.info("New rows of each stream within %.1f s.", time.monotonic() - began)

    @contextmanager
    def under_load(self) -> Iterator[None]:
        """Publish and read all streams while the block runs; see that both go on after it, and judge both."""
        readers = [
            Reader(stream_id, self.ports[number % NODES :] + self.ports[: number % NODES])
            for number, stream_id in enumerate(STREAMS)
        ]
        for reader in readers:
            reader.start()
        with ExitStack() as loads:
            for load in self.loads:
                loads.enter_context(load.running())
            wait_until(lambda: sorted(map(len, self.recorded_by().values())) == [2, 2], deadline_seconds=30)
            self.wait_for_rows()
            yield
            self.wait_for_rows()
        self.stage.judge(*self.loads)
        for reader in readers:
            rows = stored(self.stage.database, reader.stream_id)
            wait_until(lambda: len(reader.got) >= len(rows), what="all clicks at a reader")  # noqa: B023  (called here)
            reader.ending.set()
            assert reader.got == rows, "a reader has seen other clicks, or in another order, than are stored"
            assert reader.not_recovered == 0


@pytest.fixture
def nodes(make_stage: Callable[[Database], Stage], postgresql: PostgresDatabase, cluster: Cluster) -> Iterator[Nodes]:
    """All of it, running."""
    ports = [free_port() for _ in range(NODES)]
    with Proxy(*ports) as balancer:
        yield Nodes(make_stage(postgresql), balancer, ports, cluster.url)


def test_node_killed_under_load_leaves_its_clients_to_the_others(nodes: Nodes) -> None:
    with nodes.under_load():
        nodes.nodes[1].kill()


def test_nodes_restarted_in_turn_under_load_lose_and_double_nothing(nodes: Nodes) -> None:
    with nodes.under_load():
        for number in range(NODES):
            assert nodes.nodes[number].terminate() == 0
            nodes.start(number)


def test_streams_of_a_killed_worker_are_taken_over(nodes: Nodes) -> None:
    with nodes.under_load():
        held = nodes.recorded_by()
        nodes.workers[0].kill()
        nodes.wait_for_rows(within=TAKEOVER_SECONDS)
        [streams] = nodes.recorded_by().values()
        assert streams == set(STREAMS)
        assert len(held) == 2


def test_worker_that_is_stopped_leaves_its_streams_to_the_other(nodes: Nodes) -> None:
    with nodes.under_load():
        assert nodes.workers[0].terminate() == 0
        wait_until(lambda: set(STREAMS) in nodes.recorded_by().values(), deadline_seconds=TAKEOVER_SECONDS)


def test_worker_that_was_stopped_for_longer_than_its_lease_doubles_nothing(nodes: Nodes) -> None:
    """It wakes up with streams that another one has taken over."""
    with nodes.under_load():
        nodes.workers[0].signal(signal.SIGSTOP)
        wait_until(lambda: set(STREAMS) in nodes.recorded_by().values(), deadline_seconds=TAKEOVER_SECONDS)
        nodes.workers[0].signal(signal.SIGCONT)
        wait_until(lambda: sorted(map(len, nodes.recorded_by().values())) == [2, 2], deadline_seconds=20)


@pytest.mark.parametrize("number", range(3))
def test_server_of_the_engine_killed_and_started_again_has_all_it_acknowledged(
    nodes: Nodes, cluster: Cluster, number: int
) -> None:
    with nodes.under_load():
        cluster.servers[number].kill()
        cluster.servers[number].start()
