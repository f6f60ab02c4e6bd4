"""Load: publishers that keep account of what was answered, and the judgement of what became of it."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import requests
from django.test import override_settings

from inlive_banner.signing import ChannelSigner
from tests.e2e.faults.databases import Database
from tests.e2e.processes import STREAM_ID, WIDGET_KEY, Demo
from tests.polling import wait_until
from tests.rows import KEPT_PAIRS
from tests.user_agent import USER_AGENT

__all__ = ["Load", "drain", "head", "judge", "stored"]

_PACE_SECONDS = 0.004
"""Between two publishes of one publisher: a steady load that leaves the cores to the processes under test."""

_DRAIN_SECONDS = 45

_PUBLISHERS = ("steady", "insistent")


class Load:
    """Two publishers, each in a thread: `steady` goes on after a failure, `insistent` tries the same click again.

    So what was unanswered and is stored all the same stays alone in one, and comes twice to the channel in the other.
    """

    def __init__(
        self, channel_url: str, token: str, *, stream_id: int = STREAM_ID, pace_seconds: float = _PACE_SECONDS
    ) -> None:
        self.stream_id = stream_id
        self.acknowledged: list[str] = []
        """Publish ids (`<publisher>-<number>`) that were answered 200; each publisher's in its order."""
        self.unanswered: set[str] = set()
        """Publish ids that ended without an answer, or with a 503, and weren't acknowledged later."""
        self._url = f"{channel_url}/publish/{stream_id}"
        self._token = token
        self._pace_seconds = pace_seconds
        self._next = dict.fromkeys(_PUBLISHERS, 1)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Publish for as long as the block runs."""
        enough = threading.Event()
        threads = [threading.Thread(target=self._publish, args=(name, enough), daemon=True) for name in _PUBLISHERS]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            enough.set()
            for thread in threads:
                thread.join(timeout=15)

    def more(self, count: int = 50) -> None:
        """Wait until so many more publishes have been acknowledged."""
        target = len(self.acknowledged) + count
        wait_until(lambda: len(self.acknowledged) >= target, deadline_seconds=30, what="publishes to be acknowledged")

    def _publish(self, name: str, enough: threading.Event) -> None:
        with requests.Session() as session:
            session.headers["Authorization"] = f"Bearer {self._token}"
            session.headers["User-Agent"] = USER_AGENT
            while not enough.wait(self._pace_seconds):
                publish_id = f"{name}-{self._next[name]:08}"
                answered = self._answered(session, publish_id)
                if answered:
                    self.acknowledged.append(publish_id)
                    self.unanswered.discard(publish_id)
                else:
                    self.unanswered.add(publish_id)
                if answered or name == "steady":
                    self._next[name] += 1

    def _answered(self, session: requests.Session, publish_id: str) -> bool:
        message = {"name": "demo-banner", "type": "banner", "action": "click", "user_id": "", "time": 1}
        body = {"type": "broadcast", "widget_key": WIDGET_KEY, "message": message, "publish_id": publish_id}
        try:
            status = session.post(self._url, json=body, timeout=10).status_code
        except requests.RequestException:
            return False
        assert status in (requests.codes.ok, requests.codes.unavailable)
        return bool(status == requests.codes.ok)


def stored(database: Database, stream_id: int = STREAM_ID) -> list[str]:
    """The publish ids of all rows of a stream, in their order."""
    rows = database.query(f"SELECT publish_id FROM inlive_banner_interaction WHERE stream_id = {stream_id} ORDER BY id")
    return [publish_id for (publish_id,) in rows]


def head(channel_url: str, stream_id: int = STREAM_ID) -> str:
    """The id of the newest event in the channel's log.

    Asked as a worker, who is told of all that any node has acknowledged; others of what their own node has heard of.
    """
    with override_settings(SECRET_KEY=Demo.SECRET_KEY):
        # Valid also by a clock that a test has set an hour ahead.
        signer = ChannelSigner(token_max_age_seconds=3600, ticket_seconds=4 * 3600)
        ticket = signer.make_ticket(stream_id, silent=True)
    url = f"{channel_url}/subscribe/{stream_id}?ticket={ticket}"
    with requests.get(url, stream=True, timeout=10) as response:
        first = next(line for line in response.iter_lines(chunk_size=1) if line.startswith(b"data:"))
    match = re.search(rb'"head":"([^"]+)"', first)
    assert match, first
    return match[1].decode()


def drain(channel_url: str, *databases: Database, stream_id: int = STREAM_ID) -> None:
    """Wait until the worker has recorded all that the log holds. The load must have ended."""
    newest = head(channel_url, stream_id)
    position = f"SELECT 1 FROM inlive_banner_position WHERE stream_id = {stream_id} AND last_event_id = '{newest}'"
    wait_until(
        lambda: all(database.query(position) for database in databases),
        deadline_seconds=_DRAIN_SECONDS,
        what=f"the position to reach {newest}",
    )


def judge(load: Load, database: Database, *, channel_url: str, logs_url: str) -> None:
    """See that what was answered is stored exactly once, in order, and that everything that counts agrees with it."""
    of_stream = f"WHERE stream_id = {load.stream_id}"
    rows = stored(database, load.stream_id)
    assert len(rows) == len(set(rows)), "stored twice"
    acknowledged = set(load.acknowledged)
    assert not acknowledged - set(rows), "acknowledged, and not stored"
    assert not set(rows) - acknowledged - load.unanswered, "stored, and never published"
    for name in _PUBLISHERS:
        own = [row for row in rows if row.startswith(name)]
        assert own == sorted(own), f"{name}'s clicks aren't in the order in which it made them"
    events = database.query(f"SELECT event_id FROM inlive_banner_interaction {of_stream} ORDER BY id")
    numbers = [int(event_id.rpartition("-")[2]) for (event_id,) in events]
    assert numbers == sorted(numbers), "the rows aren't in the order of the log"
    of_position = f"SELECT last_event_id, lost_events, malformed_events FROM inlive_banner_position {of_stream}"
    assert database.query(of_position) == [(head(channel_url, load.stream_id), 0, 0)]
    of_rollups = f"SELECT dimension, span, SUM(count) FROM inlive_banner_rollup {of_stream} GROUP BY dimension, span"
    sums = database.query(of_rollups)
    assert sorted(sums) == ([(*kind, len(rows)) for kind in KEPT_PAIRS] if rows else [])
    page = requests.get(logs_url, timeout=10).text
    assert re.findall(r'data-inlive-count="(\d+)"', page) == [str(len(rows))], "the logs page shows another number"
