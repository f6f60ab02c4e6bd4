"""Django's settings for the tests: the app in a plain site, on real databases.

`default` is a SQLite file and `postgres` a real PostgreSQL; tests/conftest.py says where, for each run anew.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
NOWHERE = Path(tempfile.gettempdir(), "inlive-banner-unused.sqlite3")
"""A path that could be used, and must not be: tests open databases and logs of their own."""

DEBUG = False
SECRET_KEY = "only-for-the-tests"
ALLOWED_HOSTS = ["testserver", "127.0.0.1", "localhost"]
USE_TZ = True
TIME_ZONE = "UTC"
ROOT_URLCONF = "tests.urls"
STATIC_URL = "/static/"
STATIC_ROOT = str(BASE_DIR / "build" / "static")
LOGIN_URL = "admin:login"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "inlive_banner",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": NOWHERE,
        "OPTIONS": {"timeout": 20},
    },
    "postgres": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "postgres",
        # Filled in by the fixture postgres_url, which starts the server.
        "HOST": "",
        "USER": "",
    },
}

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

INLIVE_BANNER = {
    "STREAM_ID": 15,
    "WIDGET_KEY": "test-widget-key",
    "CHANNEL_URL": "/channel",
    "CHANNEL_INTERNAL_URL": "http://127.0.0.1:9/channel",
    "CHANNEL_LOG": f"sqlite:///{NOWHERE}",
}
