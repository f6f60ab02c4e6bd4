"""Where a client goes on that is done with some event id: every rule of the wire protocol's part 2, rule 2."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inlive_banner.channel.logs.base import Bounds, Start

A, B, C = "aaaaaaaaaaaa", "bbbbbbbbbbbb", "cccccccccccc"

WHOLE = Bounds(((1, A),), oldest=1, head=10)
EMPTY = Bounds(((1, A),), oldest=1, head=0)
TRIMMED = Bounds(((1, A),), oldest=6, head=10)
ALL_TRIMMED = Bounds(((1, A),), oldest=11, head=10)
RESTORED = Bounds(((1, A), (81, B)), oldest=1, head=90)
JUST_RESTORED = Bounds(((1, A), (81, B)), oldest=1, head=80)
RESTORED_TRIMMED = Bounds(((1, A), (81, B)), oldest=85, head=90)
TWICE = Bounds(((1, A), (81, B), (91, C)), oldest=1, head=95)


@pytest.mark.parametrize(
    ("bounds", "position", "seq", "recovered"),
    [
        # 0 asks for everything that the log holds.
        (WHOLE, "0", 0, True),
        (EMPTY, "0", 0, True),
        (TRIMMED, "0", 5, True),
        (ALL_TRIMMED, "0", 10, True),
        (RESTORED, "0", 0, True),
        # A valid id: on from there.
        (WHOLE, f"{A}-0", 0, True),
        (WHOLE, f"{A}-4", 4, True),
        (WHOLE, f"{A}-10", 10, True),
        (EMPTY, f"{A}-0", 0, True),
        # The last one that was trimmed: nothing is missing after it.
        (TRIMMED, f"{A}-5", 5, True),
        (TRIMMED, f"{A}-6", 6, True),
        (ALL_TRIMMED, f"{A}-10", 10, True),
        # Trimmed away: what is left, and said so.
        (TRIMMED, f"{A}-4", 5, False),
        (TRIMMED, f"{A}-0", 5, False),
        (ALL_TRIMMED, f"{A}-9", 10, False),
        # Beyond the epoch's end: on from the point up to which the log can vouch.
        (WHOLE, f"{A}-11", 10, False),
        (EMPTY, f"{A}-1", 0, False),
        (RESTORED, f"{A}-95", 80, False),
        (RESTORED, f"{A}-81", 80, False),
        (RESTORED, f"{B}-91", 90, False),
        (RESTORED_TRIMMED, f"{A}-95", 84, False),
        # An older epoch that the log knows: the numbers go on over its end.
        (RESTORED, f"{A}-80", 80, True),
        (RESTORED, f"{A}-7", 7, True),
        (RESTORED_TRIMMED, f"{A}-80", 84, False),
        (TWICE, f"{A}-80", 80, True),
        (TWICE, f"{B}-90", 90, True),
        (TWICE, f"{B}-91", 90, False),
        (TWICE, f"{C}-91", 91, True),
        # Joined before the new epoch's first broadcast.
        (JUST_RESTORED, f"{A}-80", 80, True),
        (JUST_RESTORED, f"{B}-80", 80, True),
        # Unknown epochs and what is no id.
        (WHOLE, f"{C}-4", 0, False),
        (TRIMMED, f"{C}-7", 5, False),
        (WHOLE, "", 0, False),
        (WHOLE, "4", 0, False),
        (WHOLE, "rubbish", 0, False),
        (WHOLE, f"{A}-04", 0, False),
        (WHOLE, f"{A}-{'9' * 19}", 10, False),
        (WHOLE, f"{A}-{'9' * 30}", 0, False),
    ],
)
def test_start_after_position_follows_the_rule(bounds: Bounds, position: str, seq: int, recovered: bool):
    assert bounds.start_after(position) == Start(seq, recovered)


def test_start_after_a_number_before_its_epoch_is_not_recovered():
    """Such an id was never given out; the log can vouch for nothing."""
    assert RESTORED.start_after(f"{B}-5") == (RESTORED.oldest - 1, False)


@given(st.text(max_size=40))
def test_start_after_any_text_stays_within_what_is_held(position: str):
    start = TRIMMED.start_after(position)
    assert TRIMMED.oldest - 1 <= start.seq <= TRIMMED.head


@st.composite
def lives(draw: st.DrawFn) -> Bounds:
    firsts = [1, *sorted(draw(st.sets(st.integers(2, 40), max_size=3)))]
    head = draw(st.integers(firsts[-1] - 1, 60))
    oldest = draw(st.integers(1, head + 1))
    return Bounds(tuple(zip(firsts, (A, B, C, "dddddddddddd"), strict=False)), oldest=oldest, head=head)


@given(lives(), st.data())
def test_start_after_any_id_that_was_given_out_goes_on_right_there_or_says_it_cannot(
    bounds: Bounds, data: st.DataObject
):
    seq = data.draw(st.integers(0, bounds.head))
    start = bounds.start_after(str(bounds.event_id(seq)))
    if seq >= bounds.oldest - 1:
        assert start == Start(seq, recovered=True)
    else:
        assert start == Start(bounds.oldest - 1, recovered=False)


@given(lives())
def test_event_ids_of_all_numbers_are_different_and_lie_in_their_epoch(bounds: Bounds):
    ids = [bounds.event_id(seq) for seq in range(1, bounds.head + 1)]
    assert len(set(map(str, ids))) == len(ids)
    for event_id in ids:
        first = next(first for first, epoch in bounds.epochs if epoch == event_id.epoch)
        assert event_id.seq >= first


def test_event_id_before_the_first_broadcast_names_the_first_epoch():
    assert str(EMPTY.event_id(0)) == f"{A}-0"
