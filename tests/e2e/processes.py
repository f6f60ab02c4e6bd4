"""Real processes of the demo project: channel, site and worker, each on a free port, each always ended."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import requests

from tests.polling import wait_until
from tests.ports import free_port

__all__ = ["HOST", "ROOT", "STREAM_ID", "WIDGET_KEY", "Demo", "Process", "listens"]

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
STREAM_ID = 15
WIDGET_KEY = "demo-widget-key"

_START_SECONDS = 30
"""Two cores are shared with a browser and with whatever else runs."""


def listens(port: int) -> bool:
    """Whether somebody listens on a port of 127.0.0.1 now."""
    with socket.socket() as probe:
        error: int = probe.connect_ex((HOST, port))
        return error == 0


class Process:
    """A Python process, run in the project's folder unless told otherwise; what it prints goes to a file."""

    def __init__(self, *arguments: str, environment: Mapping[str, str], output: Path, cwd: Path = ROOT) -> None:
        self.output = output
        with output.open("ab") as file:
            self._process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=cwd,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    @property
    def printed(self) -> str:
        """All that it has printed so far."""
        return self.output.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, url: str) -> None:
        """Wait until `url` answers 200. Fails at once, with what the process printed, where that has ended."""
        wait_until(lambda: self._answers(url), deadline_seconds=_START_SECONDS, what=f"{url} to answer 200")

    def kill(self) -> None:
        """End it by SIGKILL, which no process can prepare for."""
        self._process.kill()
        self._process.wait(timeout=10)

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    @property
    def cpu_seconds(self) -> float:
        """The processor time that it has used so far."""
        # proc(5): the fields after the name, which is in brackets; 14 and 15 of all are user and system time.
        fields = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def resident_bytes(self) -> int:
        """The memory that it holds now."""
        pages = Path(f"/proc/{self._process.pid}/statm").read_text(encoding="utf-8").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def terminate(self) -> int:
        """End it by SIGTERM and return its exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout=15)

    def wait(self) -> int:
        """Wait until it has ended by itself and return its exit code."""
        return self._process.wait(timeout=15)

    def end(self) -> None:
        """See that it is gone, whatever state it is in."""
        if self._process.poll() is None:
            try:
                self.terminate()
            except subprocess.TimeoutExpired:
                self.kill()

    def _answers(self, url: str) -> bool:
        assert self._process.poll() is None, f"The process has ended:\n{self.printed}"
        try:
            return bool(requests.get(url, timeout=5).status_code == requests.codes.ok)
        except requests.ConnectionError:
            return False


class Demo:
    """The demo project in a data folder of its own: channel, site and worker as three processes."""

    SECRET_KEY = "only-for-the-tests"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.channel_port = free_port()
        self.site_port = free_port()
        self.environment = {
            "DJANGO_SETTINGS_MODULE": "project.settings",
            "DEBUG": "on",
            "SECRET_KEY": self.SECRET_KEY,
            "DATABASE_URL": f"sqlite:///{self.database}",
            "INLIVE_STREAM_ID": str(STREAM_ID),
            "INLIVE_WIDGET_KEY": WIDGET_KEY,
            "INLIVE_STREAM_PUBLIC": "on",
            "INLIVE_LOGS_PUBLIC": "on",
            "INLIVE_IMPOSSIBLE_RATE": "0",  # tests publish as no person does
            "INLIVE_CHANNEL_URL": self.channel_url,
            "INLIVE_CHANNEL_INTERNAL_URL": self.channel_url,
            "INLIVE_CHANNEL_LOG": f"sqlite:///{folder / 'channel.sqlite3'}",
            "PYTHONUNBUFFERED": "1",
        }

    @property
    def channel_url(self) -> str:
        """Where browsers and the worker reach the channel."""
        return f"http://{HOST}:{self.channel_port}"

    @property
    def site_url(self) -> str:
        """Where browsers reach the site."""
        return f"http://{HOST}:{self.site_port}"

    @property
    def logs_url(self) -> str:
        """The logs page."""
        return f"{self.site_url}/inlive/logs/"

    @property
    def database(self) -> Path:
        """The site's database."""
        return self.folder / "site.sqlite3"

    @contextmanager
    def channel(self) -> Iterator[Process]:
        """Run `manage.py inlive_channel`, ready to serve when the block begins."""
        with self._running("inlive_channel", "--bind", f"{HOST}:{self.channel_port}") as process:
            process.wait_for(f"{self.channel_url}/readyz")
            yield process

    @contextmanager
    def site(self) -> Iterator[Process]:
        """Run Django's own server, plain WSGI, ready to serve when the block begins."""
        with self._running("runserver", "--noreload", f"{HOST}:{self.site_port}") as process:
            process.wait_for(self.site_url)
            yield process

    @contextmanager
    def site_with_channel(self) -> Iterator[str]:
        """Run the demo's site with the channel mounted, as `make demo` does; gives the channel's address."""
        arguments = ("-m", "project.serve", "--port", str(self.site_port))
        process = Process(*arguments, environment=self.environment, output=self.folder / "serve.log")
        try:
            process.wait_for(f"{self.site_url}/channel/readyz")
            yield f"{self.site_url}/channel"
        finally:
            process.end()

    @contextmanager
    def worker(self) -> Iterator[Process]:
        """Run `manage.py tail_inlive_clicks`."""
        with self._running("tail_inlive_clicks") as process:
            yield process

    def manage(self, *arguments: str) -> None:
        """Run one of `manage.py`'s commands to its end. Fails with what it printed unless it exits with 0."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env={**os.environ, **self.environment},
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr

    def query(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Read the site's database, beside the processes that use it."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=10)) as connection:
            return connection.execute(sql, parameters).fetchall()

    @contextmanager
    def _running(self, command: str, *arguments: str) -> Iterator[Process]:
        output = self.folder / f"{command}.log"
        process = Process("manage.py", command, *arguments, environment=self.environment, output=output)
        try:
            yield process
        finally:
            process.end()
