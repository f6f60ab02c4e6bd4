"""Workers of streams that are shared out, in one process: when they record, and when they don't."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import OperationalError, ProgrammingError, connections

from inlive_banner.models import Interaction, Lease, LiveWorker
from inlive_banner.tail.leases import Leases, Share
from inlive_banner.tail.service import run_workers
from inlive_banner.tail.sharing import SharedWorker, shared_out
from inlive_banner.tail.sink import Sink
from inlive_banner.tail.worker import Phase
from tests.polling import wait_until
from tests.tail.fake_channel import FakeChannel
from tests.tail.test_service import Meanwhile
from tests.tail.test_worker import SlowSink, make_worker, wait_for_clicks

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "postgres"])


@contextmanager
def running(worker: SharedWorker) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=worker.run, daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        worker.stop()
        thread.join(10)
        assert not thread.is_alive()


def test_worker_records_only_while_the_stream_is_ours(channel: FakeChannel) -> None:
    worker = SharedWorker(lambda: make_worker(channel))
    channel.publish(2)

    with running(worker):
        assert worker.phase is Phase.ELSEWHERE
        assert channel.connections == []
        worker.hold(is_ours=True)
        wait_for_clicks(2)
        worker.hold(is_ours=False)
        wait_until(lambda: worker.phase is Phase.ELSEWHERE)
        channel.publish(1)
        connected = len(channel.connections)
        worker.hold(is_ours=True)
        wait_for_clicks(3)

    assert len(channel.connections) == connected + 1
    assert worker.phase is Phase.ENDED


def test_what_was_read_is_recorded_before_the_stream_is_left(channel: FakeChannel) -> None:
    sink = SlowSink()
    worker = SharedWorker(lambda: make_worker(channel, sink))
    channel.publish(3)

    with running(worker):
        worker.hold(is_ours=True)
        assert sink.asked.wait(10)
        worker.hold(is_ours=False)
        assert worker.phase is not Phase.ELSEWHERE
        sink.let.set()
        wait_until(lambda: worker.phase is Phase.ELSEWHERE)
        assert Interaction.objects.count() == 3


def test_worker_that_waits_ends_when_it_is_told() -> None:
    worker = SharedWorker(pytest.fail)
    with running(worker) as thread:
        worker.stop()
        worker.hold(is_ours=True)
        thread.join(10)
        assert not thread.is_alive()


def test_two_processes_share_and_one_goes_on_alone(channel: FakeChannel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inlive_banner.tail.sharing.RENEW_SECONDS", 0.05)
    here = {stream_id: SharedWorker(lambda: make_worker(channel, Sink(15))) for stream_id in (15, 16)}
    there = Leases("elsewhere:1", here)
    assert there.renew().streams == {15, 16}

    def look() -> None:
        wait_until(LiveWorker.objects.filter(name__startswith="here").exists)
        there.give_back(there.renew().surplus)
        wait_until(lambda: Lease.objects.filter(holder__startswith="here").count() == 1)
        wait_until(lambda: sorted(worker.phase.name for worker in here.values()) == ["ELSEWHERE", "FOLLOWING"])
        there.leave()
        wait_until(lambda: all(worker.phase is Phase.FOLLOWING for worker in here.values()))
        assert there.renew().streams == set()
        wait_until(lambda: Lease.objects.filter(holder="").count() == 1)
        assert sorted(worker.phase.name for worker in here.values()) == ["ELSEWHERE", "FOLLOWING"]
        for worker in here.values():
            worker.stop()

    meanwhile = Meanwhile(look)
    with shared_out(here, Leases("here:1", here)):
        run_workers(list(here.values()))
    meanwhile.check()

    assert set(LiveWorker.objects.values_list("name", flat=True)) == {there.name}
    assert not Lease.objects.filter(holder__startswith="here").exists()


class FailingLeases(Leases):
    """A database that is away at the second renewal, and at the third one isn't what it should be."""

    renewals = 0

    def renew(self) -> Share:
        self.renewals += 1
        if self.renewals == 2:
            raise OperationalError("away")
        if self.renewals == 3:
            with connections["postgres"].cursor() as cursor:  # SQLite calls it an OperationalError, too
                cursor.execute("SELECT nothing FROM nowhere")
        return super().renew()


def test_absent_database_leaves_everybody_what_they_have_and_a_wrong_one_ends_it(
    channel: FakeChannel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("inlive_banner.tail.sharing.RENEW_SECONDS", 0.3)
    worker = SharedWorker(lambda: make_worker(channel))
    leases = FailingLeases("here:1", [15])
    seen: list[Phase] = []

    def look() -> None:
        wait_until(lambda: leases.renewals == 2)
        seen.append(worker.phase)

    meanwhile = Meanwhile(look)
    with pytest.raises(ProgrammingError, match="nowhere"), shared_out({15: worker}, leases):
        run_workers([worker])
    meanwhile.check()

    assert seen == [Phase.FOLLOWING]
    assert worker.phase is Phase.ENDED
    assert "can't be renewed, trying again: away" in caplog.text


def test_process_that_ends_leaves_its_streams_at_once() -> None:
    waiting = {15: SharedWorker(pytest.fail)}
    with shared_out(waiting, Leases("here:1", [])):
        wait_until(LiveWorker.objects.exists)

    assert not LiveWorker.objects.exists()
