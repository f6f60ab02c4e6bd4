"""What a program asks of the API: who it is, which stream, which rows; and how it is told what is wrong with that."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import timedelta, timezone
from functools import wraps

from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from inlive_banner.access import VIEW_PERMISSION, needed_permission
from inlive_banner.api_tokens import authenticate_reader
from inlive_banner.conf import settings
from inlive_banner.envelope import parse_stream_id
from inlive_banner.exceptions import InvalidTokenError, RefusedRequestError
from inlive_banner.periods import CUSTOM, PERIOD_WORDS, parse_zone
from inlive_banner.query import EVERYTHING, OTHERS, PEOPLE, LogQuery, parse_query

__all__ = ["ApiRequest", "api_view", "error_answer", "read_request", "requested_stream"]

FILTERS = ("stream", "period", "from", "to", "tz", "banner", "action", "user", "path", "who", "bots")
"""The parameters that all of the API takes."""

_NO_ZONE = timezone(timedelta())


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRequest:
    """What is asked by whoever may read it."""

    query: LogQuery
    params: dict[str, str]
    """The address's parameters, each known."""
    with_visitors: bool
    """False for who reads only because `LOGS_PUBLIC` opens the log to all: pseudonyms are for those with permission."""


def api_view(view: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """A view that only reads, isn't cached, and whose refusals are JSON: `{"code", "message"}`."""

    @wraps(view)
    def answer(request: HttpRequest) -> HttpResponseBase:
        try:
            return view(request)
        except InvalidTokenError as error:
            return _unauthorized(str(error), 'Bearer error="invalid_token"')
        except RefusedRequestError as error:
            if error.status == 401:
                return _unauthorized(str(error), "Bearer")
            return error_answer(error.status, str(error))

    return never_cache(require_safe(answer))


def read_request(request: HttpRequest, *, also: Collection[str] = ()) -> ApiRequest:
    """Who asks, and what. `also` names the parameters that this part of the API has beside the filters.

    A page passes over what can't be meant; here it is refused, because a program would take all for what it asked for.

    Raises `RefusedRequestError`: 401 for who isn't known, 403 for who may not read, 404 for a stream that isn't there,
    400 for anything else; and `InvalidTokenError` as `authenticate_reader`.
    """
    reader = authenticate_reader(request)
    readable = reader.readable_streams()
    stream_id = requested_stream(request, readable)
    if stream_id is None and readable:
        raise RefusedRequestError(_("This site has no such stream."), status=404)
    if stream_id is None or stream_id not in readable:
        if reader.user is None:
            message = _("Sign in, or send a token in a header: “Authorization: Bearer …”.")
            raise RefusedRequestError(message, status=401)
        words = _("You may not read this log. The permission that it needs is %(permission)s.")
        needed = VIEW_PERMISSION if stream_id is None else needed_permission(stream_id)
        raise RefusedRequestError(words % {"permission": needed}, status=403)
    params = _known_params(request, {*FILTERS, *also})
    query = parse_query(params, stream_id)
    _check_filters(params, query)
    return ApiRequest(query=query, params=params, with_visitors=reader.has_permission(stream_id))


def requested_stream(request: HttpRequest, readable: list[int]) -> int | None:
    """The configured stream that `?stream=` names; None where there is no such.

    Without `?stream=` the first readable one, or the first of all.
    """
    configured = list(settings.streams)
    text = request.GET.get("stream")
    stream_id = [*readable, *configured][0] if text is None else parse_stream_id(text)
    return stream_id if stream_id in configured else None


def error_answer(status: int, message: str) -> JsonResponse:
    """A refusal in the shape that the channel's have."""
    return JsonResponse({"code": status, "message": message}, status=status)


def _unauthorized(message: str, challenge: str) -> JsonResponse:
    answer = error_answer(401, message)
    answer.headers["WWW-Authenticate"] = challenge
    return answer


def _known_params(request: HttpRequest, known: Collection[str]) -> dict[str, str]:
    for name, values in request.GET.lists():
        if name not in known:
            words = _("There is no parameter %(name)r here. There are: %(known)s.")
            raise RefusedRequestError(words % {"name": name, "known": ", ".join(sorted(known))})
        if len(values) > 1:
            raise RefusedRequestError(_("%(name)s is given twice. Give it once.") % {"name": name})
    return request.GET.dict()


def _check_filters(params: dict[str, str], query: LogQuery) -> None:
    """Refuse what the query doesn't mean as it was said. Empty text asks for nothing."""
    given = {name: text for name, text in params.items() if text}
    period = query.period
    choices = {"period": PERIOD_WORDS, "who": (PEOPLE, EVERYTHING, OTHERS), "bots": ("0", "1")}
    for name, allowed in choices.items():
        if name in given and given[name] not in allowed:
            words = _("%(name)s is %(value)r. It can be: %(allowed)s.")
            raise _refused(words, name, given[name], allowed=", ".join(filter(None, allowed)))
    if given.get("period") == CUSTOM and period.key != CUSTOM:
        raise RefusedRequestError(_("period is 'custom', and there is no day. Give from, to, or both."))
    for name in ("from", "to"):
        if name in given and given[name] not in (f"{period.first_day}", f"{period.last_day}"):
            raise _refused(_("%(name)s is %(value)r. Give a day such as 2026-11-24."), name, given[name])
    if "tz" in given and parse_zone(given["tz"], _NO_ZONE) is _NO_ZONE:
        raise _refused(_("%(name)s is %(value)r. Give a time zone such as Asia/Jakarta."), "tz", given["tz"])


def _refused(words: str, name: str, value: str, **more: str) -> RefusedRequestError:
    shown = value if len(value) <= _SHOWN else f"{value[:_SHOWN]}…"
    return RefusedRequestError(words % {"name": name, "value": shown, **more})


_SHOWN = 60
"""Characters of a value that an answer repeats."""
