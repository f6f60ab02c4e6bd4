"""The worker's connection to the channel: an event stream over HTTP, resumed from a position."""

from __future__ import annotations

import contextlib
import http
import json
import queue
import threading
from collections.abc import Callable, Iterator
from typing import NoReturn, Self
from urllib.parse import quote

import requests
import urllib3

from inlive_banner.exceptions import SourceRefusedError, SourceUnavailableError
from inlive_banner.tail.events import Event, EventParser

__all__ = ["Source", "Subscription"]

_CONNECT_TIMEOUT_SECONDS = 5.0
_MISSED_KEEP_ALIVES = 2.5
"""So many keep-alive periods without a byte: the connection is half open, its other end gone without a word."""

_PIECE_BYTES = 64 * 1024
"""A read returns what is there, up to this; sseclient-py over `requests` alone reads far smaller pieces."""

_BUFFERED_PIECES = 32
"""At most 2 MiB that are read and not yet recorded."""

_POLL_SECONDS = 0.05

_LONGEST_RETRY_AFTER_SECONDS = 60.0
"""Whatever the channel asks for: by then it may well be back, and clicks wait."""

_LONGEST_MESSAGE_BYTES = 2000
"""Of an error's body, for the message."""

_MAX_HISTORY_BYTES = 64 * 1024 * 1024
"""One event that holds all that a server has kept, of a server whose bounds nobody knows."""

_SURVIVE_A_QUERY = ":="
"""Besides letters, digits, and what `quote` leaves as it is anyway."""


class Source:
    """Where one stream's events come from."""

    def __init__(
        self,
        *,
        channel_url: str,
        stream_id: int,
        make_ticket: Callable[[], str],
        keep_alive_seconds: float,
        widget_key: str = "",
    ) -> None:
        self.url = f"{channel_url.rstrip('/')}/subscribe/{stream_id}"
        self._publish_url = f"{channel_url.rstrip('/')}/publish/{stream_id}"
        self._widget_key = widget_key
        self.stream_id = stream_id
        self._make_ticket = make_ticket
        self._read_timeout_seconds = keep_alive_seconds * _MISSED_KEEP_ALIVES

    def subscribe(self, last_event_id: str) -> Subscription:
        """Connect and ask for everything after `last_event_id` ("0": from the oldest that the log holds).

        Blocks until the channel has answered. Raises `SourceUnavailableError` where it can't be reached or is busy,
        `SourceRefusedError` where it says no, or isn't a channel at all.
        """
        session = requests.Session()
        try:
            response = session.get(
                self.url,
                headers={
                    "Accept": "text/event-stream",
                    # A compressed stream would reach us in the compressor's time, not event by event.
                    "Accept-Encoding": "identity",
                    "Cache-Control": "no-cache",
                    "Last-Event-ID": last_event_id,
                },
                auth=_BearerAuth(self._make_ticket()),
                stream=True,
                timeout=(_CONNECT_TIMEOUT_SECONDS, self._read_timeout_seconds),
                allow_redirects=False,
            )
        except requests.RequestException as error:
            session.close()
            raise SourceUnavailableError(f"Can't reach the channel at {self.url}: {_reason(error)}.") from error
        try:
            self._check(response)
            return Subscription(session, response)
        except BaseException:
            response.close()
            session.close()
            raise

    def request_history(self, token: str) -> None:
        """Ask a server that speaks part 1 only for its history, which comes over the subscription that gave the token.

        Blocks until the server has answered. Raises as `subscribe`.
        """
        # Not percent-encoded: the token's alphabet survives a query as it is (wire protocol, part 1).
        url = f"{self._publish_url}?token={quote(token, safe=_SURVIVE_A_QUERY)}"
        body = {"type": "request", "widget_key": self._widget_key}
        timeout = (_CONNECT_TIMEOUT_SECONDS, self._read_timeout_seconds)
        try:
            with requests.post(url, json=body, timeout=timeout, allow_redirects=False, stream=True) as response:
                if response.status_code != http.HTTPStatus.OK:
                    self._refuse(response, self._publish_url)
        except requests.RequestException as error:
            raise SourceUnavailableError(
                f"Can't ask for the history at {self._publish_url}: {_reason(error)}."
            ) from error

    def _check(self, response: requests.Response) -> None:
        content_type = response.headers.get("Content-Type", "")
        if response.status_code != http.HTTPStatus.OK:
            self._refuse(response, self.url)
        if content_type.split(";")[0].strip().lower() != "text/event-stream":
            raise SourceRefusedError(
                f"{self.url} answered {response.status_code} with {content_type!r} instead of an event stream. "
                "Is CHANNEL_INTERNAL_URL the channel's?",
                status=response.status_code,
            )

    def _refuse(self, response: requests.Response, url: str) -> NoReturn:
        """Raise what an answer other than 200 means."""
        status = response.status_code
        answer = f"{url} answered {status}"
        if response.is_redirect:
            location = response.headers["Location"]
            raise SourceRefusedError(
                f"{answer} and points to {location!r}. Set CHANNEL_INTERNAL_URL to where the channel is.",
                status=status,
            )
        message = f"{answer}: {_message_of(response)}"
        if status in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN, http.HTTPStatus.NOT_FOUND):
            raise SourceRefusedError(message, status=status)
        raise SourceUnavailableError(message, retry_after_seconds=_seconds(response.headers.get("Retry-After", "")))


