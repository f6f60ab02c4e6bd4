"""The tests' site: the admin and the app, as a README reader would include them."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("inlive/", include("inlive_banner.urls")),
]
