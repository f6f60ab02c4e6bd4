"""The admin's list of interactions: filters, period, order, bounds and export."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from urllib.parse import parse_qs

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from inlive_banner import changelists, listing
from inlive_banner import rows as rows_module
from inlive_banner.admin import InteractionAdmin
from inlive_banner.models import BEGINNING, Interaction, Position, Rollup
from tests.admin_site import LIST, asked_of_interactions, json_lines, listed, sqlite_plan
from tests.configured import configured
from tests.rows import make_interaction

PAGES = ("/", "/sale/", "/p/" + "x" * 300)


@pytest.fixture
def rows(db):
    for stream_id in (15, 16):
        Position.objects.create(stream_id=stream_id, last_event_id="a1b2c3d4-20")
    month = timezone.now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    for span, dimension, value, action, start in (
        (0, "all", "", "click", BEGINNING),
        (0, "all", "", "share", BEGINNING),
        (2_592_000, "banner", "sale", "click", month),
        (2_592_000, "page", "/sale/", "click", month),
    ):
        Rollup.objects.create(
            stream_id=15, dimension=dimension, value=value, action=action, span=span, start=start, count=5
        )
    return Interaction.objects.bulk_create(
        make_interaction(
            number,
            stream_id=16 if number > 20 else 15,
            name="sale" if number % 4 < 2 else "news",
            action="click" if number % 5 else "share",
            label={3: "crawler", 6: "moonlight"}.get(number % 10, ""),
            page=PAGES[number % 3],
            user_id=f"visitor-{number % 4}",
        )
        for number in range(1, 25)
    )


@pytest.fixture
def boss(db, client):
    client.force_login(User.objects.create_superuser("boss"))
    return client


def of(rows, keep, stream_id=15):
    return [row.pk for row in reversed(rows) if row.stream_id == stream_id and keep(row)]


def spec(client, name, query=""):
    """What one of the filters offers, as its template gets it."""
    changelist = client.get(LIST + query).context["cl"]
    (found,) = [one for one in changelist.filter_specs if name in one.parameter_names]
    return list(found.choices(changelist))


def test_list_is_of_the_first_stream_that_may_be_read(rows, boss):
    assert listed(boss) == of(rows, lambda row: True)
    with configured(STREAMS={16: {}, 15: {}}, STREAM_ID=16):
        assert listed(boss) == of(rows, lambda row: True, stream_id=16)


def test_list_is_of_the_stream_that_the_address_names(rows, boss):
    assert listed(boss, "?stream=16") == of(rows, lambda row: True, stream_id=16)


@pytest.mark.parametrize("stream", ["x", "17", "-1", "99999999999999999999", "", "%00"])
def test_list_of_no_stream_is_empty(rows, boss, stream):
    assert listed(boss, f"?stream={stream}") == []
    assert listed(boss, f"?stream={stream}&q=visitor-1&label=crawler") == []


def test_streams_are_offered_without_all_of_them(rows, boss):
    offered = spec(boss, "stream", "?banner=sale")

    assert [(one["display"], one["selected"]) for one in offered] == [("15", True), ("16", False)]
    assert offered[1]["query_string"] == "?banner=sale&stream=16"


def test_stream_that_may_not_be_read_is_not_listed(rows, client):
    user = User.objects.create_user("viewer", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_interaction"))
    client.force_login(user)

    with configured(STREAMS={15: {"VIEW_PERMISSION": "auth.view_user"}, 16: {}}):
        assert [one["display"] for one in spec(client, "stream")] == ["16"]
        assert listed(client) == of(rows, lambda row: True, stream_id=16)
        assert listed(client, "?stream=15") == []
        assert listed(client, "?stream=15&q=visitor-1") == []


@pytest.mark.parametrize(
    ("query", "keep"),
    [
        ("banner=news", lambda row: row.name == "news"),
        ("action=share", lambda row: row.action == "share"),
        ("path=/sale/", lambda row: row.page == "/sale/"),
        (f"path={PAGES[2]}", lambda row: row.page == PAGES[2]),
        ("user=visitor-3", lambda row: row.user_id == "visitor-3"),
        (
            "banner=news&action=share&user=visitor-2",
            lambda row: (row.name, row.action, row.user_id) == ("news", "share", "visitor-2"),
        ),
        ("banner=new", lambda row: False),
        ("who=people", lambda row: row.label == ""),
        ("who=others", lambda row: row.label != ""),
        ("who=everything", lambda row: True),
        ("who=nonsense", lambda row: True),
        ("label=crawler", lambda row: row.label == "crawler"),
        ("label=moonlight", lambda row: row.label == "moonlight"),
        ("label=crawler&who=people", lambda row: row.label == "crawler"),
        ("label=crawler&banner=sale", lambda row: (row.label, row.name) == ("crawler", "sale")),
        ("label=%00", lambda row: True),
        ("from=2026-11-24&to=2026-11-24", lambda row: True),
        ("from=2026-11-25", lambda row: False),
        ("period=custom", lambda row: True),
        ("period=nonsense", lambda row: True),
    ],
)
def test_list_is_of_what_the_address_asks_for(rows, boss, query, keep):
    assert listed(boss, f"?{query}") == of(rows, keep)


@pytest.mark.parametrize("period", ["hour", "today", "yesterday", "7d", "30d"])
def test_list_is_of_a_period_as_on_the_logs_page(rows, boss, period):
    now = timezone.now()
    ages = {"hour": timedelta(minutes=5), "today": timedelta(), "yesterday": timedelta(days=1)}
    received = now - ages.get(period, timedelta(days=3))
    inside = make_interaction(99, received_at=received)
    inside.save()

    outside = make_interaction(98, received_at=now - timedelta(days=31))
    outside.save()

    found = listed(boss, f"?period={period}")
    assert inside.pk in found
    assert outside.pk not in found


@pytest.mark.parametrize(
    "query",
    ["x=1", "page__contains=a", "user_id__regex=.", "name=news", "tz=Asia/Jakarta", "bots=1", "o=2", "before=1-1"],
)
def test_list_asks_for_nothing_that_it_does_not_know(rows, boss, query):
    """Django's own list would scan the table for it, sort by it, or lead to ?e=1."""
    assert listed(boss, f"?{query}") == of(rows, lambda row: True)


