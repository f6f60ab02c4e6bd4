from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError, connections

from inlive_banner.envelope import EventId
from inlive_banner.exceptions import SourceRefusedError, SourceUnavailableError
from inlive_banner.models import Gap, Interaction, Position, Rollup
from inlive_banner.tail import worker as worker_module
from inlive_banner.tail.backoff import Backoff
from inlive_banner.tail.records import Init, Record
from inlive_banner.tail.sink import Report, Sink
from inlive_banner.tail.source import Source
from inlive_banner.tail.worker import Phase, Worker
from tests.polling import wait_until
from tests.rows import KEPT_PAIRS
from tests.tail.fake_channel import Connection, FakeChannel
from tests.tail.making import EPOCH, encode_event, encode_init, make_record

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "postgres"])


def make_worker(
    channel: FakeChannel,
    sink: Sink | None = None,
    *,
    once: bool = False,
    **options: Any,
) -> Worker:
    source = Source(channel_url=channel.url, stream_id=15, make_ticket=lambda: "ticket", keep_alive_seconds=30)
    return Worker(
        source,
        sink or Sink(15),
        once=once,
        make_backoff=lambda: Backoff(first_seconds=0.001, longest_seconds=0.01),
        **options,
    )


@contextmanager
def running(worker: Worker) -> Iterator[None]:
    """Run the worker in a thread for the length of the block; what it raised is raised at its end."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            worker.run()
        except BaseException as error:  # noqa: BLE001  (raised below)
            errors.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        worker.stop()
        thread.join(timeout=10)
    assert not thread.is_alive(), "the worker didn't stop"
    if errors:
        raise errors[0]


def stored(alias: str = "default") -> list[str]:
    return list(Interaction.objects.using(alias).order_by("pk").values_list("event_id", flat=True))


def clicks(*seqs: int) -> list[str]:
    return [f"{EPOCH}-{seq}" for seq in seqs]


def wait_for_clicks(count: int, alias: str = "default") -> None:
    wait_until(lambda: len(stored(alias)) >= count, what=f"{count} rows")


def test_worker_tells_what_each_connection_began_with(channel: FakeChannel) -> None:
    """Before it reads on, so that whoever shows the progress knows how far it is to the head."""
    told: list[tuple[Init, int]] = []
    channel.publish(3)
    channel.scripts.append(lambda connection: connection.begin())  # and its end, before it has begun to speak
    worker = make_worker(channel, once=True, on_connected=lambda init: told.append((init, Interaction.objects.count())))

    worker.run()

    assert told == [(Init(position=EventId(EPOCH, 0), head=f"{EPOCH}-3", token="t"), 0)]


class CountingSink(Sink):
    """Counts its commits."""

    commits = 0

    def record(self, records: Sequence[Record]) -> Report:
        report = super().record(records)
        self.commits += 1
        return report


def test_worker_records_a_lone_click_at_once(channel: FakeChannel, database_alias: str) -> None:
    with running(make_worker(channel, Sink(15, using=database_alias))):
        wait_until(lambda: channel.connections)
        began = time.monotonic()
        channel.publish()
        wait_for_clicks(1, database_alias)
        assert time.monotonic() - began < 2


def test_worker_records_a_flood_in_batches(channel: FakeChannel) -> None:
    channel.publish(3000)
    sink = CountingSink(15)

    with running(make_worker(channel, sink)):
        wait_for_clicks(3000)

    assert stored() == clicks(*range(1, 3001))
    assert sink.commits < 60


def test_worker_begins_where_the_database_is(channel: FakeChannel) -> None:
    channel.publish(5)
    Sink(15).record([make_record(1), make_record(2)])

    with running(make_worker(channel)):
        wait_for_clicks(5)

    assert channel.connections[0].last_event_id == f"{EPOCH}-2"
    assert stored() == clicks(1, 2, 3, 4, 5)


def test_worker_without_a_position_begins_at_the_oldest(channel: FakeChannel) -> None:
    with running(make_worker(channel)):
        wait_until(lambda: channel.connections)

    assert channel.connections[0].last_event_id == "0"


@pytest.mark.parametrize("end", [Connection.reset, Connection.end_stream], ids=["broken", "ended"])
def test_worker_whose_connection_ends_goes_on_from_its_position(
    channel: FakeChannel, end: Callable[[Connection], None]
) -> None:
    def deliver_and_end(connection: Connection) -> None:
        connection.begin()
        connection.send(encode_init() + encode_event(1) + encode_event(2)[:-5])
        wait_for_clicks(1)
        connections.close_all()
        end(connection)

    channel.head = 3
    channel.scripts.append(deliver_and_end)

    with running(make_worker(channel)):
        wait_for_clicks(3)

    assert stored() == clicks(1, 2, 3)
    assert [connection.last_event_id for connection in channel.connections] == ["0", f"{EPOCH}-1"]


def test_worker_given_events_again_stores_them_once(channel: FakeChannel) -> None:
    def deliver_twice(connection: Connection) -> None:
        connection.begin()
        both = encode_event(1) + encode_event(2)
        connection.send(encode_init() + both + both + encode_event(3))
        connection.stall()

    channel.scripts.append(deliver_twice)

    with running(make_worker(channel)):
        wait_for_clicks(3)

    assert stored() == clicks(1, 2, 3)
    assert len(channel.connections) == 1


def skipping(*seqs: int, position: str = f"{EPOCH}-0", recovered: bool = True) -> Callable[[Connection], None]:
    """A script that delivers these events only."""

    def deliver(connection: Connection) -> None:
        connection.begin()
        connection.send(encode_init(position, recovered=recovered) + b"".join(map(encode_event, seqs)))
        connection.stall()

    return deliver


def test_worker_that_meets_a_hole_asks_once_more(channel: FakeChannel) -> None:
    channel.scripts.append(skipping(1, 4))
    channel.head = 4

    with running(make_worker(channel)):
        wait_for_clicks(4)

    assert stored() == clicks(1, 2, 3, 4)
    assert channel.connections[1].last_event_id == f"{EPOCH}-1"
    assert Position.objects.get().lost_events == 0


def test_worker_whose_hole_stays_records_the_loss_warns_once_and_goes_on(
    channel: FakeChannel, caplog: pytest.LogCaptureFixture
) -> None:
    channel.scripts += [skipping(1, 4), skipping(4, 5)]

    with running(make_worker(channel)):
        wait_for_clicks(3)

    assert stored() == clicks(1, 4, 5)
    assert len(channel.connections) == 2
    assert Position.objects.get().lost_events == 2
    assert [record.levelname for record in caplog.records if "missing" in record.message] == ["WARNING"]


def test_worker_told_that_the_channel_couldnt_recover_warns_and_goes_on(
    channel: FakeChannel, caplog: pytest.LogCaptureFixture
) -> None:
    """The hole is announced: asking again would bring the same."""
    Sink(15).record([make_record(1)])
    channel.scripts.append(skipping(4, 5, position=f"{EPOCH}-3", recovered=False))
    reports: list[Report] = []

    with running(make_worker(channel, on_report=reports.append)):
        wait_for_clicks(3)

    assert [(report.position, report.lost) for report in reports][:1] == [(f"{EPOCH}-3", 2)]

    assert stored() == clicks(1, 4, 5)
    assert len(channel.connections) == 1
    assert Position.objects.get().lost_events == 2
    assert Gap.objects.values_list("after_event_id", "resumed_after", "lost_events").get() == (*clicks(1, 3), 2)
    (warning,) = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert "lost=2 The channel can't go on exactly from here" in warning


def test_worker_told_that_the_channel_couldnt_recover_asks_from_the_new_position_next_time(
    channel: FakeChannel, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where nothing new has come since; so it is told, and warns, once."""
    Sink(15).record([make_record(9)])

    def restored(connection: Connection) -> None:
        connection.begin()
        connection.send(encode_init(f"{EPOCH}-3", head=f"{EPOCH}-3", recovered=False))
        wait_until(lambda: Sink(15).position() == f"{EPOCH}-3")
        connections.close_all()
        connection.end_stream()

    channel.scripts.append(restored)
    channel.head = 3

    with running(make_worker(channel)):
        wait_until(lambda: len(channel.connections) >= 2)
        channel.publish()
        wait_for_clicks(2)

    assert [connection.last_event_id for connection in channel.connections] == clicks(9, 3)
    assert stored() == clicks(9, 4)
    assert Gap.objects.get().lost_events is None
    assert caplog.text.count("lost=unknown The channel can't go on exactly from here") == 1


