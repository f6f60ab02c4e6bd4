"""What nodes tell each other and store nowhere: one JSON object each, on the stream's own channel."""

from __future__ import annotations

import msgspec

__all__ = ["ANSWER", "GREETING", "PRIVATE", "REQUEST", "VIEWERS", "Note", "decode_note", "encode_note"]

PRIVATE, REQUEST, ANSWER = "private", "request", "answer"
VIEWERS, GREETING = "viewers", "greeting"


class Note(msgspec.Struct, omit_defaults=True):
    """One of them. Nodes of other versions may leave fields out, and send kinds that nobody here knows."""

    kind: str
    id: str = ""
    """Of a question and of its answer; of the node, where it tells of itself."""
    user_id: str = ""
    """The subscriber that is meant."""
    frame: bytes = b""
    """Of a private message: as it is sent."""
    code: int = 0
    """Of an answer."""
    count: int = 0
    """Subscribers that the node has announced."""


encode_note = msgspec.json.Encoder().encode
"""encode_note(note) -> bytes: one line of JSON."""

_decoder = msgspec.json.Decoder(Note)


def decode_note(data: bytes) -> Note | None:
    """Read a note; None for what isn't one."""
    try:
        return _decoder.decode(data)
    except msgspec.MsgspecError:
        return None
