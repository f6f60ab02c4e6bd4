"""The addresses of a site that has the admin and the app's export."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpResponse
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path(
        "inlive/",
        include(([path("export/", lambda request: HttpResponse(), name="export")], "inlive_banner")),
    ),
]
