"""The channel on a disk that is full, read-only, slow or failing, and without file descriptors.

In each case: 503 with Retry-After and nothing acknowledged while it can't write, all that was acknowledged kept, and
recovery by itself, in the same process.
"""

from __future__ import annotations

import contextlib
import logging
import resource
import shutil
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPException
from itertools import count
from pathlib import Path

import pytest

from tests.e2e.channel_server import Answer, ChannelServer, Publisher
from tests.e2e.processes import Process
from tests.e2e.sockets import BIG
from tests.polling import wait_until

logger = logging.getLogger(__name__)

DISK_BYTES = 4 * 1024 * 1024
SLOW_READERS = 50
SLOW_BYTES_PER_SECOND = 200
MAX_GROWTH_BYTES = 18 * 1024 * 1024
"""The ring (4 MB), and for each slow reader a chunk that is being sent and what uvicorn holds of it: 12 MB were seen.

A ring without its bound makes it 22 MB, and readers with a queue of their own 118 MB.
"""


@pytest.fixture
def server(tmp_path: Path) -> ChannelServer:
    return ChannelServer(tmp_path)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes. Needs root; where that isn't to be had, RLIMIT_FSIZE's test stands for it."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if run("mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)) != 0:
        pytest.skip("mounting isn't allowed here")
    yield folder
    assert run("umount", str(folder)) == 0


def run(*command: str) -> int:
    """Run one of the system's tools; its exit code, or 127 where there is none."""
    if shutil.which(command[0]) is None:
        return 127
    return subprocess.run(command, check=False, capture_output=True).returncode


class Pusher:
    """Publishes numbered messages, each one again under its publish id until it is answered with success."""

    def __init__(self, server: ChannelServer) -> None:
        with server.subscribe() as stream:
            self.publisher = Publisher(server.port, stream.next("init").message["token"], "/publish/15")
        self.acknowledged: dict[str, str] = {}
        """Publish id -> event id, in the order of the answers."""
        self._numbers = count()
        self._next = self._name()

    def push(self, message: str = BIG) -> Answer:
        """Publish the next one, or again the one that was refused."""
        answer = self.publisher.publish(message, publish_id=self._next)
        if answer.code == 200:
            self.acknowledged[self._next] = answer.data["id"]
            self._next = self._name()
        return answer

    def push_until(self, code: int) -> Answer:
        """Publish until an answer has this code."""
        return wait_until(lambda: answer if (answer := self.push()).code == code else None, what=f"a {code}")

    def recover(self) -> None:
        """See that the very first publish after a fault is acknowledged; log how long that takes."""
        began = time.monotonic()
        assert self.push().code == 200
        logger.info("Recovered within %.2f s.", time.monotonic() - began)

    def assert_refused(self) -> None:
        """See that nothing is acknowledged, large or small, and that each answer says when to come back."""
        for message in (BIG, "small"):
            answer = self.push(message)
            assert answer.code == 503
            assert int(answer.headers["retry-after"]) > 0
            assert "nothing was stored" in answer.message

    def _name(self) -> str:
        return f"publish-{next(self._numbers):06}"


@pytest.fixture
def make_pusher() -> Iterator[Callable[[ChannelServer], Pusher]]:
    """Makes pushers, and hangs up for them at the end."""
    with ExitStack() as stack:

        def make(server: ChannelServer) -> Pusher:
            pusher = Pusher(server)
            stack.callback(pusher.publisher.close)
            return pusher

        yield make


def stored(server: ChannelServer) -> dict[str, str]:
    return {envelope["publish_id"]: envelope["id"] for envelope in server.everything()}


def assert_whole(server: ChannelServer, pusher: Pusher, process: Process) -> None:
    """Exactly what was acknowledged is there, in order and without a hole; and it is after a restart as well."""
    assert "Traceback" not in process.printed
    assert list(stored(server).items()) == list(pusher.acknowledged.items())
    numbers = [int(event_id.rpartition("-")[2]) for event_id in pusher.acknowledged.values()]
    assert numbers == list(range(1, len(numbers) + 1))
    process.kill()
    with server.running():
        assert list(stored(server).items()) == list(pusher.acknowledged.items())


