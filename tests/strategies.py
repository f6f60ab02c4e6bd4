"""Hypothesis strategies that several tests share."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

__all__ = ["chunked", "event_streams", "json_values", "raw_json"]

_TOKENS = [
    b"data",
    b"data:",
    b"data: ",
    b"event:",
    b"id",
    b"id:",
    b"id: ",
    b"retry: ",
    b":",
    b" ",
    b"\n",
    b"\n\n",
    b"\r",
    b"\r\n",
    b"\r\n\r\n",
    b"\0",
    b"7",
    b"x",
    b"\t",
    b"\x0b",
    b"\x1c",
    "ä€😀".encode(),
    "\x85\u2028".encode(),
    b"\xff",
    b"\xe2\x82",
    b"\xef\xbb\xbf",
    # Whole lines and events, so that streams have many.
    b"data: a\n",
    b"data: b\n\n",
    b"data\r\n\r\n",
    b"id: 1\n",
    b"id: 2\n\n",
    b"id: 3\ndata: c\n\n",
    b"retry: 5\n",
    b"retry: 6\n\n",
    b"event: e\n",
    b": comment\n",
]
"""What an event stream is made of, and what it shouldn't be."""


def event_streams() -> st.SearchStrategy[bytes]:
    """Bytes that look like an event stream, well formed or not."""
    return st.lists(st.sampled_from(_TOKENS), max_size=60).map(b"".join)


@st.composite
def chunked(draw: st.DrawFn, whole: bytes) -> list[bytes]:
    """The bytes, cut into pieces anywhere; some pieces may be empty."""
    cuts = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=12)))
    borders = [0, *cuts, len(whole)]
    return [whole[start:end] for start, end in pairwise(borders)]


_json_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
"""Text that JSON in UTF-8 can carry: everything but lone surrogates."""


def json_values() -> st.SearchStrategy[Any]:
    """Whatever a message may be: any JSON value, with line breaks of all kinds, U+2028 and large numbers in it."""
    leaves = (
        st.none()
        | st.booleans()
        | st.integers(-(2**70), 2**70)
        | st.floats(allow_nan=False, allow_infinity=False)
        | _json_text
        | st.sampled_from(["\n", "\r\n", "\r", "\u2028", "\u2029", "\x85", "\0", "😀", "</script>"])
    )
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_json_text, inner, max_size=4),
        max_leaves=12,
    )


@st.composite
def raw_json(draw: st.DrawFn) -> bytes:
    """Any JSON value as one line of UTF-8, written in one of several ways."""
    value = draw(json_values())
    separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", " : ")]))
    return json.dumps(value, ensure_ascii=draw(st.booleans()), separators=separators).encode()
