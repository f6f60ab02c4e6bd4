"""docs/operations.md: its own commands are run, against the real channel and the real worker."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.client import publish, stored_broadcasts
from tests.e2e.processes import HOST, ROOT, STREAM_ID, Demo, Process
from tests.e2e.sse_client import EventStream
from tests.polling import wait_until

GUIDE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")

SHELL_FOR_SQLITE = """#!/bin/sh
exec {python} -c 'import sqlite3, sys; sqlite3.connect(sys.argv[1]).executescript(sys.argv[2])' "$@"
"""
"""Stands in for SQLite's own shell, where this machine has none."""


@pytest.fixture
def demo(own_demo: Demo) -> Demo:
    for name in ("backup", "new", "bin"):
        (own_demo.folder / name).mkdir()
    if shutil.which("sqlite3") is None:
        shell = own_demo.folder / "bin" / "sqlite3"
        shell.write_text(SHELL_FOR_SQLITE.format(python=sys.executable), encoding="utf-8")
        shell.chmod(0o755)
    return own_demo


def follow(demo: Demo, heading: str, *, step: int = 0) -> None:
    """Run the commands of a section's code block, with the test's folders in the place of the guide's."""
    section = re.search(rf"^## {heading}$(.*?)(?=^## |\Z)", GUIDE, re.MULTILINE | re.DOTALL)
    assert section, heading
    block = re.findall(r"```sh\n(.*?)```", section[1], re.DOTALL)[step]
    for there, here in (
        ("/srv/mysite", demo.folder),
        ("/backup", demo.folder / "backup"),
        ("/new", demo.folder / "new"),
    ):
        block = block.replace(there, str(here))
    path = f"{demo.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(["sh", "-euc", block], check=True, env={**os.environ, "PATH": path})


def options_of(heading: str) -> list[str]:
    """What the section's start of the channel adds to the usual one."""
    (line,) = re.findall(rf"## {heading}\n.*?python manage.py inlive_channel ([^\n]*)", GUIDE, re.DOTALL)
    return line.split()


@contextmanager
def channel(demo: Demo, *options: str, log: Path | None = None) -> Iterator[Process]:
    environment = {**demo.environment, **({"INLIVE_CHANNEL_LOG": f"sqlite:///{log}"} if log else {})}
    arguments = ("manage.py", "inlive_channel", "--bind", f"{HOST}:{demo.channel_port}", *options)
    process = Process(*arguments, environment=environment, output=demo.folder / "channel.log")
    try:
        process.wait_for(f"{demo.channel_url}/readyz")
        yield process
    finally:
        process.end()


def click(demo: Demo, token: str, number: int) -> str:
    """Publish the click of this number; the same one each time. Returns its event id."""
    message = {"name": "sale", "type": "banner", "action": "click", "user_id": "u-1", "time": number}
    return publish(demo.channel_url, token, message, publish_id=f"publish-{number}")


def resume(demo: Demo, position: str, *, count: int) -> tuple[bool, list[str]]:
    """What a reader with this position is told, and the ids of the next `count` events."""
    with EventStream(demo.channel_port, f"/subscribe/{STREAM_ID}?last_event_id={position}") as stream:
        recovered = stream.next("init").message["recovered"]
        return recovered, [str(stream.next("broadcast").id) for _ in range(count)]


def rows(demo: Demo) -> list[str]:
    return [row for (row,) in demo.query("SELECT publish_id FROM inlive_banner_interaction ORDER BY id")]


def position(demo: Demo) -> str:
    ((last_event_id,),) = demo.query("SELECT last_event_id FROM inlive_banner_position")
    return str(last_event_id)


def numbered(*ranges: range) -> list[str]:
    return [f"publish-{number}" for numbers in ranges for number in numbers]


