"""Publishes to the channel from the site's own processes: over HTTP, as a browser would, with a service's token."""

from __future__ import annotations

import json
import re
import time as clock
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import requests
from urllib3.util import Timeout

from inlive_banner import arguments
from inlive_banner.conf import settings, stream_id_of
from inlive_banner.envelope import CLICK, MAX_ACTION_LENGTH, encode_json, make_publish_id
from inlive_banner.exceptions import (
    InvalidBannerError,
    InvalidPublishError,
    PublishRefusedError,
    PublishUnavailableError,
)

__all__ = ["Outgoing", "PublishResult", "make_message", "publish", "send"]

MAX_PAGE_LENGTH = 1000
"""Characters of a page's path that are sent; the database keeps no more."""

_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
_USER_AGENT = "django-inlive-banner"
"""Where no visitor's browser is behind it. What sends none passes for a crawler, and so does the library's own."""
_FIRST_PAUSE_SECONDS = 0.05
_SHORTEST_TRY_SECONDS = 0.1
_MENDABLE = frozenset({401, 408, 429})
"""Refusals that time can mend: a clock or a secret key that differs for a while, a slow network, too many at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishResult:
    """The channel's word that a publish is on its disk."""

    publish_id: str
    """Names the publish for ever; published again with it, it counts once."""
    event_id: str
    """Its place in the stream's log; "" where the stream isn't public, for there the channel tells nobody."""
    received_at: datetime
    """When the channel got it, UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One publish that is to be sent."""

    stream_id: int
    message: Mapping[str, Any]
    """The interaction, as the wire has it."""
    publish_id: str = field(default_factory=make_publish_id)
    address: str = ""
    """The visitor's IP address, from which the channel makes a pseudonym; "" where unknown. Never stored."""
    user_agent: str = ""
    """The visitor's; "" where their browser sends none, as crawlers do."""
    purpose: str = ""
    """What the browser said of its request (`prefetch`); "" where nothing."""
    staff: bool = False
    """True where a member of the staff did it."""


def publish(
    name: str,
    action: str = CLICK,
    *,
    user_id: str = "",
    page: str = "",
    stream_id: int | str | None = None,
    extra: Mapping[str, Any] | None = None,
    publish_id: str | None = None,
    time: datetime | None = None,
    address: str = "",
    user_agent: str = "",
) -> PublishResult:
    """Publish what somebody did, and wait until the channel has it on disk: what `inlive_banner.publish` calls."""
    out = Outgoing(
        stream_id=settings.stream(
            settings.stream_id if stream_id is None else stream_id_of(stream_id, "STREAMS")
        ).stream_id,
        message=make_message(name, action, user_id=user_id, page=page, extra=extra, time=time),
        publish_id=publish_id or make_publish_id(),
        address=address,
        user_agent=user_agent or _USER_AGENT,
    )
    deadline = clock.monotonic() + settings.PUBLISH_TIMEOUT
    pause = _FIRST_PAUSE_SECONDS
    while True:
        left = deadline - clock.monotonic()
        try:
            return send(out, timeout_seconds=max(left, _SHORTEST_TRY_SECONDS))
        except PublishUnavailableError as error:
            pause = max(pause, error.retry_after_seconds)
            # A last try that is cut off would say "timed out", and hide what the one before it was told.
            if clock.monotonic() + pause + _SHORTEST_TRY_SECONDS >= deadline:
                raise
        clock.sleep(pause)
        pause *= 2


def make_message(
    name: str,
    action: str,
    *,
    user_id: str = "",
    page: str = "",
    extra: Mapping[str, Any] | None = None,
    time: datetime | None = None,
) -> dict[str, Any]:
    """An interaction as the wire has it. Raises `InvalidPublishError`."""
    try:
        name = arguments.name(name)
    except InvalidBannerError as error:
        raise InvalidPublishError(str(error), argument="name") from error
    if not 0 < len(action) <= MAX_ACTION_LENGTH:
        raise InvalidPublishError(
            f"action is {action!r}. Give a verb of 1 to {MAX_ACTION_LENGTH} characters, such as 'share'.",
            argument="action",
        )
    if time is not None and time.tzinfo is None:
        raise InvalidPublishError(
            f"time is {time!r}, which has no time zone. Give an aware one, such as django.utils.timezone.now().",
            argument="time",
        )
    message = {
        "name": name,
        "type": "banner",
        "action": action,
        "user_id": str(user_id),
        "time": int((time or datetime.now(UTC)).timestamp() * 1000),
        "page": page[:MAX_PAGE_LENGTH],
    }
    if extra:
        try:
            encode_json(extra)
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidPublishError(f"extra can't be written as JSON: {error}.", argument="extra") from error
        message["extra"] = extra
    return message


