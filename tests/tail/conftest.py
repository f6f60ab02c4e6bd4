"""Fixtures of the worker's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.tail.fake_channel import FakeChannel, serving


@pytest.fixture
def channel() -> Iterator[FakeChannel]:
    """A channel that does what the test tells it."""
    with serving() as channel:
        yield channel
