"""One stream on the engine, as this node knows it: what it appends, and what it follows that others append."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from inlive_banner.channel.logs.base import Appended, Bounds, Draft, Entry, OnCommit, OnNote, OnReset
from inlive_banner.channel.logs.redis_engine import Engine
from inlive_banner.channel.logs.redis_scripts import APPEND, READ_AFTER, READ_NEWEST, STATE, TRIM
from inlive_banner.envelope import parse_event_id
from inlive_banner.exceptions import LogUnavailableError

__all__ = ["RedisStream"]

logger = logging.getLogger(__name__)

LISTEN_SECONDS = 1.0
"""So long is waited until wake-ups are heard. Where that takes longer, they are looked for every few seconds."""
RETRY_FOR_SECONDS = 1.0
"""How long reading is tried again."""
RETRY_SECONDS = 0.05
READ_ENTRIES = 500
READ_BYTES = 1024 * 1024
"""What is read at a time of what others have appended."""


class _State(NamedTuple):
    """What the engine says of a stream."""

    epochs: tuple[tuple[int, str], ...]
    head: int
    oldest: int

    @property
    def bounds(self) -> Bounds:
        return Bounds(self.epochs, self.oldest, self.head)


class RedisStream:
    """Every broadcast is fanned out in the order of the numbers, whichever node has appended it."""

    def __init__(
        self, engine: Engine, stream_id: int, *, on_commit: OnCommit, on_reset: OnReset, on_note: OnNote
    ) -> None:
        base = f"{engine.prefix}:{{{stream_id}}}"
        self.stream_id = stream_id
        self.keys = tuple(f"{base}:{part}" for part in ("log", "meta", "ids"))
        self.channel = f"{base}:wake"
        self.bounds = Bounds(epochs=((1, ""),), oldest=1, head=0)
        """`head` is what this node has fanned out. Old where the stream isn't attended."""
        self._engine = engine
        self._on_commit = on_commit
        self._on_reset = on_reset
        self._on_note = on_note
        self._order = asyncio.Lock()
        """Held by whoever fans out, or begins to: one at a time, in the order of the numbers."""
        self._listener: asyncio.Task[None] | None = None
        """There while the stream is attended."""
        self._hears = asyncio.Event()

    async def begin(self, *, new_epoch: bool) -> None:
        """Know what there is. Raises `LogUnavailableError`, as all methods do."""
        state, _ = await self._run(STATE, new_epoch=new_epoch)
        self.bounds = state.bounds

    async def append(self, drafts: Sequence[Draft], *, max_bytes: int) -> list[Appended | None]:
        """Store broadcasts, and fan them out; None for each that the log has no room for.

        Where it raises, some or all may have been stored: trying again is harmless.
        """
        arguments: list[str | bytes | int] = [max_bytes, self.channel]
        for draft in drafts:
            arguments += [draft.publish_id, draft.received_at, draft.body]
        state, (before, texts) = await self._run(APPEND, *arguments)
        new: dict[int, Draft] = {}
        places: list[Appended | None] = []
        for draft, text in zip(drafts, texts, strict=True):
            if not text:
                places.append(None)
                continue
            number, received_at = map(int, text.split(b":"))
            # Of the same publish id twice in a batch only the first is new.
            is_new = number > int(before) and number not in new
            if is_new:
                new[number] = draft
            places.append(Appended(state.bounds.event_id(number), received_at, duplicate=not is_new))
        if new and self._listener is not None:
            await self._fan_out(state, [Entry(state.bounds.event_id(seq), draft.body) for seq, draft in new.items()])
        return places

    async def read_after(self, seq: int, *, limit: int, max_bytes: int) -> list[Entry]:
        """The entries after a number, oldest first."""
        _, entries = await self._read(READ_AFTER, f"(0-{seq}", limit, max_bytes)
        return entries

    async def read_newest(self, *, limit: int, max_bytes: int) -> list[Entry]:
        """The newest entries, oldest first."""
        _, entries = await self._read(READ_NEWEST, "+", limit, max_bytes)
        return entries[::-1]

    async def attend(self) -> bool:
        """Fan out from now on, and hear notes; True where that begins only now."""
        async with self._order:
            if self._listener is not None:
                return False
            state, _ = await self._run(STATE)
            self.bounds = state.bounds
            self._on_reset(self.stream_id)  # what was fanned out some time ago doesn't join on to what comes
            self._hears.clear()
            self._listener = self._engine.listen(self.channel, self.hear)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._hears.wait(), LISTEN_SECONDS)
        return True

    def leave(self) -> None:
        """Fan out no more."""
        if self._listener is not None:
            self._engine.hear_no_more(self._listener)
            self._listener = None

    def knows(self, last_event_id: str) -> bool:
        """Whether a client that is done with this event has seen no more than this node; True of what is no event."""
        position = parse_event_id(last_event_id)
        if position is None:
            return True
        is_known = any(epoch == position.epoch for _, epoch in self.bounds.epochs)
        return is_known and position.seq <= self.bounds.head

    async def hear(self, message: bytes) -> None:
        """What comes on its channel: a note, which is an object; else, that there may be something to follow."""
        if message.startswith(b"{"):
            self._on_note(self.stream_id, message)
            return
        try:
            await self.follow()
        finally:
            self._hears.set()

    async def notify(self, note: bytes) -> int:
        """Tell the other nodes that attend the stream; how many they are."""
        heard_by = await self._engine.tell(self.channel, note)
        return max(heard_by - (self._listener is not None), 0)

    async def follow(self) -> None:
        """Fan out all that this node doesn't know yet; nothing where the stream isn't attended."""
        async with self._order:
            while self._listener is not None:
                state, entries = await self._read(READ_AFTER, f"(0-{self.bounds.head}", READ_ENTRIES, READ_BYTES)
                if self._learn(state):
                    return  # from here on there is nothing that was read yet
                if entries:
                    self._tell(entries)
                if self.bounds.head >= state.head:
                    return

    async def trim(self, *, before: int, limit: int) -> int:
        """Let the oldest go that were received before that time (Unix milliseconds); how many these were."""
        state, (count,) = await self._run(TRIM, before, limit)
        if self._listener is not None:
            async with self._order:
                self._learn(state)
        return int(count)

    async def _fan_out(self, state: _State, entries: list[Entry]) -> None:
        """Fan out what this node has appended, after all that others have appended before it."""
        async with self._order:
            self._learn(state)
            if self.bounds.head == entries[0].event_id.seq - 1:
                self._tell(entries)
        if self.bounds.head < entries[-1].event_id.seq:
            await self.follow()

    def _tell(self, entries: list[Entry]) -> None:
        self.bounds = Bounds(self.bounds.epochs, self.bounds.oldest, entries[-1].event_id.seq)
        self._on_commit(self.stream_id, entries)

    def _learn(self, state: _State) -> bool:
        """Take over what the engine says. True where it isn't the log any more that this node has fanned out.

        It has lost some of it, or all: clients come again then, and are told.
        """
        known = self.bounds
        if known.epochs[-1] in state.epochs:
            newer = state.epochs[state.epochs.index(known.epochs[-1]) + 1 :]
            is_lost = any(first <= known.head for first, _ in newer)
        elif state.epochs[-1] in known.epochs:
            return False  # an answer that was overtaken by a newer one
        else:
            is_lost = True
        self.bounds = Bounds(state.epochs, state.oldest, state.head if is_lost else known.head)
        if is_lost:
            logger.warning("the engine has lost what was in the log: clients begin anew stream=%d", self.stream_id)
            self._on_reset(self.stream_id)
        return is_lost

    async def _read(self, script: str, start: str, limit: int, max_bytes: int) -> tuple[_State, list[Entry]]:
        state, (found,) = await self._run(script, start, limit, max_bytes)
        bounds = state.bounds
        numbers = map(int, found[::2])
        return state, [Entry(bounds.event_id(seq), body) for seq, body in zip(numbers, found[1::2], strict=True)]

    async def _run(
        self, script: str, *arguments: str | bytes | int, new_epoch: bool = False
    ) -> tuple[_State, list[Any]]:
        every = (secrets.token_hex(8), "1" if new_epoch else "")
        epochs, head, oldest, *rest = await self._answer(script, *every, *arguments)
        pairs = (pair.split(":") for pair in epochs.decode().split(","))
        return _State(tuple((int(first), epoch) for first, epoch in pairs), int(head), int(oldest)), rest

    async def _answer(self, script: str, *arguments: str | bytes | int) -> list[Any]:
        deadline = time.monotonic() + RETRY_FOR_SECONDS
        while True:
            try:
                return await self._engine.run(script, self.keys, *arguments)
            except LogUnavailableError:
                # An engine that was away has left connections behind that are dead, and each is found so by its use.
                # What is appended is tried again by the log, which knows for how long that makes sense.
                if script == APPEND or time.monotonic() >= deadline:
                    raise
            await asyncio.sleep(RETRY_SECONDS)
