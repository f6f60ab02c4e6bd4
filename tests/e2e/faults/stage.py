"""The whole set-up under a fault: channel, site and workers as processes, a database, and a load."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.e2e.faults.databases import Database
from tests.e2e.faults.publisher import Load, drain, judge, stored
from tests.e2e.processes import HOST, Demo, Process
from tests.polling import wait_until

__all__ = ["Stage"]

logger = logging.getLogger(__name__)


class Stage:
    """What a test sets on fire. All processes that were started are ended when its `with` block ends."""

    def __init__(self, folder: Path, database: Database, token: str) -> None:
        self.demo = Demo(folder)
        self.database = database
        self.environment = {
            **self.demo.environment,
            "DJANGO_SETTINGS_MODULE": "tests.e2e.faults.settings",
            "DATABASE_URL": database.url,
        }
        self.channel_url = self.demo.channel_url
        self.load = Load(self.channel_url, token)

        self._processes: list[Process] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.kill()

    def start(self, *arguments: str, **environment: str) -> Process:
        """Start any program with the stage's settings."""
        output = self.demo.folder / f"process-{len(self._processes)}.log"
        process = Process(*arguments, environment=self.environment | environment, output=output)
        self._processes.append(process)
        return process

    def channel(self, *prefix: str) -> Process:
        """Start the channel, ready to serve."""
        arguments = prefix or ("manage.py",)
        process = self.start(*arguments, "inlive_channel", "--bind", f"{HOST}:{self.demo.channel_port}")
        process.wait_for(f"{self.channel_url}/readyz")
        return process

    def worker(self, *prefix: str, arguments: Iterable[str] = (), **environment: str) -> Process:
        """Start a worker."""
        return self.start(*(prefix or ("manage.py",)), "tail_inlive_clicks", *arguments, **environment)

    def rows(self) -> int:
        """How many rows the database has now."""
        [(count,)] = self.database.query("SELECT COUNT(*) FROM inlive_banner_interaction")
        number: int = count
        return number

    def wait_for_rows(self, more: int = 20) -> None:
        """Wait until the worker has recorded so many more."""
        target = self.rows() + more
        wait_until(lambda: self.rows() >= target, deadline_seconds=40, what="more rows")

    @contextmanager
    def recovering(self) -> Iterator[None]:
        """See that clicks are recorded again after the fault, which ends in the block; log how long that takes."""
        yield
        began = time.monotonic()
        published = set(self.load.acknowledged)
        self.load.more(1)
        wait_until(
            lambda: any(row not in published for row in stored(self.database)),
            deadline_seconds=60,
            what="clicks that were published after the fault",
        )
        logger.info("Recovered within %.1f s.", time.monotonic() - began)

    def judge(self, *loads: Load) -> None:
        """Drain, and judge what became of the load, or of several. Workers have to run, and the loads to have ended."""
        site = self.start("manage.py", "runserver", "--noreload", f"{HOST}:{self.demo.site_port}")
        for load in loads or [self.load]:
            drain(self.channel_url, self.database, stream_id=load.stream_id)
            site.wait_for(self.demo.logs_url)
            logs_url = f"{self.demo.logs_url}?stream={load.stream_id}"
            judge(load, self.database, channel_url=self.channel_url, logs_url=logs_url)
