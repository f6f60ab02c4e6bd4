"""Numbers as a page shows them, in the current language: so the page's script writes them, too."""

from __future__ import annotations

from django.utils import numberformat
from django.utils.formats import get_format

__all__ = ["localised"]


def localised(value: float, digits: int = 0) -> str:
    """The number with its thousands set apart, rounded to so many digits behind the separator."""
    # In threes where Django's formats know of no groups, as for Arabic.
    return numberformat.format(
        value,
        get_format("DECIMAL_SEPARATOR"),
        digits,
        get_format("NUMBER_GROUPING") or 3,
        get_format("THOUSAND_SEPARATOR"),
        force_grouping=True,
    )
