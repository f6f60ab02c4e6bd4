"""The durable logs under test: each implementation, on a real store that outlives the log's object."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

import pytest

from inlive_banner.channel.logs import Draft, Entry, Log, make_log
from tests.engine import Cluster, Server, running_cluster, running_server

STREAMS = (15, 16)
FOREVER_SECONDS = 10.0**10
"""A retention that reaches back before 1970, where the drafts of these tests are from."""

LogOpener = Callable[..., contextlib.AbstractAsyncContextManager[Log]]
"""open_log(commits=None, store="log"): the log on one of the test's stores; `commits` gets what `on_commit` is told."""


def make_draft(
    publish_id: str = "publish-1", *, stream_id: int = 15, received_at: int = 1000, body: bytes = b'{"message":1}'
) -> Draft:
    return Draft(stream_id, publish_id, received_at, body)


@pytest.fixture(scope="session")
def engine() -> Iterator[Server]:
    """A Valkey that is durable."""
    with running_server() as server:
        yield server


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Three of them, as a cluster."""
    with running_cluster() as cluster:
        yield cluster


@pytest.fixture(params=["sqlite", "valkey", "cluster"])
def open_log(request: pytest.FixtureRequest, tmp_path: Path) -> LogOpener:
    """Opens the log, again and again on the same store. One parameter for each implementation."""
    run = uuid.uuid4().hex  # what the tests share they don't see of each other

    def make(store: str) -> Log:
        url = f"sqlite:///{tmp_path}/{store}.sqlite3"
        if request.param != "sqlite":
            server = request.getfixturevalue("engine" if request.param == "valkey" else "cluster")
            url = f"{server.url}?prefix={run}-{store}"
        return make_log(url, max_bytes=10**9, retention_seconds=FOREVER_SECONDS)

    @contextlib.asynccontextmanager
    async def opener(commits: list[tuple[int, list[Entry]]] | None = None, *, store: str = "log") -> AsyncIterator[Log]:
        log = make(store)

        def on_commit(stream_id: int, entries: Sequence[Entry]) -> None:
            if commits is not None:
                commits.append((stream_id, list(entries)))

        await log.open(STREAMS, on_commit)
        for stream_id in STREAMS:
            await log.attend(stream_id)
        try:
            yield log
        finally:
            await log.close()

    return opener
