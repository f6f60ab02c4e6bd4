"""How a process of workers ends. Signals are real, and come to this process."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from django.db import connections

from inlive_banner.exceptions import SourceRefusedError
from inlive_banner.models import Interaction
from inlive_banner.tail import service as service_module
from inlive_banner.tail.service import run_workers
from inlive_banner.tail.sink import Sink
from inlive_banner.tail.source import Source
from inlive_banner.tail.worker import Phase, Worker
from tests.polling import wait_until
from tests.tail.fake_channel import FakeChannel
from tests.tail.test_worker import SlowSink, make_worker

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _handlers_are_put_back() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    assert {number: signal.getsignal(number) for number in before} == before


class Meanwhile:
    """Does something in a thread of its own while the main thread runs the workers."""

    def __init__(self, action: Callable[[], object]) -> None:
        self._errors: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, args=(action,), daemon=True)
        self._thread.start()

    def _run(self, action: Callable[[], object]) -> None:
        try:
            action()
        except BaseException as error:  # noqa: BLE001  (shown by check)
            self._errors.append(error)
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            connections.close_all()

    def check(self) -> None:
        self._thread.join(timeout=10)
        assert self._errors == []


def send(*numbers: int) -> None:
    for number in numbers:
        os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_run_workers_on_a_signal_returns_promptly_with_all_that_was_read_recorded(
    channel: FakeChannel, number: signal.Signals
) -> None:
    workers = [make_worker(channel, Sink(15)), make_worker(channel, Sink(16))]
    channel.publish(3)
    signalled: list[float] = []

    def signal_when_recorded() -> None:
        wait_until(lambda: Interaction.objects.count() == 6)
        signalled.append(time.monotonic())
        send(number)

    meanwhile = Meanwhile(signal_when_recorded)
    run_workers(workers)
    ended = time.monotonic()
    meanwhile.check()

    assert ended - signalled[0] < 1
    assert [worker.phase for worker in workers] == [Phase.ENDED, Phase.ENDED]


def test_run_workers_on_a_signal_waits_for_the_commit(channel: FakeChannel) -> None:
    channel.publish(3)
    sink = SlowSink()
    worker = make_worker(channel, sink)

    def signal_in_the_middle() -> None:
        assert sink.asked.wait(timeout=10)
        send(signal.SIGTERM)
        wait_until(worker._stopping.is_set)
        sink.let.set()

    meanwhile = Meanwhile(signal_in_the_middle)
    run_workers([worker])
    meanwhile.check()

    assert Interaction.objects.count() == 3


def test_run_workers_on_a_second_signal_gives_up_at_once(channel: FakeChannel) -> None:
    channel.publish(3)
    sink = SlowSink()
    worker = make_worker(channel, sink)

    def signal_twice() -> None:
        assert sink.asked.wait(timeout=10)
        send(signal.SIGINT)
        wait_until(worker._stopping.is_set)
        send(signal.SIGINT)

    meanwhile = Meanwhile(signal_twice)
    with pytest.raises(KeyboardInterrupt):
        run_workers([worker])
    meanwhile.check()

    assert Interaction.objects.count() == 0
    sink.let.set()
    wait_until(lambda: worker.phase is Phase.ENDED)


def test_run_workers_leaves_one_behind_that_is_stuck_in_connecting() -> None:
    """The other end accepts and says nothing; there is nothing to finish."""
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        url = f"http://127.0.0.1:{mute.getsockname()[1]}"
        source = Source(channel_url=url, stream_id=15, make_ticket=str, keep_alive_seconds=2)
        accepted: list[socket.socket] = []

        def accept_and_signal() -> None:
            accepted.append(mute.accept()[0])
            send(signal.SIGTERM)

        worker = Worker(source, Sink(15))
        meanwhile = Meanwhile(accept_and_signal)
        began = time.monotonic()
        run_workers([worker])
        assert time.monotonic() - began < 2
        meanwhile.check()

        accepted[0].close()
        wait_until(lambda: worker.phase is Phase.ENDED)


def test_run_workers_where_one_is_refused_stops_the_others_and_raises(channel: FakeChannel) -> None:
    follower = make_worker(channel, Sink(16))

    class RefusedSource(Source):
        def subscribe(self, last_event_id: str) -> object:  # type: ignore[override]
            wait_until(lambda: follower.phase is Phase.FOLLOWING)
            raise SourceRefusedError("No.", status=403)

    refused = Worker(
        RefusedSource(channel_url=channel.url, stream_id=15, make_ticket=str, keep_alive_seconds=15), Sink(15)
    )

    with pytest.raises(SourceRefusedError):
        run_workers([follower, refused])

    assert follower.phase is Phase.ENDED


def test_run_workers_calls_what_is_to_be_done_meanwhile_and_stops_that_with_them(
    channel: FakeChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_module, "_MEANWHILE_SECONDS", 0.01)
    calls: list[str] = []
    worker = make_worker(channel)

    def call() -> None:
        calls.append(threading.current_thread().name)
        if len(calls) == 3:
            worker.stop()

    run_workers([worker], meanwhile=call)

    assert set(calls) == {"inlive-meanwhile"}
    wait_until(lambda: "inlive-meanwhile" not in {thread.name for thread in threading.enumerate()})
