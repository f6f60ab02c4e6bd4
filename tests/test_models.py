from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connections
from django.db.migrations.executor import MigrationExecutor

from inlive_banner.envelope import EventId
from inlive_banner.models import DayUnique, DayVisitor, Interaction, Position, Rollup
from inlive_banner.snapshot import Snapshot, Totals
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


def test_rollup_is_one_for_a_stream_action_quarter_name_and_label(database_alias: str) -> None:
    key = {"stream_id": 15, "action": "click", "name": "a", "quarter": datetime(2026, 1, 1, tzinfo=UTC)}
    Rollup.objects.using(database_alias).create(**key, count=1)
    Rollup.objects.using(database_alias).create(**key, label="own", count=1)

    with pytest.raises(IntegrityError):
        Rollup.objects.using(database_alias).create(**key, count=2)


def test_snapshot_of_a_stream_without_a_position_is_empty(database_alias: str) -> None:
    assert Position.objects.using(database_alias).snapshot(15) == Snapshot(last_event_id="0", newest_id=0)


def test_snapshot_of_a_stream_without_rows_has_its_position(database_alias: str) -> None:
    Sink(15, using=database_alias).record([Record(EventId(EPOCH, 4))])

    assert Position.objects.using(database_alias).snapshot(15) == Snapshot(last_event_id=f"{EPOCH}-4")


def test_snapshot_has_position_totals_and_newest_row_of_its_stream_alone(database_alias: str) -> None:
    Sink(15, using=database_alias).record(
        [
            make_record(1, visitor="v"),
            make_record(2, name="other", received_at=NOW.replace(hour=1), viewed=True, visitor="v"),
            make_record(3, action="view", visitor="w"),
            make_record(4, action="share", viewed=True, visitor="x"),
            make_record(5, label="crawler", viewed=True),
            make_record(6, action="view", label="own"),
            make_record(7, label="what a newer channel knows"),
        ]
    )
    newest = Interaction.objects.using(database_alias).latest("pk").pk
    Sink(16, using=database_alias).record([make_record(9, visitor="v"), make_record(10, action="view")])

    snapshot = Position.objects.using(database_alias).snapshot(15)

    assert snapshot == Snapshot(
        last_event_id=f"{EPOCH}-7",
        newest_id=newest,
        people=Totals(clicks=2, viewed=1, views=1),
        everything=Totals(clicks=4, viewed=2, views=2),
        visitors=2,
    )


def test_snapshot_is_one_statement(database_alias: str, django_assert_num_queries: Any) -> None:
    """Several statements could see different commits, and what is counted would not be what is shown."""
    Sink(15, using=database_alias).record([make_record(1)])
    Position.objects.using(database_alias).snapshot(15)  # Django asks SQLite once whether it knows JSON

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
        (
            DayUnique(stream_id=15, name="a", action="click", day=NOW.date(), count=7),
            "7 visitors: click on 'a' on 2026-11-24",
        ),
        (
            DayVisitor(stream_id=15, name="a", action="click", day=NOW.date(), visitor="v"),
            "v with 'a' on 2026-11-24",
        ),
    ],
    ids=["interaction", "rollup", "position", "unique", "visitor"],
)
def test_row_says_what_it_is(row: object, words: str) -> None:
    assert str(row) == words


@pytest.fixture
def migrate_to(database_alias: str) -> Iterator[Callable[[str], Any]]:
    """Migrates the app's tables, and gives the models that they then have."""

    def migrate(name: str) -> Any:
        executor = MigrationExecutor(connections[database_alias])
        executor.migrate([("inlive_banner", name)])
        return MigrationExecutor(connections[database_alias]).loader.project_state([("inlive_banner", name)]).apps

    yield migrate
    executor = MigrationExecutor(connections[database_alias])
    executor.migrate(executor.loader.graph.leaf_nodes())


def test_rows_of_before_labels_keep_what_they_have_there_and_back(
    database_alias: str, migrate_to: Callable[[str], Any]
) -> None:
    old = migrate_to("0003_gap")
    fields = make_record(1).row._asdict()
    for added in ("label", "visitor", "viewed"):
        del fields[added]
    key = {"stream_id": 15, "action": "click", "quarter": NOW}
    old.get_model("inlive_banner", "Interaction").objects.using(database_alias).create(stream_id=15, **fields)
    old.get_model("inlive_banner", "Rollup").objects.using(database_alias).create(**key, name="a", count=3)
    old.get_model("inlive_banner", "Position").objects.using(database_alias).create(pk=15, last_event_id=f"{EPOCH}-1")

    new = migrate_to("0004_labels_and_visitors")
    row = new.get_model("inlive_banner", "Interaction").objects.using(database_alias).get()
    rollups = new.get_model("inlive_banner", "Rollup").objects.using(database_alias)
    position = new.get_model("inlive_banner", "Position").objects.using(database_alias).get()
    assert (row.label, row.visitor, row.viewed, row.publish_id) == ("", "", False, fields["publish_id"])
    assert list(rollups.values_list("label", "count", "viewed")) == [("", 3, 0)]
    assert (position.last_event_id, position.epochs, position.replay_end) == (f"{EPOCH}-1", [], "")

    rollups.create(**key, name="a", label="own", count=4)
    rollups.create(**key, name="b", label="own", count=5)
    rollups.create(**key, name="b", label="crawler", count=6)
    old = migrate_to("0003_gap")
    counts = old.get_model("inlive_banner", "Rollup").objects.using(database_alias).order_by("name")
    assert list(counts.values_list("name", "count")) == [("a", 7), ("b", 11)]
    assert old.get_model("inlive_banner", "Interaction").objects.using(database_alias).count() == 1


def test_worker_of_before_the_migration_goes_on_after_it(database_alias: str) -> None:
    """A deployment migrates first and restarts later: the older worker doesn't name the newer columns."""
    table, columns = "inlive_banner_interaction", [*make_record(1).row._fields]
    for added in ("label", "visitor", "viewed"):
        columns.remove(added)
    values = [getattr(make_record(1).row, column) for column in columns]
    with connections[database_alias].cursor() as cursor:
        places = ", ".join(["%s"] * len(columns))
        names = ", ".join(columns)
        cursor.execute(f"INSERT INTO {table} (stream_id, {names}) VALUES (15, {places})", values)

    assert Interaction.objects.using(database_alias).get().label == ""
