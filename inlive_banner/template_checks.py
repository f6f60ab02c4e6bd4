"""A system check of the site's templates: finds the tag in brackets that Django prints instead of running."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.checks import CheckMessage, Tags, register
from django.core.checks import Warning as CheckWarning
from django.template import engines
from django.template.backends.django import DjangoTemplates

__all__ = ["check_templates"]

_WRONG_TAG = re.compile(r"<%\s*((?:inlive_banner(?:_block|_assets)?|end_inlive_banner_block|inlive_logs)\b.*?)\s*%[>}]")
_SUFFIXES = frozenset({".html", ".htm", ".txt", ".xml", ".svg", ".md", ".djhtml"})
_NOT_OURS = frozenset({"site-packages", "dist-packages", "node_modules"})
"""Folders of installed packages: whoever reads the message can't mend those."""


@register(Tags.templates)
def check_templates(**_kwargs: Any) -> list[CheckMessage]:
    """Find `<% inlive_banner %>` in the templates of the site's DjangoTemplates engines."""
    return [
        CheckWarning(
            f"{path}:{number} has a tag in <% %>, which Django shows as plain text: {line.strip()}",
            hint="{% load inlive_banner %} " + _WRONG_TAG.sub(r"{% \1 %}", line).strip(),
            id="inlive_banner.W005",
        )
        for path in _templates()
        for number, line in _lines(path)
        if _WRONG_TAG.search(line)
    ]


def _templates() -> Iterator[Path]:
    """Each template file once."""
    folders = {
        Path(folder)
        for engine in engines.all()
        if isinstance(engine, DjangoTemplates)
        for folder in engine.template_dirs
        if not _NOT_OURS.intersection(Path(folder).parts)
    }
    yield from sorted({path for folder in folders for path in folder.rglob("*") if path.suffix in _SUFFIXES})


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return  # a folder with such a name, or a file that we may not read
    if "<%" in text:
        yield from enumerate(text.splitlines(), start=1)
