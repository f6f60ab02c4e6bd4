"""The wire's messages: decoded strictly, validated once, encoded in one place.

Everything that crosses the wire is defined here and nowhere else, for the channel, the worker and the tests
alike. The rules are those of the wire protocol (docs/protocol.md); the event stream's own format is
https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation.
"""

from __future__ import annotations

import re
import secrets
import time
from typing import Any, NamedTuple

import msgspec

from inlive_banner.exceptions import InvalidEnvelopeError

__all__ = [
    "CLICK",
    "FROM_OLDEST",
    "LABELS",
    "SERVER_AUTHOR_ID",
    "VIEW",
    "Envelope",
    "EventId",
    "Interaction",
    "PublishRequest",
    "decode_envelope",
    "decode_publish",
    "encode_envelope",
    "encode_json",
    "fill_user_id",
    "make_publish_id",
    "parse_event_id",
    "parse_stream_id",
    "read_interaction",
]

SERVER_AUTHOR_ID = "0"
"""The `author_id` of events that the channel itself makes."""

FROM_OLDEST = "0"
"""The `Last-Event-ID` that asks for everything that the log holds."""

CLICK = "click"
"""The action that the click counter counts."""

VIEW = "view"
"""The action of a banner that was seen: half of it, for a second. It is counted, and kept as no row."""

LABELS = ("staff", "own", "crawler", "prefetch", "automation", "synthetic", "rate")
"""Why an interaction isn't a person's, or not one that the site's owner wants to count:
a signed-in member of the staff, an address of the owner's, a known crawler's user agent, a browser's prefetch, a
browser under automation, an event that a script made up, more than a person can do. The surest comes first, and the
first that fits is the label."""

PUBLISH_TYPES = ("broadcast", "private", "request", "webhook")

MAX_ACTION_LENGTH = 64
"""Characters. An action is a verb such as `click`; it is a key of the rollups, so it stays short."""

_STREAM_ID = re.compile(r"[1-9][0-9]{0,15}", re.ASCII)
_PUBLISH_ID = re.compile(r"[A-Za-z0-9_-]{8,64}", re.ASCII)
_LINE_BREAK = re.compile(rb"[\r\n]")
_EVENT_ID = re.compile(r"([0-9a-f]{8,32})-(0|[1-9][0-9]{0,18})", re.ASCII)


class EventId(NamedTuple):
    """A place in a stream's log. Its text, `<epoch>-<seq>`, is what SSE carries as `id:`."""

    epoch: str
    """Names one life of the log: 8 to 32 hexadecimal digits."""
    seq: int
    """1 for the epoch's first broadcast; 0 is the place before the first."""

    def __str__(self) -> str:
        return f"{self.epoch}-{self.seq}"


class Interaction(msgspec.Struct, frozen=True, kw_only=True):
    """What a banner's message says: who did what with which banner, on which page, and when."""

    name: str
    """The banner's name; "" where the message has none."""
    action: str
    """What the visitor did: `click`, or a site's own verb of 1 to 64 characters."""
    user_id: str
    """The visitor's id, as the message has it; never empty."""
    time: float
    """The visitor's own clock, Unix milliseconds. For display only: it can be wrong."""
    page: str = ""
    """The path of the page the banner stood on; "" where the message doesn't say."""
    viewed: bool = False
    """True for the first click on a banner whose view had been counted before."""
    hint: str = ""
    """What the visitor's browser says of itself: `automation` or `synthetic`; "" where nothing."""


class PublishRequest(msgspec.Struct, kw_only=True):
    """The body of `POST /publish/<stream_id>`, validated."""

    type: str
    widget_key: str
    message: msgspec.Raw = msgspec.Raw(b"")
    """Any JSON, as it came; empty where absent."""
    to_user_id: str = ""
    timestamp: int | float = 0
    """Seconds in the video."""
    publish_id: str = ""


