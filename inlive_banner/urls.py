"""The app's addresses: `path("inlive/", include("inlive_banner.urls"))`."""

from __future__ import annotations

from django.urls import path

from inlive_banner import api, redirection, views

app_name = "inlive_banner"

urlpatterns = [
    path("logs/", views.logs, name="logs"),
    path("ticket/", views.ticket, name="ticket"),
    path("export/", api.export, name="export"),
    path("api/interactions/", api.interactions, name="interactions"),
    path("api/figures/", api.figures, name="figures"),
    path("go/", redirection.go_unsigned, name="go_unsigned"),
    path("go/<str:signed>/", redirection.go, name="go"),
]
