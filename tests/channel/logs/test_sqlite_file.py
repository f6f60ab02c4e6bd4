"""The embedded log's file: who owns it, how large it may grow, what age trims, and what it says when it can't."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from inlive_banner.channel.logs import ownership, sqlite_file
from inlive_banner.channel.logs.sqlite_file import SqliteFile
from inlive_banner.exceptions import LogBusyError, LogOwnedError, LogUnavailableError
from tests.channel.logs.conftest import make_draft

Opener = Callable[..., SqliteFile]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.sqlite3"


@pytest.fixture
def open_file() -> Iterator[Opener]:
    """Opens files, and closes at the end what a test has left open."""
    with contextlib.ExitStack() as stack:

        def opener(path: Path, *, max_bytes: int = 10**9, new_epoch: bool = False) -> SqliteFile:
            file = SqliteFile(path, max_bytes=max_bytes, new_epoch=new_epoch)
            file.open([15, 16])
            stack.callback(file.close)
            return file

        yield opener


@pytest.fixture
def file(path: Path, open_file: Opener) -> SqliteFile:
    return open_file(path)


def append_some(file: SqliteFile, number: int, *, start: int = 0, received_at: int = 1000) -> None:
    file.append([make_draft(f"publish-{start + place}", received_at=received_at + place) for place in range(number)])


def fill(file: SqliteFile) -> None:
    for place in range(100):
        file.append([make_draft(f"publish-{place}", received_at=1000 + place, body=b"{%s}" % (b"x" * 3000))])


def seqs(file: SqliteFile) -> list[int]:
    return [row[0] for row in file._db.execute("SELECT seq FROM entry WHERE stream_id = 15 ORDER BY seq")]


def test_file_commits_durably(file: SqliteFile):
    assert file._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert file._db.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL


def test_file_that_is_owned_is_refused_with_its_owner_named(
    path: Path, file: SqliteFile, monkeypatch: pytest.MonkeyPatch, open_file: Opener
):
    monkeypatch.setattr(ownership, "WAIT_SECONDS", 0.0)
    with pytest.raises(LogOwnedError, match=rf"process id {os.getpid()}\b") as raised:
        open_file(path)
    assert "\n" not in str(raised.value)
    assert str(path) in str(raised.value)


def test_file_that_was_closed_can_be_opened_again(path: Path, open_file: Opener):
    for _ in range(3):
        open_file(path).close()


def test_file_that_failed_to_open_is_owned_by_nobody(path: Path, open_file: Opener):
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(LogUnavailableError):
        open_file(path)
    path.unlink()
    open_file(path).close()


def test_file_whose_owner_ends_in_time_is_taken_over(path: Path, monkeypatch: pytest.MonkeyPatch, open_file: Opener):
    """A rolling restart: the new one waits for the last one to go."""
    last = open_file(path)
    waited = []

    def go(seconds: float) -> None:
        waited.append(seconds)
        last.close()

    monkeypatch.setattr("inlive_banner.channel.logs.ownership.time.sleep", go)
    open_file(path).close()
    assert len(waited) == 1


def test_file_whose_owner_was_killed_is_free(path: Path, open_file: Opener):
    """The system lets go of the lock at any kind of death."""
    script = (
        "import os, sys; from pathlib import Path; from inlive_banner.channel.logs.sqlite_file import SqliteFile;"
        "SqliteFile(Path(sys.argv[1]), max_bytes=10**9).open([15]); os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(path)], check=False, capture_output=True)
    assert killed.returncode == -9, killed.stderr
    assert path.exists()
    open_file(path).close()


@pytest.mark.parametrize(
    ("folder", "why"),
    [
        ("missing", "There is no folder"),
        ("a-file", "There is no folder"),
        ("/proc", "can't hold the log"),  # where even root can't make a file
    ],
)
def test_file_in_a_folder_that_cannot_hold_it_says_so_in_one_line(
    tmp_path: Path, folder: str, why: str, open_file: Opener
):
    """Permission bits don't bind root, who may run these tests; /proc and a file in the folder's place do."""
    (tmp_path / "a-file").write_text("")
    with pytest.raises(LogUnavailableError, match=why) as raised:
        open_file(tmp_path / folder / "inlive-log.sqlite3")
    assert "\n" not in str(raised.value)
    assert folder in str(raised.value)
    assert "CHANNEL_LOG" in str(raised.value)


@pytest.mark.parametrize("in_the_way", ["log.sqlite3", "log.sqlite3.lock"])
def test_file_with_a_folder_in_its_place_is_refused(tmp_path: Path, in_the_way: str, open_file: Opener):
    (tmp_path / in_the_way).mkdir()
    with pytest.raises(LogUnavailableError):
        open_file(tmp_path / "log.sqlite3")


def test_file_that_is_no_database_is_refused_by_name(path: Path, open_file: Opener):
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(LogUnavailableError, match=str(path)):
        open_file(path)


def test_file_append_at_the_size_limit_is_refused_and_stores_nothing(path: Path, open_file: Opener):
    file = open_file(path, max_bytes=60_000)
    with pytest.raises(LogBusyError, match="60000"):
        fill(file)
    stored = seqs(file)
    assert stored == list(range(1, len(stored) + 1))
    assert file.bounds(15).head == len(stored)
    file.close()


def test_file_at_its_size_limit_takes_more_when_age_has_made_room(path: Path, open_file: Opener):
    file = open_file(path, max_bytes=60_000)
    with pytest.raises(LogBusyError):
        fill(file)
    head = file.bounds(15).head
    file.trim(15, before=1000 + head - 1)
    assert file.append([make_draft("publish-last", received_at=9999)])[0].event_id.seq == head + 1
    file.close()


def test_file_append_that_fails_stores_nothing_and_the_next_goes_on(file: SqliteFile):
    append_some(file, 3)
    pages = file._db.execute("PRAGMA page_count").fetchone()[0]
    file._db.execute(f"PRAGMA max_page_count={pages}")  # as a full disk
    with pytest.raises(LogUnavailableError):
        file.append([make_draft(f"large-{place}", body=b"{%s}" % (b"x" * 4000)) for place in range(20)])
    assert seqs(file) == [1, 2, 3]
    assert file.bounds(15).head == 3
    assert not file._db.in_transaction
    file._db.execute("PRAGMA max_page_count=1000000")
    assert file.append([make_draft("publish-next")])[0].event_id.seq == 4


def test_file_batch_with_a_repeat_that_then_fails_stores_nothing(file: SqliteFile):
    append_some(file, 3)
    pages = file._db.execute("PRAGMA page_count").fetchone()[0]
    file._db.execute(f"PRAGMA max_page_count={pages}")
    drafts = [make_draft(f"large-{place}", body=b"{%s}" % (b"x" * 4000)) for place in range(20)]
    with pytest.raises(LogUnavailableError):
        file.append([make_draft("publish-1"), make_draft("small"), *drafts])
    assert seqs(file) == [1, 2, 3]
    assert file.bounds(15).head == 3


def test_file_append_while_locked_by_another_is_refused(file: SqliteFile, path: Path):
    file._db.execute("PRAGMA busy_timeout=1")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LogUnavailableError, match="locked"):
        append_some(file, 1)
    other.execute("ROLLBACK")
    other.close()
    append_some(file, 1)
    assert seqs(file) == [1]


def test_file_that_was_taken_away_takes_nothing_until_it_is_back(file: SqliteFile, path: Path, tmp_path: Path):
    """SQLite itself would go on writing into a file that nobody can open any more."""
    append_some(file, 2)
    path.rename(tmp_path / "away")
    with pytest.raises(LogUnavailableError, match="moved, deleted or replaced"):
        append_some(file, 1, start=2)
    shutil.copy(tmp_path / "away", path)  # another file by the same name
    for refused in (lambda: append_some(file, 1, start=2), lambda: file.trim(15, before=10**15)):
        with pytest.raises(LogUnavailableError, match="moved, deleted or replaced"):
            refused()
    (tmp_path / "away").rename(path)
    append_some(file, 1, start=2)
    assert seqs(file) == [1, 2, 3]


def test_file_close_on_a_failing_disk_lets_the_next_owner_in(
    path: Path, open_file: Opener, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    file = open_file(path)
    append_some(file, 2)

    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(SqliteFile, "_begin_life", fail)
        file.close()
    assert "disk is full" in caplog.text
    assert seqs(open_file(path)) == [1, 2]


def test_file_connection_that_cannot_be_made_is_the_logs_own_error(file: SqliteFile, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("unable to open database file")

    monkeypatch.setattr(sqlite3, "connect", fail)
    with pytest.raises(LogUnavailableError, match="unable to open"):
        file.connect()


# Trimming


def test_file_trim_deletes_what_is_older(file: SqliteFile):
    append_some(file, 10)
    assert file.trim(15, before=1004) == 4
    assert seqs(file) == list(range(5, 11))
    assert (file.bounds(15).oldest, file.bounds(15).head) == (5, 10)
    assert file.trim(15, before=1004) == 0


def test_file_trim_of_nothing_old_deletes_nothing(file: SqliteFile):
    assert file.trim(15, before=10**15) == 0
    append_some(file, 3)
    assert file.trim(15, before=0) == 0
    assert seqs(file) == [1, 2, 3]


def test_file_trim_leaves_other_streams_alone(file: SqliteFile):
    file.append([make_draft("publish-1", stream_id=16), make_draft("publish-1")])
    file.trim(15, before=10**15)
    assert file.bounds(16).oldest == 1
    assert file._db.execute("SELECT count(*) FROM entry WHERE stream_id = 16").fetchone() == (1,)


def test_file_trim_goes_in_small_steps(file: SqliteFile, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sqlite_file, "TRIM_ENTRIES", 4)
    append_some(file, 10)
    steps = []
    while trimmed := file.trim(15, before=10**15):
        steps.append(trimmed)
        assert seqs(file) == list(range(sum(steps) + 1, 11))
    assert steps == [4, 4, 2]


def test_file_trim_after_the_clock_was_set_back_makes_no_hole(file: SqliteFile):
    """The first young entry ends the run, however old those behind it look."""
    for place, received_at in enumerate([100, 900, 50, 1000]):
        file.append([make_draft(f"publish-{place}", received_at=received_at)])
    file.trim(15, before=500)
    assert seqs(file) == [2, 3, 4]


def test_file_trimmed_bare_keeps_its_numbers_over_a_restart(path: Path, open_file: Opener):
    """A number is never given twice in one epoch."""
    file = open_file(path)
    append_some(file, 5)
    epochs = file.bounds(15).epochs
    assert file.trim(15, before=10**15) == 5
    file.close()
    file = open_file(path)
    assert (file.bounds(15).epochs, file.bounds(15).oldest, file.bounds(15).head) == (epochs, 6, 5)
    assert file.append([make_draft("publish-new")])[0].event_id.seq == 6
    file.close()


def test_file_forgets_publish_ids_with_their_entries(file: SqliteFile):
    append_some(file, 2)
    file.trim(15, before=1001)
    again, kept = file.append([make_draft("publish-0", received_at=5000), make_draft("publish-1", received_at=5000)])
    assert (again.duplicate, again.event_id.seq) == (False, 3)
    assert (kept.duplicate, kept.event_id.seq) == (True, 2)


# Lives


def test_file_that_is_new_begins_a_new_epoch(tmp_path: Path, open_file: Opener):
    epochs = set()
    for name in ("one", "two"):
        file = open_file(tmp_path / name)
        epochs |= {file.bounds(15).epochs[0][1], file.bounds(16).epochs[0][1]}
        file.close()
    assert len(epochs) == 4


def test_file_restored_from_a_backup_begins_a_new_epoch_at_the_next_number(
    path: Path, tmp_path: Path, open_file: Opener
):
    """Numbers after the backup were given out already: under the old epoch they would name other broadcasts."""
    file = open_file(path)
    append_some(file, 5)
    file.close()
    backup = tmp_path / "backup"
    shutil.copy(path, backup)
    file = open_file(path)
    append_some(file, 5, start=5)
    lost = str(file.bounds(15).event_id(10))
    kept = str(file.bounds(15).event_id(5))
    file.close()
    shutil.copy(backup, path)
    file = open_file(path)
    bounds = file.bounds(15)
    assert (bounds.head, len(bounds.epochs), bounds.epochs[-1][0]) == (5, 2, 6)
    assert bounds.start_after(lost) == (5, False)
    assert bounds.start_after(kept) == (5, True)
    file.close()


def crash(file: SqliteFile) -> None:
    """Leave the file as a killed process does: nothing is written any more, and the system drops the lock."""
    file._is_open = False
    file._db.close()
    file._ownership.release()


def test_file_put_back_from_a_backup_of_a_life_that_was_killed_needs_to_be_told(
    path: Path, tmp_path: Path, open_file: Opener, caplog: pytest.LogCaptureFixture
):
    """The one backup that the file can't tell from itself: `new_epoch` is what a restore is told by."""
    file = open_file(path)
    append_some(file, 5)
    file._db.execute("VACUUM INTO ?", (str(tmp_path / "backup"),))
    append_some(file, 5, start=5)
    lost, kept = (str(file.bounds(15).event_id(seq)) for seq in (10, 5))
    crash(file)
    for name in ("log.sqlite3", "log.sqlite3-wal", "log.sqlite3-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    shutil.copy(tmp_path / "backup", path)
    assert not caplog.messages
    file = open_file(path, new_epoch=True)
    bounds = file.bounds(15)
    assert (bounds.head, [first for first, _ in bounds.epochs]) == (5, [1, 6])
    assert bounds.start_after(lost) == (5, False)
    assert bounds.start_after(kept) == (5, True)
    assert file.append([make_draft("publish-new")])[0].event_id.epoch == bounds.epochs[1][1]
    assert caplog.messages == [
        "the log begins a new epoch, because it was asked to: stream 15 from 6, stream 16 from 1",
    ]
    file.close()
    assert open_file(path).bounds(15).epochs == bounds.epochs


def test_file_told_to_begin_a_new_epoch_keeps_what_it_holds_and_who_is_at_its_head(path: Path, open_file: Opener):
    """Told so by mistake, it does no harm: nobody is sent anything twice."""
    file = open_file(path)
    append_some(file, 5)
    head = str(file.bounds(15).event_id(5))
    file.close()
    for _ in range(2):
        file = open_file(path, new_epoch=True)
        assert file.bounds(15).start_after(head) == (5, True)
        assert file.append([make_draft("publish-3")])[0].duplicate
        file.close()


def test_file_moved_without_what_stands_beside_it_loses_nobody(path: Path, tmp_path: Path, open_file: Opener):
    file = open_file(path)
    append_some(file, 5)
    head = str(file.bounds(15).event_id(5))
    file.close()
    (tmp_path / "elsewhere").mkdir()
    moved = tmp_path / "elsewhere" / "other-name.sqlite3"
    shutil.copy(path, moved)
    bounds = open_file(moved).bounds(15)
    assert (bounds.head, bounds.start_after(head)) == (5, (5, True))


def test_file_whose_start_fails_half_way_has_begun_no_epoch(
    path: Path, open_file: Opener, monkeypatch: pytest.MonkeyPatch
):
    file = open_file(path)
    append_some(file, 5)
    epochs = file.bounds(15).epochs
    file.close()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(SqliteFile, "_begin_life", fail)
        with pytest.raises(LogUnavailableError, match="No space left"):
            open_file(path, new_epoch=True)
    assert open_file(path).bounds(15).epochs == epochs
