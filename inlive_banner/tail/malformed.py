"""Why an event can't be recorded, in words for a person."""

from __future__ import annotations

from typing import Any

import msgspec

from inlive_banner.envelope import MAX_ACTION_LENGTH, decode_envelope
from inlive_banner.exceptions import InvalidEnvelopeError
from inlive_banner.tail.events import Event

__all__ = ["MAX_SAMPLE_LENGTH", "describe"]

MAX_SAMPLE_LENGTH = 200
"""Characters. Enough to recognise a fault by; a log is no place for what visitors send."""


def describe(event: Event) -> tuple[str, str]:
    """Say of what kind a malformed event is, from a small fixed set, and show a sample of what is wrong.

    The sample is printable, has at most `MAX_SAMPLE_LENGTH` characters, and is never the whole event: it is the
    value at fault, or the beginning of an event that can't be decoded. Never raises on content.
    """
    if not event.data:
        return "it is empty, or longer than the worker reads", "an event without data"
    try:
        message = msgspec.json.decode(decode_envelope(event.data).message)
    except InvalidEnvelopeError:
        return "it isn't an envelope", _sample(event.data[: len(event.data) // 2])
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return "its message can't be decoded", _sample(event.data[: len(event.data) // 2])
    return _fault_of(message if isinstance(message, dict) else {})


def _fault_of(message: dict[str, Any]) -> tuple[str, str]:
    user_id, time, action = message.get("user_id"), message.get("time"), message.get("action")
    if type(user_id) is not int and not (isinstance(user_id, str) and user_id):
        return "it has no user id", _sample(user_id)
    if isinstance(time, bool) or not isinstance(time, int | float):
        return "its time isn't a number", _sample(time)
    if not (isinstance(action, str) and 0 < len(action) <= MAX_ACTION_LENGTH):
        return f"its action isn't a text of 1 to {MAX_ACTION_LENGTH} characters", _sample(action)
    return "the channel doesn't take it for an interaction", _sample(action)


def _sample(value: object) -> str:
    # Cut first, where that is possible: ten megabytes needn't be made printable for their beginning.
    text = ascii(value[:MAX_SAMPLE_LENGTH] if isinstance(value, str) else value)
    return text if len(text) <= MAX_SAMPLE_LENGTH else f"{text[: MAX_SAMPLE_LENGTH - 3]}..."