def test_worker_whose_channel_lost_its_log_records_what_is_new(channel: FakeChannel) -> None:
    """Nothing twice: the new log holds an old click again, which its publisher had retried."""
    Sink(15).record([make_record(1), make_record(2)])
    other = "fedcba9876543210"

    def new_log(connection: Connection) -> None:
        connection.begin()
        again = encode_event(1, epoch=other, publish_id=make_record(2).row.publish_id)
        connection.send(encode_init(f"{other}-0", recovered=False) + again + encode_event(2, epoch=other))
        connection.stall()

    channel.scripts.append(new_log)

    with running(make_worker(channel)):
        wait_for_clicks(3)
        wait_until(lambda: Sink(15).position() == f"{other}-2")

    assert stored() == [*clicks(1, 2), f"{other}-2"]


def test_worker_counts_views_of_an_older_log_from_its_head_on(channel: FakeChannel) -> None:
    """Up to the head they are counted already; beyond it the numbers, though given before, are of new ones."""
    other = "fedcba9876543210"
    views = [make_record(seq, action="view") for seq in range(1, 6)]
    Sink(15).record([*views, make_record(1, epoch=other, action="view")])

    def older_log(connection: Connection) -> None:
        connection.begin()
        events = [encode_event(seq, interaction="view", message={"action": "view"}) for seq in (1, 2, 3)]
        connection.send(encode_init(f"{EPOCH}-0", head=f"{EPOCH}-2", recovered=False) + b"".join(events))
        connection.stall()

    channel.scripts.append(older_log)

    with running(make_worker(channel)):
        wait_until(lambda: Sink(15).position() == f"{EPOCH}-3")

    for kind in KEPT_PAIRS:
        assert sum(Rollup.objects.by(*kind).values_list("count", flat=True)) == 5 + 1 + 1
    assert stored() == []


