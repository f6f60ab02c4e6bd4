"""The log's lines as HTML: their template is rendered once, and filled for each line.

Of a whole page, fifty renderings took longest, some 20 ms: more than the database took to find the rows among ten
million. All lines are of one form, so one rendering with placeholders gives it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from inlive_banner.livelog import LogLine

__all__ = ["render_lines"]

_FIELDS = ("publish_id", "user_id", "other_action", "name", "label_words", "page", "iso_time", "shown_time")
# Of Unicode's private use: in no template, and in no translation. Escaping leaves them as they are.
_BEGIN, _END = "\ue000", "\ue001"
_PLACEHOLDER = re.compile(f"{_BEGIN}([a-z_]+){_END}")


def render_lines(lines: Iterable[LogLine], render: Callable[[dict[str, Any]], str]) -> SafeString:
    """Render each line as `render` renders `{"line": …}`, which is called once, with placeholders for the values.

    So the template may place and leave out what it likes, but can't ask what a value is.
    """
    placeholders = {field: f"{_BEGIN}{field}{_END}" for field in _FIELDS}
    text, *rest = _PLACEHOLDER.split(render({"line": placeholders}))
    after_each = list(zip(rest[::2], rest[1::2], strict=True))  # a field, and the text up to the next
    pieces = []
    for line in lines:
        pieces.append(text)
        for field, following in after_each:
            pieces += (escape(getattr(line, field)), following)
    return mark_safe("".join(pieces))  # noqa: S308  (the template's own text, and values that are escaped)
