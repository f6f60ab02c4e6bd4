"""What a position and the epochs' highest numbers say of what comes, without a database."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inlive_banner.channel.logs.base import Bounds
from inlive_banner.envelope import EventId, parse_event_id
from inlive_banner.tail.coverage import KEPT_EPOCHS, Coverage, replay_end
from inlive_banner.tail.records import Record
from tests.tail.making import make_record

A, B, C = "aaaaaaaa", "bbbbbbbb", "cccccccc"


def views(epoch: str, first: int, last: int) -> list[Record]:
    return [make_record(seq, epoch=epoch, action="view") for seq in range(first, last + 1)]


def taken(coverage: Coverage, records: list[Record]) -> list[int]:
    """The numbers of those that are new."""
    return [record.event_id.seq for record in coverage.take(records)[0] if record.event_id]


def test_view_up_to_the_position_is_covered_by_it() -> None:
    assert taken(Coverage(EventId(A, 3)), views(A, 2, 5)) == [4, 5]


def test_view_of_an_earlier_epoch_that_comes_again_is_known_by_its_number() -> None:
    coverage = Coverage(EventId(A, 0))
    taken(coverage, [*views(A, 1, 5), *views(B, 1, 3)])

    assert taken(coverage, views(A, 4, 7)) == [6, 7]
    assert coverage.position == EventId(A, 7)
    assert taken(coverage, views(B, 2, 4)) == [4]


def test_click_of_an_earlier_epoch_is_always_handed_on() -> None:
    """Its publish id is surer than any number."""
    coverage = Coverage(EventId(B, 3), [(A, 5)])

    assert taken(coverage, [make_record(4, epoch=A), *views(A, 5, 5)]) == [4]


def test_view_whose_position_was_set_back_by_hand_is_known_by_its_number() -> None:
    assert taken(Coverage(None, [(A, 5)]), views(A, 1, 6)) == [6]


def test_view_under_a_number_beyond_the_end_of_what_came_again_is_new() -> None:
    """The log went back from 100 to 60, and gives the numbers from 61 on a second time."""
    coverage = Coverage(EventId(A, 60), [(A, 100)], replay_end=EventId(A, 60))

    assert taken(coverage, views(A, 61, 63)) == [61, 62, 63]
    assert coverage.epochs == [(A, 63)]
    assert coverage.replay_end is None


def test_view_up_to_the_end_of_what_comes_again_is_known() -> None:
    coverage = Coverage(EventId(A, 0), [(A, 100), (B, 3)], replay_end=EventId(A, 60))

    assert taken(coverage, views(A, 1, 62)) == [61, 62]


def test_view_of_the_true_log_that_comes_back_after_an_older_one_is_known() -> None:
    """The older one was given an epoch of its own, so it has shown nothing new of the first epoch."""
    coverage = Coverage(EventId(A, 60), [(A, 100)], replay_end=EventId(A, 60))
    taken(coverage, views(B, 61, 70))
    coverage = Coverage(EventId(A, 0), coverage.epochs, replay_end=EventId(A, 101))

    assert taken(coverage, views(A, 50, 101)) == [101]


@pytest.mark.parametrize(
    ("asked", "position", "head", "end"),
    [
        (f"{A}-100", EventId(A, 60), f"{A}-60", f"{A}-60"),
        (f"{A}-100", EventId(A, 60), f"{B}-65", f"{B}-65"),
        (f"{A}-100", EventId(A, 60), "", f"{A}-60"),
        (f"{A}-100", EventId(A, 160), "", ""),
        (f"{A}-100", EventId(B, 0), "", ""),
        ("0", EventId(B, 0), "nonsense", ""),
    ],
    ids=["went back", "went back to an epoch's end", "no head", "trimmed", "another log", "no position"],
)
def test_replay_ends_at_the_head_or_where_a_log_went_back_to(
    asked: str, position: EventId, head: str, end: str
) -> None:
    assert replay_end(asked, position, head) == end


def test_epochs_are_kept_up_to_a_bound_and_the_newest_are() -> None:
    coverage = Coverage(None)
    for number in range(KEPT_EPOCHS + 5):
        taken(coverage, views(f"{number:08x}", 1, 1))
    taken(coverage, views(f"{10:08x}", 1, 2))

    assert len(coverage.epochs) == KEPT_EPOCHS
    assert coverage.epochs[-1] == (f"{10:08x}", 2)
    assert coverage.epochs[0] == (f"{5:08x}", 1)


def test_records_without_ids_move_nothing() -> None:
    coverage = Coverage(EventId(A, 3), [(A, 3)])

    fresh, holes = coverage.take([record._replace(event_id=None) for record in views(A, 1, 2)])

    assert (len(fresh), holes) == (2, [])
    assert (coverage.position, coverage.epochs) == (EventId(A, 3), [(A, 3)])


@dataclass
class Life:
    """A log as the channel would have it, by the channel's own rules of where a subscription begins."""

    epochs: list[tuple[int, str]]
    head: int = 0

    @property
    def bounds(self) -> Bounds:
        return Bounds(epochs=tuple(self.epochs), oldest=1, head=self.head)

    def copy(self) -> Life:
        return Life(list(self.epochs), self.head)


@dataclass
class History:
    """A log that is lost and put back, and a worker that counts the views in it."""

    log: Life = field(default_factory=lambda: Life([(1, f"{0:08x}")]))
    backups: list[Life] = field(default_factory=list)
    lives: int = 0
    coverage: Coverage = field(default_factory=lambda: Coverage(None))
    counted: Counter[EventId] = field(default_factory=Counter)

    def put(self, log: Life) -> None:
        """Put a log, in which the next number will be an epoch's first, into the place of the old one."""
        self.lives += 1
        epochs = [epoch for epoch in log.epochs if epoch[0] <= log.head]
        self.log = Life([*epochs, (log.head + 1, f"{self.lives:08x}")], log.head)

    def work(self, most: int) -> None:
        """One connection of the worker's, which takes so many events."""
        bounds, asked = self.log.bounds, str(self.coverage.position or 0)
        start = bounds.start_after(asked)
        if not start.recovered:
            position, head = bounds.event_id(start.seq), str(bounds.event_id(bounds.head))
            end = parse_event_id(replay_end(asked, position, head))
            self.coverage = Coverage(position, self.coverage.epochs, end)
        ids = [bounds.event_id(seq) for seq in range(start.seq + 1, bounds.head + 1)][:most]
        fresh, holes = self.coverage.take([make_record(seq, epoch=epoch, action="view") for epoch, seq in ids])
        assert not holes
        self.counted.update(record.event_id for record in fresh if record.event_id)


steps = st.lists(
    st.tuples(st.just("publish"), st.integers(1, 4))
    | st.tuples(st.just("work"), st.integers(0, 6))
    | st.tuples(st.sampled_from(["back up", "put back", "lose"]), st.integers(0, 3)),
    max_size=40,
)


@given(steps)
def test_views_of_a_log_that_is_lost_and_put_back_at_will_are_counted_once(what: list[tuple[str, int]]) -> None:
    history = History()
    for step, number in what:
        if step == "publish":
            history.log.head += number
        elif step == "work":
            history.work(number)
        elif step == "back up":
            history.backups.append(history.log.copy())
        elif step == "lose":
            history.put(Life([]))
        elif history.backups:
            history.put(history.backups[number % len(history.backups)])
    history.work(10_000)

    bounds = history.log.bounds
    assert set(history.counted.values()) <= {1}
    assert {bounds.event_id(seq) for seq in range(1, bounds.head + 1)} <= set(history.counted)