def test_channel_on_a_full_disk_refuses_until_there_is_room(
    tmp_path: Path, disk: Path, make_pusher: Callable[[ChannelServer], Pusher]
):
    server = ChannelServer(tmp_path, CHANNEL_LOG=f"sqlite:///{disk / 'channel.sqlite3'}")
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(DISK_BYTES // 2))
    with server.running() as process, server.subscribe() as reader:
        pusher = make_pusher(server)
        pusher.push_until(503)
        # What is left on the disk holds a small one, perhaps; a full disk holds none.
        with (disk / "filler").open("ab", buffering=0) as filler, contextlib.suppress(OSError):
            while True:
                filler.write(bytes(4096))
        wait_until(lambda: pusher.push("small").code == 503, what="the disk to be full")
        pusher.assert_refused()
        assert stored(server) == pusher.acknowledged, "what is stored can be read from a full disk"
        ballast.unlink()
        pusher.recover()
        for _ in range(10):
            assert pusher.push().code == 200
        assert [reader.next("broadcast").id for _ in pusher.acknowledged] == list(pusher.acknowledged.values())
        assert process.printed.count("publishes are taken again") >= 1
        (disk / "filler").unlink()
        assert_whole(server, pusher, process)


def test_channel_whose_writes_fail_refuses_until_they_work(
    server: ChannelServer, make_pusher: Callable[[ChannelServer], Pusher]
):
    """RLIMIT_FSIZE makes each write beyond it fail (EFBIG), which SQLite calls an I/O error."""
    with server.running() as process:
        pusher = make_pusher(server)
        for _ in range(10):
            assert pusher.push().code == 200
        size = server.log.with_name("channel.sqlite3-wal").stat().st_size
        with limit(process, resource.RLIMIT_FSIZE, size):
            pusher.push_until(503)
            pusher.assert_refused()
        pusher.recover()
        for _ in range(10):
            assert pusher.push().code == 200
        assert "disk I/O error" in process.printed
        assert_whole(server, pusher, process)


def test_channel_whose_file_cannot_be_written_refuses_until_it_can(
    server: ChannelServer, make_pusher: Callable[[ChannelServer], Pusher]
):
    with server.running() as process:
        pusher = make_pusher(server)
        assert pusher.push().code == 200
        wal = str(server.log.with_name("channel.sqlite3-wal"))
        if run("chattr", "+i", wal) != 0:
            pytest.skip("files can't be made immutable here")
        try:
            pusher.assert_refused()
        finally:
            assert run("chattr", "-i", wal) == 0
        pusher.recover()
        assert_whole(server, pusher, process)


def test_channel_on_a_read_only_disk_says_so_in_one_line(
    tmp_path: Path, disk: Path, make_pusher: Callable[[ChannelServer], Pusher]
):
    server = ChannelServer(tmp_path, CHANNEL_LOG=f"sqlite:///{disk / 'channel.sqlite3'}")
    with server.running():
        pusher = make_pusher(server)
        pusher.push()
    assert run("mount", "-o", "remount,ro", str(disk)) == 0
    process = Process(*server.command, environment=server.environment, output=tmp_path / "read-only.log")
    assert process.wait() == 1
    assert "CommandError: " in process.printed.splitlines()[-1]
    assert "Read-only file system" in process.printed
    assert "Traceback" not in process.printed
    assert run("mount", "-o", "remount,rw", str(disk)) == 0
    began = time.monotonic()
    with server.running() as process:
        logger.info("Recovered within %.2f s.", time.monotonic() - began)
        assert_whole(server, pusher, process)


def test_channel_whose_file_is_locked_for_a_while_has_publishers_wait(
    server: ChannelServer, make_pusher: Callable[[ChannelServer], Pusher]
):
    """A slow disk: nothing is lost and nothing refused, only late."""
    with server.running() as process, ThreadPoolExecutor(1) as pool:
        pusher = make_pusher(server)
        with locked(server):
            answer = pool.submit(pusher.push)
            with pytest.raises(TimeoutError):
                answer.result(timeout=1.5)
            assert server.ask("GET", "/healthz").code == 200
        freed = time.monotonic()
        assert answer.result(timeout=10).code == 200
        logger.info("Recovered within %.2f s.", time.monotonic() - freed)
        assert_whole(server, pusher, process)


@pytest.mark.slow
def test_channel_whose_file_is_locked_for_long_refuses_until_it_is_free(
    server: ChannelServer, make_pusher: Callable[[ChannelServer], Pusher]
):
    with server.running() as process:
        pusher = make_pusher(server)
        assert pusher.push().code == 200
        with locked(server):
            answer = pusher.push()
            assert (answer.code, answer.headers["retry-after"]) == (503, "2")
        pusher.recover()
        assert_whole(server, pusher, process)


def test_channel_whose_file_is_replaced_under_it_acknowledges_nothing_more(
    server: ChannelServer, make_pusher: Callable[[ChannelServer], Pusher]
):
    """As by a restore without a stop. What it would go on to write, nobody could ever read."""
    with server.running() as process:
        pusher = make_pusher(server)
        assert pusher.push().code == 200
        away = server.log.with_name("away")
        server.log.rename(away)
        shutil.copy(away, server.log)
        pusher.assert_refused()
        away.rename(server.log)
        pusher.recover()
        assert_whole(server, pusher, process)


def test_channel_at_its_size_limit_answers_a_repeat_as_the_first_time(
    tmp_path: Path, make_pusher: Callable[[ChannelServer], Pusher]
):
    """A publisher that never saw the answer must not be told to go on trying."""
    server = ChannelServer(tmp_path, LOG_MAX_BYTES=500_000)
    with server.running():
        pusher = make_pusher(server)
        pusher.push_until(503)
        for publish_id, event_id in pusher.acknowledged.items():
            answer = pusher.publisher.publish(BIG, publish_id=publish_id)
            assert (answer.code, answer.data["id"]) == (200, event_id)
        pusher.assert_refused()


def test_channel_without_file_descriptors_keeps_who_is_there_and_takes_others_later(
    server: ChannelServer, make_pusher: Callable[[ChannelServer], Pusher]
):
    with server.running() as process, server.subscribe() as reader, ExitStack() as crowd:
        pusher = make_pusher(server)
        assert pusher.push("first").code == 200
        with limit(process, resource.RLIMIT_NOFILE, len(descriptors(process)) + 5):
            for _ in range(50):
                crowd.enter_context(closing(socket.create_connection(("127.0.0.1", server.port), timeout=10)))
            wait_until(lambda: len(descriptors(process)) >= resource_limit(process), what="no descriptor to be left")
            for _ in range(20):
                assert pusher.push("meanwhile").code == 200
            assert [reader.next("broadcast").message for _ in range(21)] == ["first", *["meanwhile"] * 20]
            crowd.close()
            # The limit is still there; only the crowd is gone.
            gone = time.monotonic()
            wait_until(lambda: answers(server), what="the channel to take connections again")
            logger.info("Recovered within %.2f s.", time.monotonic() - gone)
            with server.subscribe(last_event_id=reader.position) as other:
                assert other.next("init").message["recovered"] is True
                assert pusher.push("last").code == 200
                assert other.next("broadcast").message == "last"
        assert_whole(server, pusher, process)


@pytest.mark.slow
def test_readers_at_a_trickle_cost_little_and_hold_nobody_up(
    server: ChannelServer, make_pusher: Callable[[ChannelServer], Pusher]
):
    """50 readers at 200 B/s: the others get everything at once, and memory stays bounded."""
    with ExitStack() as stack:
        process = stack.enter_context(server.running())
        reader = stack.enter_context(server.subscribe())
        pusher = make_pusher(server)
        trickle = Trickle(server, SLOW_READERS)
        stack.callback(trickle.stop)
        before = process.resident_bytes
        begin = time.monotonic()
        most = before
        for _ in range(1000):
            assert pusher.push().code == 200
            most = max(most, process.resident_bytes)
            assert reader.next("broadcast", within=2).id == list(pusher.acknowledged.values())[-1]
        assert time.monotonic() - begin < 30
        assert most - before < MAX_GROWTH_BYTES
        assert trickle.received > 0
    assert "Traceback" not in process.printed


class Trickle:
    """Readers that take a few bytes a second, all in one thread."""

    def __init__(self, server: ChannelServer, readers: int) -> None:
        self.received = 0
        self._stop = threading.Event()
        self._sockets = [self._open(server) for _ in range(readers)]
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        for connection in self._sockets:
            connection.close()

    def _open(self, server: ChannelServer) -> socket.socket:
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)  # the system's least
        connection.connect(("127.0.0.1", server.port))
        connection.sendall(b"GET /subscribe/15 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        connection.setblocking(False)
        return connection

    def _read(self) -> None:
        while not self._stop.wait(0.25):
            for connection in self._sockets:
                try:
                    self.received += len(connection.recv(SLOW_BYTES_PER_SECOND // 4))
                except BlockingIOError:
                    continue


@contextmanager
def limit(process: Process, kind: int, soft: int) -> Iterator[None]:
    """Lower one of a running process's limits for the length of the block."""
    pid = process._process.pid
    former = resource.prlimit(pid, kind)
    resource.prlimit(pid, kind, (soft, former[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, kind, former)


@contextmanager
def locked(server: ChannelServer) -> Iterator[None]:
    """Hold SQLite's write lock on the log, from this process."""
    with closing(sqlite3.connect(server.log, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def descriptors(process: Process) -> list[Path]:
    return list(Path(f"/proc/{process._process.pid}/fd").iterdir())


def resource_limit(process: Process) -> int:
    return resource.prlimit(process._process.pid, resource.RLIMIT_NOFILE)[0]


def answers(server: ChannelServer) -> bool:
    try:
        return server.ask("GET", "/healthz").code == 200
    except (OSError, HTTPException):
        return False
