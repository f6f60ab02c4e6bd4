from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connections

from inlive_banner.envelope import EventId
from inlive_banner.models import Interaction, Position, Rollup, Snapshot
from inlive_banner.tail.records import Record
from inlive_banner.tail.sink import Sink
from tests.tail.making import EPOCH, NOW, make_record

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "postgres"])


def make_interaction(**overrides: Any) -> Interaction:
    fields = {"stream_id": 15, **make_record(1).row._asdict(), **overrides}
    return Interaction(**fields)


def test_migrations_are_those_of_the_models() -> None:
    call_command("makemigrations", "inlive_banner", check=True, dry_run=True, stdout=StringIO())


def test_interaction_is_stored_once_for_a_publish_id_of_a_stream(database_alias: str) -> None:
    make_interaction().save(using=database_alias)
    make_interaction(stream_id=16).save(using=database_alias)

    with pytest.raises(IntegrityError):
        make_interaction(event_id="another").save(using=database_alias)


def test_interactions_come_newest_first(database_alias: str) -> None:
    Sink(15, using=database_alias).record([make_record(seq) for seq in (1, 2, 3)])

    events = list(Interaction.objects.using(database_alias).values_list("event_id", flat=True))

    assert events == [f"{EPOCH}-{seq}" for seq in (3, 2, 1)]


def test_rollup_is_one_for_a_stream_action_quarter_and_name(database_alias: str) -> None:
    key = {"stream_id": 15, "action": "click", "name": "a", "quarter": datetime(2026, 1, 1, tzinfo=UTC)}
    Rollup.objects.using(database_alias).create(**key, count=1)

    with pytest.raises(IntegrityError):
        Rollup.objects.using(database_alias).create(**key, count=2)


def test_snapshot_of_a_stream_without_a_position_is_empty(database_alias: str) -> None:
    snapshot = Position.objects.using(database_alias).snapshot(15)

    assert snapshot == Snapshot(last_event_id="0", clicks=0, newest_id=0)


def test_snapshot_of_a_stream_without_rows_has_its_position(database_alias: str) -> None:
    Sink(15, using=database_alias).record([Record(EventId(EPOCH, 4))])

    snapshot = Position.objects.using(database_alias).snapshot(15)

    assert snapshot == Snapshot(last_event_id=f"{EPOCH}-4", clicks=0, newest_id=0)


def test_snapshot_has_position_clicks_and_newest_row_of_its_stream_alone(database_alias: str) -> None:
    Sink(15, using=database_alias).record(
        [
            make_record(1),
            make_record(2, name="other", received_at=NOW.replace(hour=1)),
            make_record(3, action="view"),
        ]
    )
    newest = Interaction.objects.using(database_alias).latest("pk").pk
    Sink(16, using=database_alias).record([make_record(9)])

    snapshot = Position.objects.using(database_alias).snapshot(15)

    assert snapshot == Snapshot(last_event_id=f"{EPOCH}-3", clicks=2, newest_id=newest)


def test_snapshot_is_one_statement(database_alias: str, django_assert_num_queries: Any) -> None:
    """Several statements could see different commits, and what is counted would not be what is shown."""
    Sink(15, using=database_alias).record([make_record(1)])

    with django_assert_num_queries(1, connection=connections[database_alias]):
        Position.objects.using(database_alias).snapshot(15)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (make_interaction(), "click on 'demo-banner' by visitor"),
        (
            Rollup(stream_id=15, name="a", action="click", quarter=NOW.replace(minute=0), count=7),
            "7 click on 'a' from 2026-11-24 12:00",
        ),
        (Position(stream_id=15, last_event_id=f"{EPOCH}-7"), f"stream 15 at {EPOCH}-7"),
    ],
    ids=["interaction", "rollup", "position"],
)
def test_row_says_what_it_is(row: object, words: str) -> None:
    assert str(row) == words
