"""What is addressed to one subscriber, and is stored nowhere: handed to the node that has this subscriber.

A private message, or a `request` for the history, may be published at any node. The one that has no such subscriber
asks the others by a note; the one that has it answers.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import TYPE_CHECKING

from inlive_banner.channel.notes import ANSWER, PRIVATE, REQUEST, Note, encode_note
from inlive_banner.exceptions import LogUnavailableError

if TYPE_CHECKING:
    from inlive_banner.channel.attendance import Attendance
    from inlive_banner.channel.logs.base import Log
    from inlive_banner.channel.stream import Stream

__all__ = ["NOT_CONNECTED", "Relay"]

logger = logging.getLogger(__name__)

ANSWER_SECONDS = 1.0
"""Where no node answers in this time, none has the subscriber."""

NOT_CONNECTED = 409
"""The code where no node has the subscriber."""


class Relay:
    """One for all streams of a node."""

    def __init__(self, log: Log, attendance: Attendance) -> None:
        self._log = log
        self._attendance = attendance
        self._waiting: dict[str, asyncio.Future[int]] = {}
        self._answers: set[asyncio.Task[None]] = set()

    async def send_private(self, stream: Stream, user_id: str, frame: bytes) -> int:
        """Deliver a private message: 200, or `NOT_CONNECTED`. Raises `LogUnavailableError`."""
        code = stream.send_private(user_id, frame)
        return code or await self._ask(stream, Note(PRIVATE, secrets.token_hex(8), user_id, frame))

    async def request_history(self, stream: Stream, user_id: str) -> int:
        """Have a subscriber get its history: 200, 403, 429, or `NOT_CONNECTED`. Raises `LogUnavailableError`."""
        code = stream.request_history(user_id)
        return code or await self._ask(stream, Note(REQUEST, secrets.token_hex(8), user_id))

    def take(self, stream: Stream, note: Note) -> None:
        """Do what another node asks for, or hear its answer."""
        if note.kind == ANSWER:
            future = self._waiting.get(note.id)
            if future is not None and not future.done():
                future.set_result(note.code)
            return
        # The asking node hears its own question, too, and still doesn't have the subscriber.
        code = 0
        if note.kind == PRIVATE:
            code = stream.send_private(note.user_id, note.frame)
        elif note.kind == REQUEST:
            code = stream.request_history(note.user_id)
        if code:
            answer = asyncio.ensure_future(self._answer(stream, Note(ANSWER, note.id, code=code)))
            self._answers.add(answer)
            answer.add_done_callback(self._answers.discard)

    async def _ask(self, stream: Stream, note: Note) -> int:
        await self._attendance.attend(stream)  # or the answer wouldn't be heard
        future = self._waiting[note.id] = asyncio.get_running_loop().create_future()
        try:
            if not await self._log.notify(stream.stream_id, encode_note(note)):
                return NOT_CONNECTED  # there is no other node
            return await asyncio.wait_for(future, ANSWER_SECONDS)
        except TimeoutError:
            return NOT_CONNECTED
        finally:
            del self._waiting[note.id]

    async def _answer(self, stream: Stream, note: Note) -> None:
        try:
            await self._log.notify(stream.stream_id, encode_note(note))
        except LogUnavailableError as error:
            logger.debug("can't answer another node stream=%d: %s", stream.stream_id, error)
