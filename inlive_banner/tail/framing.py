"""From the bytes of a connection to whole, clean events: the step before sseclient-py.

sseclient-py parses events well when it is given whole ones. Given the raw pieces of a connection, it takes an
event that was cut off at the end for a whole one, loses its place where a CR LF is split over two pieces, raises
on invalid UTF-8, knows neither the byte order mark nor the rules for NUL in an id and for `retry`, forgets the id
of an event without data, and buffers without bound. So each piece goes through an `EventFramer` first. It does no
I/O, so that all of this can be tested alone.

The rules are those of https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream.
"""

from __future__ import annotations

import re

__all__ = ["MAX_EVENT_BYTES", "EventFramer"]

MAX_EVENT_BYTES = 1024 * 1024
"""The channel's events are at most some 17 KiB; the rest is room for servers with other limits."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

# What the channel sends nearly always: an event of an id and one line of data. Possessive, so that it is linear.
_PLAIN_EVENTS = re.compile(rb"(?:(?:id: [^\n\0]*+\n)?+data: [^\n]*+\n\n)*+")

# The lines that mean something. All others (comments, unknown fields, ids with NUL, a `retry` that isn't digits)
# are to be ignored, and the parser doesn't ignore all of them.
_MEANINGFUL_LINE = re.compile(rb"(?:data|event)(?::.*)?|id(?::[^\0]*)?|retry: ?[0-9]+", re.DOTALL)

_COMMENTS = re.compile(rb"^:[^\n]*(?:\n|\Z)", re.MULTILINE)


_FIRST_ID = re.compile(rb"(id:[^\n\0]{0,64})\n")
"""Longer than any id of the channel isn't worth keeping."""


class EventFramer:
    """Takes the pieces of one connection in turn, and gives back whole events that sseclient-py parses right.

    What it gives has LF line ends and valid UTF-8 (invalid bytes became U+FFFD), begins and ends at an event's
    border, and holds meaningful lines only. Where the pieces were cut makes no difference to the events. An event
    that is unfinished when the connection ends is never given.
    """

    def __init__(self, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self.dropped_events = 0
        """Events that were longer than `max_event_bytes`. Where the id came before what made it too long, an event
        with this id and empty data takes its place, so that a reader's position can move on."""
        self.max_event_bytes = max_event_bytes
        """May be raised while the connection lasts."""
        self._start: bytes | None = b""
        """The connection's first bytes while they may still be a byte order mark; then None."""
        self._after_cr = False
        self._held = bytearray()
        """The beginning of an unfinished event."""
        self._dropped_id = b""
        """The `id` line of the event that is being dropped, where it was seen."""
        self._dropping = False
        """True inside an event that is too long, of which only the last byte is held."""
        self._carried: dict[bytes, bytes] = {}
        """`id` and `retry` lines of events without data, for the next event with data: the parser gives out only
        that one, and by the standard the others count."""

    def feed(self, piece: bytes) -> bytes:
        """Take the next piece, of any length; return the events that it completes, b"" where there are none.

        Holds at most `max_event_bytes` and one piece in memory.
        """
        before = len(self._held)
        self._held += self._with_lf_line_ends(self._without_byte_order_mark(piece))
        if self._dropping and not self._drop_to_next_event():
            return b""
        end = self._held.rfind(b"\n\n", max(before - 1, 0)) + 2
        if end < 2:
            self._bound_held()
            return b""
        events = bytes(self._held[:end])
        del self._held[:end]
        self._bound_held()
        return self._clean(events)

    def _without_byte_order_mark(self, piece: bytes) -> bytes:
        if self._start is None:
            return piece
        start = self._start + piece
        if len(start) < len(_BYTE_ORDER_MARK) and _BYTE_ORDER_MARK.startswith(start):
            self._start = start
            return b""
        self._start = None
        return start.removeprefix(_BYTE_ORDER_MARK)

    def _with_lf_line_ends(self, piece: bytes) -> bytes:
        # A CR ends its line at once, for nothing may follow it for a long time; an LF after it is then skipped.
        if self._after_cr and piece:
            piece = piece.removeprefix(b"\n")
            self._after_cr = False
        if b"\r" not in piece:
            return piece
        self._after_cr = piece.endswith(b"\r")
        return piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _drop_to_next_event(self) -> bool:
        end = self._held.find(b"\n\n")
        if end < 0:
            del self._held[:-1]
            return False
        self._held[: end + 2] = _stub_of(self._dropped_id)
        self._dropping = False
        self.dropped_events += 1
        return True

    def _bound_held(self) -> None:
        if len(self._held) <= self.max_event_bytes:
            return
        # Comments don't count: a connection that only ever gets keep-alives must not come to the bound. Of one that
        # is still unfinished the colon stays, which says that the rest of its line is a comment, too.
        in_comment = self._held.startswith(b":", self._held.rfind(b"\n") + 1)
        self._held = bytearray(_COMMENTS.sub(b"", self._held))
        if self._is_too_long(self._held):
            self._dropping = True
            self._dropped_id = self._id_line_of(self._held)
            del self._held[:-1]
        elif in_comment:
            self._held += b":"

    def _is_too_long(self, event: bytes | bytearray) -> bool:
        return len(_COMMENTS.sub(b"", event).strip(b"\n")) > self.max_event_bytes

    def _id_line_of(self, event: bytes | bytearray) -> bytes:
        """The `id` line that a too long event begins with, as the channel's do; b"" where it begins otherwise.

        It has to end within the bound: so much of the event was seen, wherever the pieces were cut. And what takes
        the event's place must keep to the bound itself.
        """
        match = _FIRST_ID.match(_COMMENTS.sub(b"", event).lstrip(b"\n")[: max(0, self.max_event_bytes - len(b"data:"))])
        return match[1] if match else b""

    def _clean(self, events: bytes) -> bytes:
        is_short = len(events) <= self.max_event_bytes
        if is_short and not self._carried and _PLAIN_EVENTS.fullmatch(events) and _is_utf8(events):
            return events
        cleaned: list[bytes] = []
        for event in events.split(b"\n\n"):
            if not is_short and self._is_too_long(event):
                self.dropped_events += 1
                event = _stub_of(self._id_line_of(event)).removesuffix(b"\n\n")  # noqa: PLW2901  (it takes its place)
            lines = [line for line in _as_utf8(event).split(b"\n") if _MEANINGFUL_LINE.fullmatch(line)]
            if any(line.startswith(b"data") for line in lines):
                cleaned += [*self._carried.values(), *lines, b""]
                self._carried.clear()
            else:
                self._carried |= {line[:2]: line for line in lines if not line.startswith(b"event")}
        return b"".join(line + b"\n" for line in cleaned)


def _stub_of(id_line: bytes) -> bytes:
    return id_line + b"\ndata:\n\n" if id_line else b""


def _is_utf8(text: bytes) -> bool:
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _as_utf8(text: bytes) -> bytes:
    return text if text.isascii() else text.decode(errors="replace").encode()
