"""Django's settings of a production-like site: WhiteNoise, hashed names, django-csp; the rest from the environment."""

from __future__ import annotations

import json
import os

from csp.constants import NONCE, SELF

from tests.settings import *  # noqa: F403  (settings are made of names)
from tests.settings import INSTALLED_APPS, MIDDLEWARE

ROOT_URLCONF = "tests.e2e.pages_urls"
SECRET_KEY = os.environ["SECRET_KEY"]
INLIVE_BANNER = json.loads(os.environ["INLIVE_BANNER_JSON"])
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ["PAGES_DATABASE"],
        "OPTIONS": {"timeout": 20, "init_command": "PRAGMA journal_mode=WAL"},
    }
}
STATIC_ROOT = os.environ["PAGES_STATIC_ROOT"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": os.environ["PAGES_STORAGE"]},
}
INSTALLED_APPS = [*INSTALLED_APPS, "csp"]
MIDDLEWARE = [
    MIDDLEWARE[0],
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    *MIDDLEWARE[1:],
]
CONTENT_SECURITY_POLICY = {"DIRECTIVES": {"default-src": [SELF], "script-src": [NONCE], "style-src": [NONCE]}}