class Subscription:
    """One open connection. Iterate it once; close it by `with`.

    A thread of its own reads, into a bounded buffer: only so can it be known whether more has come. (Asking the
    socket isn't enough: the two bytes that end an HTTP chunk make it readable, and then a read blocks.) When the
    buffer is full the reading rests, and the channel has to wait.
    """

    def __init__(self, session: requests.Session, response: requests.Response) -> None:
        self._session = session
        self._response = response
        self._parser = EventParser()
        self._buffer: queue.Queue[bytes | Exception | None] = queue.Queue(_BUFFERED_PIECES)
        """Pieces, and at the end None or what the reading thread failed with."""
        self._closing = False
        self._reader = threading.Thread(target=self._read, name="inlive-tail-reader", daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.interrupt()
        while self._reader.is_alive():
            with contextlib.suppress(queue.Empty):  # it may wait for room in the buffer
                self._buffer.get(timeout=_POLL_SECONDS)
        self._response.close()
        self._session.close()

    def __iter__(self) -> Iterator[list[Event]]:
        """Give what each read brought: one or many events, or none (a keep-alive, or the middle of an event).

        Blocks while nothing comes. Ends where the channel ends the stream or `interrupt` was called. Raises
        `SourceUnavailableError` where the connection breaks, or is silent for 2.5 keep-alive periods.
        """
        while (piece := self._buffer.get()) is not None:
            if isinstance(piece, Exception):
                raise piece
            yield self._parser.feed(piece)

    @property
    def dropped_events(self) -> int:
        """How many events were passed over because they were longer than the framing step allows."""
        return self._parser.dropped_events

    def expect_history(self) -> None:
        """Read on where one event is as long as a whole history; for a server that was asked for it."""
        self._parser.allow(_MAX_HISTORY_BYTES)

    def has_more(self) -> bool:
        """True where the iteration would go on at once. Doesn't block."""
        return not self._buffer.empty()

    def interrupt(self) -> None:
        """End the iteration, now, even where it blocks. For other threads and signal handlers."""
        self._closing = True
        # Suppressed: the connection is closed already, or just being closed.
        with contextlib.suppress(OSError, ValueError, RuntimeError):
            self._response.raw.shutdown()
        with contextlib.suppress(queue.Full):  # then the iteration doesn't block
            self._buffer.put_nowait(None)

    def _read(self) -> None:
        end: Exception | None = None
        try:
            while not self._closing and (piece := self._response.raw.read1(_PIECE_BYTES, decode_content=False)):
                self._buffer.put(piece)
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:  # a closed TLS socket's is a ValueError
            end = SourceUnavailableError(f"The connection to the channel broke: {_reason(error)}.")
            end.__cause__ = error
        except Exception as error:  # noqa: BLE001  (raised where the events are taken, which must not wait for ever)
            end = error
        self._buffer.put(end)


class _BearerAuth(requests.auth.AuthBase):
    """The ticket. As `auth` and not as a header, because requests prefers a .netrc's password to a header."""

    def __init__(self, ticket: str) -> None:
        self._ticket = ticket

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._ticket}"
        return request


def _message_of(response: requests.Response) -> str:
    """The sentence in the channel's error, or the status's name where the answer isn't the channel's."""
    with contextlib.suppress(urllib3.exceptions.HTTPError, OSError, ValueError):
        body = response.raw.read(_LONGEST_MESSAGE_BYTES, decode_content=True)
        answer = json.loads(body)
        if isinstance(answer, dict) and isinstance(answer.get("message"), str):
            return str(answer["message"])
    return response.reason or "no reason given"


def _seconds(retry_after: str) -> float:
    # The channel sends seconds. The header's other form, a date, would need two clocks that agree.
    seconds = float(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0.0
    return min(seconds, _LONGEST_RETRY_AFTER_SECONDS)


def _reason(error: BaseException) -> str:
    """The innermost reason of an error that urllib3 and requests have wrapped."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return str(error) or type(error).__name__
