"""The admin's search: by index, whole ids and their beginnings, and never more than so many."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test.utils import CaptureQueriesContext

from inlive_banner import search
from inlive_banner.models import Interaction
from inlive_banner.search import find_rows
from tests.admin_site import LIST, asked_of_interactions, listed, sqlite_plan, steps_of
from tests.rows import make_interaction

both = pytest.mark.django_db(transaction=True, databases=["default", "postgres"])
ODD = "i%_\\ü"
"""An id with what patterns and collations make something of."""


def make_rows(using="default"):
    users = ["ann", "ann-1", "ann-2", "anne", "Ann", "bob", ODD, f"{ODD}-2", "i", "ann"]
    rows = [make_interaction(number, user_id=user) for number, user in enumerate(users, 1)]
    rows.append(make_interaction(11, stream_id=16, user_id="ann"))
    return Interaction.objects.using(using).bulk_create(rows)


@pytest.fixture
def boss(db, client):
    client.force_login(User.objects.create_superuser("boss"))
    return client


@both
@pytest.mark.parametrize(
    ("term", "numbers"),
    [
        ("ann", [1, 2, 3, 4, 10]),
        ("ann-", [2, 3]),
        ("ann-2", [3]),
        ("an", [1, 2, 3, 4, 10]),
        ("A", [5]),
        ("nn", []),
        (ODD, [7, 8]),
        ("i%", [7, 8]),
        ("%", []),
        ("_", []),
        ("publish-003", [3]),
        ("a1b2c3d4-3", []),
    ],
)
def test_search_finds_whole_ids_and_their_beginnings(database_alias, term, numbers):
    rows = make_rows(database_alias)

    found = find_rows(15, term, using=database_alias)

    assert sorted(found) == sorted(rows[number - 1].pk for number in numbers)


@both
def test_search_finds_beginnings_of_publish_ids_on_sqlite_alone(database_alias):
    make_rows(database_alias)

    assert len(find_rows(15, "publish-00", using=database_alias)) == (9 if database_alias == "default" else 0)


@both
def test_search_is_bounded_and_has_whole_ids_first_the_newest_of_them(database_alias, monkeypatch):
    rows = make_rows(database_alias)

    monkeypatch.setattr(search, "FOUND_ROWS", 1)
    assert find_rows(15, "ann", using=database_alias) == [rows[9].pk]
    monkeypatch.setattr(search, "FOUND_ROWS", 4)
    assert find_rows(15, "ann", using=database_alias) == [rows[number].pk for number in (9, 0, 1, 2)]


@both
def test_search_reads_each_id_by_its_index_and_in_its_order(database_alias):
    connection = connections[database_alias]
    Interaction.objects.using(database_alias).bulk_create(
        make_interaction(number, user_id=f"user-{number % 500}") for number in range(1, 5_001)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE inlive_banner_interaction")
    with CaptureQueriesContext(connection) as captured:
        find_rows(15, "user-1", using=database_alias)

    asked = [one["sql"] for one in captured if "SELECT" in one["sql"]]
    assert len(asked) == (4 if database_alias == "default" else 3)
    by_user, by_publish_id = "inlive_interaction_user", ("inlive_interaction_once", "sqlite_autoindex")
    for sql in asked:
        assert "LIMIT" in sql
        steps = steps_of(connection, sql)
        assert by_user in steps if '."user_id"' in sql else any(name in steps for name in by_publish_id), (sql, steps)
        assert not [word for word in ("TEMP B-TREE", "Sort", "Seq Scan", "Bitmap") if word in steps], (sql, steps)
        conditions = steps.partition("Index Cond:")[2].partition("\n")[0] or steps
        assert ("user_id" if '."user_id"' in sql else "publish_id") in conditions, (sql, steps)


def test_list_shows_what_was_found_the_newest_first(boss):
    rows = make_rows()

    assert listed(boss, "?q=%20ann%20") == [rows[number - 1].pk for number in (10, 4, 3, 2, 1)]
    assert listed(boss, "?q=ann&stream=16") == [rows[10].pk]


def test_list_filters_what_was_found(boss):
    rows = make_rows()
    Interaction.objects.filter(pk=rows[1].pk).update(label="crawler")
    Interaction.objects.filter(pk=rows[2].pk).update(name="news", page="/p/", action="share")

    for query in ("label=crawler", "who=others"):
        assert listed(boss, f"?q=ann-&{query}") == [rows[1].pk]
    for query in ("banner=news", "path=/p/", "action=share", "user=ann-2", "who=people"):
        assert listed(boss, f"?q=ann-&{query}") == [rows[2].pk]
    assert listed(boss, "?q=ann-&from=2026-11-24&to=2026-11-24") == [rows[2].pk, rows[1].pk]
    assert listed(boss, "?q=ann-&from=2026-11-25") == listed(boss, "?q=ann-&to=2026-11-23") == []


def test_list_reads_what_was_found_by_its_keys(boss):
    make_rows()
    asked = [sql for sql in asked_of_interactions(boss, "?q=ann&banner=sale&who=people&period=7d") if '"id" IN' in sql]

    assert asked
    for sql in asked:
        assert "rowid=?" in next(step for step in sqlite_plan(sql) if "inlive_banner_interaction" in step)


def test_list_takes_any_term(boss):
    rows = make_rows()

    assert listed(boss, "?q=%00") == listed(boss)  # Django's own form refuses it with a message
    assert listed(boss, "?q=%20") == listed(boss)
    for term in ("%25", "_", "'", "%22", "%E2%98%83", "%F4%8F%BF%BF", "x" * 5000, "%ED%A0%80"):
        assert listed(boss, f"?q={term}") == []
    assert listed(boss, "?q=i%25") == [rows[7].pk, rows[6].pk]


def test_list_says_what_search_finds_and_where_it_ends(boss, monkeypatch):
    make_rows()
    page = boss.get(f"{LIST}?q=ann").content.decode()
    assert "whole or by their beginnings" in page
    assert "No more than" not in page

    monkeypatch.setattr("inlive_banner.changelists.LISTED_ROWS", 5)
    assert "No more than 10,000 are found" in boss.get(f"{LIST}?q=ann").content.decode()
