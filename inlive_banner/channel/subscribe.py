"""`GET /subscribe/<stream_id>`: an event stream, from its init to whichever side ends it."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from typing import TYPE_CHECKING, Any

from inlive_banner.channel.frames import encode_notice
from inlive_banner.channel.request import Request
from inlive_banner.channel.response import RefusedError
from inlive_banner.channel.selection import InvalidActionsError, Selection, TooManyFiltersError, parse_actions
from inlive_banner.channel.subscriber import Subscriber
from inlive_banner.channel.types import Receive, Send
from inlive_banner.exceptions import InvalidTokenError, LogUnavailableError

if TYPE_CHECKING:
    from inlive_banner.channel.stream import Stream
    from inlive_banner.tokens import Ticket

__all__ = ["subscribe"]

RETRY_MS = (1000, 3000)
"""The pause before a client reconnects, drawn at random so that a restart doesn't bring all back at one instant."""

FILTER_RETRY_SECONDS = 30
"""What a subscriber is told to wait where the stream has too many different filters."""

_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # nginx would hold events back
    (b"content-encoding", b"identity"),  # compressing middleware would hold events back
]


async def subscribe(
    stream: Stream, request: Request, receive: Receive, send: Send, headers: list[tuple[bytes, bytes]]
) -> None:
    """Serve one event stream until the client hangs up, its ticket ends, or the server does. Raises `RefusedError`."""
    if stream.hub.closing:
        raise RefusedError(503, "The channel is restarting. Try again soon.", retry_after_seconds=1)
    ticket = _read_ticket(stream, request)
    selection = _read_selection(request, ticket)
    start = {"type": "http.response.start", "status": 200, "headers": [*_HEADERS, *headers]}
    if request.method == "HEAD":
        await send(start)
        await send({"type": "http.response.body", "body": b""})
        return
    await _refresh(stream, request, ticket)
    selection = _take_filter(stream, selection, trusted=ticket is not None)
    subscriber = Subscriber(
        stream,
        send,
        user_id=str(uuid.uuid4()),
        reader=stream.config.public or ticket is not None,
        selection=selection,
        silent=ticket is not None and ticket.silent,
    )
    try:
        init = _begin(subscriber, request)
        await send(start)
        await send({"type": "http.response.body", "body": init, "more_body": True})
        del start, init  # an open stream keeps what its coroutine names
        stream.add(subscriber)
        if ticket is not None:
            subscriber.end_at(ticket.expires_at - time.time())
        subscriber.run()
        while (await receive())["type"] != "http.disconnect":
            pass
    except asyncio.CancelledError:
        if not subscriber.ended:
            raise
        # Ended by our side: not a cancellation but the way to wake this coroutine. The response ends whole.
        task = asyncio.current_task()
        if task is not None and task.uncancel() > 0:
            raise  # somebody else has cancelled it as well
        stream.remove(subscriber)
        await subscriber.settle()
        await send({"type": "http.response.body", "body": b""})
    finally:
        stream.remove(subscriber)
        stream.filters.release(subscriber.selection)


async def _refresh(stream: Stream, request: Request, ticket: Ticket | None) -> None:
    """Follow the stream, and know what the client has seen at another node. Raises `RefusedError`."""
    try:
        await stream.hub.attendance.attend(stream)
        # A worker that ends at the head has to be told of all that was acknowledged before it came, at any node.
        is_worker = ticket is not None and ticket.silent
        await stream.log.refresh(stream.stream_id, _last_event_id(request), to_newest=is_worker)
    except LogUnavailableError as error:
        raise RefusedError(
            503, "The channel's log can't be read now. Try again soon.", retry_after_seconds=1
        ) from error


def _last_event_id(request: Request) -> str:
    # The header is the newer one: a reconnecting browser keeps its old URL.
    return request.last_event_id or request.query_parameter(b"last_event_id") or ""


def _read_ticket(stream: Stream, request: Request) -> Ticket | None:
    text = request.query_parameter(b"ticket")
    if text is None:
        text = request.bearer
        if not text:
            return None
    # An empty ticket is an invalid one: whoever sent it meant to read.
    try:
        return stream.hub.config.signer.read_ticket(stream.stream_id, text)
    except InvalidTokenError as error:
        raise RefusedError(401, str(error)) from error


def _read_selection(request: Request, ticket: Ticket | None) -> Selection:
    whole = ticket is not None and ticket.silent
    actions = request.query_parameter(b"actions")
    if actions is None:
        return Selection(whole=whole)
    try:
        return Selection(whole, *parse_actions(actions))
    except InvalidActionsError as error:
        raise RefusedError(400, str(error)) from error


def _take_filter(stream: Stream, selection: Selection, *, trusted: bool) -> Selection:
    try:
        return stream.filters.take(selection, trusted=trusted)
    except TooManyFiltersError as error:
        raise RefusedError(
            429,
            "This stream has as many different filters open as it may. Subscribe without actions, or later.",
            retry_after_seconds=FILTER_RETRY_SECONDS,
        ) from error


def _begin(subscriber: Subscriber, request: Request) -> bytes:
    """Place a new subscriber, and make its first event. No await in between: the two belong together."""
    stream = subscriber.stream
    last_event_id = _last_event_id(request)
    message: dict[str, Any] = {
        "token": stream.hub.config.signer.make_publish_token(stream.stream_id, subscriber.user_id),
        "user_id": subscriber.user_id,
        "viewer_count": stream.viewer_count_for(subscriber),
    }
    position = None
    if subscriber.reader:
        bounds = stream.bounds
        if last_event_id:
            begin = bounds.start_after(last_event_id)
            subscriber.start_at(begin.seq)
            message["recovered"] = begin.recovered
        message["head"] = str(bounds.event_id(bounds.head))
        position = bounds.event_id(subscriber.seq)
    init = encode_notice(stream.stream_id, "init", message, to_user_id=subscriber.user_id, position=position)
    return b"retry: %d\n%b" % (random.randint(*RETRY_MS), init)  # noqa: S311  (spreads load, guards nothing)
