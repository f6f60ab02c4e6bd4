"""The rows as a file, the rows in pages, and the numbers, as programs get them."""

from __future__ import annotations

import csv
import gzip
import io
import json
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import Permission, User
from django.db import DatabaseError
from django.test import AsyncClient, override_settings
from django.urls import reverse

from inlive_banner import api, chunks
from inlive_banner.api_tokens import make_token
from inlive_banner.exporting import COLUMNS
from inlive_banner.models import Interaction, Position
from inlive_banner.tail.sink import Sink
from tests.configured import configured
from tests.json_schema import faults
from tests.rows import NOON, make_interaction
from tests.tail.making import make_record

EXPORT = "/inlive/export/"
INTERACTIONS = "/inlive/api/interactions/"
FIGURES = "/inlive/api/figures/"


@pytest.fixture
def reader(db):
    user = User.objects.create_user("reader")
    user.user_permissions.add(Permission.objects.get(codename="view_interaction"))
    return user


@pytest.fixture
def get(client, reader):
    """Asks as the reader: an address and parameters."""
    client.force_login(reader)

    def get(url, headers=None, **params):
        return client.get(url, {name.rstrip("_"): text for name, text in params.items()}, headers=headers)

    return get


@pytest.fixture
def rows(db):
    Position.objects.create(stream_id=15, last_event_id="a1b2c3d4-60")
    return Interaction.objects.bulk_create(make_interaction(number, visitor="f00d") for number in range(1, 61))


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(api, "read_chunks", partial(chunks.read_chunks, rows_per_query=7))


def lines_of(response) -> list[dict[str, Any]]:
    return [json.loads(line) for line in response.getvalue().splitlines()]


def ids(lines) -> list[int]:
    return [int(line["publish_id"].partition("-")[2]) for line in lines]


def test_addresses_are_what_users_rely_on():
    assert reverse("inlive_banner:export") == EXPORT
    assert reverse("inlive_banner:interactions") == INTERACTIONS
    assert reverse("inlive_banner:figures") == FIGURES


def test_export_as_csv_has_all_rows_newest_first(get, rows, small_chunks):
    response = get(EXPORT, format="csv")

    lines = list(csv.DictReader(io.StringIO(response.getvalue().decode(), newline=""), strict=True))
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8; header=present"
    assert ids(lines) == list(range(60, 0, -1))
    assert tuple(lines[0]) == COLUMNS
    assert lines[0]["visitor"] == "f00d"


def test_export_as_json_lines_has_all_rows_newest_first(get, rows, small_chunks):
    response = get(EXPORT, format="jsonl")

    lines = lines_of(response)
    assert response.headers["Content-Type"] == "application/x-ndjson; charset=utf-8"
    assert ids(lines) == list(range(60, 0, -1))
    assert [fault for line in lines for fault in faults(line, "interaction")] == []


def test_export_in_a_spreadsheet_runs_no_formula(get, db):
    formula = "=HYPERLINK(A1)"
    Interaction.objects.bulk_create([make_interaction(1, page=formula)])

    assert f",'{formula}," in get(EXPORT, format="csv").getvalue().decode()
    assert lines_of(get(EXPORT, format="jsonl"))[0]["page"] == formula


def test_export_keeps_to_the_filters_of_the_logs_page(get, rows):
    extra = [
        make_interaction(61, name="winter"),
        make_interaction(62, label="crawler"),
        make_interaction(63, received_at=NOON - timedelta(days=3)),
        make_interaction(64, stream_id=16),
    ]
    Interaction.objects.bulk_create(extra)

    def found(**params):
        return ids(lines_of(get(EXPORT, format="jsonl", **params)))

    assert found(banner="winter") == [61]
    assert found(who="others") == [62]
    assert found(user="visitor-7", bots="1") == [7]
    assert found(from_="2026-11-21", to="2026-11-21") == [63]
    assert found(from_="2026-11-21", tz="Pacific/Kiritimati") == []
    with configured(STREAMS={16: {}}):
        assert found(stream="16") == [64]


@pytest.mark.parametrize("name", ["xlsx", "", "CSV", "csv\0"])
def test_export_in_an_unknown_format_is_refused(get, name):
    response = get(EXPORT, format=name)

    assert response.status_code == 400
    assert response.json()["message"].endswith("It can be: csv, jsonl.")