def send(out: Outgoing, *, timeout_seconds: float) -> PublishResult:
    """Post one publish, once. Blocks until the channel has it on disk, for `timeout_seconds` at most.

    Raises `PublishUnavailableError` where another try may help, `PublishRefusedError` where it won't, and
    `ConfigurationError` where settings are missing.
    """
    url = f"{settings.channel_internal_url}/publish/{out.stream_id}"
    body = {
        "type": "broadcast",
        "widget_key": settings.stream(out.stream_id).widget_key,
        "publish_id": out.publish_id,
        "message": out.message,
    }
    headers = {
        "Content-Type": "application/json",
        "User-Agent": out.user_agent,  # an empty one too: crawlers send such, and our library's own isn't the visitor's
        # Not X-Forwarded-For: a proxy on the way to the channel would append the site's own address to that.
        **({"Inlive-Visitor-Address": out.address} if out.address else {}),
        **({"Sec-Purpose": out.purpose} if out.purpose else {}),
    }
    try:
        response = requests.post(
            url,
            data=encode_json(body),
            headers={name: _header(value) for name, value in headers.items()},
            auth=_Bearer(settings.signer.make_service_token(out.stream_id, staff=out.staff)),
            timeout=Timeout(total=timeout_seconds),  # type: ignore[arg-type]  # passed on to urllib3 as it is
            allow_redirects=False,
        )
    except requests.RequestException as error:
        raise PublishUnavailableError(
            f"Can't reach the channel at {url}: {_reason(error)}.", publish_id=out.publish_id
        ) from error
    return _result(out, url, response)


def _result(out: Outgoing, url: str, response: requests.Response) -> PublishResult:
    """What the channel's answer means."""
    answer = _answer(response)
    status = response.status_code
    if answer.get("code") == status == requests.codes.ok:
        data = answer["data"]
        return PublishResult(
            publish_id=out.publish_id,
            event_id=data.get("id", ""),
            received_at=datetime.fromtimestamp(data["received_at"] / 1000, UTC),
        )
    if response.is_redirect:
        sentence = f"It points to {response.headers['Location']!r}. Set CHANNEL_INTERNAL_URL to where the channel is."
    else:
        sentence = answer.get("message", "") or "Not an answer of a channel. Is CHANNEL_INTERNAL_URL the channel's?"
    message = f"{url} answered {status}: {sentence}"
    # What isn't the channel's own answer is a proxy's, and may be gone in a minute.
    if answer.get("code") == status and 400 <= status < 500 and status not in _MENDABLE:
        raise PublishRefusedError(message, publish_id=out.publish_id, status=status)
    raise PublishUnavailableError(
        message, publish_id=out.publish_id, retry_after_seconds=_seconds(response.headers.get("Retry-After", ""))
    )


def _answer(response: requests.Response) -> dict[str, Any]:
    """The channel's answer; {} where it isn't one."""
    try:
        answer = json.loads(response.content)
    except ValueError:
        return {}
    if not isinstance(answer, dict) or not isinstance(answer.get("message"), str):
        return {}
    is_whole = isinstance(answer.get("data"), dict) and isinstance(answer["data"].get("received_at"), int)
    return answer if answer.get("code") != requests.codes.ok or is_whole else {}


class _Bearer(requests.auth.AuthBase):
    """The token. As `auth` and not as a header, because requests prefers a .netrc's password to a header."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _header(value: str) -> bytes:
    """A text as a header's value, whatever somebody has sent as theirs."""
    return _CONTROLS.sub(" ", value).strip().encode("latin-1", "replace")


def _seconds(retry_after: str) -> float:
    return float(retry_after) if retry_after.isascii() and retry_after.isdigit() and len(retry_after) < 10 else 0.0


def _reason(error: BaseException) -> str:
    """The innermost reason of an error that urllib3 and requests have wrapped."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return str(error) or type(error).__name__
