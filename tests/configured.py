"""`INLIVE_BANNER` with some keys changed, for the length of a `with` block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.test import override_settings

ABSENT = object()
"""Takes a key out."""


@contextmanager
def configured(*, DEBUG: bool = False, **changes: Any) -> Iterator[None]:  # noqa: N803  (a setting's name)
    merged = {**settings.INLIVE_BANNER, **changes}
    kept = {key: value for key, value in merged.items() if value is not ABSENT}
    with override_settings(INLIVE_BANNER=kept, DEBUG=DEBUG):
        yield
