"""From byte chunks to events, by the rules of the HTML standard's section 9.2.6.

sseclient-py is the parser; `framing` hands it whole, clean events only, and the state that outlives an event (the
last event id) is kept here.
https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from sseclient import Event as ParsedEvent
from sseclient import SSEClient

from inlive_banner.tail.framing import MAX_EVENT_BYTES, EventFramer

__all__ = ["Event", "EventParser", "parse_events"]

_MAX_RETRY_DIGITS = 18
"""More would be longer than the age of the universe, and Python refuses to read more than 4,300."""


class Event(NamedTuple):
    """One dispatched event."""

    data: str
    """The `data` lines, joined by LF."""
    last_event_id: str = ""
    """The connection's last event id: this event's own, or else that of the latest before it that had one."""
    type: str = "message"
    """The `event` field; `message` where there is none."""
    retry_ms: int | None = None
    """The reconnection time that the server asks for, with this event or since the one before it."""


class EventParser:
    """Parses the pieces of one connection, in turn, into events. A new connection needs a new parser."""

    def __init__(self, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._framer = EventFramer(max_event_bytes=max_event_bytes)
        self._last_event_id = ""

    @property
    def dropped_events(self) -> int:
        """How many events of this connection were longer than `max_event_bytes`, and so passed over."""
        return self._framer.dropped_events

    def allow(self, max_event_bytes: int) -> None:
        """Raise the bound for the events that are still to come."""
        self._framer.max_event_bytes = max_event_bytes

    def feed(self, piece: bytes) -> list[Event]:
        """Take the next piece, of any length, and return the events that it completes. Never raises on content."""
        events = self._framer.feed(piece)
        return [self._event(parsed) for parsed in SSEClient(iter((events,))).events()] if events else []

    def _event(self, parsed: ParsedEvent) -> Event:
        if parsed.id is not None:
            self._last_event_id = parsed.id
        retry_ms = None if parsed.retry is None else int(parsed.retry.lstrip("0")[:_MAX_RETRY_DIGITS] or "0")
        return Event(parsed.data, self._last_event_id, parsed.event, retry_ms)


def parse_events(chunks: Iterable[bytes], *, max_event_bytes: int = MAX_EVENT_BYTES) -> Iterator[Event]:
    """Parse a whole connection, given as byte chunks that may be cut anywhere, into the events it dispatches.

    Follows the HTML standard: an event cut off at the end isn't dispatched, nor is one without data (whose id
    counts all the same). Takes a chunk only when the events of the one before have been taken. Never raises on
    content; an event longer than `max_event_bytes`, comments and blank lines around it not counted, is passed over.
    """
    parser = EventParser(max_event_bytes=max_event_bytes)
    for chunk in chunks:
        yield from parser.feed(chunk)
