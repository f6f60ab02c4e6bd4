"""The addresses of that site: one page with each tag."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.urls import include, path

PAGE = """<!DOCTYPE html><title>Page</title>{% load inlive_banner %}
{% inlive_banner name="direct" href="/elsewhere/" %}
{% inlive_banner name="counted" href="/elsewhere/" redirect=True %}
{% inlive_banner_block name="block" href="/elsewhere/" %}<b>Block</b>{% end_inlive_banner_block %}
{% inlive_logs %}"""


def page(request: HttpRequest) -> HttpResponse:
    """Each tag."""
    return HttpResponse(engines["django"].from_string(PAGE).render({}, request))


urlpatterns = [
    path("", page),
    path("elsewhere/", lambda request: HttpResponse("Elsewhere")),
    path("inlive/", include("inlive_banner.urls")),
]
