"""The worker as a process, against the real channel: whatever is killed, each acknowledged click is stored once."""

from __future__ import annotations

import random
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
import requests

from inlive_banner.envelope import make_publish_id
from tests.e2e.processes import STREAM_ID, WIDGET_KEY, Demo
from tests.polling import wait_until
from tests.user_agent import USER_AGENT

DRAIN_SECONDS = 60


@pytest.fixture
def demo(tmp_path: Path, migrated_database: Path) -> Demo:
    """A demo of the test's own: each begins with nothing recorded."""
    demo = Demo(tmp_path)
    shutil.copy(migrated_database, demo.database)
    return demo


class Publisher:
    """Publishes clicks one after another, as a page would, and keeps account of what was answered."""

    def __init__(self, demo: Demo, token: str) -> None:
        self.acknowledged: list[str] = []
        self.unanswered: list[str] = []
        self._url = f"{demo.channel_url}/publish/{STREAM_ID}"
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {token}"
        self._session.headers["User-Agent"] = USER_AGENT

    def publish(self, count: int) -> None:
        for _ in range(count):
            publish_id = make_publish_id()
            message = {"name": "demo-banner", "type": "banner", "action": "click", "user_id": "", "time": 1}
            body = {"type": "broadcast", "widget_key": WIDGET_KEY, "message": message, "publish_id": publish_id}
            try:
                answer = self._session.post(self._url, json=body, timeout=10)
            except requests.RequestException:
                self.unanswered.append(publish_id)
                continue
            (self.acknowledged if answer.status_code == 200 else self.unanswered).append(publish_id)

    @contextmanager
    def publishing(self) -> Iterator[None]:
        """Publish in a thread for as long as the block runs."""
        enough = threading.Event()

        def work() -> None:
            while not enough.is_set():
                self.publish(1)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        try:
            yield
        finally:
            enough.set()
            thread.join(timeout=15)


@pytest.fixture
def publisher(demo: Demo, page_token: str) -> Publisher:
    return Publisher(demo, page_token)


def stored(demo: Demo) -> list[str]:
    return [publish_id for (publish_id,) in demo.query("SELECT publish_id FROM inlive_banner_interaction ORDER BY id")]


def wait_for_drain(demo: Demo, publisher: Publisher) -> None:
    acknowledged = set(publisher.acknowledged)
    wait_until(lambda: acknowledged <= set(stored(demo)), deadline_seconds=DRAIN_SECONDS, what="all that was answered")


def assert_exactly_once(demo: Demo, publisher: Publisher) -> None:
    rows = stored(demo)
    assert len(rows) == len(set(rows)), "stored twice"
    assert set(publisher.acknowledged) <= set(rows) <= {*publisher.acknowledged, *publisher.unanswered}
    assert [row for row in rows if row in set(publisher.acknowledged)] == publisher.acknowledged
    ((counted,),) = demo.query("SELECT SUM(count) FROM inlive_banner_rollup WHERE dimension = 'all' AND span = 0")
    assert counted == len(rows)
    ((position, lost, malformed),) = demo.query(
        "SELECT last_event_id, lost_events, malformed_events FROM inlive_banner_position"
    )
    ((newest,),) = demo.query("SELECT event_id FROM inlive_banner_interaction ORDER BY id DESC LIMIT 1")
    assert (position, lost, malformed) == (newest, 0, 0)


def test_worker_killed_at_random_moments_stores_each_acknowledged_click_once(demo: Demo, publisher: Publisher) -> None:
    with demo.channel():
        with publisher.publishing():
            for _ in range(6):
                with demo.worker() as worker:
                    # Once it works, at a moment that depends on how fast this machine is just now.
                    some = len(stored(demo)) + random.randint(1, 200)
                    wait_until(lambda some=some: len(stored(demo)) >= some, deadline_seconds=30)
                    worker.kill()
        with demo.worker() as worker:
            wait_for_drain(demo, publisher)
            assert worker.terminate() == 0

    assert len(publisher.acknowledged) > 100
    assert_exactly_once(demo, publisher)


