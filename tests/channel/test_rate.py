"""More than a person can do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inlive_banner.channel import rate as rate_module
from inlive_banner.channel.rate import WINDOW_SECONDS, Rate


def test_rate_is_exceeded_by_the_one_after_the_limit_only():
    rate = Rate(3)

    assert [rate.exceeds("a", second) for second in (0.0, 1.0, 9.0, 9.9)] == [False, False, False, True]
    assert rate.exceeds("a", 10.5) is True  # 1.0, 9.0, 9.9, 10.5
    assert rate.exceeds("a", 19.5) is False
    assert rate.exceeds("b", 19.5) is False


@given(
    st.integers(1, 4), st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 6)), max_size=60), st.integers(3, 100)
)  # fmt: skip
def test_rate_says_what_counting_would_say(limit: int, steps: list[tuple[str, float]], max_keys: int):
    """However the time goes, and wherever the memory is turned over, as long as it holds all that act."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rate_module, "MAX_KEYS", max_keys)
        rate = Rate(limit)
        now, seen = 0.0, []
        for key, pause in steps:
            now += pause
            seen.append((key, now))
            within = sum(1 for other, at in seen if other == key and now - at < WINDOW_SECONDS)
            assert rate.exceeds(key, now) == (within > limit)


def test_rate_takes_bounded_memory(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rate_module, "MAX_KEYS", 50)
    rate = Rate(5)

    for number in range(1000):
        rate.exceeds(f"id-{number}", 1.0)
        rate.exceeds("one of many", 1.0)
        assert len(rate._times) + len(rate._older) <= 100
    kept = rate._times["one of many"]
    assert isinstance(kept, list)
    assert len(kept) <= 5
    assert rate.exceeds("one of many", 1.0) is True


def test_rate_forgets_who_has_stopped():
    rate = Rate(5)
    rate.exceeds("a", 0.0)

    for second in (11.0, 22.0):
        rate.exceeds("b", second)
        rate.exceeds(f"c{second}", second)

    assert "a" not in rate._times | rate._older
