"""What is read together belongs together, whatever the worker commits meanwhile."""

from __future__ import annotations

import threading
from itertools import count

import pytest
from django.db import connections, transaction

from inlive_banner import moment
from inlive_banner.figures import read_figures
from inlive_banner.models import Interaction
from inlive_banner.moment import read_at_one_moment
from inlive_banner.query import EVERYTHING, LogQuery
from inlive_banner.rows import LogRows
from inlive_banner.tail.sink import Sink
from tests.polling import wait_until
from tests.tail.making import EPOCH, NOW, make_record

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "postgres"])


@pytest.fixture
def seqs():
    """Numbers of events; the first is recorded already."""
    return count(1)


@pytest.fixture
def database(database_alias, seqs):
    """A database with one row, where a reader doesn't keep the worker from committing."""
    Sink(15, using=database_alias).record([make_record(next(seqs))])
    connection = connections[database_alias]
    if connection.vendor == "postgresql":
        yield database_alias
        return
    set_journal_mode(connection, "wal")
    try:
        yield database_alias
    finally:
        set_journal_mode(connection, "delete")


def set_journal_mode(connection, mode):
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA journal_mode = {mode}")
        assert cursor.fetchall() == [(mode,)]


@pytest.fixture
def worker(database, seqs):
    """Records one more in another thread, as another process does; returns once that is committed, or at once."""
    threads, errors = [], []

    def work(record):
        try:
            Sink(15, using=database).record([record])
        except Exception as error:  # noqa: BLE001  (shown below)
            errors.append(error)
        finally:
            connections.close_all()

    def commit(*, wait=True, **overrides):
        record = make_record(next(seqs))
        thread = threading.Thread(target=work, args=(record._replace(**overrides),), daemon=True)
        threads.append(thread)
        thread.start()
        if wait:
            thread.join(timeout=30)
            assert not thread.is_alive(), "the worker waits for the reader"
        return thread

    yield commit
    for thread in threads:
        thread.join(timeout=30)
    assert errors == []


class Reader:
    """Reads position, rows and numbers, with something in between."""

    def __init__(self, using, between):
        self.using = using
        self.between = between
        self.calls = 0

    def __call__(self, position):
        self.calls += 1
        query = LogQuery(stream_id=15, who=EVERYTHING)
        rows = Interaction.objects.using(self.using).count()
        self.between(self.calls)
        clicks = read_figures(query, now=NOW, using=self.using).totals.clicks
        self.between(self.calls)
        return position, rows, clicks, len(LogRows(query, using=self.using).newest())


def test_rows_numbers_and_position_are_of_one_moment(database, worker):
    reader = Reader(database, lambda call: worker())

    assert read_at_one_moment(15, reader, using=database) == (f"{EPOCH}-1", 1, 1, 1)
    assert reader.calls == 1
    assert read_at_one_moment(15, Reader(database, lambda call: None), using=database) == (f"{EPOCH}-3", 3, 3, 3)


def test_position_of_a_stream_that_has_none_is_the_oldest(database):
    assert read_at_one_moment(99, lambda position: position, using=database) == "0"


def test_error_of_the_reader_is_its_own_and_the_connection_stays_usable(database):
    def fail(position):
        raise KeyError(position)

    with pytest.raises(KeyError, match=f"{EPOCH}-1"):
        read_at_one_moment(15, fail, using=database)

    assert not connections[database].in_atomic_block
    assert Sink(15, using=database).record([make_record(2)]).inserted == 1


def test_moment_inside_a_transaction_is_one_too(database, worker):
    """As with ATOMIC_REQUESTS: on PostgreSQL each statement sees what is committed by then, so it reads again."""
    reader = Reader(database, lambda call: worker() if call < 3 else None)

    with transaction.atomic(using=database):
        found = read_at_one_moment(15, reader, using=database)

    is_again = connections[database].vendor == "postgresql"
    number = 5 if is_again else 1
    assert found == (f"{EPOCH}-{number}", number, number, number)
    assert reader.calls == (3 if is_again else 1)


def test_moment_inside_a_transaction_is_one_too_where_events_have_no_ids(database, worker):
    """A server of the original protocol: the position stays "0", whatever is recorded."""
    reader = Reader(database, lambda call: worker(event_id=None) if call < 3 else None)

    with transaction.atomic(using=database):
        _, *numbers = read_at_one_moment(15, reader, using=database)

    assert len({*numbers}) == 1


def waiting_for_locks():
    with connections["postgres"].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return cursor.fetchone()[0]


@pytest.mark.parametrize("database_alias", ["postgres"], indirect=True)
def test_moment_that_never_comes_is_made_by_a_lock(database, worker):
    """After some tries the worker waits until the transaction has ended, and then goes on."""
    held_up = []

    def commit(call):
        if call <= moment._TRIES:
            worker()
        elif not held_up:
            held_up.append(worker(wait=False))
            wait_until(waiting_for_locks, what="the worker to wait")

    reader = Reader(database, commit)
    with transaction.atomic(using=database):
        position, *numbers = read_at_one_moment(15, reader, using=database)
        assert held_up[0].is_alive()

    number = 1 + 2 * moment._TRIES
    assert (position, *numbers) == (f"{EPOCH}-{number}", number, number, number)
    assert reader.calls == moment._TRIES + 1
    held_up[0].join(timeout=30)
    assert Interaction.objects.using(database).count() == number + 1


@pytest.mark.parametrize("database_alias", ["postgres"], indirect=True)
def test_moment_where_the_site_commits_by_itself_is_one_too(database, worker):
    """`AUTOCOMMIT: False`: a transaction has begun, of which Django's atomic() knows nothing."""
    connection = connections[database]
    connection.set_autocommit(False)
    try:
        assert Interaction.objects.using(database).count() == 1
        reader = Reader(database, lambda call: worker() if call < 2 else None)
        position, *numbers = read_at_one_moment(15, reader, using=database)
    finally:
        connection.rollback()
        connection.set_autocommit(True)

    assert (position, *numbers) == (f"{EPOCH}-3", 3, 3, 3)
