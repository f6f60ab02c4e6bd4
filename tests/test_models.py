from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, OperationalError, ProgrammingError, connections, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.models import F

from inlive_banner.models import DayUnique, DayVisitor, Dimension, Interaction, Position, Rollup, Span, rollup_value
from inlive_banner.tail.inserting import add_counts
from inlive_banner.tail.sink import Sink
from tests.rows import KEPT_PAIRS, assert_rollups_count, save_rollups, start_of
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


def test_interactions_come_in_the_order_of_the_channels_clock(database_alias: str) -> None:
    """A log that was put back, or several worked through at once, is recorded in another order."""
    times = [NOW, NOW - timedelta(hours=1), NOW, NOW + timedelta(hours=1)]
    Sink(15, using=database_alias).record([make_record(seq, received_at=time) for seq, time in enumerate(times, 1)])

    events = list(Interaction.objects.using(database_alias).values_list("event_id", flat=True))

    assert events == [f"{EPOCH}-{seq}" for seq in (4, 3, 1, 2)]


@pytest.mark.parametrize(
    "other",
    [
        {"stream_id": 16},
        {"dimension": Dimension.PAGE},
        {"value": "b"},
        {"span": Span.DAY},
        {"action": "share"},
        {"start": NOW + timedelta(minutes=15)},
        {"label": "own"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_rollup_is_one_for_each_series_and_start(database_alias: str, other: dict[str, Any]) -> None:
    key = {"stream_id": 15, "dimension": Dimension.BANNER, "value": "a", "span": Span.QUARTER}
    key |= {"action": "click", "start": NOW, "label": ""}
    Rollup.objects.using(database_alias).create(**key, count=1)
    Rollup.objects.using(database_alias).create(**key | other, count=1)

    with pytest.raises(IntegrityError):
        Rollup.objects.using(database_alias).create(**key, count=2)


def test_rollups_by_one_kind_are_of_that_kind(database_alias: str) -> None:
    save_rollups(1, using=database_alias)

    for dimension, span in KEPT_PAIRS:
        rollup = Rollup.objects.using(database_alias).by(Dimension(dimension), Span(span)).get()
        assert (rollup.dimension, rollup.span) == (dimension, span)


@pytest.mark.parametrize(
    ("text", "value"),
    [("", ""), ("a" * 400, "a" * 400), ("a" * 401, "a" * 399 + "…"), ("😀" * 1000, "😀" * 399 + "…")],
    ids=["empty", "longest", "cut", "wide"],
)
def test_rollup_value_is_cut_to_what_a_rollup_takes(text: str, value: str) -> None:
    assert rollup_value(text) == value
    assert rollup_value(value) == value


def test_largest_texts_fit_into_every_index(database_alias: str) -> None:
    """PostgreSQL indexes 2,704 bytes at most, after compressing: so of characters that nothing can compress."""
    characters = Random(15)
    text = lambda length: "".join(chr(characters.randrange(0x10000, 0x10FFFF)) for _ in range(length))  # noqa: E731
    record = make_record(
        1, name=text(200), action=text(64), user_id=text(128), author_id=text(128), page=text(1000), label=text(32)
    )
    person = make_record(
        2, name=text(200), action=text(64), user_id=text(128), page=text(1000), visitor=text(32), publish_id=text(64)
    )
    Sink(15, using=database_alias).record([record, person])

    stored = Interaction.objects.using(database_alias).order_by("pk")
    assert [row.page for row in stored] == [record.row.page, person.row.page]
    assert_rollups_count(stored, using=database_alias)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (make_interaction(), "click on 'demo-banner' by visitor"),
        (
            Rollup(stream_id=15, value="a", action="click", start=NOW.replace(minute=0, second=0), count=7),
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


def test_counts_by_quarter_hour_are_kept_and_made_by_all_other_kinds_there_and_back(
    database_alias: str, migrate_to: Callable[[str], Any]
) -> None:
    """From the oldest counts on: a day that ends within a quarter hour's rows, both ends of the day, long pages."""
    old = migrate_to("0005_pending")
    midnight = datetime(2026, 11, 24, tzinfo=UTC)
    seconds = [-86_401, -1, 0, 899, 900, 86_399, 86_400]
    rows = [
        {
            **make_record(seq).row._asdict(),
            "received_at": midnight + timedelta(seconds=second),
            "name": f"banner-{seq % 2}",
            "page": ["/", "", "😀" * 400, "😀" * 401 + "a", "😀" * 401 + "b"][seq % 5],
            "label": "own" if seq % 4 == 0 else "",
            "viewed": seq % 3 == 0,
            "stream_id": 15 + seq // 6,
        }
        for seq, second in enumerate(seconds)
    ]
    interactions = old.get_model("inlive_banner", "Interaction").objects.using(database_alias)
    interactions.bulk_create(interactions.model(**row) for row in rows)
    rollups = old.get_model("inlive_banner", "Rollup").objects.using(database_alias)
    for row in rows:
        key = {field: row[field] for field in ("stream_id", "name", "action", "label")}
        rollup, _ = rollups.get_or_create(**key, quarter=start_of(row["received_at"], 900), defaults={"count": 0})
        rollups.filter(pk=rollup.pk).update(count=F("count") + 1, viewed=F("viewed") + int(row["viewed"]))
    view = {"stream_id": 15, "name": "banner-0", "action": "view", "label": ""}
    rollups.create(**view, quarter=midnight, count=3)
    fields = ("stream_id", "name", "action", "label", "quarter", "count", "viewed")
    before = sorted(rollups.values_list(*fields))

    migrate_to("0007_interaction_order")
    views = [SimpleNamespace(**view, page="", viewed=False, received_at=midnight)] * 3
    of_views = Rollup.objects.using(database_alias).filter(action="view")
    assert not of_views.filter(dimension="page").exists(), "which pages views were on is written nowhere"
    assert not Rollup.objects.using(database_alias).filter(span=60).exists()
    add_counts(
        connections[database_alias],
        Rollup,
        [
            {**{key: view[key] for key in ("stream_id", "action", "label")}, "dimension": "page", "value": ""}
            | {"span": span, "start": start_of(midnight, span), "count": 3, "viewed": 0}
            for dimension, span in KEPT_PAIRS
            if dimension == "page"
        ],
        added=("count", "viewed"),
    )
    assert_rollups_count([*Interaction.objects.using(database_alias), *views], using=database_alias, minutes=False)

    again = migrate_to("0005_pending").get_model("inlive_banner", "Rollup").objects.using(database_alias)
    assert sorted(again.values_list(*fields)) == before


def test_recording_goes_on_in_the_counts_that_were_migrated(
    database_alias: str, migrate_to: Callable[[str], Any]
) -> None:
    old = migrate_to("0005_pending")
    row = make_record(1).row
    old.get_model("inlive_banner", "Interaction").objects.using(database_alias).create(stream_id=15, **row._asdict())
    old.get_model("inlive_banner", "Rollup").objects.using(database_alias).create(
        stream_id=15, name=row.name, action=row.action, quarter=start_of(row.received_at, 900), count=1
    )

    migrate_to("0007_interaction_order")
    Sink(15, using=database_alias).record([make_record(2)])

    assert_rollups_count(Interaction.objects.using(database_alias), using=database_alias, minutes=False)


def record_as_before(alias: str) -> None:
    """A batch of the worker of before counts had dimensions: a row, its count, the position."""
    row = make_record(1).row
    names, places = ", ".join(row._fields), ", ".join(["%s"] * len(row))
    with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        cursor.execute(f"INSERT INTO inlive_banner_interaction (stream_id, {names}) VALUES (15, {places})", [*row])
        assert Interaction.objects.using(alias).count() == 1
        columns = "stream_id, name, action, quarter, label, count, viewed"
        cursor.execute(f"INSERT INTO inlive_banner_rollup ({columns}) VALUES (15, 'a', 'click', %s, '', 1, 0)", [NOW])
        cursor.execute("UPDATE inlive_banner_position SET last_event_id = %s", [row.event_id])


def test_worker_of_before_the_counts_were_changed_records_nothing_until_it_is_restarted(database_alias: str) -> None:
    """A deployment migrates first and restarts later. The older one's batches fail as a whole.

    For SQLite's error it tries again, as for a lock; for PostgreSQL's it ends, and what keeps it running restarts it.
    """
    sink = Sink(15, using=database_alias)
    sink.position()

    with pytest.raises(OperationalError if database_alias == "default" else ProgrammingError):
        record_as_before(database_alias)

    assert Interaction.objects.using(database_alias).count() == 0
    assert sink.position() == "0"
    assert sink.record([make_record(1)]).inserted == 1, "what it does once it is restarted"
    assert_rollups_count(Interaction.objects.using(database_alias), using=database_alias)