def test_worker_passes_over_what_it_cant_read(channel: FakeChannel) -> None:
    def deliver_garbage(connection: Connection) -> None:
        connection.begin()
        connection.send(encode_init())
        connection.send(b"id: %s-1\ndata: {\n\n" % EPOCH.encode())
        connection.send(encode_event(2, message={"time": "noon"}))
        connection.send(encode_event(3, message="hello", interaction=""))
        connection.send(b"data: {}\n\nevent: other\ndata: 7\n\n")
        connection.send(encode_event(0, type="system", id="", publish_id=""))
        connection.send(encode_event(4))
        connection.stall()

    channel.scripts.append(deliver_garbage)

    with running(make_worker(channel)):
        wait_for_clicks(1)

    assert stored() == clicks(4)
    position = Position.objects.get()
    assert (position.last_event_id, position.malformed_events, position.lost_events) == (f"{EPOCH}-4", 2, 0)


def test_worker_given_an_event_without_end_drops_it_alone_and_says_so(
    channel: FakeChannel, caplog: pytest.LogCaptureFixture
) -> None:
    """Ten megabytes of a name. Its id came first, so the position moves on, also where it is the newest event."""

    def deliver(connection: Connection) -> None:
        connection.begin()
        connection.send(encode_init() + encode_event(1))
        connection.send(encode_event(2, message={"name": "x" * 10_000_000}) + encode_event(3))
        connection.send(encode_event(4, message={"name": "x" * 10_000_000}))
        connection.stall()

    channel.scripts.append(deliver)

    with running(make_worker(channel)):
        wait_for_clicks(2)
        wait_until(lambda: Sink(15).position() == f"{EPOCH}-4")

    assert stored() == clicks(1, 3)
    position = Position.objects.get()
    assert (position.lost_events, position.malformed_events) == (0, 2)
    assert len(channel.connections) == 1
    assert "longer than the worker reads" in caplog.text


