"""Who may read the log: the one place that page, template tag, ticket and admin all ask."""

from __future__ import annotations

from django.http import HttpRequest

from inlive_banner.conf import settings

__all__ = ["VIEW_PERMISSION", "may_read_log"]

VIEW_PERMISSION = "inlive_banner.view_interaction"


def may_read_log(request: HttpRequest | None) -> bool:
    """True where the request's user may read the log: by permission, or because `LOGS_PUBLIC` opens it to all.

    Without a request, or without `AuthenticationMiddleware`, nobody is known, so only `LOGS_PUBLIC` counts.
    """
    if settings.LOGS_PUBLIC:
        return True
    user = getattr(request, "user", None)
    return user is not None and bool(user.has_perm(VIEW_PERMISSION))
