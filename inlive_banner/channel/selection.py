"""What a subscriber is sent of the broadcasts: which ones, and how much of each.

Who wants only certain actions is served on the server, so that a crowd of views doesn't reach a page that shows
clicks. And the visitor is for the worker alone.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from inlive_banner.envelope import MAX_ACTION_LENGTH, encode_json

__all__ = ["ALL", "WHOLE", "Filters", "InvalidActionsError", "Selection", "TooManyFiltersError", "parse_actions"]

MAX_ACTIONS = 16
"""Actions that one filter may name."""
MAX_FILTERS = 16
"""Different filters on a stream at one time: each joins the frames for itself. Those who have a ticket may add as many,
so that strangers on a public stream can't use them up."""

_TAIL_BYTES = 512
"""The envelope's last fields fit into this: an action of 64 characters takes 6 bytes for each at most."""
_INTERACTION = b',"interaction":"'
# The quotes of a text within JSON are escaped, so nothing that somebody publishes can look like this.
_TAIL = re.compile(
    rb',"interaction":("(?:[^"\\]|\\.)++")(?:,"label":"[a-z]++")?+(?:,"visitor":"[A-Za-z0-9_-]{22}")?+\}'
)
_VISITOR = b',"visitor":"'
_VISITOR_BYTES = len(_VISITOR) + 22 + len(b'"')


class InvalidActionsError(ValueError):
    """The text isn't a list of actions. Its message says what it must be."""


class TooManyFiltersError(Exception):
    """The stream has as many different filters as it may."""


class Selection(NamedTuple):
    """What is selected; the same for all subscribers who want the same, so that they share what is joined for them."""

    whole: bool = False
    """True for the worker, which gets the visitor too."""
    actions: frozenset[bytes] = frozenset()
    """The actions that the filter names, as JSON; empty where there is no filter."""
    excluded: bool = False
    """True for all broadcasts but interactions with these actions; False for interactions with these actions only."""

    def of(self, encoded: bytes) -> bytes:
        """What it leaves of a stored envelope, or of its whole frame; b"" where it isn't selected."""
        end = len(encoded) - (2 if encoded.endswith(b"\n\n") else 0)
        if self.actions and (_action_of(encoded, end) in self.actions) == self.excluded:
            return b""
        start = end - 1 - _VISITOR_BYTES
        if self.whole or not encoded.startswith(_VISITOR, start):
            return encoded
        return encoded[:start] + encoded[end - 1 :]


ALL = Selection()
"""What a reader gets who doesn't ask for less."""
WHOLE = Selection(whole=True)
"""What the worker gets."""


class Filters:
    """The filters of a stream's subscribers, each made once."""

    def __init__(self) -> None:
        self._users: Counter[Selection] = Counter()
        self._made: dict[Selection, Selection] = {}

    def take(self, selection: Selection, *, trusted: bool) -> Selection:
        """The selection to use, the very object that others with the same one use; to be given back by `release`.

        Raises `TooManyFiltersError`.
        """
        if not selection.actions:
            return WHOLE if selection.whole else ALL
        if selection not in self._made and len(self._made) >= MAX_FILTERS * (2 if trusted else 1):
            raise TooManyFiltersError
        self._users[selection] += 1
        return self._made.setdefault(selection, selection)

    def release(self, selection: Selection) -> None:
        """Say that a subscriber no longer uses a selection."""
        if selection.actions:
            self._users[selection] -= 1
            if not self._users[selection]:
                del self._users[selection], self._made[selection]


def parse_actions(text: str) -> tuple[frozenset[bytes], bool]:
    """Read `click,share` (these only) or `!view` (all but these): the actions, and whether they are left out.

    Raises `InvalidActionsError`.
    """
    excluded = text.startswith("!")
    names = text.removeprefix("!").split(",")
    if len(names) > MAX_ACTIONS:
        raise InvalidActionsError(f"actions names {len(names)} actions; it may name {MAX_ACTIONS}.")
    for name in names:
        if not 0 < len(name) <= MAX_ACTION_LENGTH:
            raise InvalidActionsError(
                f"actions has {name[:80]!r}, which is no action. Write actions of 1 to {MAX_ACTION_LENGTH} characters "
                "with commas between, as click,share; or with ! in front those that you don't want, as !view."
            )
    return _encoded(names), excluded


def _encoded(names: Iterable[str]) -> frozenset[bytes]:
    try:
        return frozenset(encode_json(name) for name in names)
    except ValueError as error:  # a lone surrogate, which no action has
        raise InvalidActionsError("actions isn't text that UTF-8 can carry.") from error


def _action_of(encoded: bytes, end: int) -> bytes:
    """The action of an interaction's envelope, as JSON; b"" for what is none. Cheaper than decoding the whole."""
    start = encoded.rfind(_INTERACTION, max(0, end - _TAIL_BYTES), end)
    match = _TAIL.fullmatch(encoded, start, end) if start >= 0 else None
    return match[1] if match else b""
