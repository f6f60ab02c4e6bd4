"""Rows of the log as files that other programs read: CSV and JSON lines, in chunks of bytes at constant memory."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice

import msgspec

from inlive_banner.models import Interaction

__all__ = ["CHUNK_ROWS", "COLUMNS", "csv_chunks", "json_chunks", "row_fields"]

COLUMNS = (
    "received_at",
    "visitor_time",
    "stream_id",
    "banner",
    "action",
    "user_id",
    "author_id",
    "page",
    "label",
    "visitor",
    "viewed",
    "publish_id",
    "event_id",
)
"""The names in both formats, in the order of CSV. `docs/api.md` says what each holds."""

CHUNK_ROWS = 500
"""Rows in one chunk: some 100 kB, so that sending costs more than calling."""

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")  # noqa: RUF001  (meant so)
"""What a spreadsheet takes for the beginning of a formula, full-width characters as Excel does in Japanese too."""


def csv_chunks(rows: Iterable[Interaction], *, chunk_rows: int = CHUNK_ROWS) -> Iterator[bytes]:
    """The rows as CSV: UTF-8 without a byte order mark, CRLF, a header row first, as a chunk of its own.

    A text that a spreadsheet would take for a formula gets a `'` in front; visitors send these texts. No other is
    changed. What isn't known is an empty cell. Never more than `chunk_rows` rows are taken from `rows` at a time.
    """
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    yield _emptied(buffer)
    for chunk in _chunks(rows, chunk_rows):
        writer.writerows(map(_cells, chunk))
        yield _emptied(buffer)


def json_chunks(rows: Iterable[Interaction], *, chunk_rows: int = CHUNK_ROWS) -> Iterator[bytes]:
    r"""The rows as JSON lines: UTF-8, one object and `\n` a row; null where something isn't known.

    Never more than `chunk_rows` rows are taken from `rows` at a time. No rows are no bytes.
    """
    encoder = msgspec.json.Encoder()
    for chunk in _chunks(rows, chunk_rows):
        yield encoder.encode_lines([row_fields(row) for row in chunk])


def row_fields(row: Interaction) -> dict[str, str | bool | None]:
    """The row as JSON has it, `COLUMNS` in their order; None where something isn't known."""
    return {
        "received_at": _iso(row.received_at),
        "visitor_time": _iso(row.visitor_time) if row.visitor_time else None,
        # Text, as on the wire: numbers of 16 digits are more than JavaScript can tell apart.
        "stream_id": f"{row.stream_id}",
        "banner": row.name,
        "action": row.action,
        "user_id": row.user_id or None,
        "author_id": row.author_id or None,
        "page": row.page or None,
        "label": row.label,  # "" is known: a person's
        "visitor": row.visitor or None,
        "viewed": row.viewed,
        "publish_id": row.publish_id,
        "event_id": row.event_id or None,
    }


def _chunks(rows: Iterable[Interaction], size: int) -> Iterator[list[Interaction]]:
    iterator = iter(rows)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _cells(row: Interaction) -> tuple[str, ...]:
    return (
        _iso(row.received_at),
        _iso(row.visitor_time) if row.visitor_time else "",
        f"{row.stream_id}",
        _defused(row.name),
        _defused(row.action),
        _defused(row.user_id),
        _defused(row.author_id),
        _defused(row.page),
        _defused(row.label),
        _defused(row.visitor),
        "1" if row.viewed else "0",
        _defused(row.publish_id),
        _defused(row.event_id),
    )


def _defused(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def _iso(time: datetime) -> str:
    # Without USE_TZ the time is naive and means TIME_ZONE, which Django makes the process's own.
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _emptied(buffer: io.StringIO) -> bytes:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text.encode()
