"""Signed links: where a banner leads, by way of the site itself, for pages that run no script.

The signature is what makes the redirect a closed one: nobody but the site can have written the target. It has no
expiry, since a link stays in caches, mails and bookmarks.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

from django.core.signing import BadSignature, JSONSerializer, Signer, b64_decode
from django.urls import NoReverseMatch, reverse

from inlive_banner.exceptions import InvalidBannerError, InvalidTokenError

__all__ = ["Link", "link_path", "read_link", "unsigned_target"]

_SALT = "inlive_banner.go"
_MAX_BYTES = 16 * 1024
"""Of an unsigned link, unpacked: a few bytes of somebody else's could be gigabytes."""


class Link(NamedTuple):
    """What a link carries. A list in JSON, so that the address stays short."""

    target: str
    """Where it leads: an absolute http(s) address or a path of the site."""
    name: str
    """The banner's name."""
    stream_id: int


def link_path(link: Link) -> str:
    """The path of a banner's link by way of the site. Raises `InvalidBannerError` where that can't be."""
    lowered = link.target.lower()
    if not lowered.startswith(("http://", "https://", "/")):
        raise InvalidBannerError(
            f"href is {link.target[:60]!r}, and redirect=True leads to https: addresses and to paths of your site "
            "only, such as /sale/. Leave redirect out for this banner.",
            argument="href",
        )
    try:
        return reverse("inlive_banner:go", args=[Signer(salt=_SALT).sign_object(link, compress=True)])
    except NoReverseMatch as error:
        raise InvalidBannerError(
            "redirect=True needs the app's addresses. Add them to your urls.py: "
            'path("inlive/", include("inlive_banner.urls")).',
            argument="redirect",
        ) from error


def read_link(signed: str) -> Link:
    """What the site has signed. Raises `InvalidTokenError` where it hasn't."""
    try:
        target, name, stream_id = Signer(salt=_SALT).unsign_object(signed)
    except (BadSignature, ValueError, TypeError) as error:
        raise InvalidTokenError("The link's signature isn't this site's.") from error
    return Link(target, name, stream_id)


def unsigned_target(signed: str) -> str:
    """The target of a link whose signature nobody vouches for, to be judged by its host; "" where it can't be read."""
    try:
        data = b64_decode(signed.partition(":")[0].removeprefix(".").encode())
        if signed.startswith("."):
            data = zlib.decompressobj().decompress(data, _MAX_BYTES)
        target = JSONSerializer().loads(data)[0]
    except (ValueError, TypeError, LookupError, RecursionError, zlib.error):
        return ""
    return target if isinstance(target, str) else ""
