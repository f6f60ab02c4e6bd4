"""The demo site's addresses. `/channel/` isn't here: project.asgi mounts the channel beside the site."""

from __future__ import annotations

from django.contrib import admin
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView, TemplateView

urlpatterns = [
    path("", TemplateView.as_view(template_name="home.html"), name="home"),
    path("offers/", TemplateView.as_view(template_name="offers.html"), name="offers"),
    path("inlive/", include("inlive_banner.urls")),
    path("admin/", admin.site.urls),
    # Browsers ask for it on the admin's pages, which name no icon.
    path("favicon.ico", RedirectView.as_view(url=static("project/icon.svg"))),
]
