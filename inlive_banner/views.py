"""The logs page, and the tickets by which open pages go on reading."""

from __future__ import annotations

from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render, resolve_url
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from inlive_banner.access import VIEW_PERMISSION, needed_permission, readable_streams
from inlive_banner.api_requests import error_answer, requested_stream
from inlive_banner.conf import settings

__all__ = ["logs", "ticket"]


@never_cache
@require_safe
def logs(request: HttpRequest) -> HttpResponse:
    """The log as a page of its own. `?stream=` picks a stream, `?before=` turns to older rows.

    Only streams that the user may read are offered. Who isn't signed in is led to the login page; who is, and may not
    read the stream, gets a page (403) that says what to ask for.
    """
    streams = readable_streams(request)
    stream_id = requested_stream(request, streams)
    if stream_id is None and streams:
        raise Http404(_("This site has no such stream."))
    if stream_id not in streams:
        return _refuse(request, stream_id, streams)
    context = {"stream_id": stream_id, "streams": streams}
    return render(request, "inlive_banner/logs_page.html", context)


@never_cache
@require_safe
def ticket(request: HttpRequest) -> JsonResponse:
    """A fresh reader's ticket for `?stream=`: `{"ticket": "…", "expires_at": <Unix seconds>}`.

    Errors have the channel's shape, `{"code", "message"}`: 403 who may not read, 404 no such stream.
    """
    streams = readable_streams(request)
    stream_id = requested_stream(request, streams)
    if stream_id is None and streams:
        return error_answer(404, _("This site has no such stream."))
    if stream_id is None or stream_id not in streams:
        return error_answer(403, _("You may not read this log. Sign in with an account that may."))
    text = settings.signer.make_ticket(stream_id)
    expires_at = settings.signer.read_ticket(stream_id, text).expires_at
    return JsonResponse({"ticket": text, "expires_at": int(expires_at)})


def _refuse(request: HttpRequest, stream_id: int | None, readable: list[int]) -> HttpResponse:
    here = request.get_full_path()
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return redirect_to_login(here)
    login_url = f"{resolve_url(settings.login_url)}?{urlencode({'next': here})}"
    permission = VIEW_PERMISSION if stream_id is None else needed_permission(stream_id)
    context = {
        "permission": permission,
        "is_own_permission": permission != VIEW_PERMISSION,
        "login_url": login_url,
        "streams": readable,
    }
    return render(request, "inlive_banner/logs_forbidden.html", context, status=403)
