"""The demo site's settings with Unfold, the other look that many sites' admin has."""

from __future__ import annotations

from project.settings import *  # noqa: F403  (settings are made of names)
from project.settings import INSTALLED_APPS, MIDDLEWARE

INSTALLED_APPS = ["unfold", *INSTALLED_APPS]
# Unfold's pages have scripts and styles inline, and a library that makes code of text.
MIDDLEWARE = [name for name in MIDDLEWARE if "ContentSecurityPolicy" not in name]
