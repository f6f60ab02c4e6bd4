from __future__ import annotations

import pytest
from django.db import DataError, IntegrityError, connections, transaction

from inlive_banner.models import Interaction
from inlive_banner.tail.inserting import insert_rows
from tests.tail.making import make_record

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "postgres"])

ODD = "tab\t line\n return\r back\\slash \\N \\. quote'\" € 😀 %s %%"
"""What COPY's text format and a statement's placeholders must both let through."""


def test_insert_rows_stores_each_value_as_it_is_and_in_order(database_alias: str) -> None:
    rows = [
        make_record(1, name=ODD, page=ODD, user_id=ODD, visitor_time=None).row,
        make_record(2, name="", page="").row,
        make_record(3).row,
    ]

    insert_rows(connections[database_alias], 15, rows)

    stored = Interaction.objects.using(database_alias).order_by("pk").values()
    assert [{key: value for key, value in row.items() if key != "id"} for row in stored] == [
        {"stream_id": 15, **row._asdict()} for row in rows
    ]


def test_insert_rows_without_rows_asks_nothing(database_alias: str, django_assert_num_queries) -> None:
    with django_assert_num_queries(0, connection=connections[database_alias]):
        insert_rows(connections[database_alias], 15, [])


@pytest.mark.parametrize(
    ("broken", "error"),
    [
        ([make_record(1).row, make_record(1).row], IntegrityError),
        ([make_record(1).row, make_record(2, received_at=None).row], IntegrityError),
        ([make_record(1).row, make_record(2, name=None).row], IntegrityError),
    ],
    ids=["a publish id twice", "no time", "no name"],
)
def test_insert_rows_with_a_row_that_the_database_refuses_raises_djangos_error(
    database_alias: str, broken: list, error: type[Exception]
) -> None:
    with pytest.raises(error), transaction.atomic(using=database_alias):
        insert_rows(connections[database_alias], 15, broken)

    assert Interaction.objects.using(database_alias).count() == 0


def test_insert_rows_with_a_text_that_postgresql_cant_hold_raises_djangos_error() -> None:
    """Which is why records have none."""
    with pytest.raises(DataError), transaction.atomic(using="postgres"):
        insert_rows(connections["postgres"], 15, [make_record(1, name="\0").row])