@pytest.mark.parametrize(
    ("message", "malformed", "name"),
    [
        ({"user_id": ""}, 1, None),
        ({"time": "noon"}, 1, None),
        ({"name": "a\0b"}, 0, "a\ufffdb"),
        ({"name": "n" * 20_000}, 0, "n" * 199 + "…"),
        ({"name": "SURROGATE"}, 1, None),
    ],
    ids=["no user id", "time", "NUL", "too long", "lone surrogate"],
)
def test_worker_given_a_bad_message_goes_on_with_the_next(
    channel: FakeChannel, message: dict[str, object], malformed: int, name: str | None, database_alias: str
) -> None:
    def deliver(connection: Connection) -> None:
        connection.begin()
        bad = encode_event(1, message=message).replace(b"SURROGATE", rb"\ud800")
        connection.send(encode_init() + bad + encode_event(2))
        connection.stall()

    channel.scripts.append(deliver)

    with running(make_worker(channel, Sink(15, using=database_alias))):
        wait_for_clicks(1 if malformed else 2, database_alias)

    position = Position.objects.using(database_alias).get()
    assert (position.last_event_id, position.malformed_events) == (f"{EPOCH}-2", malformed)
    names = list(Interaction.objects.using(database_alias).order_by("pk").values_list("name", flat=True))
    assert names == ([name] if name else []) + ["demo-banner"]


def test_worker_names_itself_as_the_holder_while_it_is_connected(channel: FakeChannel) -> None:
    worker = make_worker(channel)

    with running(worker):
        wait_until(lambda: worker.phase is Phase.FOLLOWING)
        held = Position.objects.get()

    free = Position.objects.get()
    assert held.holder == Sink(15).holder
    assert held.connected_since is not None
    assert (free.holder, free.connected_since) == ("", None)


def test_worker_that_cant_take_its_name_back_ends_all_the_same(channel: FakeChannel) -> None:
    class StuckSink(Sink):
        def end(self) -> None:
            raise OperationalError("gone")

    channel.publish()

    make_worker(channel, StuckSink(15), once=True).run()

    assert stored() == clicks(1)


def test_worker_tells_what_each_batch_came_to_after_its_commit(channel: FakeChannel) -> None:
    channel.publish(3)
    seen: list[tuple[int, int]] = []
    source = Source(channel_url=channel.url, stream_id=15, make_ticket=str, keep_alive_seconds=30)

    Worker(source, Sink(15), once=True, on_report=lambda report: seen.append((report.inserted, len(stored())))).run()

    assert sum(inserted for inserted, _ in seen) == 3
    assert seen[-1][1] == 3


def test_worker_refused_raises_at_once(channel: FakeChannel) -> None:
    channel.scripts.append(lambda connection: connection.answer(401, b'{"message": "No."}'))

    with pytest.raises(SourceRefusedError, match="No"):
        make_worker(channel).run()

    assert len(channel.connections) == 1


def test_worker_whose_channel_is_away_logs_one_line_per_change_of_state(
    channel: FakeChannel, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "inlive_banner")
    channel.publish()
    channel.scripts += [lambda connection: connection.answer(503)] * 7

    with running(make_worker(channel)):
        wait_for_clicks(1)

    words = [record.getMessage().removeprefix("stream=15 ") for record in caplog.records]
    assert [word.split(" ")[0] for word in words] == ["waiting", "following", "ended"], words


def test_worker_waits_as_long_as_the_channel_asks(channel: FakeChannel) -> None:
    channel.scripts.append(lambda connection: connection.answer(503, headers={"Retry-After": "30"}))
    worker = make_worker(channel)

    with running(worker):
        wait_until(lambda: worker.phase is Phase.CHANNEL_AWAY)
        assert not worker._stopping.wait(0.2)  # twenty times its longest back-off
        assert len(channel.connections) == 1


