"""System checks of the site's pages, links and readers. As in `checks`, an id never changes its meaning."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as CheckWarning

from inlive_banner.conf import settings

__all__ = ["check_site"]

_PERMISSION = re.compile(r"[^\W\d]\w*\.\S+")
"""`app_label.codename`, as `has_perm()` takes it; a codename may be any text, and none has spaces."""


@register("inlive_banner")
def check_site(**_kwargs: Any) -> list[CheckMessage]:
    """Judge `REDIRECT_HOSTS`, the permissions of streams, and what can't go together."""
    if not isinstance(settings.raw, Mapping):
        return []  # E001 says so
    return [*_redirect_hosts(), *_redirect_under_consent(), *_view_permissions()]


def _redirect_hosts() -> Iterator[CheckMessage]:
    hosts: Any = settings.REDIRECT_HOSTS
    if not isinstance(hosts, list | tuple):
        return  # E002 says so
    for host in hosts:
        if not _is_host(host):
            yield Error(
                f'INLIVE_BANNER["REDIRECT_HOSTS"] has {host!r}, which no address has as its host.',
                hint='In INLIVE_BANNER: "REDIRECT_HOSTS": ["shop.example.org", "localhost:8000"]',
                id="inlive_banner.E030",
            )


def _is_host(value: object) -> bool:
    if not isinstance(value, str) or value != value.lower() or set(value) & set("/\\?#@* "):
        return False
    try:
        parts = urlsplit(f"//{value}")
        parts.port  # noqa: B018  (raises for a bad one)
    except ValueError:
        return False
    return bool(parts.hostname)


def _redirect_under_consent() -> Iterator[CheckMessage]:
    banner: Any = settings.BANNER
    if settings.CONSENT is True and isinstance(banner, Mapping) and banner.get("redirect") is True:
        yield CheckWarning(
            'INLIVE_BANNER["BANNER"] has redirect=True, which does nothing under CONSENT: a link can\'t know whether '
            "its visitor has agreed.",
            hint='In INLIVE_BANNER["BANNER"], leave "redirect" out.',
            id="inlive_banner.W030",
        )


def _view_permissions() -> Iterator[CheckMessage]:
    streams: Any = settings.STREAMS
    if not isinstance(streams, Mapping):
        return  # E002 says so
    for key, options in streams.items():
        permission = options.get("VIEW_PERMISSION") if isinstance(options, Mapping) else None
        if not isinstance(permission, str):
            continue  # E005 says so, or there is none
        if not _PERMISSION.fullmatch(permission):
            yield Error(
                f'INLIVE_BANNER["STREAMS"][{key!r}] has {permission!r} as VIEW_PERMISSION, which nobody can be given: '
                "a permission is an app's label, a dot, and a codename.",
                hint='In the stream\'s options: "VIEW_PERMISSION": "shop.view_orders"',
                id="inlive_banner.E031",
            )
        elif options.get("PUBLIC") is True:
            yield CheckWarning(
                f'INLIVE_BANNER["STREAMS"][{key!r}] has a VIEW_PERMISSION, and "PUBLIC": True: the pages ask for the '
                "permission, and the channel lets everybody read.",
                hint='In the stream\'s options, leave "PUBLIC" out.',
                id="inlive_banner.W031",
            )
