"""Visitors without cookies: a pseudonym for one UTC day, which nobody can make again once the day's secret is gone."""

from __future__ import annotations

import asyncio
import logging
import time
from binascii import b2a_base64
from hashlib import blake2b
from typing import TYPE_CHECKING

from inlive_banner.exceptions import LogError

if TYPE_CHECKING:
    from inlive_banner.channel.logs.base import Log

__all__ = ["Visitors", "day_of"]

logger = logging.getLogger(__name__)

DAY_MS = 24 * 3600 * 1000
RETRY_SECONDS = 10.0
"""After the log has failed to give a secret, interactions go without a visitor for this time."""

_HASH_BYTES = 16
_TEXT_LENGTH = 22  # of 16 bytes in base64, without the padding
_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def day_of(milliseconds: int) -> int:
    """The UTC day of a time (Unix milliseconds), as the number of days since 1970."""
    return milliseconds // DAY_MS


class Visitors:
    """Names visitors. Of addresses and user agents it keeps nothing."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._day = -1
        self._keyed = blake2b(digest_size=_HASH_BYTES)
        self._asking = asyncio.Lock()
        self._retry_at = 0.0

    def is_ready(self, day: int) -> bool:
        """Whether the secret of a day is at hand."""
        return day == self._day

    async def prepare(self, day: int) -> bool:
        """Get the secret of a day from the log; False where that can't give it now."""
        async with self._asking:
            if day == self._day:
                return True  # another publish has asked meanwhile
            if time.monotonic() < self._retry_at:
                return False
            try:
                secret = await self._log.daily_secret(day)
            except LogError as error:
                logger.warning("interactions go without a visitor for a while: %s", error)
                self._retry_at = time.monotonic() + RETRY_SECONDS
                return False
            self._keyed = blake2b(key=secret, digest_size=_HASH_BYTES)
            self._day = day
            return True

    def pseudonym(self, address: bytes, user_agent: bytes) -> str:
        """22 characters of URL-safe base64, the same for one address and user agent all day and on all streams."""
        hasher = self._keyed.copy()
        hasher.update(address + user_agent)  # an address is always of the same length
        text = b2a_base64(hasher.digest(), newline=False)[:_TEXT_LENGTH]
        return text.translate(_URL_SAFE).decode("ascii")

    def forget_before(self, day: int) -> None:
        """Let go of a secret in memory whose day is over. The log forgets its own by itself."""
        if self._day < day:
            self._day = -1
            self._keyed = blake2b(digest_size=_HASH_BYTES)
