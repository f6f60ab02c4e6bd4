"""What lies between worker and channel resets, closes, stalls, and cuts events into pieces."""

from __future__ import annotations

import json

import pytest

from tests.e2e.faults.databases import Database
from tests.e2e.faults.proxy import Proxy
from tests.e2e.faults.stage import Stage
from tests.e2e.processes import Process
from tests.polling import wait_until


@pytest.fixture
def database(any_database: Database) -> Database:
    """The stage's database; no fault here comes near it."""
    return any_database


def worker_through(stage: Stage, proxy: Proxy, *arguments: str, keep_alive_seconds: int = 15) -> Process:
    return stage.worker(
        arguments=arguments,
        INLIVE_CHANNEL_INTERNAL_URL=f"http://127.0.0.1:{proxy.port}",
        FAULTS_KEEP_ALIVE=str(keep_alive_seconds),
    )


def test_connection_cut_in_the_middle_of_an_event_loses_nothing(stage: Stage, long: bool) -> None:
    """By resets and clean closes in turn, and by slices of one byte all the time."""
    stage.channel()
    with Proxy(stage.demo.channel_port) as proxy:
        proxy.slicing = True
        worker_through(stage, proxy)
        with stage.load.running():
            for number in range(30 if long else 4):
                stage.wait_for_rows(5)
                (proxy.reset if number % 2 else proxy.close)()
                wait_until(lambda: not proxy.pending, what="the cut")
            with stage.recovering():
                pass
        assert proxy.connections > proxy.cuts
        stage.judge()


def test_event_that_the_connection_drops_is_asked_for_again(stage: Stage, long: bool) -> None:
    """Its number is missing: the worker doesn't go on behind the hole."""
    stage.channel()
    with Proxy(stage.demo.channel_port) as proxy:
        worker_through(stage, proxy)
        with stage.load.running():
            for _ in range(10 if long else 2):
                stage.wait_for_rows(5)
                proxy.losing = True
                wait_until(lambda: not proxy.losing, what="an event to be dropped")
            with stage.recovering():
                pass
        stage.judge()


def test_event_that_the_connection_delivers_twice_is_counted_as_a_duplicate(stage: Stage, long: bool) -> None:
    """Whole events, at any moment, from within the worker's present batch or from before it."""
    stage.channel()
    with Proxy(stage.demo.channel_port) as proxy:
        proxy.repeating = True
        worker = worker_through(stage, proxy, "--format=json")
        with stage.load.running():
            wait_until(lambda: proxy.repeated >= (5000 if long else 300), deadline_seconds=40, what="repeated clicks")
            proxy.repeating = False
            with stage.recovering():
                pass
            assert proxy.connections == 1, "nothing of it is a reason to connect again"
        stage.judge()
        reports = [json.loads(line) for line in worker.printed.splitlines() if line.startswith("{")]
        assert sum(report["duplicates"] for report in reports) == proxy.repeated
        assert sum(report["inserted"] for report in reports) == stage.rows()


def test_stalled_connection_is_given_up_and_resumed(stage: Stage) -> None:
    """Nothing arrives and nobody closes: only the missing keep-alives show it."""
    stage.channel()
    with Proxy(stage.demo.channel_port) as proxy:
        worker_through(stage, proxy, keep_alive_seconds=1)
        with stage.load.running():
            stage.wait_for_rows()
            proxy.stalled = True
            stalled = proxy.connections
            wait_until(lambda: proxy.connections > stalled, deadline_seconds=10, what="a new connection")
            with stage.recovering():
                proxy.stalled = False
        stage.judge()