def test_export_without_a_format_is_refused(get):
    assert get(EXPORT).status_code == 400


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({}, "inlive-stream-15-all.csv"),
        ({"from_": "2026-11-20", "to": "2026-11-24"}, "inlive-stream-15-2026-11-20-to-2026-11-24.csv"),
        ({"from_": "2026-11-20"}, "inlive-stream-15-2026-11-20.csv"),
    ],
)
def test_export_is_named_after_stream_and_period(get, params, name):
    disposition = get(EXPORT, format="csv", **params).headers["Content-Disposition"]

    assert disposition == f'attachment; filename="{name}"'


def test_export_of_the_last_hour_is_named_after_its_beginning(get):
    disposition = get(EXPORT, format="jsonl", period="hour").headers["Content-Disposition"]

    name = disposition.removeprefix('attachment; filename="inlive-stream-15-').removesuffix('-on.jsonl"')
    since = datetime.strptime(name, "%Y-%m-%dT%H%MZ").replace(tzinfo=UTC)
    assert timedelta(minutes=58) < datetime.now(UTC) - since < timedelta(minutes=61)


def test_export_of_no_rows_is_a_file_too(get):
    assert get(EXPORT, format="csv").getvalue().decode() == ",".join(COLUMNS) + "\r\n"
    assert get(EXPORT, format="jsonl").getvalue() == b""


def test_export_tells_by_its_status_that_the_database_fails(client, reader, rows, monkeypatch):
    """After that the answer has begun, and only its end could tell."""

    def fail(*_args):
        raise DatabaseError("gone")

    client.force_login(reader)
    client.raise_request_exception = False
    monkeypatch.setattr(chunks, "_up_to", fail)

    assert client.get(EXPORT, {"format": "csv"}).status_code == 500


def test_export_is_compressed_where_the_client_takes_it(get, rows):
    response = get(EXPORT, format="jsonl", headers={"Accept-Encoding": "gzip"})

    assert response.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(response.getvalue()).count(b"\n") == 60


@pytest.mark.django_db(transaction=True)
def test_export_is_the_same_under_asgi(get, reader, rows, small_chunks):
    token = make_token(reader)

    async def ask():
        url = f"{EXPORT}?format=csv"
        response = await AsyncClient().get(url, headers={"Authorization": f"Bearer {token}"})
        assert response.is_async
        return b"".join([part async for part in response.streaming_content])

    assert async_to_sync(ask)() == get(EXPORT, format="csv").getvalue()


@pytest.mark.parametrize("path", [EXPORT, INTERACTIONS])
def test_pseudonyms_are_for_those_with_the_permission(client, rows, path):
    """`LOGS_PUBLIC` shows the log to all; visitors in it can't be told apart."""
    with configured(LOGS_PUBLIC=True):
        response = client.get(path, {"format": "jsonl"} if path == EXPORT else {})

    lines = lines_of(response) if path == EXPORT else response.json()["interactions"]
    assert {line["visitor"] for line in lines} == {None}
    assert len(lines) == 60


def test_interactions_lead_from_the_newest_to_the_oldest(get, client, rows):
    found, url = [], f"{INTERACTIONS}?limit=25&who=everything"
    get(INTERACTIONS)
    while url:
        answer = client.get(url).json()
        assert faults(answer, "interactions") == []
        assert answer["position"] == "a1b2c3d4-60"
        found.append(ids(answer["interactions"]))
        url = answer["next"]

    assert [len(page) for page in found] == [25, 25, 10]
    assert [number for page in found for number in page] == list(range(60, 0, -1))


def test_interactions_lead_on_to_what_comes_later(get, client, rows):
    first = get(INTERACTIONS, banner="sale").json()
    assert client.get(first["newer"]).json()["interactions"] == []

    Interaction.objects.bulk_create([make_interaction(61), make_interaction(62, name="w"), make_interaction(63)])

    later = client.get(first["newer"]).json()
    assert ids(later["interactions"]) == [61, 63]
    assert later["next"] is None
    assert client.get(later["newer"]).json()["interactions"] == []
    assert faults(later, "interactions") == []


def test_interactions_from_the_first_recorded_on(get, client, rows):
    found, url = [], f"{INTERACTIONS}?limit=25&after=0"
    get(INTERACTIONS)
    while url:
        answer = client.get(url).json()
        found += ids(answer["interactions"])
        assert answer["next"] in (answer["newer"], None)
        url = answer["next"]

    assert found == list(range(1, 61))


def test_interactions_are_a_hundred_unless_told_otherwise(get, db):
    Interaction.objects.bulk_create(make_interaction(number) for number in range(1, 1002))

    assert len(get(INTERACTIONS).json()["interactions"]) == 100
    assert len(get(INTERACTIONS, after="0").json()["interactions"]) == 100
    assert len(get(INTERACTIONS, limit="1000").json()["interactions"]) == 1000


