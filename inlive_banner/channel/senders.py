"""Who sends an interaction: a person or not, and which visitor. Decided once, when it is published."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from inlive_banner.channel.address import Networks, client_address, parse_address
from inlive_banner.channel.crawlers import Crawlers
from inlive_banner.channel.rate import Rate
from inlive_banner.channel.visitors import Visitors, day_of
from inlive_banner.envelope import VIEW, Interaction
from inlive_banner.tokens import PublishRight

if TYPE_CHECKING:
    from inlive_banner.channel.config import ChannelConfig
    from inlive_banner.channel.logs.base import Log
    from inlive_banner.channel.request import Client, Request

__all__ = ["NOBODY", "Sender", "Senders"]


class Sender(NamedTuple):
    """What an envelope says of who sent it."""

    label: str = ""
    """One of `envelope.LABELS`, or "" for a person who counts."""
    visitor: str = ""
    """A pseudonym for the day; "" where there is none."""


NOBODY = Sender()
"""What the envelope of anything but an interaction says."""


class Senders:
    """Judges the senders of all streams. Logs nothing of them, and keeps of them only their newest times."""

    def __init__(self, config: ChannelConfig, log: Log) -> None:
        """Raises `ConfigurationError` where an address in the configuration isn't one."""
        self._trusted = Networks(config.trusted_proxies, setting="TRUSTED_PROXIES")
        self._own = Networks(config.own_addresses, setting="OWN_ADDRESSES")
        self._honour_dnt = config.honour_dnt
        self._visitors = Visitors(log)
        self._crawlers = Crawlers()
        self._rate = Rate(config.impossible_rate) if config.impossible_rate else None

    async def judge(
        self, request: Request, right: PublishRight, interaction: Interaction, *, author_id: str, received_at: int
    ) -> Sender:
        """The label and the visitor of an interaction; `author_id` is "" where it was made up just now."""
        client = request.client
        if right.service:
            address = parse_address(client.visitor_address)
        else:
            address = client_address(client.peer, client.forwarded_for, self._trusted)
        visitor = ""
        if address:
            day = day_of(received_at)
            # A click is worth more than its visitor: it goes without where the log can't give the day's secret.
            if self._visitors.is_ready(day) or await self._visitors.prepare(day):
                visitor = self._visitors.pseudonym(address, client.user_agent)
        # The order is that of LABELS, the surest first. The rate is a guess, so it comes last.
        if right.label:
            label = right.label
        elif self._own and address in self._own:
            label = "own"
        elif self._crawlers.has(client.user_agent):
            label = "crawler"
        elif client.prefetch:
            label = "prefetch"
        elif interaction.hint:
            label = interaction.hint
        elif interaction.action != VIEW and self._is_too_fast(author_id, "" if self._is_a_proxys(client) else visitor):
            label = "rate"
        else:
            label = ""
        return Sender(label, visitor)

    def declines(self, request: Request) -> bool:
        """True where the person who sends it doesn't want to be followed, and that is honoured."""
        return self._honour_dnt and request.client.opted_out

    def forget_past(self) -> None:
        """Let go of what belongs to a day that is over. Called now and then, publishes or not."""
        self._visitors.forget_before(day_of(time.time_ns() // 1_000_000))

    def _is_a_proxys(self, client: Client) -> bool:
        """True where a proxy doesn't say whom it speaks for: then all who come by it look like one visitor."""
        return not (client.forwarded_for or client.visitor_address) and self._trusted.has_name(client.peer)

    def _is_too_fast(self, author_id: str, visitor: str) -> bool:
        rate = self._rate
        if rate is None:
            return False
        now = time.monotonic()
        author_is = bool(author_id) and rate.exceeds(author_id, now)
        visitor_is = bool(visitor) and rate.exceeds(visitor, now)  # noted in any case
        return author_is or visitor_is
