"""`POST /publish/<stream_id>`: checked, made durable, fanned out, answered; in this order."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any

import msgspec

from inlive_banner.channel.frames import frame
from inlive_banner.channel.logs.base import Draft
from inlive_banner.channel.relay import NOT_CONNECTED
from inlive_banner.channel.request import BodyTooLargeError, Request
from inlive_banner.channel.response import RefusedError
from inlive_banner.channel.senders import NOBODY, Sender
from inlive_banner.envelope import (
    Envelope,
    Interaction,
    PublishRequest,
    decode_publish,
    encode_envelope,
    encode_json,
    fill_user_id,
    make_publish_id,
    read_interaction,
)
from inlive_banner.exceptions import InvalidEnvelopeError, InvalidTokenError, LogUnavailableError
from inlive_banner.tokens import STAFF, PublishRight

if TYPE_CHECKING:
    from inlive_banner.channel.stream import Stream

__all__ = ["publish"]

RETRY_SECONDS = 2
"""What a publisher is told to wait where the log can't be written now."""


async def publish(stream: Stream, request: Request) -> dict[str, Any]:
    """Handle one publish; returns the answer's `data`. Raises `RefusedError`, `ClientGoneError`."""
    right = _authenticate(stream, request)
    published, message = await _read(stream, request)
    user_id = right.user_id or (_named_user_id(message) if right.service else "")
    author_id = user_id or str(uuid.uuid4())
    match published.type:
        case "broadcast":
            if not right.user_id and fill_user_id(message, author_id):
                published.message = msgspec.Raw(encode_json(message))
            sender = NOBODY
            received_at = _now_ms()
            interaction = read_interaction(message)
            if interaction is not None:
                if stream.hub.senders.declines(request):
                    # Answered like any other, so that the page forgets it and doesn't try again.
                    return {"received_at": received_at, "recorded": False}
                sender = await stream.hub.senders.judge(
                    request, right, interaction, author_id=user_id, received_at=received_at
                )
            answer = await _broadcast(
                stream, published, interaction, sender, author_id=author_id, received_at=received_at
            )
            return answer | _identity(stream, right, author_id)
        case "private":
            return await _private(stream, published, author_id=author_id) | _identity(stream, right, author_id)
        case "request":
            return await _request(stream, author_id)
    raise RefusedError(403, "Webhooks are not enabled on this server.")


def _identity(stream: Stream, right: PublishRight, user_id: str) -> dict[str, Any]:
    """A page token is for any visitor of a page, so the answer hands over an identity for the rest of its life."""
    if right.user_id or right.service:
        return {}
    signer = stream.hub.config.signer
    token = signer.make_publish_token(stream.stream_id, user_id, staff=right.label == STAFF)
    return {"token": token, "user_id": user_id}


def _named_user_id(message: Any) -> str:
    """The visitor in whose name a service publishes; "" where its message names none."""
    user_id = message.get("user_id") if isinstance(message, dict) else None
    return user_id if isinstance(user_id, str) else ""


def _authenticate(stream: Stream, request: Request) -> PublishRight:
    token = request.bearer or request.query_parameter(b"token") or ""
    if not token:
        raise RefusedError(401, "A token is missing. Subscribe to the stream: its first event carries one.")
    try:
        return stream.hub.config.signer.read_publish_token(stream.stream_id, token)
    except InvalidTokenError as error:
        raise RefusedError(401, str(error)) from error


async def _read(stream: Stream, request: Request) -> tuple[PublishRequest, Any]:
    max_bytes = stream.hub.config.max_body_bytes
    if not request.is_json:
        raise RefusedError(415, "Send the publish as JSON, with the header Content-Type: application/json.")
    try:
        body = await request.body(max_bytes=max_bytes)
        published, message = decode_publish(body)
    except BodyTooLargeError as error:
        raise RefusedError(413, f"The body is larger than {max_bytes} bytes. Send a smaller message.") from error
    except TimeoutError as error:
        raise RefusedError(400, "The body didn't arrive in time. Try again.") from error
    except InvalidEnvelopeError as error:
        raise RefusedError(400, str(error)) from error
    if published.widget_key != stream.config.widget_key:
        raise RefusedError(403, f"The widget key isn't the one of stream {stream.stream_id}. Check widget_key.")
    return published, message


async def _broadcast(
    stream: Stream,
    published: PublishRequest,
    interaction: Interaction | None,
    sender: Sender,
    *,
    author_id: str,
    received_at: int,
) -> dict[str, Any]:
    publish_id = published.publish_id or make_publish_id()
    envelope = Envelope(
        stream_id=str(stream.stream_id),
        author_id=author_id,
        to_user_id="",
        message=published.message,
        timestamp=published.timestamp,
        type="broadcast",
        widget_key=published.widget_key,
        publish_id=publish_id,
        received_at=received_at,
        interaction=interaction.action if interaction else "",
        label=sender.label,
        visitor=sender.visitor,
    )
    draft = Draft(stream.stream_id, publish_id, received_at, encode_envelope(envelope))
    try:
        appended = await stream.log.append(draft)
    except LogUnavailableError as error:
        raise _unavailable() from error
    if not stream.config.public:
        return {"received_at": appended.received_at}  # an id would tell outsiders how much is published
    return {"id": str(appended.event_id), "received_at": appended.received_at}


async def _private(stream: Stream, published: PublishRequest, *, author_id: str) -> dict[str, Any]:
    received_at = _now_ms()
    envelope = Envelope(
        stream_id=str(stream.stream_id),
        author_id=author_id,
        to_user_id=published.to_user_id,
        message=published.message,
        timestamp=published.timestamp,
        type="private",
        widget_key=published.widget_key,
        publish_id=published.publish_id,
        received_at=received_at,
    )
    try:
        code = await stream.hub.relay.send_private(stream, published.to_user_id, frame(encode_envelope(envelope)))
    except LogUnavailableError as error:
        raise _unavailable() from error
    if code == NOT_CONNECTED:
        raise RefusedError(409, "The user of to_user_id isn't connected, so the message can't be delivered.")
    return {"received_at": received_at}


async def _request(stream: Stream, user_id: str) -> dict[str, Any]:
    """Have the asking user's subscription answer with the history."""
    try:
        code = await stream.hub.relay.request_history(stream, user_id)
    except LogUnavailableError as error:
        raise _unavailable() from error
    if code == NOT_CONNECTED:
        raise RefusedError(
            409, "The history is sent over your event stream, and this token's user has none open. Subscribe first."
        )
    if code == 403:
        raise RefusedError(403, "This stream isn't public. Subscribe with a reader's ticket to get its history.")
    if code == 429:
        raise RefusedError(429, "The history is on its way already. Wait for it.", retry_after_seconds=1)
    return {"received_at": _now_ms()}


def _unavailable() -> RefusedError:
    return RefusedError(
        503,
        "The channel can't store anything right now; nothing was stored. Try again soon.",
        retry_after_seconds=RETRY_SECONDS,
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
