"""What a tag has to know of the page that it stands on: its nonce, its reader, whether others will get it too."""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from typing import Any, Protocol

from django.core.exceptions import SynchronousOnlyOperation
from django.http import HttpRequest
from django.templatetags.cache import CacheNode

from inlive_banner.conf import settings

__all__ = ["Values", "banner_assets", "in_cached_fragment", "is_staff", "is_staff_page", "nonce_of"]


class Values(Protocol):
    """A template's context, of whatever engine."""

    def get(self, key: str, /) -> Any:
        """The value of a variable; None where there is no such."""


def nonce_of(values: Values) -> str:
    """The page's CSP nonce: Django 6's `csp_nonce`, or django-csp's `request.csp_nonce`; "" where none.

    Both are lazy, are made when their text is asked for, and are false until then, so only None means none.
    """
    nonce = values.get("csp_nonce")
    if nonce is None:
        nonce = getattr(values.get("request"), "csp_nonce", None)
    return "" if nonce is None else str(nonce)


def banner_assets(
    brought: MutableMapping[Any, Any], values: Values, *, views: bool, actions: bool = False
) -> dict[str, Any]:
    """What a tag has to bring along of stylesheet and scripts: what no tag before it on the page has.

    `brought` is the page's memory, which is written to. `views` and `actions` say which of the scripts that only some
    pages need this one does.

    In `{% cache %}` each tag brings all, for on another page its fragment may be the first. It brings no nonce: that
    of the page which filled the cache is no other page's.
    """
    wanted = {
        "inlive_banner/banner.js": True,
        "inlive_banner/consent.js": settings.CONSENT,
        "inlive_banner/views.js": views,
        "inlive_banner/actions.js": actions,
    }
    is_cached = in_cached_fragment()
    scripts = [name for name, is_wanted in wanted.items() if is_wanted and (is_cached or name not in brought)]
    if not is_cached:
        brought.update(dict.fromkeys(scripts, True))
    return {
        "assets": "banner" if "inlive_banner/banner.js" in scripts else "",
        "modules": [name for name in scripts if name != "inlive_banner/banner.js"],
        "nonce": nonce_of(values) if scripts and not is_cached else "",
    }


def is_staff(request: HttpRequest | None) -> bool:
    """Whether `LABEL_STAFF` is on, outside of DEBUG, and the request's user is a member of the staff.

    Without a session cookie nobody is signed in, and then the session isn't touched: that would vary the page by
    cookie, and so keep it out of caches.
    """
    # Under DEBUG the developer is all the visitors there are: their first click shall be seen in the totals.
    if (
        settings.debug
        or not settings.LABEL_STAFF
        or settings.session_cookie_name not in getattr(request, "COOKIES", ())
    ):
        return False
    try:
        return bool(getattr(getattr(request, "user", None), "is_staff", False))
    except SynchronousOnlyOperation:
        return False  # an async view that hasn't asked who the user is: a page matters more than a mark


def is_staff_page(request: HttpRequest | None) -> bool:
    """Whether a page is rendered for a member of the staff, and for nobody else.

    What goes into a cache is for all, so it must not mark its later readers as staff.
    """
    # Set by Django's cache middleware and `cache_page` where they mean to store the page. The decorator stores it
    # before the session's middleware could say that it varies by cookie.
    to_be_cached = getattr(request, "_cache_update_cache", False)
    return not to_be_cached and not in_cached_fragment() and is_staff(request)


def in_cached_fragment() -> bool:
    """Whether `{% cache %}` is rendering what is rendered now, in this template or in one that includes it.

    Such a fragment is shown on other pages and to other people. Django tells the nodes in it nothing about that, so
    the calls under way are looked through.
    """
    frame = sys._getframe()  # noqa: SLF001  (inspect.currentframe is the same, and may return None)
    while (frame := frame.f_back) is not None:  # type: ignore[assignment]
        if frame.f_code is CacheNode.render.__code__:
            return True
    return False
