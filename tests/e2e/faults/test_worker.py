"""The worker dies: at random, at named points, and beside a second one."""

from __future__ import annotations

import random
import signal

from tests.e2e.faults.dying_worker import POINTS
from tests.e2e.faults.stage import Stage


def test_worker_killed_at_random_stores_each_click_once(stage: Stage, long: bool) -> None:
    stage.channel()
    with stage.load.running():
        for _ in range(30 if long else 5):
            worker = stage.worker()
            stage.wait_for_rows(random.randint(1, 60))
            worker.kill()
        with stage.recovering():
            stage.worker()
    stage.judge()


def test_worker_killed_at_named_points_stores_each_click_once(stage: Stage) -> None:
    stage.channel()
    with stage.load.running():
        for point in POINTS:
            worker = stage.start("-m", "tests.e2e.faults.dying_worker", point, str(random.randint(1, 5)))
            assert worker.wait() == -signal.SIGKILL, worker.printed
        with stage.recovering():
            stage.worker()
    stage.judge()


def test_second_worker_takes_over_where_the_first_is_killed(stage: Stage) -> None:
    stage.channel()
    with stage.load.running():
        first, second = stage.worker(), stage.worker()
        stage.wait_for_rows(200)
        with stage.recovering():
            first.signal(signal.SIGKILL)
            assert first.wait() == -signal.SIGKILL, f"It had ended before:\n{first.printed}"
    stage.judge()
    assert second.terminate() == 0


def test_position_set_back_by_hand_stores_nothing_twice(stage: Stage) -> None:
    """Everything comes again; all of it is known by its publish id."""
    stage.channel()
    with stage.load.running():
        worker = stage.worker()
        stage.wait_for_rows(60)
        assert worker.terminate() == 0
        stage.database.change("UPDATE inlive_banner_position SET last_event_id = '0'")
        with stage.recovering():
            stage.worker()
    stage.judge()
