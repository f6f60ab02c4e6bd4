"""The embedded log's files, cut or torn at any byte as by a loss of power, open to a prefix."""

from __future__ import annotations

import shutil
import tempfile
from itertools import accumulate
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inlive_banner.channel.logs.sqlite_file import SqliteFile
from tests.channel.logs.conftest import make_draft

BATCHES = [1, 3, 1, 20, 2, 1, 40, 1]
"""Drafts in each commit."""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[int]]:
    """The files of a log that is still open, and how long its WAL was after each commit."""
    source = tmp_path_factory.mktemp("source") / "log.sqlite3"
    copy = tmp_path_factory.mktemp("copy") / "log.sqlite3"
    file = SqliteFile(source, max_bytes=10**9)
    file.open([15])
    wal = source.with_name("log.sqlite3-wal")
    lengths = [wal.stat().st_size]
    number = 0
    for size in BATCHES:
        drafts = [make_draft(f"publish-{number + place}", body=b"{%s}" % (b"x" * 700)) for place in range(size)]
        number += size
        file.append(drafts)
        lengths.append(wal.stat().st_size)
    for path in (source, wal, source.with_name("log.sqlite3.lock")):
        shutil.copy(path, copy.parent / path.name)
    file.close()
    return copy, lengths


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1), tail=st.binary(max_size=5000))
def test_log_cut_at_any_byte_holds_all_that_was_committed_before_the_cut(
    written: tuple[Path, list[int]], share: float, tail: bytes
):
    """`tail` is what a torn write may leave behind the cut."""
    source, lengths = written
    assert lengths == sorted(set(lengths))
    cut = lengths[0] + round(share * (lengths[-1] - lengths[0]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / source.name
        for name in (source.name, f"{source.name}.lock"):
            shutil.copy(source.with_name(name), path.with_name(name))
        wal = source.with_name(f"{source.name}-wal").read_bytes()
        path.with_name(f"{source.name}-wal").write_bytes(wal[:cut] + tail)
        file = SqliteFile(path, max_bytes=10**9)
        file.open([15])
        try:
            ends = [0, *accumulate(BATCHES)]
            committed = max(end for end, length in zip(ends, lengths, strict=True) if length <= cut)
            head = file.bounds(15).head
            # A tail may happen to complete the next commit, byte for byte; nothing else may be there.
            assert head in {committed, *ends[ends.index(committed) + 1 :][:1]}
            entries = file.read_after(file._db, 15, 0, limit=1000, max_bytes=10**9)
            assert [entry.event_id.seq for entry in entries] == list(range(1, head + 1))
            assert len(file.bounds(15).epochs) == 1
            assert file._db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert file.append([make_draft("publish-new")])[0].event_id.seq == head + 1
        finally:
            file.close()
