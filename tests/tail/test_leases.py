"""Leases of streams, on both databases and by their clocks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connections
from django.db.models.functions import Now
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inlive_banner.models import Lease, LiveWorker
from inlive_banner.tail.leases import LEASE, RENEW_SECONDS, Leases

STREAMS = range(10, 20)

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "postgres"])


@pytest.fixture
def join(database_alias: str) -> Callable[..., Leases]:
    """Another worker comes, and says so; what it gets is asked by its `renew`."""

    def join(streams: range = STREAMS) -> Leases:
        return Leases("host:1", streams, using=database_alias)

    return join


def settle(*workers: Leases) -> list[set[int]]:
    """Each renews and gives back its surplus, until all have what is theirs."""
    for _ in range(2):
        for worker in workers:
            worker.give_back(worker.renew().surplus)
    return [set(worker.renew().streams) for worker in workers]


def let_run_out(worker: Leases, alias: str) -> None:
    """As if it had not renewed for the length of a lease."""
    LiveWorker.objects.using(alias).filter(name=worker.name).update(alive_until=Now() - timedelta(milliseconds=1))


def test_worker_alone_gets_all_streams(join: Callable[..., Leases]) -> None:
    share = join().renew()

    assert share.streams == set(STREAMS)
    assert share.surplus == set()


@pytest.mark.parametrize(("count", "sizes"), [(2, [5, 5]), (3, [3, 3, 4]), (4, [2, 2, 3, 3]), (12, [0, 0, *[1] * 10])])
def test_streams_are_shared_out_evenly_each_to_one(join: Callable[..., Leases], count: int, sizes: list[int]) -> None:
    shares = settle(*(join() for _ in range(count)))

    assert sorted(len(share) for share in shares) == sizes
    assert sorted(stream for share in shares for stream in share) == list(STREAMS)


def test_newcomer_gets_nothing_before_another_has_given_it_back(join: Callable[..., Leases]) -> None:
    first, second = join(), join()
    first.renew()

    assert second.renew().streams == set()
    surplus = first.renew().surplus
    assert len(surplus) == 5
    assert second.renew().streams == set()
    first.give_back(surplus)
    assert second.renew().streams == surplus
    assert first.renew().streams == set(STREAMS) - surplus


def test_streams_of_a_dead_worker_are_taken_over_when_its_lease_has_run_out(
    join: Callable[..., Leases], database_alias: str
) -> None:
    first, second = join(), join()
    settle(first, second)

    assert len(second.renew().streams) == 5
    let_run_out(first, database_alias)
    assert second.renew().streams == set(STREAMS)


def test_worker_that_was_only_slow_leaves_what_was_taken_over(join: Callable[..., Leases], database_alias: str) -> None:
    first, second = join(), join()
    settle(first, second)
    let_run_out(first, database_alias)
    second.renew()

    assert first.renew().streams == set()
    shares = settle(first, second)
    assert [len(share) for share in shares] == [5, 5]


def test_worker_that_leaves_leaves_its_streams_at_once(join: Callable[..., Leases]) -> None:
    first, second = join(), join()
    settle(first, second)

    first.leave()

    assert second.renew().streams == set(STREAMS)
    assert second._workers.count() == 1


def test_worker_does_not_give_back_what_is_anothers(join: Callable[..., Leases], database_alias: str) -> None:
    first, second = join(), join()
    settle(first, second)
    let_run_out(first, database_alias)
    second.renew()

    first.give_back(STREAMS)

    assert set(Lease.objects.using(database_alias).values_list("holder", flat=True)) == {second.name}


def test_stream_that_is_configured_later_is_shared_out_too(join: Callable[..., Leases]) -> None:
    join(range(10, 12)).leave()

    assert join(range(10, 14)).renew().streams == {10, 11, 12, 13}


def test_stream_that_nobody_is_asked_to_record_stays_free(join: Callable[..., Leases]) -> None:
    join(range(10, 14)).leave()

    assert join(range(10, 12)).renew().streams == {10, 11}


def test_clock_set_back_keeps_no_dead_worker_alive(join: Callable[..., Leases], database_alias: str) -> None:
    """What it promised an hour from now was written by a clock that went an hour ahead."""
    dead = join()
    dead.renew()
    LiveWorker.objects.using(database_alias).update(alive_until=Now() + timedelta(hours=1))

    assert join().renew().streams == set(STREAMS)


def test_lease_is_long_enough_to_miss_two_renewals_and_short_enough_for_ten_seconds() -> None:
    assert 2 * RENEW_SECONDS < LEASE.total_seconds() <= 10 - RENEW_SECONDS - 1


def test_workers_that_come_at_once_get_each_stream_once(join: Callable[..., Leases], database_alias: str) -> None:
    """By the statement that takes it: what each has looked at before is old by then."""
    workers = [join(range(100)) for _ in range(4)]
    start = threading.Barrier(len(workers), timeout=10)
    shares: list[set[int]] = []

    def renew(worker: Leases) -> None:
        worker._workers.create(name=worker.name, alive_until=Now() + LEASE)
        start.wait()
        shares.append(set(worker.renew().streams))
        connections.close_all()

    threads = [threading.Thread(target=renew, args=(worker,), daemon=True) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert len(shares) == 4
    streams = [stream for share in shares for stream in share]
    assert len(streams) == len(set(streams))


def test_stream_that_another_has_just_taken_stays_with_it(join: Callable[..., Leases]) -> None:
    first, second = join(), join()
    first.renew()
    second.renew()

    second._take(10, names=[])

    assert second._mine() == set()


STEPS = st.tuples(st.sampled_from(["renew", "give back", "dies", "leaves"]), st.integers(0, 3))


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEPS, max_size=30))
@pytest.mark.django_db(transaction=True)
def test_each_stream_ends_with_one_of_those_who_live(steps: list[tuple[str, int]]) -> None:
    """Workers come, die, are slow and leave in any order."""
    Lease.objects.all().delete()
    LiveWorker.objects.all().delete()
    workers = {number: Leases("host:1", STREAMS) for number in range(4)}
    for step, number in steps:
        worker = workers.get(number)
        if worker is None:
            continue
        share = worker.renew()
        assert not share.streams & share.surplus
        if step == "give back":
            worker.give_back(share.surplus)
        if step == "leaves":
            workers.pop(number).leave()
        if step == "dies":
            let_run_out(workers.pop(number), "default")

    shares = settle(*workers.values())

    if shares:
        assert sorted(stream for share in shares for stream in share) == list(STREAMS)
        assert max(map(len, shares)) - min(map(len, shares)) <= 1
