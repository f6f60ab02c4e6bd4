from __future__ import annotations

import pytest

from inlive_banner.envelope import EventId
from inlive_banner.tail.pace import Backlog, Pace, RateWindow
from inlive_banner.tail.records import Init
from inlive_banner.tail.sink import Report
from tests.tail.making import EPOCH
from tests.tail.test_notices import make_report


class FakeClock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def make_init(start: int | None, head: int | None, *, epoch: str = EPOCH) -> Init:
    position = None if start is None else EventId(epoch, start)
    return Init(position=position, head="" if head is None else f"{EPOCH}-{head}")


def report_at(seq: int, *, inserted: int = 1, lag_seconds: float | None = None, epoch: str = EPOCH) -> Report:
    report = make_report(lag_seconds=lag_seconds)
    fields = {name: getattr(report, name) for name in Report.__slots__}
    return Report(**fields | {"position": f"{epoch}-{seq}", "inserted": inserted})


def test_rate_is_what_came_within_the_last_seconds(clock: FakeClock) -> None:
    rate = RateWindow(clock=clock, seconds=5)
    clock.now += 100
    rate.add(1000)
    clock.now += 3
    rate.add(20)
    clock.now += 2

    assert rate.per_second() == 4


def test_rate_falls_to_zero_when_nothing_comes(clock: FakeClock) -> None:
    rate = RateWindow(clock=clock, seconds=5)
    rate.add(20)
    clock.now += 5

    assert rate.per_second() == 0


def test_rate_of_a_young_window_is_over_its_age(clock: FakeClock) -> None:
    rate = RateWindow(clock=clock, seconds=5)
    rate.add(20)
    assert rate.per_second() == 20
    clock.now += 2

    assert rate.per_second() == 10


def test_pace_counts_what_was_recorded_since_the_start(clock: FakeClock) -> None:
    pace = Pace(clock=clock)
    pace.batch(report_at(7, inserted=7))
    pace.batch(report_at(9, inserted=0))
    clock.now += 2

    assert pace.view().recorded == 7
    assert pace.view().per_second == 3.5


def test_pace_has_a_backlog_until_the_head_is_reached(clock: FakeClock) -> None:
    pace = Pace(clock=clock)
    pace.connected(make_init(100, 500))
    assert pace.view().backlog == Backlog(done=0, total=400, per_second=0, seconds_left=None)

    clock.now += 2
    pace.batch(report_at(200))
    assert pace.view().backlog == Backlog(done=100, total=400, per_second=50, seconds_left=6)

    pace.batch(report_at(499))
    assert pace.view().backlog is not None
    pace.batch(report_at(500))
    assert pace.view().backlog is None


def test_pace_of_a_new_connection_has_a_backlog_of_its_own(clock: FakeClock) -> None:
    pace = Pace(clock=clock)
    pace.connected(make_init(0, 10))
    pace.batch(report_at(10))
    pace.connected(make_init(10, 30))

    assert pace.view().backlog == Backlog(done=0, total=20, per_second=0, seconds_left=None)


@pytest.mark.parametrize(
    "init",
    [
        make_init(None, 500),
        make_init(100, None),
        make_init(500, 500),
        make_init(501, 500),
        make_init(100, 500, epoch="fedcba98"),
    ],
    ids=["no position", "no head", "at the head", "behind the head", "another epoch"],
)
def test_pace_without_a_known_end_has_no_backlog(clock: FakeClock, init: Init) -> None:
    pace = Pace(clock=clock)
    pace.connected(init)

    assert pace.view().backlog is None


def test_backlog_isnt_moved_by_a_position_of_another_epoch(clock: FakeClock) -> None:
    pace = Pace(clock=clock)
    pace.connected(make_init(100, 500))
    pace.batch(report_at(900, epoch="fedcba98"))

    backlog = pace.view().backlog
    assert backlog is not None
    assert backlog.done == 0


def test_lag_is_shown_for_the_last_seconds_only(clock: FakeClock) -> None:
    """What was late an hour ago isn't late now."""
    pace = Pace(clock=clock)
    assert pace.view().lag_seconds is None

    pace.batch(report_at(1, lag_seconds=60))
    assert pace.view().lag_seconds == pytest.approx(60, abs=5)
    assert pace.view().idle_seconds == 0

    clock.now += 6
    assert pace.view().lag_seconds is None
    assert pace.view().idle_seconds == 6
