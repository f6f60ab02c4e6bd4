"""What the address of the admin's list of interactions asks for: of one stream, as on the logs page, and by label."""

from __future__ import annotations

from dataclasses import dataclass, replace

from django.db import DEFAULT_DB_ALIAS
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from inlive_banner.access import closed_streams, without_closed_streams
from inlive_banner.conf import settings
from inlive_banner.envelope import parse_stream_id
from inlive_banner.models import Interaction, Position
from inlive_banner.query import EVERYTHING, OTHERS, PARAMETERS, PEOPLE, Cursor, LogQuery, parse_query
from inlive_banner.rows import LogRows

__all__ = ["LABELLED_ROWS", "LISTING_PARAMETERS", "Listing", "parse_listing"]

LISTING_PARAMETERS = (*PARAMETERS, "tz", "stream", "label")
"""What an address may say of the list. Whatever else it says isn't asked for."""

LABELLED_ROWS = 20_000
"""Newest rows of all labels together that those of one label are looked for among: it has no index of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One question to the admin's list."""

    streams: tuple[int, ...]
    """The streams that the user may read, the first one being the one that is shown where none is named."""
    query: LogQuery | None
    """None where the address names what can't be a stream, or where there is none."""
    label: str = ""
    """The only label that is meant; "" for all that `query` means."""

    def rows(self, *, using: str = DEFAULT_DB_ALIAS) -> tuple[QuerySet[Interaction], Cursor | None]:
        """The rows, newest first, read by index; and the place where they end because no older ones are looked at."""
        if self.query is None:
            return Interaction.objects.using(using).none(), None
        all_rows = LogRows(self.query, using=using)
        horizon = all_rows.horizon()
        if not self.label:
            return all_rows.newest(back_to=horizon), horizon
        others = LogRows(LogQuery(stream_id=self.query.stream_id, who=OTHERS, period=self.query.period), using=using)
        last = others.newest().values_list("received_at", "pk")[LABELLED_ROWS - 1 : LABELLED_ROWS].first()
        ends = [place for place in (horizon, Cursor.at(*last) if last else None) if place]
        end = max(ends, key=lambda place: (place.received_at, place.pk), default=None)
        return all_rows.newest(back_to=end).filter(label=self.label), end

    @property
    def conditions(self) -> Q:
        """What is asked for apart from the stream, for rows that were found by something else than these."""
        if self.query is None:
            return Q(pk__in=[])
        query = self.query
        texts = {
            "name": query.banner,
            "action": query.action,
            "user_id": query.user,
            "page": query.page,
            "label": self.label,
            "received_at__gte": query.period.since,
            "received_at__lt": query.period.until,
        }
        return query.labels & Q(**{name: value for name, value in texts.items() if value})


def parse_listing(request: HttpRequest, *, using: str = DEFAULT_DB_ALIAS) -> Listing:
    """Read the address of a list: `stream`, `label`, and what `parse_query` reads.

    Where it doesn't say who is meant, everything is: a record that left out rows by itself would mislead.
    """
    params = request.GET.dict()
    streams = _streams(request, using)
    wanted = params.get("stream")
    stream_id = next(iter(streams), None) if wanted is None else parse_stream_id(wanted)
    if stream_id is None:
        return Listing(streams=streams, query=None)
    label = params.get("label", "").replace("\0", "")
    if params.get("who") not in (PEOPLE, OTHERS):
        params["who"] = EVERYTHING
    query = parse_query(params, stream_id)
    return Listing(streams=streams, query=replace(query, who=OTHERS) if label else query, label=label)


def _streams(request: HttpRequest, using: str) -> tuple[int, ...]:
    """Those that are configured, in their order, then what was recorded of others."""
    closed = closed_streams(request)
    recorded = without_closed_streams(Position.objects.using(using).order_by("pk"), request)
    configured = [stream_id for stream_id in settings.streams if stream_id not in closed]
    return tuple(dict.fromkeys([*configured, *recorded.values_list("pk", flat=True)]))
