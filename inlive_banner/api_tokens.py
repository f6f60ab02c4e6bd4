"""Tokens with which programs read the log in a user's name.

A token is signed, not stored. It names the user, and what the user may read is asked anew each time, so it ends with
the permission; and with the account, the password, its own time, or the site's secret key.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.signing import BadSignature, Signer
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

from inlive_banner.access import Reader, needed_permission
from inlive_banner.conf import settings
from inlive_banner.exceptions import (
    ExpiredTokenError,
    InvalidTokenError,
    InvalidTokenOptionError,
    RevokedTokenError,
)

__all__ = ["DEFAULT_DAYS", "MAX_DAYS", "authenticate_reader", "make_token", "read_token"]

DEFAULT_DAYS = 90
MAX_DAYS = 3650
"""Days that a token lasts, at most."""

_DAY_SECONDS = 24 * 3600
_SALT = "inlive_banner.api"
_SEPARATOR = "."
"""Not Django's colon, which RFC 6750 doesn't have in a bearer's token."""

_HOW = "Make one with `manage.py inlive_token`."


def make_token(user: Any, *, streams: Iterable[int] | None = None, max_age_days: int = DEFAULT_DAYS) -> str:
    """A token that reads what `user`, a saved one, may read; with `streams`, of these streams only.

    Its alphabet is `A-Z a-z 0-9 - _ .`. It lasts `max_age_days`, 1 to `MAX_DAYS`.

    Raises `InvalidTokenOptionError` for what no token can be made of, as a user who may read nothing, and
    `ConfigurationError` for a stream that isn't configured.
    """
    if type(max_age_days) is not int or not 1 <= max_age_days <= MAX_DAYS:
        raise InvalidTokenOptionError(
            f"A token can't last {max_age_days!r} days. Give a whole number from 1 to {MAX_DAYS}.",
            argument="max_age_days",
        )
    if not user.is_active:
        raise InvalidTokenOptionError(
            f"The account of {user.get_username()!r} isn't active, so its token would be refused. Activate it first.",
            argument="user",
        )
    chosen = None if streams is None else list(dict.fromkeys(streams))
    _check_permission(user, chosen)
    values = {
        "user": user._meta.pk.value_to_string(user),  # noqa: SLF001  (as Django's sessions do)
        "mark": _mark(user.get_session_auth_hash()),
        "streams": chosen,
        "expires": int(time.time()) + max_age_days * _DAY_SECONDS,
    }
    return _signer().sign_object(values)


def read_token(text: str) -> Reader:
    """Who reads with this token. One query.

    Raises `InvalidTokenError` for what is no token, `ExpiredTokenError` after its time, and `RevokedTokenError` where
    the account is gone or inactive or has another password by now.
    """
    try:
        values = _signer().unsign_object(text)
    except BadSignature as error:
        raise InvalidTokenError(f"This is no API token of this site. {_HOW}") from error
    expires = values["expires"]
    if expires <= time.time():
        raise ExpiredTokenError(f"The API token has expired on {datetime.fromtimestamp(expires, UTC):%Y-%m-%d}. {_HOW}")
    user = _user(values["user"])
    if user is None or not user.is_active:
        raise RevokedTokenError(
            "The account of this API token is gone or not active any more. Use a token of another account."
        )
    if not any(constant_time_compare(values["mark"], _mark(known)) for known in _auth_hashes(user)):
        raise RevokedTokenError(
            f"The API token has ended, because the password of its account was changed since. {_HOW}"
        )
    streams = values["streams"]
    return Reader(user=user, streams=None if streams is None else tuple(streams))


def authenticate_reader(request: HttpRequest) -> Reader:
    """Who asks: by `Authorization: Bearer <token>`, else by the session; its user is None where nobody is known.

    Raises as `read_token`: a token that isn't good is an error, also for who is signed in. Other schemes of
    `Authorization` are passed over, since they may be meant for a proxy in front.
    """
    scheme, _, token = request.headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer":
        return read_token(token.strip())
    user = getattr(request, "user", None)
    return Reader(user=user if user is not None and user.is_authenticated else None)


def _check_permission(user: Any, streams: list[int] | None) -> None:
    reader = Reader(user=user)
    if streams is None:
        if not reader.readable_streams():
            needed = " or ".join(dict.fromkeys(map(needed_permission, settings.streams)))
            raise InvalidTokenOptionError(
                f"{user.get_username()!r} may not read any stream. Give the user the permission {needed} first.",
                argument="user",
            )
        return
    if not streams:
        raise InvalidTokenOptionError(
            "A token for no stream reads nothing. Name a stream, or leave streams out for all that the user may read.",
            argument="streams",
        )
    for stream_id in streams:
        if not reader.may_read(settings.stream(stream_id).stream_id):
            raise InvalidTokenOptionError(
                f"{user.get_username()!r} may not read stream {stream_id}. "
                f"Give the user the permission {needed_permission(stream_id)} first.",
                argument="streams",
            )


def _signer() -> Signer:
    return Signer(salt=_SALT, sep=_SEPARATOR)  # with SECRET_KEY_FALLBACKS, as they are now


def _user(key: str) -> Any:
    """The user with this primary key, or None."""
    users = get_user_model()._default_manager  # noqa: SLF001  (as Django's own backend does)
    try:
        return users.filter(pk=key).first()
    except (ValidationError, ValueError):
        return None  # the site has other keys for its users than when the token was made


def _auth_hashes(user: Any) -> Iterator[str]:
    yield user.get_session_auth_hash()
    yield from user.get_session_auth_fallback_hash()


def _mark(auth_hash: str) -> str:
    """What a token keeps of the hash: enough to tell another one, and nothing that a session could be made of."""
    return hashlib.sha256(auth_hash.encode()).hexdigest()[:32]
