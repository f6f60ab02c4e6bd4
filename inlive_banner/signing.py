"""Publish tokens, page tokens and reader tickets: signed, stateless, each with a purpose of its own.

All are made with `django.core.signing`, so a leaked database tells nothing, any process with the site's
`SECRET_KEY` can check them, and keys rotate by `SECRET_KEY_FALLBACKS`. Their alphabet is `A-Z a-z 0-9 - _ :`,
which survives an unencoded query string (wire protocol, part 1). Checking one costs about 5 microseconds.
"""

from __future__ import annotations

import time
from datetime import timedelta

from django.core.signing import BadSignature, SignatureExpired, Signer, TimestampSigner

from inlive_banner.exceptions import InvalidTokenError
from inlive_banner.tokens import Ticket

__all__ = ["ChannelSigner"]

KNOWN_TOKENS = 4096
KNOWN_SECONDS = 60.0

_READER, _SERVICE = "reader", "service"


class ChannelSigner:
    """Makes and checks the channel's tokens with the site's secret key, as it is when the object is made."""

    def __init__(self, *, token_max_age_seconds: float, ticket_seconds: float) -> None:
        self._token_max_age = timedelta(seconds=token_max_age_seconds)
        self._ticket_seconds = ticket_seconds
        # Made once: each reads the secret key and its fallbacks from the settings.
        self._publish = TimestampSigner(salt="inlive_banner.publish")
        self._page = TimestampSigner(salt="inlive_banner.page")
        self._service = TimestampSigner(salt="inlive_banner.service")
        self._known: dict[tuple[int, str], tuple[str, float]] = {}
        self._ticket = Signer(salt="inlive_banner.ticket")

    def make_publish_token(self, stream_id: int, user_id: str) -> str:
        """A token for one user of one stream: `<stream>:<user>:<time>:<signature>`."""
        return self._publish.sign(f"{stream_id}:{user_id}")

    def make_page_token(self, stream_id: int, *, staff: bool = False) -> str:
        """A token that a page may carry, even cached: `<stream>:<time>:<signature>`. Serves for publishing only."""
        return self._page.sign(f"{stream_id}~staff" if staff else str(stream_id))

    def make_service_token(self, stream_id: int, *, staff: bool = False) -> str:
        """A token for one publish of the site's own processes: `<stream>~service:<time>:<signature>`."""
        return self._service.sign(f"{stream_id}~service{'~staff' if staff else ''}")

    def make_ticket(self, stream_id: int, *, silent: bool = False) -> str:
        """A reader's ticket: `<stream>:<kind>:<expires, Unix seconds>:<signature>`.

        `silent` makes a service's, which isn't counted as a viewer.
        """
        expires_at = int(time.time() + self._ticket_seconds)
        return self._ticket.sign(f"{stream_id}:{_SERVICE if silent else _READER}:{expires_at}")

    def read_publish_token(self, stream_id: int, token: str) -> str:
        """The user id that a publish token was made for, "" for a page token. Raises `InvalidTokenError`.

        A token that was good is taken for good for a minute more without checking it again: cached pages bring the
        same one with every click.
        """
        user_id, good_until = self._known.get((stream_id, token), ("", 0.0))
        if time.monotonic() >= good_until:
            user_id = self._check_publish_token(stream_id, token)
            if len(self._known) >= KNOWN_TOKENS:
                self._known.clear()
            self._known[stream_id, token] = (user_id, time.monotonic() + KNOWN_SECONDS)
        return user_id

    def _check_publish_token(self, stream_id: int, token: str) -> str:
        # A publish token has four parts, a page token three; each is signed under a salt of its own.
        signer = self._publish if token.count(":") == 3 else self._page
        if signer is self._page:
            try:
                value = self._service.unsign(token, max_age=300)
                return value.removesuffix("~staff").removesuffix("~service").removeprefix(str(stream_id))
            except BadSignature:
                pass
        try:
            value = signer.unsign(token, max_age=self._token_max_age)
        except SignatureExpired as error:
            raise InvalidTokenError("The token has expired. Subscribe again to get a new one.") from error
        except BadSignature as error:
            raise InvalidTokenError("The token isn't valid. Subscribe to get one.") from error
        stream, _, user_id = value.replace("~staff", "").partition(":")
        if stream != str(stream_id):
            raise InvalidTokenError(f"The token is for stream {stream}, not for stream {stream_id}.")
        return user_id

    def read_ticket(self, stream_id: int, ticket: str) -> Ticket:
        """The right that a reader's ticket gives. Raises `InvalidTokenError`."""
        try:
            stream, kind, expires_text = self._ticket.unsign(ticket).split(":")
        except (BadSignature, ValueError) as error:
            raise InvalidTokenError("The ticket isn't valid. Reload the page to get a new one.") from error
        if stream != str(stream_id):
            raise InvalidTokenError(f"The ticket is for stream {stream}, not for stream {stream_id}.")
        expires_at = float(expires_text)
        if expires_at <= time.time():
            raise InvalidTokenError("The ticket has expired. Reload the page to get a new one.")
        return Ticket(expires_at=expires_at, silent=kind == _SERVICE)