def test_label_is_looked_for_among_the_newest_labelled_rows(rows, boss, monkeypatch):
    monkeypatch.setattr(listing, "LABELLED_ROWS", 2)

    assert listed(boss, "?label=moonlight") == of(rows, lambda row: row.pk == rows[15].pk)
    assert listed(boss, "?label=crawler") == of(rows, lambda row: row.pk == rows[12].pk)


def test_choices_of_who_are_everything_then_people_then_labels(rows, boss):
    offered = spec(boss, "who", "?label=moonlight&banner=sale")

    assert [f"{one['display']}" for one in offered][:4] == ["Everything", "People", "Not people", "crawler"]
    assert [f"{one['display']}" for one in offered if one["selected"]] == ["moonlight"]
    assert [one["query_string"] for one in offered][:4] == [
        "?banner=sale",
        "?banner=sale&who=people",
        "?banner=sale&who=others",
        "?banner=sale&label=crawler",
    ]


def test_choices_of_period_take_the_days_away(rows, boss):
    offered = spec(boss, "period", "?from=2026-11-24&to=2026-11-24&banner=sale")

    assert not [one for one in offered if one["selected"]]
    assert {f"{one['display']}": one["query_string"] for one in offered}["Today"] == "?banner=sale&period=today"
    assert [f"{one['display']}" for one in spec(boss, "period", "?period=7d") if one["selected"]] == ["Last 7 days"]
    assert [f"{one['display']}" for one in spec(boss, "period") if one["selected"]] == ["All time"]


def test_form_has_what_is_asked_for_and_keeps_the_rest(rows, boss):
    page = boss.get(f"{LIST}?banner=%22sale&from=2026-11-24&who=people&q=visitor").content.decode()

    assert '<input name="banner" value="&quot;sale"' in page
    assert '<input type="date" name="from" value="2026-11-24">' in page
    assert '<input type="date" name="to" value="2026-11-24">' in page
    form = page.partition("inlive-details-form")[2].partition("</form>")[0]
    assert '<input type="hidden" name="who" value="people">' in form
    assert '<input type="hidden" name="q" value="visitor">' in form
    assert form.count('name="banner"') == 1


