"""Fixtures of the channel's tests. Each test runs its coroutine by `driver.run`, on a real log in `tmp_path`."""

from __future__ import annotations

import pytest

from inlive_banner.channel import ring, subscriber


@pytest.fixture
def tiny_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few entries per read of the log and few bytes per write, so that a short test crosses all their borders."""
    monkeypatch.setattr(subscriber, "READ_ENTRIES", 3)
    monkeypatch.setattr(subscriber, "READ_BYTES", 900)
    monkeypatch.setattr(ring, "MAX_CHUNK_BYTES", 700)
