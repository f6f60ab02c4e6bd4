"""What a request to the site says of the visitor: where from, with what, and whether they want to be counted."""

from __future__ import annotations

import re
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from django.http import HttpRequest

from inlive_banner.conf import settings

__all__ = ["address_of", "objects_to_counting", "page_of", "purpose_of"]

_WITH_PORT = re.compile(r"([0-9.]+):[0-9]+|\[(.*)\](?::[0-9]+)?")
_PURPOSES = ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")
"""How browsers say that they only fetch ahead: today's header, and those of before."""


def address_of(request: HttpRequest) -> str:
    """The visitor's IP address; "" where it can't be known.

    `X-Forwarded-For` is believed as far as `TRUSTED_PROXIES` have written it: from its end up to the first address
    that is none of theirs.
    """
    peer, forwarded = request.META.get("REMOTE_ADDR", ""), request.headers.get("X-Forwarded-For", "")
    ip = _ip(peer)
    # A server behind a Unix socket sees no address: only this machine's own processes reach it.
    if forwarded and (not peer or _is_trusted(ip)):
        for entry in reversed(forwarded.split(",")):
            ip = _ip(entry)
            if not _is_trusted(ip):
                break
    return "" if ip is None else str(ip)


def objects_to_counting(request: HttpRequest) -> bool:
    """Whether the visitor's browser asks not to be tracked, and `HONOUR_DNT` has that heeded."""
    return settings.HONOUR_DNT and "1" in (request.headers.get("DNT"), request.headers.get("Sec-GPC"))


def purpose_of(request: HttpRequest) -> str:
    """What the browser fetches for, where it says so: `prefetch` and its like; "" for a visitor's own click."""
    return next((request.headers[name] for name in _PURPOSES if request.headers.get(name)), "")


def page_of(request: HttpRequest) -> str:
    """The path of the site's page that led here; "" where that is unknown, or another site's."""
    with suppress(ValueError):
        referrer = urlsplit(request.headers.get("Referer", ""))
        if referrer.netloc == request.get_host():
            return referrer.path
    return ""


def _is_trusted(ip: IPv4Address | IPv6Address | None) -> bool:
    for network in settings.TRUSTED_PROXIES:
        with suppress(ValueError):  # a check says so
            if ip is not None and ip in ip_network(network, strict=False):
                return True
    return False


def _ip(text: str) -> IPv4Address | IPv6Address | None:
    """Read an address; there may be spaces around it, and some proxies write a port behind it."""
    match = _WITH_PORT.fullmatch(text.strip())
    try:
        ip = ip_address(match[1] or match[2] if match else text.strip())
    except ValueError:
        return None
    return getattr(ip, "ipv4_mapped", None) or ip