def test_form_offers_what_was_counted(rows, boss):
    (form,) = spec(boss, "banner")

    assert form["offered"] == {"actions": ["click", "share"], "banners": ["sale"], "pages": ["/sale/"]}


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("", "inlive_interaction_order"),
        ("who=people", "inlive_interaction_people"),
        ("who=others", "inlive_interaction_others"),
        ("label=crawler", "inlive_interaction_others"),
        ("action=share", "inlive_interaction_action"),
        ("banner=sale", "inlive_interaction_banner"),
        ("path=/sale/", "inlive_interaction_page"),
        ("user=visitor-1", "inlive_interaction_user"),
        ("banner=sale&who=people&period=7d&action=share", "inlive_interaction_banner"),
        ("label=crawler&user=visitor-1", "inlive_interaction_user"),
    ],
)
def test_list_and_its_count_are_read_by_index_in_order(rows, boss, query, index):
    asked = asked_of_interactions(boss, f"?{query}")

    assert len(asked) >= 2
    for sql in asked:
        steps = [step for step in sqlite_plan(sql) if "inlive_banner_interaction" in step or "TEMP B-TREE" in step]
        assert any(index in step for step in steps) or "others" in steps[0], (sql, steps)
        assert not [step for step in steps if "TEMP B-TREE" in step or step.startswith("SCAN inlive")], (sql, steps)


def test_list_never_counts_further_than_it_pages(rows, boss):
    counts = [sql for sql in asked_of_interactions(boss, "?banner=sale") if "COUNT(" in sql]

    assert counts
    assert all(f"LIMIT {changelists.LISTED_ROWS}" in sql for sql in counts), counts


def test_list_that_ends_early_says_so_and_how_to_go_on(rows, boss, monkeypatch):
    assert "This list ends" not in boss.get(LIST).content.decode()
    monkeypatch.setattr(changelists, "LISTED_ROWS", 7)
    monkeypatch.setattr(InteractionAdmin, "list_per_page", 5)

    response = boss.get(f"{LIST}?banner=sale&who=others")
    assert "This list ends" not in response.content.decode()
    response = boss.get(f"{LIST}?banner=sale")
    page, changelist = response.content.decode(), response.context["cl"]

    assert changelist.result_count == 7
    assert "This list ends after the newest" in page
    asked = parse_qs(changelist.log_address)
    assert asked.pop("before")[0].endswith(f"-{list(changelist.result_list)[-1].pk}")
    assert asked == {"stream": ["15"], "banner": ["sale"], "who": ["everything"]}
    assert f'href="{LIST}live/?stream=15&amp;banner=sale&amp;who=everything&amp;before=' in page


def test_list_that_looks_no_further_says_so_and_how_to_go_on(rows, boss, monkeypatch):
    assert "Looked through" not in boss.get(f"{LIST}?banner=sale&who=people").content.decode()
    monkeypatch.setattr(rows_module, "LOOKED_AT", 2)

    response = boss.get(f"{LIST}?banner=sale&who=people")
    page, changelist = response.content.decode(), response.context["cl"]
    assert "Looked through the newest ones, back to " in page
    assert parse_qs(changelist.log_address)["before"] == [f"{changelist.horizon}"]
    assert f"{LIST}live/?{changelist.log_address}".replace("&", "&amp;") in page
    assert "Looked through" not in boss.get(f"{LIST}?banner=sale").content.decode()


def test_log_goes_on_below_what_the_list_shows(rows, boss, monkeypatch):
    monkeypatch.setattr(changelists, "LISTED_ROWS", 7)
    monkeypatch.setattr(InteractionAdmin, "list_per_page", 5)
    changelist = boss.get(f"{LIST}?who=people").context["cl"]

    page = boss.get(f"{LIST}live/?{changelist.log_address}").content.decode()

    shown = {row.publish_id for row in changelist.result_list}
    below = set(of(rows, lambda row: row.label == "" and row.publish_id not in shown))
    assert len(below) > 3
    for row in rows:
        assert (f'data-inlive-id="{row.publish_id}"' in page) == (row.pk in below), row.publish_id


