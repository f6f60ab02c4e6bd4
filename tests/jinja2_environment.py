"""A Jinja2 environment as a site makes one."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment

from inlive_banner import jinja2 as inlive

__all__ = ["environment"]


def environment(**options: Any) -> Environment:
    """Called by Django, by its name in the settings."""
    made = Environment(**options)
    made.globals.update(inlive.GLOBALS)
    return made
