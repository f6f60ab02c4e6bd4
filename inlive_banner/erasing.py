"""All interactions of one user or visitor leave, and the counts are then as if they had never been.

Rows are looked for by walking the whole table once, in the order of its key: an author's and a visitor's ids have no
index, since nothing else asks for them. Each batch of what is found is a transaction: rows and counts together.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import NamedTuple

from django.db import DEFAULT_DB_ALIAS
from django.db.models import Max, Min, Q

from inlive_banner.envelope import read_interaction
from inlive_banner.models import DayVisitor, Interaction, Pending
from inlive_banner.streams import held_stream, wait_for_batch
from inlive_banner.tail.inserting import VisitorKey
from inlive_banner.tail.records import Row, storable_text
from inlive_banner.uncounting import forget_visitors, uncount_interactions, visitors_of

__all__ = ["Person", "Step", "erase", "erase_pending", "find", "find_pending", "walk_length"]

_WINDOW = 50_000
"""Keys that one query walks over: few enough that it is a short one, however few rows it finds."""

_ROWS_AT_ONCE = 200
"""Rows of a transaction. Each is in fourteen counts, and the stream's workers wait meanwhile."""

_COUNTS_OF_VISITORS_AT_ONCE = 10
"""Days and banners of a transaction: for each, the banner's rows of that day are read."""

_MAX_USER_ID, _MAX_VISITOR = 128, 32
"""Characters that the columns take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Whose interactions: of a user id, or of a visitor's pseudonym. Exactly one of the two isn't ""."""

    user_id: str = ""
    """As it was published. It is looked for as rows have it, so one of more than 128 characters by its beginning."""
    visitor: str = ""

    def __post_init__(self) -> None:
        """Raises `ValueError` where there is none or are both: "" is on many people's rows."""
        if bool(self.user_id) == bool(self.visitor):
            raise ValueError(
                f"Give a user id or a visitor's: {self.user_id!r} and {self.visitor!r} aren't one of both."
            )

    @property
    def stored_user_id(self) -> str:
        """The user id as rows have it."""
        return storable_text(self.user_id, _MAX_USER_ID)

    @property
    def rows(self) -> Q:
        """What picks the person's interactions."""
        if self.visitor:
            return Q(visitor=storable_text(self.visitor, _MAX_VISITOR))
        return Q(user_id=self.stored_user_id) | Q(author_id=self.stored_user_id)


class Step(NamedTuple):
    """A part of the walk."""

    walked: int
    """Keys that this part of the walk has passed."""
    found: Mapping[int, int]
    """Rows that it has found, or erased, by their stream."""


class Extent(NamedTuple):
    """The keys that are walked over."""

    first: int
    last: int

    @property
    def length(self) -> int:
        """How many keys that are at most."""
        return self.last - self.first + 1


class _Found(NamedTuple):
    pk: int
    stream_id: int
    kind: tuple[object, ...]
    """Day, action and banner: rows of different ones may each take a look at a whole day."""


def find(person: Person, streams: Iterable[int], *, using: str = DEFAULT_DB_ALIAS) -> Iterator[Step]:
    """Look for the person's rows in these streams, and change nothing. Raises Django's database errors."""
    wanted = set(streams)
    for walked, found in _walk(person, wanted, _extent(using), using):
        yield Step(walked, Counter(row.stream_id for row in found))


def erase(person: Person, streams: Iterable[int], *, using: str = DEFAULT_DB_ALIAS) -> Iterator[Step]:
    """Delete the person's rows in these streams, and subtract them from all counts.

    All that is recorded when it begins. Gives after each transaction, committed then, what it has erased; whoever
    stops in between goes on by calling it again. Must not be called in a transaction. Raises Django's database errors.
    """
    wanted = set(streams)
    for stream_id in sorted(wanted):
        # What a worker is about to commit may have lower keys than what another has committed.
        wait_for_batch(stream_id, using=using)
    for walked, found in _walk(person, wanted, _extent(using), using):
        yield Step(walked, {})
        for stream_id, pks in _batches(found):
            yield Step(0, {stream_id: _erase_rows(stream_id, pks, using)})
    if person.visitor:
        for stream_id in sorted(wanted):
            _forget_visitor(person.visitor, stream_id, using)
            yield Step(0, {})


def walk_length(*, using: str = DEFAULT_DB_ALIAS) -> int:
    """The sum of `Step.walked`, give or take what is recorded meanwhile."""
    return _extent(using).length


