"""Makes what the channel sends, and records of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from inlive_banner.envelope import Envelope, EventId, encode_envelope
from inlive_banner.tail.events import Event
from inlive_banner.tail.records import Record, Row

__all__ = ["EPOCH", "NOW", "encode_event", "encode_init", "make_envelope", "make_event", "make_record"]

EPOCH = "0123456789abcdef"
NOW = datetime(2026, 11, 24, 12, 7, 30, tzinfo=UTC)
NOW_MS = 1_795_522_050_000

MESSAGE = {
    "name": "demo-banner",
    "type": "banner",
    "action": "click",
    "user_id": "visitor",
    "time": NOW_MS,
    "page": "/",
}


def make_envelope(seq: int = 1, *, message: Any = None, epoch: str = EPOCH, **overrides: Any) -> Envelope:
    """The envelope of a click, as the channel sends it; `message` changes or replaces the banner's."""
    changed = MESSAGE | message if isinstance(message, dict) else message
    fields: dict[str, Any] = {
        "stream_id": "15",
        "author_id": "author",
        "to_user_id": "",
        "message": msgspec.Raw(msgspec.json.encode(MESSAGE if message is None else changed)),
        "timestamp": 0,
        "type": "broadcast",
        "widget_key": "demo-widget-key",
        "id": f"{epoch}-{seq}",
        "publish_id": f"publish-{epoch[:4]}-{seq}",
        "received_at": NOW_MS,
        "interaction": "click",
    }
    return Envelope(**fields | overrides)


def make_event(seq: int = 1, **overrides: Any) -> Event:
    """The same as a parsed event."""
    envelope = make_envelope(seq, **overrides)
    return Event(encode_envelope(envelope).decode(), envelope.id)


def encode_event(seq: int = 1, **overrides: Any) -> bytes:
    """The same as the bytes of a connection."""
    event = make_event(seq, **overrides)
    return f"id: {event.last_event_id}\ndata: {event.data}\n\n".encode()


def encode_init(position: str = f"{EPOCH}-0", *, head: str | None = None, **message: Any) -> bytes:
    """The first event of a connection."""
    if head is not None:
        message["head"] = head
    envelope = make_envelope(
        type="init", id="", publish_id="", received_at=0, interaction="", author_id="0", to_user_id="worker"
    )
    envelope.message = msgspec.Raw(msgspec.json.encode({"token": "t", "user_id": "worker", **message}))
    return f"retry: 1000\nid: {position}\ndata: {encode_envelope(envelope).decode()}\n\n".encode()


def make_record(seq: int = 1, *, epoch: str = EPOCH, **overrides: Any) -> Record:
    """The record of a click; `overrides` are fields of its row."""
    row = Row(
        event_id=f"{epoch}-{seq}",
        publish_id=f"publish-{epoch[:4]}-{seq}",
        name="demo-banner",
        action="click",
        user_id="visitor",
        author_id="author",
        page="/",
        label="",
        visitor="",
        viewed=False,
        visitor_time=NOW,
        received_at=NOW,
    )
    return Record(EventId(epoch, seq), row._replace(**overrides))
