"""The wire, read strictly: chunks, events, envelopes. Fails on whatever the protocol doesn't allow.

A lenient reader hides what a stricter one would stumble over, so this one takes only HTTP/1.1's whole chunks (RFC
9112), what is legal and canonical in an event stream (WHATWG HTML, 9.2), and the wire protocol's envelopes.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["COMMENT", "ChunkReader", "Event", "EventParser", "WireError", "demand", "strict_json"]

COMMENT = "comment"
"""What stands for a comment among the events."""

_EVENT_ID = re.compile(r"[0-9a-f]{8,32}-(0|[1-9][0-9]*)")
_CHUNK_SIZE = re.compile(rb"[0-9a-fA-F]+")
_LONGEST_SIZE_LINE = 20
_FIELDS: dict[str, type | tuple[type, ...]] = {
    "stream_id": str,
    "author_id": str,
    "to_user_id": str,
    "message": object,
    "timestamp": (int, float),
    "type": str,
    "widget_key": str,
}
_ADDITIONS: dict[str, type] = {
    "id": str,
    "publish_id": str,
    "received_at": int,
    "interaction": str,
    "label": str,
    "visitor": str,
}
_NUMBERED = ("init", "broadcast")


class WireError(AssertionError):
    """The server has sent what the protocol doesn't allow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event, its data an envelope."""

    id: str
    """Its `id:` line; "" where it has none."""
    envelope: dict[str, Any]
    at: float
    """When it was read, by the monotonic clock."""

    @property
    def type(self) -> str:
        """`init`, `system`, `broadcast`, `private` or `request`."""
        kind: str = self.envelope["type"]
        return kind

    @property
    def message(self) -> Any:
        """The payload."""
        return self.envelope["message"]


class ChunkReader:
    """Takes the chunks off a response's body (RFC 9112, 7.1)."""

    def __init__(self, data: bytes = b"") -> None:
        self._data = bytearray(data)
        self.ended = False
        """True after the last chunk, the empty one: the response is whole."""

    def feed(self, data: bytes) -> bytes:
        """Take bytes of the connection; returns what is complete of the content."""
        self._data += data
        taken = bytearray()
        while not self.ended:
            head, found, rest = self._data.partition(b"\r\n")
            if not found:
                demand(len(head) < _LONGEST_SIZE_LINE, "a chunk without a size")
                break
            demand(_CHUNK_SIZE.fullmatch(head) is not None, f"a chunk's size isn't {bytes(head)!r}")
            size = int(head, 16)
            if len(rest) < size + 2:
                break
            demand(rest[size : size + 2] == b"\r\n", "a chunk is longer than it says")
            taken += rest[:size]
            self._data = rest[size + 2 :]
            self.ended = size == 0
        return bytes(taken)


class EventParser:
    """Makes events of a stream's text. A filtered stream may leave numbers out, and tell of its place without data."""

    def __init__(self, *, filtered: bool = False) -> None:
        self._filtered = filtered
        self._text = b""
        self._begun = False
        self._position = ""
        self.retry_ms = 0

    @property
    def pending(self) -> bytes:
        """What has come of an event that isn't whole."""
        return self._text

    def feed(self, text: bytes) -> Iterator[Event | str]:
        """Take text; returns events, comments, and the ids that come without data."""
        demand(b"\r" not in text, f"an end of line that the channel doesn't use: {text!r}")
        *blocks, self._text = (self._text + text).split(b"\n\n")
        return (self._read_block(block.decode("utf-8")) for block in blocks)

    def _read_block(self, block: str) -> Event | str:
        if block.startswith(":"):
            demand(block.isprintable(), f"a comment with more than one line: {block!r}")
            return COMMENT
        fields: dict[str, str] = {}
        for line in block.split("\n"):
            name, _, value = line.partition(": ")
            demand(name in ("id", "data", "retry"), f"an unknown field: {line!r}")
            demand(name not in fields, f"two lines of {name}: {block!r}")
            demand(bool(value) and "\0" not in value, f"no good value: {line!r}")
            fields[name] = value
        if "retry" in fields:
            demand(fields["retry"].isdigit() and not self._begun, f"no good retry: {block!r}")
            self.retry_ms = int(fields["retry"])
        if self._filtered and list(fields) == ["id"]:
            self._move(fields["id"])
            return fields["id"]
        demand("data" in fields, f"an event without data: {block!r}")
        return self._read_event(fields.get("id", ""), fields["data"])

    def _read_event(self, event_id: str, data: str) -> Event:
        envelope = _read_envelope(data)
        kind = envelope["type"]
        demand((kind == "init") != self._begun, f"init comes first and only once: {data}")
        self._begun = True
        if event_id:
            demand(_EVENT_ID.fullmatch(event_id) is not None, f"not an event id: {event_id}")
            demand(kind in _NUMBERED, f"a {kind} has an event id")
        if kind == "broadcast":
            demand(envelope.get("id") == event_id != "", f"{event_id!r} isn't the id in {data}")
            self._move(event_id)
        self._position = event_id or self._position
        return Event(id=event_id, envelope=envelope, at=time.monotonic())

    def _move(self, event_id: str) -> None:
        demand(_EVENT_ID.fullmatch(event_id) is not None, f"not an event id: {event_id}")
        steps = _seq(event_id) - _seq(self._position)
        demand(steps == 1 or (self._filtered and steps > 1), f"{event_id} doesn't come after {self._position}")
        self._position = event_id


def strict_json(text: str) -> Any:
    """Read JSON as the standard has it: no NaN, no Infinity, no key twice, no lone surrogate."""
    value = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_object_of)
    demand("\\ud" not in text.lower() or _is_unicode(value), f"a lone surrogate in {text}")
    return value


def demand(condition: bool, otherwise: str) -> None:
    """Raise `WireError` unless the protocol is kept."""
    if not condition:
        raise WireError(f"Against the protocol: {otherwise}")


def _read_envelope(data: str) -> dict[str, Any]:
    envelope: dict[str, Any] = strict_json(data)
    demand(isinstance(envelope, dict), f"not an object: {data}")
    for name, kinds in _FIELDS.items():
        demand(name in envelope and isinstance(envelope[name], kinds), f"no good {name}: {data}")
    for name in envelope.keys() - _FIELDS.keys():
        kind = _ADDITIONS.get(name)
        demand(kind is not None and isinstance(envelope[name], kind) and bool(envelope[name]), f"{name}: {data}")
    return envelope


def _seq(event_id: str) -> int:
    return int(event_id.rpartition("-")[2])


def _refuse_constant(constant: str) -> Any:
    raise WireError(f"{constant} isn't JSON.")


def _object_of(items: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(items)
    demand(len(made) == len(items), f"a key comes twice in {[key for key, _ in items]}")
    return made


def _is_unicode(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
