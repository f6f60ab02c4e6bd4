"""Known crawlers, told by their user agents, from the list that the package crawler-user-agents keeps."""

from __future__ import annotations

import logging
from functools import lru_cache

try:
    from crawleruseragents import is_crawler
except ImportError:  # it belongs to the extra `channel`, and the channel also runs without
    is_crawler = None

__all__ = ["Crawlers"]

logger = logging.getLogger(__name__)

KNOWN_USER_AGENTS = 4096
"""User agents whose answer is remembered: a first look costs half a millisecond, all patterns being tried."""
MAX_USER_AGENT_BYTES = 512
"""Of a longer one only the beginning is looked at: the time grows with the length, and browsers send some 120 bytes."""


class Crawlers:
    """Tells crawlers. Warns once, when it is made, where the package isn't installed."""

    def __init__(self) -> None:
        self.has = lru_cache(KNOWN_USER_AGENTS)(_is_crawler)
        """has(user_agent) -> bool: whether this `User-Agent`, b"" where there is none, is a crawler's."""
        if is_crawler is None:
            logger.warning(
                "crawlers aren't told from people, because the package crawler-user-agents is missing: "
                "pip install django-inlive-banner[channel]"
            )
        self.has(b"-")  # compiles the patterns, which takes a tenth of a second, before anybody waits for it


def _is_crawler(user_agent: bytes) -> bool:
    text = user_agent[:MAX_USER_AGENT_BYTES].decode("latin-1").strip()
    if not text:
        return True  # every browser sends one
    return is_crawler is not None and bool(is_crawler(text))
