"""Rows as CSV and JSON lines."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc

import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from inlive_banner.exporting import CHUNK_ROWS, COLUMNS, csv_chunks, json_chunks
from inlive_banner.models import Interaction
from tests.rows import NOON, make_interaction

FORMULA_STARTS = "=+-@\t\r＝＋－＠"  # noqa: RUF001  (meant so)
TEXTS = {
    "banner": "name",
    "action": "action",
    "user_id": "user_id",
    "author_id": "author_id",
    "page": "page",
    "label": "label",
    "visitor": "visitor",
    "publish_id": "publish_id",
    "event_id": "event_id",
}
"""Column -> the row's field."""


def csv_rows(*rows):
    text = b"".join(csv_chunks(rows)).decode()
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def json_rows(*rows):
    return [json.loads(line) for line in b"".join(json_chunks(rows)).split(b"\n")[:-1]]


def test_csv_has_a_header_and_a_line_for_each_row():
    row = make_interaction(7, name="Größe, „neu“", label="crawler", visitor="f00d", viewed=True)

    assert b"".join(csv_chunks([row])).decode() == (
        "received_at,visitor_time,stream_id,banner,action,user_id,author_id,page,label,visitor,viewed,"
        "publish_id,event_id\r\n"
        '2026-11-24T12:00:07.750Z,2026-11-24T12:00:07.250Z,15,"Größe, „neu“",click,visitor-7,author-7,/,'
        "crawler,f00d,1,publish-007,a1b2c3d4-7\r\n"
    )


def test_json_has_an_object_on_a_line_for_each_row():
    rows = make_interaction(7, name="Größe\n„neu“", label="crawler", visitor="f00d", viewed=True), make_interaction(8)
    text = b"".join(json_chunks(rows)).decode()

    assert text.count("\n") == 2
    assert text.endswith("}\n")
    assert "Größe\\n„neu“" in text
    first, second = json_rows(*rows)
    assert first == {
        "received_at": "2026-11-24T12:00:07.750Z",
        "visitor_time": "2026-11-24T12:00:07.250Z",
        "stream_id": "15",
        "banner": "Größe\n„neu“",
        "action": "click",
        "user_id": "visitor-7",
        "author_id": "author-7",
        "page": "/",
        "label": "crawler",
        "visitor": "f00d",
        "viewed": True,
        "publish_id": "publish-007",
        "event_id": "a1b2c3d4-7",
    }
    assert tuple(first) == tuple(second) == COLUMNS
    assert second["viewed"] is False


def test_what_is_not_known_is_empty_or_null():
    row = make_interaction(1, visitor_time=None, user_id="", author_id="", page="", event_id="")

    (cells,), (fields,) = csv_rows(row), json_rows(row)

    unknown = {"visitor_time", "user_id", "author_id", "page", "visitor", "event_id"}
    assert {name for name, cell in cells.items() if cell == ""} == unknown | {"label"}
    assert {name for name, value in fields.items() if value is None} == unknown
    assert fields["label"] == ""
    assert cells["viewed"] == "0"


def test_largest_stream_is_exact_in_both():
    row = make_interaction(1, stream_id=9999999999999999)

    assert csv_rows(row)[0]["stream_id"] == json_rows(row)[0]["stream_id"] == "9999999999999999"


@pytest.mark.parametrize("column", TEXTS)
@pytest.mark.parametrize("start", FORMULA_STARTS)
def test_csv_defuses_what_begins_like_a_formula(column, start):
    text = f'{start}HYPERLINK("http://x","y")'
    row = make_interaction(1, **{TEXTS[column]: text})

    assert csv_rows(row)[0][column] == f"'{text}"
    assert json_rows(row)[0][column] == text


@given(
    st.fixed_dictionaries(
        {field: st.text(max_size=8) | st.text(FORMULA_STARTS + "'\n, \"") for field in TEXTS.values()}
    )
)
def test_csv_gives_each_text_back_but_for_the_apostrophe(values):
    (cells,) = csv_rows(make_interaction(1, **values))

    for column, field in TEXTS.items():
        text = values[field]
        assert cells[column] == (f"'{text}" if text[:1] and text[0] in FORMULA_STARTS else text)


@given(st.dictionaries(st.sampled_from(sorted(TEXTS.values())), st.text(min_size=1)))
def test_json_gives_each_text_back(values):
    (fields,) = json_rows(make_interaction(1, **values))

    assert all(fields[column] == values[field] for column, field in TEXTS.items() if field in values)


def test_no_rows_are_a_header_or_nothing():
    assert csv_rows() == []
    assert b"".join(csv_chunks([])).decode() == ",".join(COLUMNS) + "\r\n"
    assert list(json_chunks([])) == []


@override_settings(USE_TZ=False, TIME_ZONE="Asia/Jakarta")
def test_times_without_a_zone_are_in_the_sites_own():
    row = make_interaction(1, received_at=NOON.replace(tzinfo=None), visitor_time=None)

    assert csv_rows(row)[0]["received_at"] == json_rows(row)[0]["received_at"] == "2026-11-24T05:00:00.000Z"


@pytest.mark.parametrize(("chunks", "header"), [(csv_chunks, 1), (json_chunks, 0)])
def test_rows_are_taken_a_chunk_at_a_time(chunks, header):
    taken = []
    rows = (taken.append(number) or make_interaction(number) for number in range(1, 8))

    lines, counts = [], []
    for chunk in chunks(rows, chunk_rows=3):
        lines.append(chunk.count(b"\n"))
        counts.append(len(taken))

    assert lines == [1] * header + [3, 3, 1]
    assert counts == [0] * header + [3, 6, 7]


@pytest.mark.parametrize("chunks", [csv_chunks, json_chunks])
def test_memory_stays_the_same_however_many_rows(chunks):
    def peak_of(number):
        rows = (make_interaction(1, page="/" + "x" * 500) for _ in range(number))
        tracemalloc.start()
        total = sum(map(len, chunks(rows)))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return total, peak

    _, small = peak_of(2 * CHUNK_ROWS)
    total, large = peak_of(12 * CHUNK_ROWS)
    assert large < 1.5 * small < total


@pytest.mark.django_db
def test_rows_of_a_query_are_exported_as_they_come():
    Interaction.objects.bulk_create(make_interaction(number) for number in range(1, 4))
    rows = Interaction.objects.order_by("pk").iterator(chunk_size=2)

    assert [cells["publish_id"] for cells in csv_rows(*rows)] == ["publish-001", "publish-002", "publish-003"]