def test_worker_whose_channel_is_killed_goes_on_by_itself(demo: Demo, publisher: Publisher) -> None:
    with demo.worker() as worker, publisher.publishing():
        for _ in range(3):
            with demo.channel() as channel:
                some = len(stored(demo)) + random.randint(1, 100)
                wait_until(lambda some=some: len(stored(demo)) >= some, deadline_seconds=30)
                channel.kill()
        with demo.channel():
            acknowledged = len(publisher.acknowledged)
            wait_until(lambda: len(publisher.acknowledged) > acknowledged)
            wait_for_drain(demo, publisher)
            assert worker.terminate() == 0

    with demo.channel(), demo.worker():
        wait_for_drain(demo, publisher)
    assert_exactly_once(demo, publisher)


def test_two_workers_on_one_stream_store_each_click_once(demo: Demo, publisher: Publisher) -> None:
    with demo.channel(), ExitStack() as workers:
        for _ in range(2):
            workers.enter_context(demo.worker())
        publisher.publish(300)
        wait_for_drain(demo, publisher)

    assert_exactly_once(demo, publisher)


def test_worker_takes_over_within_ten_seconds_when_the_other_is_killed(demo: Demo, publisher: Publisher) -> None:
    """Whichever of the two is killed, the row then names the one that lives."""

    def holder() -> int:
        ((name,),) = demo.query("SELECT holder FROM inlive_banner_position")
        return int(name.rpartition(":")[2] or 0)

    def holding_after_a_click() -> int:
        publisher.publish(1)
        return holder()

    with demo.channel(), demo.worker() as first, demo.worker() as second:
        pids = {worker._process.pid: worker for worker in (first, second)}
        publisher.publish(20)
        wait_for_drain(demo, publisher)
        doomed = wait_until(lambda: pids.get(holder()), what="one of the two as the holder")
        (survivor,) = {*pids.values()} - {doomed}
        with publisher.publishing():
            doomed.kill()
            killed = time.monotonic()
            rows = len(stored(demo))
            wait_until(lambda: len(stored(demo)) > rows + 10, what="rows of the other worker")
        wait_until(lambda: holding_after_a_click() == survivor._process.pid, what="the other worker's name")
        assert time.monotonic() - killed < 10
        wait_for_drain(demo, publisher)

    assert_exactly_once(demo, publisher)


def test_worker_terminated_while_it_is_idle_exits_cleanly_and_promptly(demo: Demo, publisher: Publisher) -> None:
    with demo.channel(), demo.worker() as worker:
        publisher.publish(1)
        wait_for_drain(demo, publisher)

        began = time.monotonic()
        assert worker.terminate() == 0
        assert time.monotonic() - began < 2

    assert "Traceback" not in worker.printed


def test_worker_once_records_what_is_there_and_exits(demo: Demo, publisher: Publisher) -> None:
    with demo.channel():
        publisher.publish(50)
        demo.manage("tail_inlive_clicks", "--once")

    assert_exactly_once(demo, publisher)
    assert len(stored(demo)) == 50


def test_worker_with_another_secret_key_is_refused_in_one_line(demo: Demo) -> None:
    with demo.channel():
        demo.environment["SECRET_KEY"] = "another"
        with demo.worker() as worker:
            assert worker.wait() == 3

    assert "CommandError" in worker.printed
    assert "Traceback" not in worker.printed


def test_worker_sends_what_the_site_could_not(demo: Demo) -> None:
    """The channel was away when the site published; whoever wrote the row is gone, too."""
    statement = (
        "INSERT INTO inlive_banner_pending (publish_id, stream_id, message, user_agent, purpose, staff, created_at) "
        "VALUES (?, ?, ?, ?, '', 0, datetime('now', '-1 hour'))"
    )
    message = '{"name": "sale", "type": "banner", "action": "click", "user_id": "", "time": 1}'
    with closing(sqlite3.connect(demo.database, timeout=10)) as connection, connection:
        connection.execute(statement, ("pending-1", STREAM_ID, message, USER_AGENT))

    with demo.worker(), demo.channel():
        rows = "SELECT publish_id, label FROM inlive_banner_interaction"
        wait_until(lambda: demo.query(rows), deadline_seconds=DRAIN_SECONDS, what="the pending click")
        wait_until(lambda: not demo.query("SELECT 1 FROM inlive_banner_pending"), what="an empty outbox")
        assert demo.query(rows) == [("pending-1", "")]