class Envelope(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The JSON object in each event's `data`. The first seven fields are the original protocol's."""

    stream_id: str
    author_id: str
    to_user_id: str
    message: msgspec.Raw
    timestamp: int | float
    type: str
    widget_key: str
    id: str = ""
    """The event id, given by the log: orders and resumes. Absent from what isn't stored."""
    publish_id: str = ""
    """Given by the publisher: makes retries harmless, also across epochs."""
    received_at: int = 0
    """The server's clock when the publish came in, Unix milliseconds."""
    interaction: str = ""
    """The action, where `message` is a valid interaction with a banner. Decided once, by the channel;
    worker and pages only read it, so that they can never count differently."""
    label: str = ""
    """One of `LABELS`, where the channel found that this isn't to be counted with what people do; else ""."""
    visitor: str = ""
    """A pseudonym of the visitor for one UTC day, 22 characters; "" where unknown. The last field, because it is cut
    off from what is sent to anybody but the worker."""


_publish_decoder = msgspec.json.Decoder(PublishRequest)
_envelope_decoder = msgspec.json.Decoder(Envelope)
_json_decoder = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()

encode_json = _encoder.encode
"""encode_json(value) -> bytes: compact UTF-8 JSON on one line."""

encode_envelope = _encoder.encode
"""encode_envelope(envelope) -> bytes: one line of JSON; fields that are not set are left out."""


def parse_stream_id(text: str) -> int | None:
    """Read a stream id (`[1-9][0-9]{0,15}`); None where the text isn't one."""
    return int(text) if _STREAM_ID.fullmatch(text) else None


def parse_event_id(text: str) -> EventId | None:
    """Read an event id (`<epoch>-<seq>`); None where the text isn't one."""
    match = _EVENT_ID.fullmatch(text)
    return EventId(match[1], int(match[2])) if match else None


def make_publish_id() -> str:
    """Make a publish id: 11 hexadecimal digits of Unix milliseconds, then 16 random ones.

    Ids that grow with time keep every index on them local: each insert finds its page in memory, however long
    the history is. The ids of the banner's script grow with time too.
    """
    return f"{time.time_ns() // 1_000_000:011x}{secrets.token_hex(8)}"


def decode_publish(body: bytes) -> tuple[PublishRequest, Any]:
    """Read and validate a publish.

    Returns the request and its decoded `message` (None where absent). The request's `message` is one line of
    JSON. Raises `InvalidEnvelopeError`, whose `field` names what is wrong.
    """
    try:
        body.decode()  # msgspec leaves text that it passes over unread
        request = _publish_decoder.decode(body)
        message = _json_decoder.decode(request.message) if request.message else None
    except msgspec.ValidationError as error:
        raise InvalidEnvelopeError(f"The body isn't a valid publish: {error}.", field=_field_of(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidEnvelopeError(f"The body isn't valid UTF-8 JSON: {error}.") from error
    except RecursionError as error:
        raise InvalidEnvelopeError("The body is nested too deeply.") from error
    _validate(request)
    if _LINE_BREAK.search(request.message):
        # An event's data is one line (wire protocol, part 2, rule 11); pretty-printed JSON is folded here.
        request.message = msgspec.Raw(encode_json(message))
    return request, message


def decode_envelope(data: bytes | str) -> Envelope:
    """Read an event's data. Unknown fields are passed over. Raises `InvalidEnvelopeError`."""
    try:
        return _envelope_decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        sample = data[:80]
        raise InvalidEnvelopeError(f"Not an envelope of the channel: {error} in {sample!r}.") from error


def read_interaction(message: Any) -> Interaction | None:
    """Say what a broadcast's decoded `message` means: an interaction with a banner, or None for anything else.

    The rule is the tutorial's: `type` is "banner", `action` says what was done, `user_id` is not empty and
    `time` is a number. A user id that is a number is taken as its text. The browser's twin of this function is
    `readInteraction` in static/inlive_banner/logs/interaction.js; one table of cases tests both.
    """
    if not isinstance(message, dict) or message.get("type") != "banner":
        return None
    action, user_id, time = message.get("action"), message.get("user_id"), message.get("time")
    if type(user_id) is int:
        user_id = str(user_id)
    if not (isinstance(action, str) and 0 < len(action) <= MAX_ACTION_LENGTH):
        return None
    if not (isinstance(user_id, str) and user_id):
        return None
    if isinstance(time, bool) or not isinstance(time, int | float):
        return None
    name, page = message.get("name"), message.get("page")
    return Interaction(
        name=name if isinstance(name, str) else "",
        action=action,
        user_id=user_id,
        time=time,
        page=page if isinstance(page, str) else "",
        viewed=message.get("viewed") is True,
        hint=_hint(message),
    )


def fill_user_id(message: Any, user_id: str) -> bool:
    """Put the server's user id into a banner's message that has none; True where it did.

    A page that publishes with a page token doesn't know its visitor's id yet: the server makes it.
    """
    if isinstance(message, dict) and message.get("type") == "banner" and not message.get("user_id"):
        message["user_id"] = user_id
        return True
    return False


def _hint(message: dict[str, Any]) -> str:
    """What the browser says of itself: `navigator.webdriver`, and the event's `isTrusted`. The first weighs more."""
    if message.get("webdriver") is True:
        return "automation"
    return "synthetic" if message.get("isTrusted") is False else ""


def _validate(request: PublishRequest) -> None:
    if request.type not in PUBLISH_TYPES:
        raise InvalidEnvelopeError(
            f"type is {request.type!r}; it must be one of {', '.join(PUBLISH_TYPES)}.", field="type"
        )
    if not request.widget_key:
        raise InvalidEnvelopeError("widget_key is empty; send the key of your widget.", field="widget_key")
    if request.publish_id and not _PUBLISH_ID.fullmatch(request.publish_id):
        raise InvalidEnvelopeError(
            f"publish_id is {request.publish_id!r}; it must be 8 to 64 characters of A-Z a-z 0-9 _ -.",
            field="publish_id",
        )
    if request.type in ("broadcast", "private") and not request.message:
        raise InvalidEnvelopeError(f"message is missing; a {request.type} needs one.", field="message")
    if request.type == "private" and not request.to_user_id:
        raise InvalidEnvelopeError("to_user_id is missing; a private message needs one.", field="to_user_id")


def _field_of(error: msgspec.ValidationError) -> str:
    """The field that msgspec's message names, as in "... - at `$.timestamp`" or "... field `type`"."""
    match = re.search(r"(?:field `|`\$\.)([a-z_]+)`$", str(error))
    return match[1] if match else ""