def find_pending(person: Person, streams: Iterable[int], *, using: str = DEFAULT_DB_ALIAS) -> list[int]:
    """The keys of the publishes to these streams that wait for the channel and name the user.

    Nothing in them tells a visitor. Raises Django's database errors.
    """
    if not person.user_id:
        return []
    pending = Pending.objects.using(using).filter(stream_id__in=set(streams)).order_by("pk")
    return [pk for pk, message in pending.values_list("pk", "message").iterator() if _names(person, message)]


def erase_pending(pks: Sequence[int], *, using: str = DEFAULT_DB_ALIAS) -> int:
    """Delete these publishes; returns how many were still there. Raises Django's database errors."""
    deleted = 0
    for start in range(0, len(pks), _ROWS_AT_ONCE):
        chunk = Pending.objects.using(using).filter(pk__in=pks[start : start + _ROWS_AT_ONCE])
        deleted += chunk.delete()[0]
    return deleted


def _extent(using: str) -> Extent:
    ends = Interaction.objects.using(using).order_by().aggregate(first=Min("pk"), last=Max("pk"))
    return Extent(ends["first"] or 0, -1 if ends["last"] is None else ends["last"])


def _walk(person: Person, wanted: set[int], extent: Extent, using: str) -> Iterator[tuple[int, list[_Found]]]:
    # The stream isn't asked for: SQLite would then walk along one of the streams' indexes, from its start each time.
    rows = Interaction.objects.using(using).filter(person.rows).order_by("pk")
    fields = ("pk", "stream_id", "received_at", "action", "name")
    for first in range(extent.first, extent.last + 1, _WINDOW):
        last = min(first + _WINDOW - 1, extent.last)
        window = rows.filter(pk__gte=first, pk__lte=last).values_list(*fields)
        found = [
            _Found(pk, stream_id, (received_at.astimezone(UTC).date(), action, name))
            for pk, stream_id, received_at, action, name in window
            if stream_id in wanted
        ]
        yield last - first + 1, found


def _batches(found: Iterable[_Found]) -> Iterator[tuple[int, list[int]]]:
    """Keys of one stream each, as many as a transaction takes."""
    by_stream: defaultdict[int, list[_Found]] = defaultdict(list)
    for row in found:
        by_stream[row.stream_id].append(row)
    for stream_id, rows in by_stream.items():
        batch: list[int] = []
        kinds: set[tuple[object, ...]] = set()
        for row in rows:
            kinds.add(row.kind)
            if len(batch) == _ROWS_AT_ONCE or len(kinds) > _COUNTS_OF_VISITORS_AT_ONCE:
                yield stream_id, batch
                batch, kinds = [], {row.kind}
            batch.append(row.pk)
        yield stream_id, batch


def _erase_rows(stream_id: int, pks: Sequence[int], using: str) -> int:
    with held_stream(stream_id, using=using):
        # Looked at again: somebody else may have deleted some of them, and whoever does it has to subtract them.
        rows = Interaction.objects.using(using).filter(pk__in=pks).order_by("pk").select_for_update()
        erased = {row.pk: _row_of(row) for row in rows}
        Interaction.objects.using(using).filter(pk__in=list(erased)).delete()
        uncount_interactions(using, stream_id, list(erased.values()))
        forget_visitors(using, stream_id, visitors_of(list(erased.values())))
    return len(erased)


def _row_of(interaction: Interaction) -> Row:
    row = Row(**{name: getattr(interaction, name) for name in Row._fields})
    return row._replace(received_at=row.received_at.astimezone(UTC))


def _forget_visitor(visitor: str, stream_id: int, using: str) -> None:
    """Take the visitor out of the last days' counts: of views, too, and of what has no row any more."""
    mine = DayVisitor.objects.using(using).filter(stream_id=stream_id, visitor=visitor).order_by()
    days = list(DayVisitor.objects.using(using).filter(stream_id=stream_id).order_by().values_list("day").distinct())
    for (day,) in days:
        with held_stream(stream_id, using=using):
            keys: list[VisitorKey] = list(mine.filter(day=day).values_list("day", "action", "name"))
            forget_visitors(using, stream_id, {key: {visitor} for key in keys})


def _names(person: Person, message: str) -> bool:
    interaction = read_interaction(json.loads(message))
    return interaction is not None and storable_text(interaction.user_id, _MAX_USER_ID) == person.stored_user_id
