"""A site whose pages have a banner, one of them cached by Django's decorator."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.urls import include, path
from django.views.decorators.cache import cache_page


def page(request: HttpRequest) -> HttpResponse:
    """One banner."""
    return HttpResponse(
        engines["django"].from_string("{% load inlive_banner %}{% inlive_banner %}").render({}, request)
    )


async def async_page(request: HttpRequest) -> HttpResponse:
    """The same by a coroutine, which may not touch the database."""
    return page(request)


urlpatterns = [
    path("", page),
    path("cached/", cache_page(60)(page)),
    path("async/", async_page),
    path("inlive/", include("inlive_banner.urls")),
]
