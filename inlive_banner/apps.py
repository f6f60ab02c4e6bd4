"""The Django application."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class InliveBannerConfig(AppConfig):
    """Loads the system checks; nothing else happens at start."""

    name = "inlive_banner"
    verbose_name = _("Banner interactions")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Importing registers them; the app registry must be ready for it.
        from inlive_banner import checks, retention_checks, site_checks, template_checks  # noqa: F401, PLC0415