def test_backup_of_a_running_log_put_back_after_a_kill_tells_readers_and_doubles_nothing(demo: Demo, page_token: str):
    """The one restore that the log can't notice by itself."""
    restore = "Put a backup of the log back"
    with channel(demo) as process, demo.worker():
        given = [click(demo, page_token, number) for number in range(5)]
        follow(demo, "Back up the log")
        given += [click(demo, page_token, number) for number in range(5, 10)]
        wait_until(lambda: rows(demo) == numbered(range(10)), what="the worker to have recorded all")
        process.kill()
    follow(demo, restore, step=0)
    with demo.worker() as worker, channel(demo, *options_of(restore)) as process:
        assert process.printed.count("the log begins a new epoch") == 1
        assert f"stream {STREAM_ID} from 6" in process.printed
        again = click(demo, page_token, 7)  # which only the database still has
        new = click(demo, page_token, 10)
        assert resume(demo, given[9], count=2) == (False, [again, new])
        assert resume(demo, given[4], count=2) == (True, [again, new])
        assert resume(demo, given[2], count=4) == (True, [given[3], given[4], again, new])
        assert (again.rpartition("-")[2], new.rpartition("-")[2]) == ("6", "7")
        assert again.rpartition("-")[0] != given[5].rpartition("-")[0]
        wait_until(lambda: position(demo) == new, what="the worker to be at the head")
        assert rows(demo) == numbered(range(11))
        assert demo.query("SELECT SUM(count) FROM inlive_banner_rollup WHERE dimension = 'all' AND span = 0") == [(11,)]
        assert [line for line in worker.printed.splitlines() if "WARNING" in line and given[9] in line]
        gaps = demo.query("SELECT after_event_id, resumed_after, lost_events FROM inlive_banner_gap")
        assert gaps == [(given[9], given[4], None)]
    with channel(demo):  # as always from now on
        assert resume(demo, new, count=0) == (True, [])
        assert [envelope["id"] for envelope in stored_broadcasts(demo.channel_url)] == [*given[:5], again, new]


@pytest.mark.parametrize("end", ["terminate", "kill"])
def test_copy_of_a_stopped_log_put_back_has_all_that_was_answered(demo: Demo, page_token: str, end: str):
    restore = "Put a backup of the log back"
    with channel(demo) as process:
        given = [click(demo, page_token, number) for number in range(5)]
        getattr(process, end)()
    follow(demo, "Back up the log", step=1)
    with channel(demo):
        lost = click(demo, page_token, 5)
    follow(demo, restore, step=0)
    with channel(demo, *options_of(restore)):
        assert resume(demo, lost, count=0) == (False, [])
        assert resume(demo, "0", count=5) == (True, given)


@pytest.mark.parametrize("end", ["terminate", "kill"])
def test_log_moved_to_another_machine_loses_nobody(demo: Demo, page_token: str, end: str):
    with channel(demo) as process:
        given = [click(demo, page_token, number) for number in range(5)]
        getattr(process, end)()
    follow(demo, "Move the log to another machine")
    with channel(demo, log=demo.folder / "new" / "channel.sqlite3"):
        new = click(demo, page_token, 5)
        assert click(demo, page_token, 2) == given[2]
        assert resume(demo, given[4], count=1) == (True, [new])
        assert resume(demo, given[1], count=4) == (True, [*given[2:], new])


def test_site_database_put_back_is_brought_up_to_date_by_the_worker(demo: Demo, page_token: str):
    with channel(demo):
        for number in range(4):
            click(demo, page_token, number)
        demo.manage("tail_inlive_clicks", "--once")
        shutil.copy(demo.database, demo.folder / "backup" / "site.sqlite3")
        for number in range(4, 8):
            click(demo, page_token, number)
        demo.manage("tail_inlive_clicks", "--once")
        shutil.copy(demo.folder / "backup" / "site.sqlite3", demo.database)
        assert rows(demo) == numbered(range(4))
        demo.manage("tail_inlive_clicks", "--once")
        assert rows(demo) == numbered(range(8))


def test_backup_without_its_secrets_can_be_put_back_and_tells_no_visitor(demo: Demo, page_token: str):
    with channel(demo) as process:
        click(demo, page_token, 1)
        ((secret,),) = _secrets(demo.folder / "channel.sqlite3")
        follow(demo, "Back up the log")
        process.kill()
    backup = demo.folder / "backup" / "channel.sqlite3"
    assert secret in backup.read_bytes()
    follow(demo, "Back up the log", step=2)
    assert secret not in b"".join(path.read_bytes() for path in backup.parent.iterdir())
    follow(demo, "Put a backup of the log back", step=0)
    with channel(demo, "--new-epoch"):
        click(demo, page_token, 2)
        ((new,),) = _secrets(demo.folder / "channel.sqlite3")
        assert [envelope["publish_id"] for envelope in stored_broadcasts(demo.channel_url)] == numbered(range(1, 3))
    assert new != secret


def _secrets(log: Path) -> list[tuple[bytes]]:
    with contextlib.closing(sqlite3.connect(log)) as db:
        return db.execute("SELECT secret FROM daily_secret").fetchall()
