"""Publish, page and service tokens, and reader tickets: signed, stateless, each with a purpose of its own.

All are made with `django.core.signing`, so a leaked database tells nothing, any process with the site's
`SECRET_KEY` can check them, and keys rotate by `SECRET_KEY_FALLBACKS`. Their alphabet is `A-Z a-z 0-9 - _ : ~`,
which survives an unencoded query string (wire protocol, part 1). Checking one costs about 5 microseconds.
"""

from __future__ import annotations

import time
from datetime import timedelta

from django.core.signing import BadSignature, SignatureExpired, Signer, TimestampSigner

from inlive_banner.exceptions import InvalidTokenError
from inlive_banner.tokens import STAFF, PublishRight, Ticket

__all__ = ["ChannelSigner"]

KNOWN_TOKENS = 4096
KNOWN_SECONDS = 60.0
SERVICE_SECONDS = 300.0
"""How long a service token lasts: the site makes one for each publish, and may try again for a while."""

_READER, _SERVICE = "reader", "service"
_STAFF_MARK = f"~{STAFF}"
_SERVICE_MARK = f"~{_SERVICE}"
_NO_RIGHT = PublishRight()


class ChannelSigner:
    """Makes and checks the channel's tokens with the site's secret key, as it is when the object is made."""

    def __init__(self, *, token_max_age_seconds: float, ticket_seconds: float) -> None:
        self._token_max_age = timedelta(seconds=token_max_age_seconds)
        self._ticket_seconds = ticket_seconds
        # Made once: each reads the secret key and its fallbacks from the settings.
        self._publish = TimestampSigner(salt="inlive_banner.publish")
        self._page = TimestampSigner(salt="inlive_banner.page")
        self._service = TimestampSigner(salt="inlive_banner.service")
        self._known: dict[tuple[int, str], tuple[PublishRight, float]] = {}
        self._ticket = Signer(salt="inlive_banner.ticket")

    def make_publish_token(self, stream_id: int, user_id: str, *, staff: bool = False) -> str:
        """A token for one user of one stream: `<stream>:<user>:<time>:<signature>`.

        `staff` makes one of the site's own people's, whose interactions are labelled: `<user>~staff`.
        """
        return self._publish.sign(f"{stream_id}:{user_id}{_STAFF_MARK if staff else ''}")

    def make_page_token(self, stream_id: int, *, staff: bool = False) -> str:
        """A token that a page may carry, even cached: `<stream>:<time>:<signature>`. Serves for publishing only.

        `staff` is for a page that is rendered for one of the site's own people: `<stream>~staff`. Such a page
        mustn't be cached for others.
        """
        return self._page.sign(f"{stream_id}{_STAFF_MARK if staff else ''}")

    def make_service_token(self, stream_id: int, *, staff: bool = False) -> str:
        """A token for the site's own processes, which publish in a visitor's name; it lasts 5 minutes.

        `<stream>~service:<time>:<signature>`, or `<stream>~service~staff` in a staff member's name. Never for a page:
        with it the channel believes what is said of the visitor's address.
        """
        return self._service.sign(f"{stream_id}{_SERVICE_MARK}{_STAFF_MARK if staff else ''}")

    def make_ticket(self, stream_id: int, *, silent: bool = False) -> str:
        """A reader's ticket: `<stream>:<kind>:<expires, Unix seconds>:<signature>`.

        `silent` makes a service's, which isn't counted as a viewer.
        """
        expires_at = int(time.time() + self._ticket_seconds)
        return self._ticket.sign(f"{stream_id}:{_SERVICE if silent else _READER}:{expires_at}")

    def read_publish_token(self, stream_id: int, token: str) -> PublishRight:
        """The right that a publish, page or service token gives. Raises `InvalidTokenError`.

        A token that was good is taken for good for a minute more without checking it again: cached pages bring the
        same one with every click. Not a service's, which is made anew each time and ends to the second.
        """
        right, good_until = self._known.get((stream_id, token), (_NO_RIGHT, 0.0))
        if time.monotonic() >= good_until:
            right = self._check_publish_token(stream_id, token)
            if right.service:
                return right
            if len(self._known) >= KNOWN_TOKENS:
                self._known.clear()
            self._known[stream_id, token] = (right, time.monotonic() + KNOWN_SECONDS)
        return right

    def _check_publish_token(self, stream_id: int, token: str) -> PublishRight:
        # A publish token has four parts, a page token and a service token three; each is signed under a salt of its
        # own, so none can pass for another.
        service = _SERVICE_MARK in token.partition(":")[0]
        if service:
            signer, max_age = self._service, timedelta(seconds=SERVICE_SECONDS)
        else:
            signer, max_age = self._publish if token.count(":") == 3 else self._page, self._token_max_age
        try:
            value = signer.unsign(token, max_age=max_age)
        except SignatureExpired as error:
            raise InvalidTokenError("The token has expired. Subscribe again to get a new one.") from error
        except BadSignature as error:
            raise InvalidTokenError("The token isn't valid. Subscribe to get one.") from error
        unmarked = value.removesuffix(_STAFF_MARK)
        stream, _, user_id = unmarked.partition(":")
        if service:
            stream = stream.removesuffix(_SERVICE_MARK)
        if stream != str(stream_id):
            raise InvalidTokenError(f"The token is for stream {stream}, not for stream {stream_id}.")
        return PublishRight(user_id, STAFF if unmarked != value else "", service)

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
