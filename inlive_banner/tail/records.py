"""From an event to what is recorded of it: the one place where a message becomes storable values.

What a broadcast is, an interaction or something else, is the channel's decision; it stands in the envelope and is
only read here. The exception is a server that knows nothing of our additions (wire protocol, part 3): its
envelopes have no id, and are judged by the same function that the channel uses.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, cast

import msgspec
from django.db import models

from inlive_banner.envelope import VIEW, Envelope, EventId, decode_envelope, parse_event_id, read_interaction
from inlive_banner.exceptions import InvalidEnvelopeError
from inlive_banner.models import Interaction
from inlive_banner.tail.events import Event

__all__ = [
    "Init",
    "Record",
    "Row",
    "make_row",
    "read_history",
    "read_init",
    "read_record",
    "repeated_publish_id",
    "storable_text",
    "storable_time",
]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST = datetime(2, 1, 1, tzinfo=UTC)
_LATEST = datetime(9998, 12, 31, tzinfo=UTC)
"""A year short of what a date can be, so that no reader's time zone takes it over the edge."""

_CUT = "…"


def _max_length(field: str) -> int:
    length = cast("models.CharField[str, str]", Interaction._meta.get_field(field)).max_length  # noqa: SLF001
    return length or 0  # a CharField of ours always has one


_TEXTS = ("name", "action", "user_id", "author_id", "page", "publish_id", "label", "visitor")
_MAX_LENGTH = {name: _max_length(name) for name in _TEXTS}
"""Characters that each text column takes."""


class Row(NamedTuple):
    """An interaction as it is stored; every value fits its column."""

    event_id: str
    publish_id: str
    name: str
    action: str
    user_id: str
    author_id: str
    page: str
    label: str
    visitor: str
    viewed: bool
    visitor_time: datetime | None
    received_at: datetime


class Record(NamedTuple):
    """What one event of the log comes to."""

    event_id: EventId | None
    """Its place in the log; None where the server gives none."""
    row: Row | None = None
    """What is stored of it, or of a view counted; None where it isn't an interaction."""
    malformed: bool = False
    """True where it looks like a banner's message and can't be read as one."""
    derived: bool = False
    """True where the row's publish id was derived from the message, since neither server nor publisher gave an id."""

    @property
    def is_view(self) -> bool:
        """True for a banner that was seen: it is counted, and kept as no row."""
        return self.row is not None and self.row.action == VIEW


class Init(msgspec.Struct, frozen=True, kw_only=True):
    """What the first event of a connection says."""

    position: EventId | None = None
    """Where this subscription goes on; None where the server doesn't say."""
    head: str = ""
    """The newest event's id when the connection began; "" where the server doesn't say."""
    recovered: bool = True
    """False where the server couldn't go on exactly from the position that was asked for."""
    token: str = ""
    """Lets the subscriber publish, and so ask for the history; "" where the server gives none."""


class _InitMessage(msgspec.Struct):
    token: str = ""
    head: str = ""
    recovered: bool = True


def read_init(event: Event) -> Init | None:
    """Read a connection's first event; None where it isn't an init."""
    try:
        envelope = decode_envelope(event.data)
        if envelope.type != "init":
            return None
        message = msgspec.json.decode(envelope.message, type=_InitMessage)
    except (InvalidEnvelopeError, msgspec.MsgspecError):
        return None
    return Init(
        position=parse_event_id(event.last_event_id),
        head=message.head,
        recovered=message.recovered,
        token=message.token,
    )


def read_history(event: Event) -> list[Event] | None:
    """The events that an answer to a `request` holds, oldest first; None where it isn't such an answer."""
    try:
        envelope = decode_envelope(event.data)
        if envelope.type != "request":
            return None
        envelopes = msgspec.json.decode(envelope.message, type=list[msgspec.Raw])
    except (InvalidEnvelopeError, msgspec.MsgspecError):
        return None
    return [Event(bytes(item).decode()) for item in envelopes]


def read_record(event: Event, *, now: datetime) -> Record | None:
    """Say what is to be recorded of an event; None for what the log doesn't hold (system, private, request).

    `now` (aware) is when it was received, for a server that doesn't say.
    """
    try:
        envelope = decode_envelope(event.data)
    except InvalidEnvelopeError:
        # Only what the log holds has an id of its own; anywhere else this repeats the last one, and moves nothing.
        return Record(parse_event_id(event.last_event_id), malformed=True)
    if envelope.type != "broadcast":
        return None
    event_id = parse_event_id(envelope.id)
    try:
        message = msgspec.json.decode(envelope.message)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return Record(event_id, malformed=True)
    row = make_row(envelope, message, now=now)
    if row is None:
        return Record(event_id, malformed=isinstance(message, dict) and message.get("type") == "banner")
    return Record(event_id, row, derived=row.publish_id not in (envelope.publish_id, envelope.id))


def make_row(envelope: Envelope, message: Any, *, now: datetime) -> Row | None:
    """Make the row of a broadcast; None where it isn't an interaction. `message` is the envelope's, decoded."""
    if envelope.id and not envelope.interaction:
        return None
    interaction = read_interaction(message)
    if interaction is None:
        return None
    received_at = storable_time(envelope.received_at) if envelope.received_at else None
    return Row(
        event_id=envelope.id,
        publish_id=_publish_id(envelope, message),
        name=storable_text(interaction.name, _MAX_LENGTH["name"]),
        action=storable_text(envelope.interaction or interaction.action, _MAX_LENGTH["action"]),
        user_id=storable_text(interaction.user_id, _MAX_LENGTH["user_id"]),
        author_id=storable_text(envelope.author_id, _MAX_LENGTH["author_id"]),
        page=storable_text(interaction.page, _MAX_LENGTH["page"]),
        # Also one that this version doesn't know: a newer channel may have more reasons.
        label=storable_text(envelope.label, _MAX_LENGTH["label"]),
        visitor=storable_text(envelope.visitor, _MAX_LENGTH["visitor"]),
        viewed=interaction.viewed,
        visitor_time=storable_time(interaction.time),
        received_at=received_at or now,
    )


def storable_text(text: str, max_length: int) -> str:
    """The text as every database can hold it.

    NUL and lone surrogates become U+FFFD, and what is longer than `max_length` characters is cut and ends in "…".
    Two texts that differ only after the cut are then the same: that is the price of a bounded row.
    """
    if len(text) > max_length:
        text = text[: max_length - len(_CUT)] + _CUT
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def storable_time(unix_ms: float) -> datetime | None:
    """The aware UTC time of Unix milliseconds; None outside the years 2 to 9998."""
    try:
        time = _EPOCH + timedelta(milliseconds=unix_ms)
    except (OverflowError, ValueError):
        return None
    return time if _EARLIEST <= time <= _LATEST else None


def _publish_id(envelope: Envelope, message: Any) -> str:
    """The publisher's id, or one derived from what the server does give, so that a redelivery has the same."""
    if 0 < len(envelope.publish_id) <= _MAX_LENGTH["publish_id"] and envelope.publish_id.isascii():
        return envelope.publish_id
    if envelope.id:
        return envelope.id
    parts = [envelope.stream_id, envelope.author_id, envelope.timestamp, message]
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()


def repeated_publish_id(publish_id: str, number: int) -> str:
    """The id of an exact repeat, from the derived id that all of them share; `number` is 1 for the second."""
    return hashlib.sha256(f"{publish_id}:{number}".encode()).hexdigest()