@pytest.mark.parametrize("query", ["?label=crawler", "?q=visitor", "?stream=x"])
def test_list_that_the_log_can_not_show_has_no_way_there(rows, boss, query, monkeypatch):
    monkeypatch.setattr(changelists, "LISTED_ROWS", 1)

    assert boss.get(LIST + query).context["cl"].log_address == ""


def export(client, action, query="", **data):
    return client.post(LIST + query, {"action": action, "index": "0", **data})


def test_chosen_rows_are_exported_as_csv(rows, boss):
    response = export(boss, "export_as_csv", _selected_action=[rows[1].pk, rows[4].pk])

    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert response.headers["Content-Disposition"] == 'attachment; filename="interactions.csv"'
    assert "no-store" in response.headers["Cache-Control"]
    found = list(csv.DictReader(io.StringIO(response.content.decode(), newline="")))
    assert [row["publish_id"] for row in found] == ["publish-005", "publish-002"]


def test_chosen_rows_are_exported_as_json_lines(rows, boss):
    response = export(boss, "export_as_json_lines", _selected_action=[rows[1].pk])

    assert response.headers["Content-Type"] == "application/x-ndjson"
    assert response.headers["Content-Disposition"] == 'attachment; filename="interactions.jsonl"'
    assert [row["publish_id"] for row in json_lines(response.content)] == ["publish-002"]


def test_chosen_rows_are_read_by_their_keys(rows, boss):
    with CaptureQueriesContext(connection) as captured:
        export(boss, "export_as_csv", _selected_action=[rows[1].pk, rows[4].pk])

    (sql,) = [one["sql"] for one in captured if "visitor_time" in one["sql"] and '"id" IN' in one["sql"]]
    (step,) = [step for step in sqlite_plan(sql) if "inlive_banner_interaction" in step]
    assert "rowid=?" in step


def test_all_rows_of_the_list_are_exported_up_to_its_bound(rows, boss, monkeypatch):
    all_of_them = {"select_across": "1", "_selected_action": [rows[0].pk]}
    found = json_lines(export(boss, "export_as_json_lines", "?banner=sale", **all_of_them).content)
    assert [row["banner"] for row in found] == ["sale"] * len(of(rows, lambda row: row.name == "sale"))

    monkeypatch.setattr("inlive_banner.admin.LISTED_ROWS", 3)
    found = json_lines(export(boss, "export_as_json_lines", **all_of_them).content)
    assert [row["publish_id"] for row in found] == ["publish-020", "publish-019", "publish-018"]


def test_rows_of_a_closed_stream_are_not_exported(rows, client):
    user = User.objects.create_user("viewer", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_interaction"))
    client.force_login(user)

    with configured(STREAMS={15: {"VIEW_PERMISSION": "auth.view_user"}, 16: {}}):
        data = {"_selected_action": [rows[0].pk, rows[22].pk]}
        for query in ("", "?stream=15"):
            found = json_lines(export(client, "export_as_json_lines", query, **data).content)
            assert [row["stream_id"] for row in found] == ["16"]
        data["select_across"] = "1"
        assert json_lines(export(client, "export_as_json_lines", "?stream=15", **data).content) == []


def test_list_leads_to_the_export_of_all_that_is_meant(rows, boss):
    with override_settings(ROOT_URLCONF="tests.export_urls"):
        page = boss.get(f"{LIST}?banner=sale&who=people").content.decode()
        labelled = boss.get(f"{LIST}?label=crawler").content.decode()

    assert 'href="/inlive/export/?format=csv&amp;stream=15&amp;banner=sale"' in page
    assert 'href="/inlive/export/?format=jsonl&amp;stream=15&amp;banner=sale"' in page
    assert "/export/" not in labelled


def test_export_that_the_site_does_not_have_is_not_linked(rows, boss):
    with override_settings(ROOT_URLCONF="tests.admin_urls"):
        assert "/export/" not in boss.get(LIST).content.decode()
