"""What programs read: the rows as a file, the rows in pages, and the numbers. `docs/api.md` describes the answers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from django.db import DEFAULT_DB_ALIAS
from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.encoding import escape_uri_path
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from inlive_banner.answers import figures_fields
from inlive_banner.api_requests import ApiRequest, api_view, read_request
from inlive_banner.chunks import read_chunks
from inlive_banner.downloads import download
from inlive_banner.exceptions import RefusedRequestError
from inlive_banner.exporting import csv_chunks, json_chunks, row_fields
from inlive_banner.figures import read_figures
from inlive_banner.models import Interaction
from inlive_banner.moment import read_at_one_moment
from inlive_banner.paging import read_older, read_recorded
from inlive_banner.periods import CUSTOM, Period
from inlive_banner.query import Cursor

__all__ = ["DEFAULT_LIMIT", "MAX_LIMIT", "export", "figures", "interactions"]

DEFAULT_LIMIT = 100
MAX_LIMIT = 1_000
"""Rows in one answer."""

_FORMATS = {
    "csv": (csv_chunks, "text/csv; charset=utf-8; header=present"),
    "jsonl": (json_chunks, "application/x-ndjson; charset=utf-8"),
}

_LIMIT = re.compile(r"[1-9][0-9]{0,3}", re.ASCII)
_AFTER = re.compile(r"[0-9]{1,18}", re.ASCII)


@api_view
def export(request: HttpRequest) -> HttpResponseBase:
    """All rows that the filters mean, newest first, as a file: `?format=csv`, or `jsonl`."""
    asked = read_request(request, also=("format",))
    name = asked.params.get("format", "")
    if name not in _FORMATS:
        words = _("format is %(value)r. It can be: %(allowed)s.")
        raise RefusedRequestError(words % {"value": name[:20], "allowed": ", ".join(_FORMATS)})
    write, content_type = _FORMATS[name]
    rows = _started(chain.from_iterable(read_chunks(asked.query))) if request.method == "GET" else iter(())
    return download(
        request,
        write(_shown(rows, asked)),
        filename=f"inlive-stream-{asked.query.stream_id}-{_period_name(asked.query.period)}.{name}",
        content_type=content_type,
    )


@api_view
def interactions(request: HttpRequest) -> HttpResponseBase:
    """Rows in pages: newest first, on from `before`; or, on from `after`, in the order in which they were recorded."""
    asked = read_request(request, also=("limit", "before", "after"))
    params, query = asked.params, asked.query
    limit = params.get("limit", f"{DEFAULT_LIMIT}")
    if not _LIMIT.fullmatch(limit) or int(limit) > MAX_LIMIT:
        words = _("limit is %(value)r. Give a number from 1 to %(most)d.")
        raise RefusedRequestError(words % {"value": limit[:20], "most": MAX_LIMIT})
    if "after" not in params:
        before = _before(params)
        page = read_older(query, before=before, limit=int(limit))
        following = _url(request, query.period, before=str(page.older)) if page.older else None
        newer = _url(request, after=f"{page.recorded}") if before is None else None
    elif "before" in params:
        raise RefusedRequestError(_("Both before and after are given. Give one of them."))
    else:
        page = read_recorded(query, after=_after(params), limit=int(limit))
        newer = _url(request, after=f"{page.recorded}")
        following = newer if page.has_more else None
    return JsonResponse(
        {
            "stream_id": f"{query.stream_id}",
            "interactions": [row_fields(row) for row in _shown(page.rows, asked)],
            "next": following,
            "newer": newer,
            "position": page.position,
        }
    )


@api_view
def figures(request: HttpRequest) -> HttpResponseBase:
    """The numbers of a period, as the logs page shows them."""
    asked = read_request(request)
    now = timezone.now()

    def read(position: str) -> dict[str, Any]:
        return figures_fields(asked.query, read_figures(asked.query, now=now)) | {"position": position}

    return JsonResponse(read_at_one_moment(asked.query.stream_id, read, using=DEFAULT_DB_ALIAS))


def _started(rows: Iterator[Interaction]) -> Iterator[Interaction]:
    """The same with the first one read already, so that a database that fails is told by the answer's status."""
    first = next(rows, None)
    return iter(()) if first is None else chain([first], rows)


def _shown(rows: Iterable[Interaction], asked: ApiRequest) -> Iterator[Interaction]:
    for row in rows:
        if not asked.with_visitors:
            row.visitor = ""
        yield row


def _before(params: dict[str, str]) -> Cursor | None:
    if "before" not in params:
        return None
    cursor = Cursor.parse(params["before"])
    if cursor is None:
        words = _("before is %(value)r, which is no place in the log. Take the address that “next” gives.")
        raise RefusedRequestError(words % {"value": params["before"][:40]})
    return cursor


def _after(params: dict[str, str]) -> int:
    if not _AFTER.fullmatch(params["after"]):
        words = _("after is %(value)r, which is no place in the log. Take the address that “newer” gives, or 0.")
        raise RefusedRequestError(words % {"value": params["after"][:40]})
    return int(params["after"])


def _url(request: HttpRequest, period: Period | None = None, **place: str) -> str:
    """The request's address at another place, without scheme and host: a proxy may have changed these.

    With a period, the address names its days: the next page of today must mean the same after midnight.
    """
    params = request.GET.dict()
    if period is not None and period.first_day:
        params |= {"period": CUSTOM, "from": f"{period.first_day}", "to": f"{period.last_day}"}
    return f"{escape_uri_path(request.path)}?{urlencode({**params, **place})}"


def _period_name(period: Period) -> str:
    """The period for a file's name."""
    if period.first_day is not None:
        last = "" if period.last_day == period.first_day else f"-to-{period.last_day}"
        return f"{period.first_day}{last}"
    return f"{period.since:%Y-%m-%dT%H%MZ}-on" if period.since else "all"
