"""The embedded log's threads: how much one commit takes, and that age trims by itself."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from inlive_banner.channel.logs import SqliteLog, make_log, sqlite
from inlive_banner.exceptions import ConfigurationError, LogBusyError, LogUnavailableError
from tests.channel.driver import eventually, run
from tests.channel.logs.conftest import FOREVER_SECONDS, make_draft


async def opened(path: Path, *, retention_seconds: float = FOREVER_SECONDS, max_bytes: int = 10**9) -> SqliteLog:
    log = SqliteLog(path / "log.sqlite3", max_bytes=max_bytes, retention_seconds=retention_seconds)
    await log.open([15], lambda *_: None)
    return log


def test_log_commits_no_more_than_a_batch_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sqlite, "MAX_BATCH", 4)

    async def main() -> None:
        log = await opened(tmp_path)
        sizes = []
        append = log._file.append

        def counted(drafts: list[object]) -> object:
            sizes.append(len(drafts))
            return append(drafts)  # type: ignore[arg-type]

        monkeypatch.setattr(log._file, "append", counted)
        places = await asyncio.gather(*[log.append(make_draft(f"publish-{place}")) for place in range(30)])
        assert [place.event_id.seq for place in places] == list(range(1, 31))
        assert max(sizes) == 4
        await log.close()

    run(main())


def test_log_trims_what_is_older_than_its_retention(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sqlite, "TRIM_INTERVAL_SECONDS", 0.01)

    async def main() -> None:
        log = await opened(tmp_path, retention_seconds=3600)
        await asyncio.gather(*[log.append(make_draft(f"publish-{place}", received_at=1)) for place in range(5)])
        young = await log.append(make_draft("publish-young", received_at=10**15))
        await eventually(lambda: log.bounds(15).oldest == 6, "the old ones to be trimmed")
        assert [entry.event_id for entry in await log.read_after(15, 0, limit=10, max_bytes=10**6)] == [young.event_id]
        assert log.bounds(15).head == 6
        await log.close()

    run(main())


def test_log_whose_trimming_is_refused_tries_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(sqlite, "TRIM_INTERVAL_SECONDS", 0.01)

    async def main() -> None:
        log = await opened(tmp_path, retention_seconds=3600)
        refusals = 0
        trim = log._file.trim

        def refuse_twice(stream_id: int, *, before: int) -> int:
            nonlocal refusals
            if refusals < 2:
                refusals += 1
                raise LogUnavailableError("not now")
            return trim(stream_id, before=before)

        monkeypatch.setattr(log._file, "trim", refuse_twice)
        await log.append(make_draft(received_at=1))
        await eventually(lambda: log.bounds(15).oldest == 2)
        assert "not now" in caplog.text
        await log.close()

    run(main())


def test_log_reads_while_a_commit_waits(tmp_path: Path):
    """Readers never wait for the writer."""

    async def main() -> None:
        log = await opened(tmp_path)
        await log.append(make_draft("publish-1"))
        other = sqlite3.connect(tmp_path / "log.sqlite3", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        waiting = asyncio.ensure_future(log.append(make_draft("publish-2")))
        await eventually(lambda: log._pending == 1)
        assert len(await log.read_after(15, 0, limit=10, max_bytes=10**6)) == 1
        assert not waiting.done()
        other.execute("ROLLBACK")
        other.close()
        assert (await waiting).event_id.seq == 2
        await log.close()

    run(main())


@pytest.mark.parametrize("readable", [True, False])
def test_log_at_its_size_limit_answers_repeats_and_refuses_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, readable: bool
):
    async def main() -> None:
        log = await opened(tmp_path, max_bytes=1)
        log._file._room_bytes = 10**6
        first = await log.append(make_draft("publish-1", received_at=1))
        log._file._room_bytes = 0
        if not readable:

            def fail(*_: object) -> None:
                raise LogUnavailableError("no disk")

            monkeypatch.setattr(log._file, "find", fail)
        drafts = [make_draft("publish-2"), make_draft("publish-1", received_at=2), make_draft("publish-3")]
        answers = await asyncio.gather(*map(log.append, drafts), return_exceptions=True)
        assert [isinstance(answer, LogBusyError) for answer in answers] == [True, not readable, True]
        if readable:
            assert answers[1] == first._replace(duplicate=True)
        assert log._pending == 0
        await log.close()

    run(main())


def test_log_says_once_that_it_refuses_and_once_that_it_takes_again(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    async def main() -> None:
        log = await opened(tmp_path)
        path = tmp_path / "log.sqlite3"
        path.rename(tmp_path / "away")
        for number in range(3):
            with pytest.raises(LogUnavailableError):
                await log.append(make_draft(f"publish-{number}"))
        (tmp_path / "away").rename(path)
        for number in range(3):
            await log.append(make_draft(f"publish-{number}"))
        await log.close()

    run(main())
    # The trim that runs now and then may have its own word to say.
    assert [message.partition(" until")[0] for message in caplog.messages if "publishes" in message] == [
        "publishes are refused",
        "publishes are taken again",
    ]


@pytest.mark.parametrize(
    "url",
    ["", "sqlite:///", "sqlite://relative", "postgres://x", "/var/lib/log.sqlite3", "file:x", "sqlite:///:memory:"],
)
def test_make_log_of_an_address_that_is_none_says_what_one_looks_like(url: str):
    with pytest.raises(ConfigurationError, match="sqlite:///"):
        make_log(url, max_bytes=1, retention_seconds=1)


@pytest.mark.parametrize(
    ("url", "path"), [("sqlite:///a/b.sqlite3", "a/b.sqlite3"), ("sqlite:////var/b.sqlite3", "/var/b.sqlite3")]
)
def test_make_log_of_an_address_is_the_file_that_it_names(url: str, path: str):
    log = make_log(url, max_bytes=1, retention_seconds=1)
    assert isinstance(log, SqliteLog)
    assert log._file.path == Path(path).resolve()


def test_make_log_of_a_link_is_the_file_behind_it(tmp_path: Path):
    """Else two processes could each lock a name of their own for the same file."""
    (tmp_path / "link").symlink_to(tmp_path / "real")
    log = make_log(f"sqlite:///{tmp_path / 'link'}", max_bytes=1, retention_seconds=1)
    assert isinstance(log, SqliteLog)
    assert log._file.path == tmp_path / "real"
