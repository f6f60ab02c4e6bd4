"""The demo site's settings, all of them from the environment (django-environ).

`make demo` fills the environment in; to run a part by hand, set at least SECRET_KEY, INLIVE_WIDGET_KEY and
INLIVE_STREAM_ID.
"""

from __future__ import annotations

from pathlib import Path

import environ

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

INLIVE_STREAM_ID = env.str("INLIVE_STREAM_ID", default="")

INLIVE_BANNER = {
    "STREAM_ID": INLIVE_STREAM_ID,
    "WIDGET_KEY": env.str("INLIVE_WIDGET_KEY", default=""),
    "CHANNEL_URL": env.str("INLIVE_CHANNEL_URL", default="/channel"),
    "CHANNEL_INTERNAL_URL": env.str("INLIVE_CHANNEL_INTERNAL_URL", default=""),
    "CHANNEL_LOG": env.str("INLIVE_CHANNEL_LOG", default=""),
    "LOGS_PUBLIC": env.bool("INLIVE_LOGS_PUBLIC", default=False),
    "TRACK_VIEWS": env.bool("INLIVE_TRACK_VIEWS", default=False),
    "IMPOSSIBLE_RATE": env.int("INLIVE_IMPOSSIBLE_RATE", default=30),
}
if INLIVE_STREAM_ID:
    INLIVE_BANNER["STREAMS"] = {INLIVE_STREAM_ID: {"PUBLIC": env.bool("INLIVE_STREAM_PUBLIC", default=False)}}

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "inlive_banner",
    "project",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "project.middleware.ContentSecurityPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"
ASGI_APPLICATION = "project.asgi.application"
LOGIN_URL = "admin:login"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
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

DATABASES = {"default": env.db("DATABASE_URL", default=f"sqlite:///{BASE_DIR / 'site.sqlite3'}")}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        # Pages read while the worker writes. NORMAL may lose the newest transactions when the power fails, and
        # that is harmless: rows and position go together, and the worker reads the lost ones from the log again.
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
        # Seconds that a writer waits for another one.
        "timeout": 20,
        # The admin's transactions read first and write later. Begun as readers they would fail at once, whatever
        # the timeout, if the worker wrote in between; begun as writers they wait for their turn.
        "transaction_mode": "IMMEDIATE",
    }

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

LANGUAGE_CODE = "en"
USE_TZ = True
TIME_ZONE = "UTC"

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "build" / "static"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {
        "django": {"handlers": []},  # Django's own would print each line a second time
        "uvicorn": {"level": "WARNING"},  # the supervisor tells of starts and stops already
    },
}
