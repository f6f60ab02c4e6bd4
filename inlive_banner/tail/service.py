"""Several workers in one process, and how the process ends."""

from __future__ import annotations

import logging
import queue
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TypeAlias

from django.db import connections

from inlive_banner.tail.sharing import SharedWorker
from inlive_banner.tail.worker import Phase, Worker

__all__ = ["run_workers"]

logger = logging.getLogger(__name__)

_SIGNALS = (signal.SIGTERM, signal.SIGINT)

_POLL_SECONDS = 0.1
"""How often, while stopping, workers are looked at that may be left behind."""

_MEANWHILE_SECONDS = 5.0

_Inbox: TypeAlias = "queue.SimpleQueue[tuple[Worker | SharedWorker | None, BaseException | None]]"
"""What the main thread is told: a worker has ended, with its error; or, without a worker, a signal has come."""


def run_workers(workers: Sequence[Worker | SharedWorker], *, meanwhile: Callable[[], object] | None = None) -> None:
    """Run each worker in a thread of its own until all have ended. Call it in the main thread.

    `meanwhile`, if any, is called every few seconds for as long as they run, in one more thread. It must not raise.

    On SIGTERM or SIGINT the workers commit what they have read, and the call returns. A second signal raises
    `KeyboardInterrupt` at once; what is open then, the database rolls back. Where one worker raises, the others are
    stopped in the same way, and its error is raised here.
    """
    inbox: _Inbox = queue.SimpleQueue()
    running = set(workers)
    stopping = False
    error: BaseException | None = None
    with _signals_to(inbox), _repeated(meanwhile):
        for worker in workers:
            # Daemons: one that is stuck in an attempt to connect doesn't hold up the process's end.
            threading.Thread(target=_run, args=(worker, inbox), name="inlive-tail", daemon=True).start()
        while running:
            try:
                ended, failure = inbox.get(timeout=_POLL_SECONDS if stopping else None)
            except queue.Empty:
                running = {worker for worker in running if worker.phase is not Phase.CONNECTING}
                continue
            running -= {ended}
            if failure is not None or ended is None:
                error = error or failure
                stopping = True
                for worker in running:
                    worker.stop()
    if error is not None:
        raise error


def _run(worker: Worker | SharedWorker, inbox: _Inbox) -> None:
    failure: BaseException | None = None
    try:
        worker.run()
    except BaseException as error:  # noqa: BLE001  (the main thread raises it)
        failure = error
    finally:
        connections.close_all()  # this thread's
        inbox.put((worker, failure))


@contextmanager
def _repeated(call: Callable[[], object] | None) -> Iterator[None]:
    """Call it now and then while the block runs. One call that is under way at the end is left to end by itself."""
    ended = threading.Event()

    def repeat() -> None:
        while call is not None and not ended.is_set():
            call()
            ended.wait(_MEANWHILE_SECONDS)

    if call is not None:
        threading.Thread(target=repeat, name="inlive-meanwhile", daemon=True).start()
    try:
        yield
    finally:
        ended.set()


@contextmanager
def _signals_to(inbox: _Inbox) -> Iterator[None]:
    """Turn the first signal into a message, the second into `KeyboardInterrupt`; put the old handlers back."""
    received: list[int] = []

    def handle(signum: int, _frame: FrameType | None) -> None:
        received.append(signum)
        if len(received) > 1:
            raise KeyboardInterrupt
        # No more than this: put() is reentrant, and the locks of a log or an event aren't, or not for certain.
        inbox.put((None, None))

    before = {signum: signal.signal(signum, handle) for signum in _SIGNALS}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
