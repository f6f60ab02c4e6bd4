"""The export of a real site: a slow client, one that goes away, and the site meanwhile."""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import requests

from tests.e2e.processes import HOST, Demo
from tests.polling import wait_until

ROWS = 60_000
"""Some 15 MB: more than the system keeps for a client that doesn't read."""

_OPEN_STATES = ("01", "08")
"""Established, and closed by the other side only (proc(5))."""

_INSERT = f"""
import django; django.setup()
from inlive_banner.models import Interaction
from tests.rows import make_interaction
rows = (make_interaction(number, page='/' + 'x' * 100) for number in range(1, {ROWS} + 1))
Interaction.objects.bulk_create(rows, batch_size=5000)
"""


@pytest.fixture(scope="module")
def filled(demo: Demo) -> Demo:
    """The module's demo, with many rows."""
    demo.manage("shell", "--no-imports", "-c", _INSERT)
    return demo


@contextmanager
def served(demo: Demo, server: str) -> Iterator[None]:
    with demo.site() if server == "wsgi" else demo.site_with_channel():
        yield


def ask(demo: Demo) -> socket.socket:
    """Ask for the export, and read the beginning of it only."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(30)
    client.connect((HOST, demo.site_port))
    client.sendall(b"GET /inlive/export/?format=jsonl HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    assert client.recv(15) == b"HTTP/1.1 200 OK"
    return client


def write_and_empty_log(demo: Demo) -> tuple[int, ...]:
    """SQLite empties its write-ahead log where nobody reads an earlier state: whether it couldn't, and what is left."""
    with closing(sqlite3.connect(demo.database, timeout=2, isolation_level=None)) as connection:
        connection.execute("UPDATE inlive_banner_interaction SET viewed = 1 WHERE id = 1")
        found: tuple[int, ...] = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return found


def is_served(demo: Demo, port: int) -> bool:
    """Whether the site has a connection to this port of a client's open, also one that the client has closed."""
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        _, local, remote, state, *_ = line.split()
        ports = tuple(int(address.partition(":")[2], 16) for address in (local, remote))
        if ports == (demo.site_port, port) and state in _OPEN_STATES:
            return True
    return False


@pytest.mark.parametrize("server", ["wsgi", "asgi"])
def test_client_that_does_not_read_keeps_nobody_waiting(filled: Demo, server: str) -> None:
    with served(filled, server):
        clients = [ask(filled) for _ in range(3)]
        try:
            for _ in range(3):
                assert requests.get(f"{filled.site_url}/inlive/api/interactions/", timeout=5).json()["next"]
            assert write_and_empty_log(filled) == (0, 0, 0), "some client holds a state of the database"
        finally:
            for client in clients:
                client.close()
        whole = requests.get(f"{filled.site_url}/inlive/export/?format=jsonl", timeout=60)

    assert whole.headers["Content-Encoding"] == "gzip"
    assert whole.text.count("\n") == ROWS


@pytest.mark.parametrize("server", ["wsgi", "asgi"])
def test_client_that_goes_away_ends_its_export(filled: Demo, server: str) -> None:
    with served(filled, server):
        client = ask(filled)
        port = client.getsockname()[1]
        assert is_served(filled, port)
        client.close()

        wait_until(lambda: not is_served(filled, port), what="the site to give the connection up")
        assert requests.get(filled.logs_url, timeout=5).status_code == requests.codes.ok
