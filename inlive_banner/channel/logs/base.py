"""The durable log's interface, and the rules that hold for every implementation.

A log gives each broadcast of a stream the next number (`seq`), 1, 2, 3, … without gaps, and keeps it until it
is older than the retention. `append` returns only when the broadcast is durable.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from inlive_banner.envelope import FROM_OLDEST, EventId, parse_event_id

__all__ = ["Appended", "Bounds", "Draft", "Entry", "Log", "OnCommit", "OnNote", "OnReset", "Start"]


class Draft(NamedTuple):
    """A broadcast on its way into the log."""

    stream_id: int
    publish_id: str
    received_at: int
    """Unix milliseconds."""
    body: bytes
    """The envelope as one line of JSON, without its `id`."""


class Appended(NamedTuple):
    """Where a broadcast is in the log."""

    event_id: EventId
    received_at: int
    """Unix milliseconds; the first one's where the publish is a repeated one."""
    duplicate: bool
    """True where the same `publish_id` was in the log already: nothing was stored."""


class Entry(NamedTuple):
    """A stored broadcast."""

    event_id: EventId
    body: bytes
    """The envelope as one line of JSON, without its `id`."""


class Start(NamedTuple):
    """Where a subscription begins."""

    seq: int
    """The subscription gets everything after this number."""
    recovered: bool
    """False where the log can't vouch that nothing is missing between the client's position and this one."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a stream's log holds: its epochs, its oldest and its newest number."""

    epochs: tuple[tuple[int, str], ...]
    """(first seq, epoch), ascending; never empty. Each epoch ends where the next begins."""
    oldest: int
    """The first number that is still held; head + 1 where nothing is."""
    head: int
    """The newest number; 0 before the first broadcast."""

    def event_id(self, seq: int) -> EventId:
        """The event id of a number: never rewritten, because an epoch's first number never changes."""
        place = bisect_right(self.epochs, seq, key=_first_seq) - 1
        return EventId(self.epochs[max(place, 0)][1], seq)

    def start_after(self, last_event_id: str) -> Start:
        """Where a client goes on that is done with `last_event_id` (wire protocol, part 2, rule 2). Never fails."""
        before_oldest = self.oldest - 1
        if last_event_id == FROM_OLDEST:
            return Start(before_oldest, recovered=True)
        position = parse_event_id(last_event_id)
        if position is None:
            return Start(before_oldest, recovered=False)
        for place, (first, epoch) in enumerate(self.epochs):
            if epoch == position.epoch:
                following = self.epochs[place + 1 : place + 2]
                last = following[0][0] - 1 if following else self.head
                if position.seq > last:
                    return Start(max(last, before_oldest), recovered=False)
                # `first - 1` is the position of a client that joined before the epoch's first broadcast.
                if position.seq < first - 1:
                    return Start(before_oldest, recovered=False)
                held = max(first - 1, before_oldest)
                return Start(max(position.seq, held), recovered=position.seq >= held)
        return Start(before_oldest, recovered=False)


OnCommit = Callable[[int, Sequence[Entry]], None]
"""`on_commit(stream_id, entries)`: called on the event loop for what has become durable, before `append` returns.

Of a shared log, for streams that are attended only."""

OnReset = Callable[[int], None]
"""`on_reset(stream_id)`: called on the event loop where the log has lost what was fanned out of it, and where a stream
begins to be attended: what comes next doesn't join on to what came before."""

OnNote = Callable[[int, bytes], None]
"""`on_note(stream_id, note)`: called on the event loop for what a node has given to `notify`; its own ones too."""


class Log(Protocol):
    """One durable log for all streams of a channel. All methods are called on the channel's event loop."""

    is_shared: bool
    """Whether other nodes may use it at the same time."""

    async def open(
        self,
        stream_ids: Sequence[int],
        on_commit: OnCommit,
        on_reset: OnReset | None = None,
        on_note: OnNote | None = None,
    ) -> None:
        """Open or create the log. Raises `LogUnavailableError`, `LogOwnedError`, `ConfigurationError`."""

    async def append(self, draft: Draft) -> Appended:
        """Store a broadcast and return when it is durable.

        Idempotent by `publish_id`. Raises `LogUnavailableError`: then nothing was stored, and trying again is safe.
        """

    async def read_after(self, stream_id: int, seq: int, *, limit: int, max_bytes: int) -> list[Entry]:
        """The entries after a number, oldest first; at most `limit`, and at least one where there is one.

        Stops before the entry whose body would exceed `max_bytes` in all. Raises `LogUnavailableError`.
        """

    async def read_newest(self, stream_id: int, *, limit: int, max_bytes: int) -> list[Entry]:
        """The newest entries, oldest first, within both limits. Raises `LogUnavailableError`."""

    async def daily_secret(self, day: int) -> bytes:
        """32 random bytes, the same for all who ask within one UTC day (days since 1970); made when first asked for.

        Durable when it returns. The log forgets by itself, also where nobody asks: it keeps today's and yesterday's.
        Raises `LogUnavailableError`.
        """

    async def refresh(self, stream_id: int, last_event_id: str, *, to_newest: bool = False) -> None:
        """See to it that `bounds` knows a position that a client has from another node. Raises `LogUnavailableError`.

        With `to_newest` it knows all that any node has acknowledged by now. Where there are no others, does nothing.
        """

    async def attend(self, stream_id: int) -> bool:
        """Fan out all that is appended to a stream from now on, and hear notes. Raises `LogUnavailableError`.

        True where that begins only now. A log that isn't shared fans out everything, always.
        """

    def leave(self, stream_id: int) -> None:
        """The stream needs no longer be fanned out here. Appending to it goes on."""

    async def notify(self, stream_id: int, note: bytes) -> int:
        """Tell the nodes that attend a stream something that is stored nowhere, a JSON object.

        Gives how many others hear it. Raises `LogUnavailableError`.
        """

    def bounds(self, stream_id: int) -> Bounds:
        """What the log holds of a stream. Doesn't block."""

    async def close(self) -> None:
        """Finish what was accepted, and let the log go."""


def _first_seq(epoch: tuple[int, str]) -> int:
    return epoch[0]