def test_worker_whose_connections_end_at_once_backs_off(channel: FakeChannel) -> None:
    """It mustn't spin on a channel that ends each stream as soon as it has begun."""

    def end_at_once(connection: Connection) -> None:
        connection.begin()
        connection.send(encode_init())
        connection.end_stream()

    channel.scripts += [end_at_once] * 3
    worker = make_worker(channel)

    with running(worker):
        wait_until(lambda: len(channel.connections) == 4)
        assert worker._channel_backoff.attempts == 3


def test_worker_after_a_stable_connection_begins_with_short_waits(
    channel: FakeChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hold_and_end(connection: Connection) -> None:
        connection.begin()
        connection.send(encode_init())
        connection.end_stream()

    monkeypatch.setattr(worker_module, "_STABLE_SECONDS", 0)
    channel.scripts += [lambda connection: connection.answer(503)] * 3 + [hold_and_end]
    worker = make_worker(channel)

    with running(worker):
        wait_until(lambda: len(channel.connections) == 5)
        assert worker._channel_backoff.attempts == 0


class FailingSink(CountingSink):
    """Its database is away for the first calls."""

    def __init__(self, errors: list[Exception], *, after_commit: bool = False) -> None:
        super().__init__(15)
        self.errors = errors
        self.after_commit = after_commit

    def record(self, records: Sequence[Record]) -> Report:
        if self.errors and not self.after_commit:
            raise self.errors.pop()
        report = super().record(records)
        if self.errors:
            raise self.errors.pop()
        return report


@pytest.mark.parametrize("after_commit", [False, True], ids=["before", "with unknown outcome of the commit"])
def test_worker_whose_database_goes_away_loses_and_doubles_nothing(
    channel: FakeChannel, caplog: pytest.LogCaptureFixture, after_commit: bool
) -> None:
    channel.publish(100)
    errors = [OperationalError("gone"), InterfaceError("closed"), OperationalError("gone")]
    sink = FailingSink(list(errors), after_commit=after_commit)

    worker = make_worker(channel, sink)

    with running(worker):
        wait_for_clicks(100)
        # Back at work, not only out of errors: stopped while it still waits, the worker raises the last of them.
        wait_until(lambda: not sink.errors and worker.phase is Phase.FOLLOWING)

    assert stored() == clicks(*range(1, 101))
    assert len(channel.connections) == 1
    waiting = [record for record in caplog.records if "waiting for the database" in record.message]
    assert len(waiting) == 1


def test_worker_whose_database_connection_is_killed_opens_another(channel: FakeChannel) -> None:
    with running(make_worker(channel, Sink(15, using="postgres"))):
        channel.publish()
        wait_for_clicks(1, "postgres")
        with connections["postgres"].cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            assert cursor.rowcount >= 1
        channel.publish()
        wait_for_clicks(2, "postgres")


def test_worker_with_another_database_error_raises_it_and_keeps_the_position(channel: FakeChannel) -> None:
    channel.publish()

    worker = make_worker(channel, FailingSink([ZeroDivisionError()]))

    with pytest.raises(ZeroDivisionError):
        worker.run()

    assert Sink(15).position() == "0"


def test_worker_stopped_while_a_read_blocks_returns_promptly(channel: FakeChannel) -> None:
    worker = make_worker(channel)

    with running(worker):
        wait_until(lambda: worker.phase is Phase.FOLLOWING)
        began = time.monotonic()

    assert time.monotonic() - began < 1
    assert worker.phase is Phase.ENDED


def test_worker_stopped_while_it_waits_for_the_channel_returns_promptly(channel: FakeChannel) -> None:
    channel.scripts.append(lambda connection: connection.answer(503, headers={"Retry-After": "30"}))
    worker = make_worker(channel)

    with running(worker):
        wait_until(lambda: worker.phase is Phase.CHANNEL_AWAY)
        began = time.monotonic()

    assert time.monotonic() - began < 1


def test_worker_stopped_while_it_connects_reads_nothing(channel: FakeChannel) -> None:
    """stop() came before there was a subscription that it could interrupt."""
    stopped = threading.Event()

    def answer_late(connection: Connection) -> None:
        stopped.wait(timeout=5)
        connection.begin()
        connection.stall()  # a read would block

    channel.scripts.append(answer_late)
    worker = make_worker(channel)

    with running(worker):
        wait_until(lambda: channel.connections)
        assert worker.phase is Phase.CONNECTING
        worker.stop()
        stopped.set()


def test_worker_stopped_before_it_runs_does_nothing(channel: FakeChannel) -> None:
    worker = make_worker(channel)
    worker.stop()

    worker.run()

    assert channel.connections == []


class SlowSink(CountingSink):
    """Commits when the test lets it."""

    def __init__(self) -> None:
        super().__init__(15)
        self.asked = threading.Event()
        self.let = threading.Event()

    def record(self, records: Sequence[Record]) -> Report:
        self.asked.set()
        self.let.wait(timeout=10)
        return super().record(records)


def test_worker_stopped_while_it_records_finishes_the_batch(channel: FakeChannel) -> None:
    channel.publish(10)
    sink = SlowSink()
    worker = make_worker(channel, sink)

    with running(worker):
        sink.asked.wait(timeout=10)
        worker.stop()
        sink.let.set()

    assert stored() == clicks(*range(1, 11))


def test_worker_stopped_in_a_flood_commits_what_it_has_read(channel: FakeChannel) -> None:
    """More is always there to be read, so the batch isn't complete when the worker is stopped."""

    def flood(connection: Connection) -> None:
        connection.begin()
        connection.send(encode_init())
        for seq in range(1, 100_000):
            connection.send(encode_event(seq))

    channel.scripts.append(flood)

    with running(make_worker(channel)):
        wait_for_clicks(1)

    count = len(stored())
    assert stored() == clicks(*range(1, count + 1))
    assert Sink(15).position() == f"{EPOCH}-{count}"


def test_worker_stopped_while_the_database_is_away_raises_its_error(channel: FakeChannel) -> None:
    channel.publish()
    worker = make_worker(channel, FailingSink([OperationalError("gone")] * 100_000))

    with pytest.raises(OperationalError), running(worker):
        wait_until(lambda: worker.phase is Phase.DATABASE_AWAY)


def test_worker_once_returns_at_the_head(channel: FakeChannel) -> None:
    channel.publish(700)

    make_worker(channel, once=True).run()

    assert stored() == clicks(*range(1, 701))


@pytest.mark.parametrize(
    ("position", "init"),
    [
        (None, encode_init(f"{EPOCH}-0", head=f"{EPOCH}-0")),
        (None, encode_init(f"{EPOCH}-5", head=f"{EPOCH}-5")),
        (5, encode_init(f"{EPOCH}-5", head=f"{EPOCH}-5")),
        (5, encode_init(f"{EPOCH}-3", head=f"{EPOCH}-3", recovered=False)),
        (5, encode_init("fedcba9876543210-0", head="fedcba9876543210-0", recovered=False)),
        (5, encode_init("fedcba9876543210-3", head="fedcba9876543210-3", recovered=False)),
        (None, encode_init("", token="")),
    ],
    ids=[
        "empty log",
        "all trimmed away",
        "all recorded",
        "restored from an older backup",
        "log lost",
        "log lost, head trimmed away",
        "server names no head",
    ],
)
def test_worker_once_with_nothing_to_record_returns(channel: FakeChannel, position: int | None, init: bytes) -> None:
    def nothing(connection: Connection) -> None:
        connection.begin()
        connection.send(init)
        connection.stall()

    if position is not None:
        Sink(15).record([make_record(seq) for seq in range(1, position + 1)])
    channel.scripts.append(nothing)

    make_worker(channel, once=True).run()

    assert len(channel.connections) == 1


def test_worker_once_without_a_channel_gives_up() -> None:
    worker = Worker(
        Source(channel_url="http://127.0.0.1:9", stream_id=15, make_ticket=str, keep_alive_seconds=15),
        Sink(15),
        once=True,
        make_backoff=lambda: Backoff(first_seconds=0.001, longest_seconds=0.01),
    )

    with pytest.raises(SourceUnavailableError, match="Can't reach"):
        worker.run()
