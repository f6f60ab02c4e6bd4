"""The channel dies while it is published to, and its clock is set."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.faults.databases import Database
from tests.e2e.faults.stage import Stage


@pytest.fixture
def database(any_database: Database) -> Database:
    """The stage's database; no fault here comes near it."""
    return any_database


def test_channel_killed_during_publishes_keeps_what_it_acknowledged(stage: Stage, long: bool) -> None:
    stage.worker()
    channel = stage.channel()
    with stage.load.running():
        for _ in range(30 if long else 3):
            stage.load.more(30)
            channel.kill()
            channel = stage.channel()
        with stage.recovering():
            pass
    assert stage.load.unanswered, "no kill has met a publish"
    stage.judge()


def test_clock_set_an_hour_back_and_forth_changes_nothing(stage: Stage, tmp_path: Path) -> None:
    """Neither for who reads it all from the log afterwards, nor for who follows meanwhile."""
    clock = tmp_path / "clock"
    clock.write_text("0", encoding="utf-8")
    shifted = ("-m", "tests.e2e.faults.shifted_clock", str(clock))

    def set_clock(seconds: int) -> None:
        # Replaced in one step, for the processes read it all the time.
        (tmp_path / "set").write_text(str(seconds), encoding="utf-8")
        (tmp_path / "set").replace(clock)

    channel = stage.channel(*shifted)
    with stage.load.running():
        for seconds in (0, -3600, 3600):
            set_clock(seconds)
            stage.load.more(30)
        channel.kill()
        stage.channel(*shifted)
        stage.worker(*shifted)
        for seconds in (-3600, 3600):
            stage.wait_for_rows(30)
            set_clock(seconds)
        with stage.recovering():
            pass
        stage.wait_for_rows(30)
    received = stage.database.query("SELECT MIN(received_at), MAX(received_at) FROM inlive_banner_interaction")
    assert str(received[0][0])[:13] != str(received[0][1])[:13], "the clock was set"
    stage.judge()
