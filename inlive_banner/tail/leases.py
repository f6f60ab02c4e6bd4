"""Which of several workers records which stream: leases in the database, by the database's clock.

A lease is economy, not safety: two workers may record one stream at a time (`Sink` sees to that), and for a moment
they do, where one was only slow and comes back. It keeps them from doing all of the work twice for ever.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta

from django.db import DEFAULT_DB_ALIAS
from django.db.models import QuerySet
from django.db.models.functions import Now

from inlive_banner.models import Lease, LiveWorker

__all__ = ["RENEW_SECONDS", "Leases", "Share"]

LEASE = timedelta(seconds=6)
"""So long after its last renewal a worker counts as gone. With the next one's renewal that makes 8 s to a takeover."""
RENEW_SECONDS = 2.0
"""Two renewals may fail, or come late, before others take over."""
_FORGOTTEN = timedelta(days=1)

_IDS_PER_QUERY = 500
"""SQLite before 3.32 takes 999 variables in a statement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What falls to a worker."""

    streams: frozenset[int]
    """To be recorded by it."""
    surplus: frozenset[int]
    """Still leased to it, to be stopped and given back: others have come who have less."""


class Leases:
    """One worker's part of the streams.

    Its calls commit, must not be made in a transaction, and raise Django's database errors; then the same call can
    simply be made again.
    """

    def __init__(self, name: str, streams: Iterable[int], *, using: str = DEFAULT_DB_ALIAS) -> None:
        # Told apart also from one of the same host and process id: in another container, or before a restart.
        self.name = f"{name}:{secrets.token_hex(4)}"
        self._streams = sorted(set(streams))
        self._workers = LiveWorker.objects.using(using)
        self._leases = Lease.objects.using(using)
        self._made = False
        """Each stream has a row."""

    def renew(self) -> Share:
        """Say that this worker lives, take what has come free up to its share, and return what it has now."""
        # Not update_or_create: its transaction reads first, and SQLite then refuses to write where another one has.
        if not self._workers.filter(name=self.name).update(alive_until=Now() + LEASE):
            self._workers.create(name=self.name, alive_until=Now() + LEASE)
        if not self._made:
            self._leases.bulk_create(
                [Lease(stream_id=stream_id) for stream_id in self._streams], batch_size=400, ignore_conflicts=True
            )
            self._made = True
        names = sorted(self._live().values_list("name", flat=True))
        due = self._due(names)
        mine = self._mine()
        if len(mine) < due:
            self._take(due - len(mine), names)
            mine = self._mine()
        kept = frozenset(sorted(mine)[:due])
        return Share(streams=kept, surplus=mine - kept)

    def give_back(self, streams: Collection[int]) -> None:
        """Leave streams to whoever wants them. What isn't this worker's any more is left as it is."""
        self._leases.filter(holder=self.name, stream_id__in=streams).update(holder="")

    def leave(self) -> None:
        """Leave everything to the others, at once."""
        self._leases.filter(holder=self.name).update(holder="")
        self._workers.filter(name=self.name).delete()
        self._workers.filter(alive_until__lt=Now() - _FORGOTTEN).delete()

    def _live(self) -> QuerySet[LiveWorker]:
        # A row that promises much more than a lease was written before the clock was set back: whoever wrote it writes
        # it anew if it lives.
        return self._workers.filter(alive_until__gt=Now(), alive_until__lt=Now() + 2 * LEASE)

    def _due(self, names: list[str]) -> int:
        """How many streams fall to this worker: an equal part, and the first in the alphabet take what is over."""
        each, over = divmod(len(self._streams), max(len(names), 1))
        return each + (self.name in names[:over])

    def _mine(self) -> frozenset[int]:
        return frozenset(self._leases.filter(holder=self.name).values_list("stream_id", flat=True))

    def _take(self, count: int, names: Collection[str]) -> None:
        held = self._leases.filter(holder__in=names).values_list("stream_id", flat=True)
        free = sorted(set(self._streams) - set(held))[:count]
        for start in range(0, len(free), _IDS_PER_QUERY):
            # Asked once more by the statement that takes it: another worker may have been quicker.
            part = self._leases.filter(stream_id__in=free[start : start + _IDS_PER_QUERY])
            part.exclude(holder__in=self._live().values("name")).update(holder=self.name)
