"""Event-stream frames: what the channel writes on the wire, encoded once and shared by all subscribers.

The format is https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream.
"""

from __future__ import annotations

from typing import Any

import msgspec

from inlive_banner.envelope import SERVER_AUTHOR_ID, Envelope, EventId, encode_envelope, encode_json

__all__ = [
    "KEEP_ALIVE",
    "encode_history",
    "encode_notice",
    "encode_position",
    "encode_stored",
    "frame",
    "with_event_id",
]

KEEP_ALIVE = b":\n\n"
"""A comment: it keeps proxies from closing an idle connection and is no event for any client."""


def frame(data: bytes, *, event_id: str = "") -> bytes:
    """One event. `data` is one line; without an id the event leaves the client's Last-Event-ID as it is."""
    if event_id:
        return b"id: %b\ndata: %b\n\n" % (event_id.encode(), data)
    return b"data: %b\n\n" % data


def encode_position(event_id: EventId) -> bytes:
    """An id without data: it moves the client's Last-Event-ID, and is no event for any client."""
    return b"id: %b\n\n" % str(event_id).encode()


def with_event_id(body: bytes, event_id: str) -> bytes:
    """Put the id that the log gave into a stored envelope, as its first field."""
    return b'{"id":"%b",%b' % (event_id.encode(), body[1:])


def encode_stored(body: bytes, event_id: str) -> bytes:
    """The frame of a stored broadcast; `body` is its envelope without the id."""
    encoded_id = event_id.encode()
    return b'id: %b\ndata: {"id":"%b",%b\n\n' % (encoded_id, encoded_id, body[1:])


def encode_notice(
    stream_id: int, kind: str, message: Any, *, to_user_id: str = "", position: EventId | None = None
) -> bytes:
    """The frame of an event that the channel itself makes (`init`, `system`). `position` becomes its SSE id."""
    envelope = _server_envelope(stream_id, kind, to_user_id, msgspec.Raw(encode_json(message)))
    return frame(encode_envelope(envelope), event_id=str(position) if position else "")


def encode_history(stream_id: int, to_user_id: str, envelopes: list[bytes]) -> bytes:
    """The answer to a `request`: one event whose message is the array of envelopes."""
    message = msgspec.Raw(b"[" + b",".join(envelopes) + b"]")
    return frame(encode_envelope(_server_envelope(stream_id, "request", to_user_id, message)))


def _server_envelope(stream_id: int, kind: str, to_user_id: str, message: msgspec.Raw) -> Envelope:
    return Envelope(
        stream_id=str(stream_id),
        author_id=SERVER_AUTHOR_ID,
        to_user_id=to_user_id,
        message=message,
        timestamp=0,
        type=kind,
        widget_key="",
    )
