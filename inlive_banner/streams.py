"""The streams that there are, and how one is held still while something of its record is changed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.models import F

from inlive_banner.conf import settings
from inlive_banner.exceptions import ConfigurationError
from inlive_banner.models import Position

__all__ = ["chosen_streams", "give_way", "held_stream", "wait_for_batch"]

_PAUSE_SECONDS = 0.05


def chosen_streams(asked: Sequence[int] | None, *, using: str = DEFAULT_DB_ALIAS) -> list[int]:
    """The streams asked for, each once; of None all: those of the settings, then those that were recorded before.

    Raises `ConfigurationError` for one that is neither, and Django's database errors.
    """
    recorded = Position.objects.using(using).order_by("pk").values_list("pk", flat=True)
    known = list(dict.fromkeys([*settings.streams, *recorded]))
    if asked is None:
        return known
    for stream_id in asked:
        if stream_id not in known:
            raise ConfigurationError(
                f"Stream {stream_id} is neither configured nor recorded (known: {', '.join(map(str, known))})."
            )
    return list(dict.fromkeys(asked))


@contextmanager
def held_stream(stream_id: int, *, using: str = DEFAULT_DB_ALIAS) -> Iterator[None]:
    """A transaction during which nothing of the stream is recorded. Its workers wait, so it has to be short.

    Must not be called in a transaction. Raises Django's database errors.
    """
    Position.objects.using(using).get_or_create(stream_id=stream_id)
    with transaction.atomic(using=using, durable=True):
        # As the sink's first statement: it takes the lock at which that one waits, on PostgreSQL and SQLite alike.
        _touch(stream_id, using)
        yield


def wait_for_batch(stream_id: int, *, using: str = DEFAULT_DB_ALIAS) -> None:
    """Wait until the batch is committed that is being recorded of the stream, if any is. Raises as `held_stream`."""
    _touch(stream_id, using)


def give_way(*, using: str = DEFAULT_DB_ALIAS) -> None:
    """Let others write between two of our transactions.

    Who waits for PostgreSQL's lock has it next. Who waits for SQLite's looks now and then whether it is free.
    """
    if connections[using].vendor == "sqlite":
        time.sleep(_PAUSE_SECONDS)


def _touch(stream_id: int, using: str) -> None:
    # Changes nothing: when a stream was recorded last tells whether it is quiet.
    Position.objects.using(using).filter(stream_id=stream_id).update(updated_at=F("updated_at"))