def test_next_page_of_today_means_the_same_after_midnight(get, rows, monkeypatch):
    Interaction.objects.update(received_at=datetime.now(UTC))
    today = datetime.now(UTC).date()

    url = get(INTERACTIONS, period="today", limit="1").json()["next"]

    assert f"from={today}&to={today}" in url
    assert "period=custom" in url


def test_addresses_in_the_answer_keep_what_was_asked(get, client, rows):
    with override_settings(FORCE_SCRIPT_NAME="/größe"):
        answer = get(INTERACTIONS, banner="sale", user="", path="/", limit="1", tz="Asia/Jakarta").json()

    for url in (answer["next"], answer["newer"]):
        assert url.startswith("/gr%C3%B6%C3%9Fe/inlive/api/interactions/?banner=sale&user=&path=%2F&limit=1&tz=Asia%2F")


def test_page_further_back_does_not_say_where_to_go_on_forward(get, client, rows):
    """Its reader has that from the first page; from here rows recorded meanwhile would be missed."""
    answer = client.get(get(INTERACTIONS, limit="10").json()["next"]).json()

    assert answer["newer"] is None


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "x", "", "1.5", "٣", "99999999999999999999"])
def test_limit_that_can_not_be_is_refused(get, limit):
    response = get(INTERACTIONS, limit=limit)

    assert response.status_code == 400
    assert response.json()["message"].endswith("Give a number from 1 to 1000.")


@pytest.mark.parametrize("before", ["", "x", "1", "-1-1", "1-0", "1-99999999999999999999", "999999999999999999-1"])
def test_before_that_is_no_place_is_refused(get, before):
    response = get(INTERACTIONS, before=before)

    assert response.status_code == 400
    assert "no place in the log" in response.json()["message"]


@pytest.mark.parametrize("after", ["", "x", "-1", "1-1", "٣", "9999999999999999999"])
def test_after_that_is_no_place_is_refused(get, after):
    response = get(INTERACTIONS, after=after)

    assert response.status_code == 400
    assert "no place in the log" in response.json()["message"]


def test_after_that_lies_ahead_has_nothing_yet(get, rows):
    answer = get(INTERACTIONS, after="999999999999999999").json()

    assert answer["interactions"] == []
    assert answer["newer"].endswith("after=999999999999999999")


def test_before_and_after_together_are_refused(get):
    assert "Give one of them" in get(INTERACTIONS, before="1-1", after="1").json()["message"]


def test_figures_are_the_numbers_of_what_the_worker_recorded(get, db):
    now = datetime.now(UTC)
    records = [
        make_record(1, received_at=now, visitor="a", name="sale"),
        make_record(2, received_at=now, visitor="b", name="sale", page="/x/"),
        make_record(3, received_at=now, visitor="b", name="winter", viewed=True),
        make_record(4, received_at=now, visitor="b", name="winter", action="view"),
        make_record(5, received_at=now, label="crawler"),
    ]
    Sink(15).record(records)

    answer = get(FIGURES, period="30d").json()

    assert faults(answer, "figures") == []
    assert answer["totals"] == {
        "clicks": 3,
        "views": 1,
        "viewed": 1,
        "clicks_without_view": 2,
        "click_rate": 100.0,
    }
    assert answer["before"]["clicks"] == 0
    assert answer["left_out"] == 1
    assert answer["visitors"] == 3
    assert answer["banners"] == [{"value": "sale", "count": 2}, {"value": "winter", "count": 1}]
    assert answer["pages"] == [{"value": "/", "count": 2}, {"value": "/x/", "count": 1}]
    assert answer["buckets"]["unit"] == "day"
    assert sum(item["count"] for item in answer["buckets"]["items"]) == 3
    assert answer["position"] == str(records[-1].event_id)
    assert answer["period"]["key"] == "30d"
    assert answer["period"]["zone"] == "UTC"


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"period": "hour"},
        {"period": "today", "tz": "Asia/Jakarta"},
        {"from_": "2020-01-01", "to": "2026-12-31", "who": "everything"},
        {"user": "visitor-7"},
        {"banner": "sale", "path": "/", "who": "others"},
        {"action": "share"},
    ],
)
def test_figures_of_any_question_have_the_documented_shape(get, rows, params):
    assert faults(get(FIGURES, **params).json(), "figures") == []


def test_figures_of_no_rows_have_the_documented_shape(get):
    assert faults(get(FIGURES).json(), "figures") == []


def test_figures_take_no_limit(get):
    assert get(FIGURES, limit="1").status_code == 400


def test_limits_are_the_documented_ones():
    assert (api.DEFAULT_LIMIT, api.MAX_LIMIT) == (100, 1000)
