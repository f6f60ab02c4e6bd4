"""The days' secrets: one a day, durable, forgotten for good, and no trouble for a log of before."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from pathlib import Path

import pytest

from inlive_banner.channel.logs import sqlite as sqlite_module
from inlive_banner.channel.logs.sqlite import SqliteLog
from inlive_banner.channel.logs.sqlite_file import SqliteFile
from inlive_banner.channel.logs.sqlite_secrets import DailySecrets
from inlive_banner.exceptions import LogUnavailableError
from tests.channel.driver import eventually, run
from tests.channel.logs.conftest import FOREVER_SECONDS, make_draft

TODAY = 20_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.sqlite3"


@pytest.fixture
def file(path: Path):
    file = SqliteFile(path, max_bytes=10**9)
    file.open([15])
    yield file
    file.close()


def days_in(path: Path) -> list[int]:
    db = sqlite3.connect(path)
    try:
        return [day for (day,) in db.execute("SELECT day FROM daily_secret ORDER BY day")]
    finally:
        db.close()


def on_disk(path: Path) -> bytes:
    return b"".join(part.read_bytes() for part in path.parent.glob(path.name + "*"))


def test_secret_is_random_and_one_a_day(file: SqliteFile):
    secrets = DailySecrets(file)

    first = secrets.get_or_create(TODAY)

    assert secrets.get_or_create(TODAY) == first
    assert secrets.get_or_create(TODAY + 1) != first
    assert len(first) == 32


def test_secret_outlives_a_kill(path: Path, file: SqliteFile):
    secret = DailySecrets(file).get_or_create(TODAY)

    db = sqlite3.connect(path)  # as another process would find it: nothing was closed
    assert db.execute("SELECT secret FROM daily_secret").fetchall() == [(secret,)]
    db.close()


def test_secrets_of_today_and_yesterday_are_kept_and_others_forgotten(path: Path, file: SqliteFile):
    secrets = DailySecrets(file)
    for day in (TODAY - 300, TODAY - 2, TODAY - 1, TODAY, TODAY + 1, TODAY + 300):
        secrets.get_or_create(day)

    secrets.forget(TODAY)

    assert days_in(path) == [TODAY - 1, TODAY, TODAY + 1]


def test_secret_that_is_forgotten_is_nowhere_on_disk(path: Path, file: SqliteFile):
    secrets = DailySecrets(file)
    file._db.execute("PRAGMA secure_delete = OFF")  # which is the default of SQLite itself
    old, new = secrets.get_or_create(TODAY), secrets.get_or_create(TODAY + 2)
    assert old in on_disk(path)

    secrets.forget(TODAY + 2)

    assert old not in on_disk(path)
    assert new in on_disk(path)
    assert file._db.execute("PRAGMA secure_delete").fetchone() == (0,)


def test_secret_that_a_reader_holds_on_disk_is_gone_after_it(path: Path, file: SqliteFile):
    secrets = DailySecrets(file)
    old = secrets.get_or_create(TODAY)
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM daily_secret").fetchall()
    began = time.monotonic()
    secrets.forget(TODAY + 2)
    assert time.monotonic() - began < 4  # it doesn't wait for the reader: publishes would wait too
    assert days_in(path) == []
    assert old in on_disk(path)
    reader.close()

    secrets.forget(TODAY + 2)

    assert old not in on_disk(path)


def test_secret_of_a_process_that_was_killed_is_gone_after_the_next_has_begun(path: Path, file: SqliteFile):
    old = DailySecrets(file).get_or_create(TODAY)
    file._db.execute("DELETE FROM daily_secret")  # and then it was killed, before it could empty anything
    assert old in on_disk(path)

    DailySecrets(file).forget(TODAY + 2)

    wal = path.with_name(path.name + "-wal")
    assert old not in wal.read_bytes()


def test_log_of_before_the_secrets_opens_and_makes_them(path: Path):
    file = SqliteFile(path, max_bytes=10**9)
    file.open([15])
    file.append([make_draft()])
    file._db.execute("DROP TABLE daily_secret")
    file.close()

    file = SqliteFile(path, max_bytes=10**9)
    file.open([15])
    assert DailySecrets(file).get_or_create(TODAY)
    assert len(file.bounds(15).epochs) == 1
    assert file.bounds(15).head == 1
    file.close()


def make_log(path: Path) -> SqliteLog:
    return SqliteLog(path, max_bytes=10**9, retention_seconds=FOREVER_SECONDS)


def test_log_forgets_by_itself_where_nobody_asks(path: Path, monkeypatch: pytest.MonkeyPatch):
    today = int(time.time() // 86400)
    monkeypatch.setattr(sqlite_module, "TRIM_INTERVAL_SECONDS", 0.01)

    async def main() -> None:
        log = make_log(path)
        await log.open([15], lambda *_: None)
        for day in (today - 2, today - 1, today):
            await log.daily_secret(day)
        await eventually(lambda: days_in(path) == [today - 1, today], "the old secret's end")
        await log.close()

    run(main())


def test_log_that_fails_at_a_secret_says_so_and_goes_on(path: Path, monkeypatch: pytest.MonkeyPatch):
    elsewhere = path.with_name("elsewhere")

    async def main() -> None:
        log = make_log(path)
        await log.open([15], lambda *_: None)
        os.rename(path, elsewhere)  # noqa: PTH104
        with pytest.raises(LogUnavailableError):
            await log.daily_secret(TODAY)
        os.rename(elsewhere, path)  # noqa: PTH104
        with monkeypatch.context() as patch:
            patch.setattr(log._secrets, "get_or_create", lambda _: 1 / 0)
            with pytest.raises(LogUnavailableError, match="unforeseen"):
                await log.daily_secret(TODAY)
        with monkeypatch.context() as patch:
            patch.setattr(log._secrets, "forget", lambda _: 1 / 0)
            log._forget_secrets()
        secret = await log.daily_secret(TODAY)
        assert secret == await log.daily_secret(TODAY)
        assert (await log.append(make_draft())).event_id.seq == 1
        await log.close()
        with pytest.raises(LogUnavailableError):
            await log.daily_secret(TODAY)

    run(main())


def test_log_goes_on_where_somebody_no_longer_waits_for_the_secret(path: Path):
    async def main() -> None:
        log = make_log(path)
        await log.open([15], lambda *_: None)
        asking = asyncio.ensure_future(log.daily_secret(TODAY))
        await asyncio.sleep(0)
        asking.cancel()
        assert await log.daily_secret(TODAY)
        assert asking.cancelled()
        await log.close()

    run(main())
