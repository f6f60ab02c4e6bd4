from __future__ import annotations

from inlive_banner.tail.backoff import Backoff


def test_backoff_draws_between_nothing_and_a_bound_that_doubles_up_to_the_longest() -> None:
    draws = []
    for _ in range(400):
        backoff = Backoff(first_seconds=1, longest_seconds=5)
        draws.append([backoff.next_seconds() for _ in range(5)])

    for waits, bound in zip(zip(*draws, strict=True), (1, 2, 4, 5, 5), strict=True):
        assert 0 <= min(waits) < 0.2 * bound
        assert 0.8 * bound < max(waits) <= bound


def test_backoff_after_reset_begins_again() -> None:
    backoff = Backoff(first_seconds=1, longest_seconds=1000)
    for _ in range(5000):
        backoff.next_seconds()
    assert backoff.attempts == 5000

    backoff.reset()

    assert backoff.attempts == 0
    assert backoff.next_seconds() <= 1
