"""What a request to the site says of the visitor: where from, with what, and whether they want to be counted."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import IPv6Address
from urllib.parse import urlsplit

from django.http import HttpRequest

from inlive_banner.channel.address import Networks, client_address
from inlive_banner.conf import settings
from inlive_banner.exceptions import ConfigurationError

__all__ = ["address_of", "objects_to_counting", "page_of", "purpose_of"]

_PURPOSES = ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")
"""How browsers say that they only fetch ahead: today's header, and those of before."""


def address_of(request: HttpRequest) -> str:
    """The visitor's IP address; "" where it can't be known.

    `X-Forwarded-For` is believed as far as `TRUSTED_PROXIES` have written it, as the channel does it.
    """
    peer, forwarded = request.META.get("REMOTE_ADDR", ""), request.headers.get("X-Forwarded-For", "")
    try:
        trusted = Networks(settings.TRUSTED_PROXIES, setting="TRUSTED_PROXIES")
    except ConfigurationError:
        return ""  # a check says so, and the channel doesn't start with it; the click is worth more than its visitor
    # A server behind a Unix socket sees no address: only this machine's own processes reach it.
    packed = client_address(peer, forwarded, trusted, believe=bool(forwarded) and not peer)
    if not packed:
        return ""
    address = IPv6Address(packed)
    return str(address.ipv4_mapped or address)


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
