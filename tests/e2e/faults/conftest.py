"""Fixtures of the faults: a stage with all processes on it, on each database in turn."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.faults.databases import Database, PostgresDatabase, PostgresServer, SqliteDatabase
from tests.e2e.faults.stage import Stage
from tests.e2e.processes import Demo

_numbers = itertools.count(1)

LONG = os.environ.get("INLIVE_FAULTS") == "long"

_LONG_SECONDS = 400
"""For one test in its long form: the longest took 92 s on two cores that nobody else used."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the long forms the time that they need. Called with the tests of all folders."""
    for item in items:
        if LONG and Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(_LONG_SECONDS))


@pytest.fixture(scope="session")
def long() -> bool:
    """True for the long form of each test: `INLIVE_FAULTS=long`. By default each runs in a shortened form."""
    return LONG


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A PostgreSQL that tests may kill, with a migrated, empty database `migrated`."""
    # As in the tests' own conftest: readable by the server's user, and short for its socket.
    folder = Path(tempfile.mkdtemp(prefix="inlive-pg-"))
    server = PostgresServer(folder)
    try:
        server.execute("CREATE DATABASE migrated")
        demo = Demo(tmp_path_factory.mktemp("migrated-postgresql"))
        demo.environment["DATABASE_URL"] = PostgresDatabase(server, "migrated").url
        demo.manage("migrate", "--verbosity=0")
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def sqlite(tmp_path: Path, migrated_database: Path) -> SqliteDatabase:
    """A migrated, empty database in a file."""
    return SqliteDatabase(tmp_path / "site.sqlite3", migrated_database)


@pytest.fixture
def postgresql(postgres_server: PostgresServer) -> PostgresDatabase:
    """A migrated, empty database on the server."""
    name = f"faults_{next(_numbers)}"
    postgres_server.execute(f"CREATE DATABASE {name} TEMPLATE migrated")
    return PostgresDatabase(postgres_server, name)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Database:
    """Each database in turn."""
    database: Database = request.getfixturevalue(request.param)
    return database


@pytest.fixture(params=["sqlite", "postgresql"] if LONG else ["sqlite"])
def any_database(request: pytest.FixtureRequest) -> Database:
    """A database that the fault doesn't come near, each in turn in the long form: what is recorded is all the same."""
    database: Database = request.getfixturevalue(request.param)
    return database


@pytest.fixture
def make_stage(tmp_path: Path, page_token: str) -> Iterator[Callable[[Database], Stage]]:
    """Set a stage with this database; what runs on it is ended after the test."""
    with ExitStack() as stack:
        yield lambda database: stack.enter_context(Stage(tmp_path, database, page_token))


@pytest.fixture
def stage(make_stage: Callable[[Database], Stage], database: Database) -> Stage:
    """A stage on each database in turn, with nothing running yet."""
    return make_stage(database)
