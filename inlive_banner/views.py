"""The logs page, and the tickets by which open pages go on reading."""

from __future__ import annotations

from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render, resolve_url
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from inlive_banner.access import VIEW_PERMISSION, may_read_log
from inlive_banner.conf import settings
from inlive_banner.envelope import parse_stream_id

__all__ = ["logs", "ticket"]


@never_cache
@require_safe
def logs(request: HttpRequest) -> HttpResponse:
    """The log as a page of its own. `?stream=` picks a stream, `?before=` turns to older rows.

    Who isn't signed in is led to the login page; who is, and may not read, gets a page (403) that says whom to ask.
    """
    if not may_read_log(request):
        return _refuse(request)
    stream_id = _requested_stream(request)
    if stream_id is None:
        raise Http404(_("This site has no such stream."))
    context = {"stream_id": stream_id, "streams": list(settings.streams)}
    return render(request, "inlive_banner/logs_page.html", context)


@never_cache
@require_safe
def ticket(request: HttpRequest) -> JsonResponse:
    """A fresh reader's ticket for `?stream=`: `{"ticket": "…", "expires_at": <Unix seconds>}`.

    Errors have the channel's shape, `{"code", "message"}`: 403 who may not read, 404 no such stream.
    """
    if not may_read_log(request):
        return _error(403, _("You may not read this log. Sign in with an account that may."))
    stream_id = _requested_stream(request)
    if stream_id is None:
        return _error(404, _("This site has no such stream."))
    text = settings.signer.make_ticket(stream_id)
    expires_at = settings.signer.read_ticket(stream_id, text).expires_at
    return JsonResponse({"ticket": text, "expires_at": int(expires_at)})


def _requested_stream(request: HttpRequest) -> int | None:
    """The configured stream that `?stream=` names, the first one without it; None where there is no such."""
    streams = settings.streams
    text = request.GET.get("stream")
    stream_id = next(iter(streams)) if text is None else parse_stream_id(text)
    return stream_id if stream_id in streams else None


def _refuse(request: HttpRequest) -> HttpResponse:
    here = request.get_full_path()
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return redirect_to_login(here)
    login_url = f"{resolve_url(settings.login_url)}?{urlencode({'next': here})}"
    context = {"permission": VIEW_PERMISSION, "login_url": login_url}
    return render(request, "inlive_banner/logs_forbidden.html", context, status=403)


def _error(code: int, message: str) -> JsonResponse:
    return JsonResponse({"code": code, "message": message}, status=code)
