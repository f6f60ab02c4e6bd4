"""What is addressed to one subscriber, and is stored nowhere: handed to the node that has this subscriber.

A private message, or a `request` for the history, may be published at any node. The one that has no such subscriber
asks the others by a note; the one that has it answers.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from inlive_banner.exceptions import LogUnavailableError

if TYPE_CHECKING:
    from inlive_banner.channel.logs.base import Log
    from inlive_banner.channel.stream import Stream

__all__ = ["NOT_CONNECTED", "Relay"]

logger = logging.getLogger(__name__)

ANSWER_SECONDS = 1.0
"""Where no node answers in this time, none has the subscriber."""

NOT_CONNECTED = 409
"""The code where no node has the subscriber."""

_ANSWER = "answer"


class _Note(msgspec.Struct, omit_defaults=True):
    """What one node tells the others."""

    id: str
    """Of the question, and of its answer."""
    kind: str
    """`private`, `request`, or `answer`."""
    user_id: str = ""
    frame: bytes = b""
    """Of a private message: as it is sent."""
    code: int = 0
    """Of an answer."""


_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(_Note)


class Relay:
    """One for all streams of a node."""

    def __init__(self, log: Log, streams: Mapping[int, Stream]) -> None:
        self._log = log
        self._streams = streams
        self._waiting: dict[str, asyncio.Future[int]] = {}
        self._answers: set[asyncio.Task[None]] = set()

    async def send_private(self, stream: Stream, user_id: str, frame: bytes) -> int:
        """Deliver a private message: 200, or `NOT_CONNECTED`. Raises `LogUnavailableError`."""
        code = stream.send_private(user_id, frame)
        return code or await self._ask(stream, _Note(secrets.token_hex(8), "private", user_id, frame))

    async def request_history(self, stream: Stream, user_id: str) -> int:
        """Have a subscriber get its history: 200, 403, 429, or `NOT_CONNECTED`. Raises `LogUnavailableError`."""
        code = stream.request_history(user_id)
        return code or await self._ask(stream, _Note(secrets.token_hex(8), "request", user_id))

    def take(self, stream_id: int, data: bytes) -> None:
        """Do what another node asks for, or hear its answer."""
        try:
            note = _decoder.decode(data)
        except msgspec.MsgspecError:  # of a node of another version
            logger.warning("can't read a note of another node stream=%d", stream_id)
            return
        if note.kind == _ANSWER:
            future = self._waiting.get(note.id)
            if future is not None and not future.done():
                future.set_result(note.code)
            return
        # The asking node hears its own question, too, and still doesn't have the subscriber.
        stream = self._streams[stream_id]
        if note.kind == "private":
            code = stream.send_private(note.user_id, note.frame)
        else:
            code = stream.request_history(note.user_id)
        if code:
            answer = asyncio.ensure_future(self._answer(stream_id, _Note(note.id, _ANSWER, code=code)))
            self._answers.add(answer)
            answer.add_done_callback(self._answers.discard)

    async def _ask(self, stream: Stream, note: _Note) -> int:
        future = self._waiting[note.id] = asyncio.get_running_loop().create_future()
        try:
            if not await self._log.notify(stream.stream_id, _encode(note)):
                return NOT_CONNECTED  # there is no other node
            return await asyncio.wait_for(future, ANSWER_SECONDS)
        except TimeoutError:
            return NOT_CONNECTED
        finally:
            del self._waiting[note.id]

    async def _answer(self, stream_id: int, note: _Note) -> None:
        try:
            await self._log.notify(stream_id, _encode(note))
        except LogUnavailableError as error:
            logger.debug("can't answer another node stream=%d: %s", stream_id, error)
