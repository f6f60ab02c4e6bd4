"""Links by way of the site: they count a click on the server, for pages that run no script, and lead on."""

from __future__ import annotations

import logging

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from inlive_banner import arguments
from inlive_banner.conf import settings
from inlive_banner.envelope import CLICK
from inlive_banner.exceptions import InliveBannerError, InvalidTokenError
from inlive_banner.links import Link, read_link, unsigned_target
from inlive_banner.outbox import keep
from inlive_banner.page import is_staff
from inlive_banner.publishing import Outgoing, make_message
from inlive_banner.visitors import address_of, objects_to_counting, page_of, purpose_of

__all__ = ["go", "go_unsigned"]

logger = logging.getLogger(__name__)


@never_cache
@require_safe
def go(request: HttpRequest, signed: str) -> HttpResponseBase:
    """Lead on to where a signed link says (302), and count the click; the visitor doesn't wait for that.

    A link with another signature is as good as one with none. No `Referrer-Policy` is set here: the target learns of
    the page what it would learn from a direct link, as the site has it.
    """
    try:
        link = read_link(signed)
    except InvalidTokenError:
        return _lead_on_unsigned(request, unsigned_target(signed))
    if request.method == "GET" and not settings.CONSENT and not objects_to_counting(request):
        _count(request, link)
    return HttpResponseRedirect(link.target)


@never_cache
@require_safe
def go_unsigned(request: HttpRequest) -> HttpResponseBase:
    """Lead on to `?to=` where that is of the site's own host or of `REDIRECT_HOSTS`; nothing is counted."""
    return _lead_on_unsigned(request, request.GET.get("to", ""))


def _lead_on_unsigned(request: HttpRequest, target: str) -> HttpResponse:
    try:
        target = arguments.address("href", target)
    except InliveBannerError:
        target = ""
    # A path has to begin with its slash: else it would be one below this view's own.
    is_usable = target.lower().startswith(("/", "http://", "https://"))
    if is_usable and url_has_allowed_host_and_scheme(target, {request.get_host(), *settings.REDIRECT_HOSTS}):
        return HttpResponseRedirect(target)
    context = {"target": target if is_usable else ""}
    return render(request, "inlive_banner/link_unusable.html", context, status=400)


def _count(request: HttpRequest, link: Link) -> None:
    try:
        if link.stream_id not in settings.streams:
            return  # it was, when the link was made
        out = Outgoing(
            stream_id=link.stream_id,
            message=make_message(link.name, CLICK, page=page_of(request)),
            address=address_of(request),
            user_agent=request.headers.get("User-Agent", ""),
            purpose=purpose_of(request),
            staff=is_staff(request),
        )
        keep(out)
    except Exception:
        logger.exception("a click on a link by way of the site isn't counted")  # whatever it is: the link leads on
