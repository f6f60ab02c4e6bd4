"""Streams shared out among workers: each process records those that are leased to it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from django.db import connections

from inlive_banner.tail.leases import RENEW_SECONDS, Leases
from inlive_banner.tail.worker import DATABASE_AWAY, Phase, Worker

__all__ = ["SharedWorker", "shared_out"]

logger = logging.getLogger(__name__)

_LEAVE_SECONDS = 5.0
"""A process that ends waits no longer for the database to take its leases back: they run out by themselves."""


class SharedWorker:
    """Records one stream while it is leased to this process, and else waits. `run` and `stop` are as `Worker`'s."""

    def __init__(self, make_worker: Callable[[], Worker]) -> None:
        self._make_worker = make_worker
        self._changed = threading.Condition()
        self._is_ours = False
        self._stopping = False
        self._worker: Worker | None = None

    @property
    def phase(self) -> Phase:
        """As `Worker.phase`; `ELSEWHERE` while it waits for the stream to become ours."""
        worker = self._worker
        if worker is not None:
            return worker.phase
        return Phase.ENDED if self._stopping else Phase.ELSEWHERE

    def run(self) -> None:
        """Record whenever the stream is ours, until `stop`. Raises as `Worker.run`."""
        while (worker := self._next()) is not None:
            worker.run()
            connections.close_all()  # this thread's: it may be long until the next time
            with self._changed:
                self._worker = None

    def stop(self) -> None:
        """End `run`, as `Worker.stop` does."""
        with self._changed:
            self._stopping = True
        self.hold(is_ours=False)

    def hold(self, *, is_ours: bool) -> None:
        """Say whether the stream is ours now. Returns at once: what was read is still recorded."""
        with self._changed:
            self._is_ours = is_ours
            worker = self._worker
            self._changed.notify_all()
        if worker is not None and not is_ours:
            worker.stop()

    def _next(self) -> Worker | None:
        """Wait until the stream is ours, and return what records it; None where it is to end."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_ours or self._stopping)
            if not self._stopping:
                self._worker = self._make_worker()
            return self._worker


@contextmanager
def shared_out(workers: Mapping[int, SharedWorker], leases: Leases) -> Iterator[None]:
    """Keep each worker told, by its stream, whether that is ours, for as long as the block runs; then give all back.

    Where the database is away, everybody keeps what they have: nobody can take anything over meanwhile. Raises other
    errors of the database, after it has stopped the workers.
    """
    ended = threading.Event()
    failure: list[Exception] = []

    def keep() -> None:
        keeper = _Keeper(workers, leases)
        try:
            while not ended.is_set():
                keeper.renew()
                connections.close_all()
                ended.wait(RENEW_SECONDS)
            with suppress(*DATABASE_AWAY):
                leases.leave()
        except Exception as error:  # noqa: BLE001  (the main thread raises it)
            failure.append(error)
            for worker in workers.values():
                worker.stop()
        finally:
            connections.close_all()

    thread = threading.Thread(target=keep, name="inlive-leases", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(_LEAVE_SECONDS)
    if failure:
        raise failure[0]


class _Keeper:
    """Renews the leases, and passes on what that comes to."""

    def __init__(self, workers: Mapping[int, SharedWorker], leases: Leases) -> None:
        self._workers = workers
        self._leases = leases
        self._held: frozenset[int] = frozenset()
        self._is_away = False

    def renew(self) -> None:
        try:
            share = self._leases.renew()
            # Surplus that nothing is recorded of any more. One that is still at it is asked again the next time.
            idle = [stream_id for stream_id in share.surplus if self._workers[stream_id].phase is Phase.ELSEWHERE]
            if idle:
                self._leases.give_back(idle)
        except DATABASE_AWAY as error:
            if not self._is_away:
                logger.warning("The leases of the streams can't be renewed, trying again: %s", error)
            self._is_away = True
            return
        self._is_away = False
        for stream_id in sorted(share.streams - self._held):
            logger.info("stream=%s falls to this worker", stream_id)
        for stream_id in sorted(self._held - share.streams):
            logger.info("stream=%s is left to another worker", stream_id)
        self._held = share.streams
        for stream_id, worker in self._workers.items():
            worker.hold(is_ours=stream_id in share.streams)
