"""Who may read the log: the one place that page, template tag, ticket, admin and API all ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest

from inlive_banner.conf import settings

__all__ = [
    "VIEW_PERMISSION",
    "Reader",
    "closed_streams",
    "may_read_log",
    "needed_permission",
    "readable_streams",
    "without_closed_streams",
]

VIEW_PERMISSION = "inlive_banner.view_interaction"
"""What a reader needs for each stream that names no permission of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Somebody who wants to read, and what they may read now."""

    user: Any
    """A user of whatever model the site has; None where nobody is known."""
    streams: tuple[int, ...] | None = None
    """The only streams that the user has asked for beforehand; None for no such limit."""

    def may_read(self, stream_id: int) -> bool:
        """True where the user has the stream's permission, or `LOGS_PUBLIC` opens it to all.

        `LOGS_PUBLIC` opens no stream that names a permission of its own.
        """
        if self.streams is not None and stream_id not in self.streams:
            return False
        if settings.LOGS_PUBLIC and settings.view_permission(stream_id) is None:
            return True
        return self.has_permission(stream_id)

    def has_permission(self, stream_id: int) -> bool:
        """True where it is the user's own permission that opens the stream, and not `LOGS_PUBLIC`."""
        return self.user is not None and bool(self.user.has_perm(needed_permission(stream_id)))

    def readable_streams(self) -> list[int]:
        """The configured streams that may be read, in their order. Raises `ConfigurationError`."""
        return [stream_id for stream_id in settings.streams if self.may_read(stream_id)]


def needed_permission(stream_id: int) -> str:
    """The permission that opens a stream, as `app_label.codename`."""
    own = settings.view_permission(stream_id)
    return VIEW_PERMISSION if own is None else own


def may_read_log(request: HttpRequest | None, stream_id: int) -> bool:
    """True where the request's user may read the stream: by permission, or because `LOGS_PUBLIC` opens it to all.

    Without a request, or without `AuthenticationMiddleware`, nobody is known, so only `LOGS_PUBLIC` counts.
    """
    return _reader_of(request).may_read(stream_id)


def readable_streams(request: HttpRequest | None) -> list[int]:
    """The configured streams that the request's user may read, in their order. Raises `ConfigurationError`."""
    return _reader_of(request).readable_streams()


def closed_streams(request: HttpRequest) -> list[int]:
    """The streams whose own permission the request's user lacks.

    For the admin, where Django's permission for the model opens the list and streams only narrow it. A stream that
    is recorded and no longer configured is none of them.
    """
    user = _reader_of(request).user
    return [
        stream_id
        for stream_id, permission in settings.view_permissions.items()
        if user is None or not user.has_perm(permission)
    ]


def without_closed_streams(queryset: QuerySet[Any], request: HttpRequest) -> QuerySet[Any]:
    """The rows, by their `stream_id`, less those of `closed_streams`."""
    return queryset.exclude(stream_id__in=closed_streams(request))  # no condition at all where none is closed


def _reader_of(request: HttpRequest | None) -> Reader:
    return Reader(user=getattr(request, "user", None))
