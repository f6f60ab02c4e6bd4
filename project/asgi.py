"""The site and the channel in one process: what `make demo` serves."""

from __future__ import annotations

import os

from django.conf import settings
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application

from inlive_banner.asgi import mount_channel

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

site = get_asgi_application()
if settings.DEBUG:
    # As runserver does; elsewhere the web server serves what collectstatic gathered.
    site = ASGIStaticFilesHandler(site)

application = mount_channel(site, prefix="/channel")
