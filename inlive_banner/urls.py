"""The app's addresses: `path("inlive/", include("inlive_banner.urls"))`."""

from __future__ import annotations

from django.urls import path

from inlive_banner import redirection, views

app_name = "inlive_banner"

urlpatterns = [
    path("logs/", views.logs, name="logs"),
    path("ticket/", views.ticket, name="ticket"),
    path("go/", redirection.go_unsigned, name="go_unsigned"),
    path("go/<str:signed>/", redirection.go, name="go"),
]
