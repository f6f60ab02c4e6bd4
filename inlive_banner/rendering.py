"""Renders a banner where no Django template does: in Jinja2's, and for a snippet."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from typing import Any

from django.template import Context, TemplateDoesNotExist, engines
from django.template.backends.django import DjangoTemplates
from django.utils.safestring import SafeString

__all__ = ["render_banner"]

_TEMPLATE = "inlive_banner/banner_with_assets.html"


def render_banner(values: dict[str, Any]) -> SafeString:
    """The HTML of `banner` and of its `assets`, from the templates that the site may have overridden."""
    for engine in engines.all():
        if isinstance(engine, DjangoTemplates):
            with suppress(TemplateDoesNotExist):  # an engine for other templates than the apps'
                return engine.engine.get_template(_TEMPLATE).render(Context(values))
    return _own_engine().engine.get_template(_TEMPLATE).render(Context(values))


@cache
def _own_engine() -> DjangoTemplates:
    """For a site that has Jinja2 alone."""
    return DjangoTemplates({"NAME": "inlive_banner", "DIRS": [], "APP_DIRS": True, "OPTIONS": {}})
