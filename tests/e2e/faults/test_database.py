"""The database stops, dies, is locked, or is cut off while it commits."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from tests.e2e.faults.databases import Database, PostgresDatabase, SqliteDatabase
from tests.e2e.faults.proxy import Proxy
from tests.e2e.faults.stage import Stage
from tests.polling import wait_until

LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=10, isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""

MakeStage = Callable[[Database], Stage]


def let_pass(seconds: float) -> None:
    """The fault's own length; nothing is waited for."""
    threading.Event().wait(seconds)


def test_postgresql_stopped_for_a_while_loses_nothing(
    make_stage: MakeStage, postgresql: PostgresDatabase, long: bool
) -> None:
    stage = make_stage(postgresql)
    stage.channel()
    worker = stage.worker()
    with stage.load.running():
        stage.wait_for_rows()
        postgresql.server.stop()
        try:
            let_pass(60 if long else 3)
        finally:
            postgresql.server.start()
        with stage.recovering():
            pass
    stage.judge()
    assert worker.printed.count("waiting for the database") == 1, "one line for one change of state"


def test_postgresql_killed_and_restarted_loses_nothing(make_stage: MakeStage, postgresql: PostgresDatabase) -> None:
    stage = make_stage(postgresql)
    stage.channel()
    stage.worker()
    with stage.load.running():
        stage.wait_for_rows()
        postgresql.server.kill()
        postgresql.server.start()
        with stage.recovering():
            pass
    stage.judge()


@pytest.mark.parametrize("committed", [True, False])
def test_connection_lost_during_commit_stores_each_click_once(
    make_stage: MakeStage, postgresql: PostgresDatabase, committed: bool
) -> None:
    """The worker can't know which of the two it was."""
    stage = make_stage(postgresql)
    stage.channel()
    with Proxy(postgresql.server.socket) as proxy:
        stage.worker(DATABASE_URL=postgresql.url_by_port(proxy.port))
        with stage.load.running():
            for number in range(1, 4):
                stage.wait_for_rows(10)
                proxy.cut_at = (b"COMMIT", committed)
                wait_until(lambda number=number: proxy.cuts >= number, what="a COMMIT")
            with stage.recovering():
                pass
        stage.judge()


def test_sqlite_locked_by_another_process_loses_nothing(
    make_stage: MakeStage, sqlite: SqliteDatabase, long: bool
) -> None:
    stage = make_stage(sqlite)
    stage.channel()
    worker = stage.worker()
    with stage.load.running():
        stage.wait_for_rows()
        locker = subprocess.Popen(
            [sys.executable, "-c", LOCK, str(sqlite.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        with locker:
            assert locker.stdout.readline() == b"locked\n"
            let_pass(30 if long else 3)
        with stage.recovering():
            pass
    stage.judge()
    assert "waiting for the database" in worker.printed
