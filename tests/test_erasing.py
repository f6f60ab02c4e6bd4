"""One person's interactions leave, and the counts are those of the rows that are left; on real databases."""

from __future__ import annotations

import itertools
import json
import threading
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import connections, transaction
from django.utils import timezone

from inlive_banner import erasing
from inlive_banner.erasing import Person, erase, erase_pending, find, find_pending, walk_length
from inlive_banner.models import DayUnique, DayVisitor, Interaction, Pending, Position, Rollup
from inlive_banner.pruning import prune_rows
from inlive_banner.tail.records import Record
from inlive_banner.tail.sink import Sink
from tests.rows import make_interaction
from tests.tail.making import NOW, make_record

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "postgres"])

ANNA = Person(user_id="anna")
NUMBERS = itertools.count(1)


@pytest.fixture
def sink(database_alias: str) -> Sink:
    return Sink(15, using=database_alias)


def make_click(user_id: str = "anna", **overrides: Any) -> Record:
    return make_record(next(NUMBERS), user_id=user_id, **overrides)


def erased(person: Person, *streams: int, using: str) -> int:
    return sum(sum(step.found.values()) for step in erase(person, streams or [15], using=using))


def users(alias: str) -> list[str]:
    return list(Interaction.objects.using(alias).order_by("pk").values_list("user_id", flat=True))


def uniques(alias: str) -> dict[tuple[str, str, date], int]:
    """(name, action, day) -> visitors."""
    rows = DayUnique.objects.using(alias).values_list("name", "action", "day", "count")
    return {tuple(key): count for *key, count in rows}


def start_of(moment: datetime, span: int) -> datetime:
    if span == 0:
        return datetime(1970, 1, 1, tzinfo=UTC)
    if span == 2_592_000:
        return datetime(moment.year, moment.month, 1, tzinfo=UTC)
    return datetime.fromtimestamp(moment.timestamp() // span * span, UTC)


def assert_counts_are_those_of_the_rows(alias: str, *, minutes: bool = True) -> None:
    """Each pair of dimension and span that is kept, and the visitors of each day; views have no rows."""
    spans = {"all": (60, 900, 86_400, 2_592_000, 0), "banner": (60, 900, 86_400, 2_592_000, 0)}
    spans["page"] = spans["all"][1:]
    counts: Counter[tuple[Any, ...]] = Counter()
    viewed: Counter[tuple[Any, ...]] = Counter()
    visitors: dict[tuple[Any, ...], set[str]] = {}
    for row in Interaction.objects.using(alias):
        values = {"all": "", "banner": row.name, "page": row.page if len(row.page) <= 400 else row.page[:399] + "…"}
        for dimension, kept in spans.items():
            for span in kept:
                start = start_of(row.received_at, span)
                key = (row.stream_id, dimension, values[dimension], row.action, span, start, row.label)
                counts[key] += 1
                viewed[key] += row.viewed
        if row.visitor and not row.label:
            day = row.received_at.astimezone(UTC).date()
            visitors.setdefault((row.stream_id, row.name, row.action, day), set()).add(row.visitor)
    fields = ("stream_id", "dimension", "value", "action", "span", "start", "label", "count", "viewed")
    rollups = Rollup.objects.using(alias).exclude(action="view").values_list(*fields)
    found = {tuple(key): (count, first) for *key, count, first in rollups if minutes or key[4] != 60}
    assert found == {key: (count, viewed[key]) for key, count in counts.items() if minutes or key[4] != 60}
    days = DayUnique.objects.using(alias).exclude(action="view")
    keys = days.values_list("stream_id", "name", "action", "day", "count")
    assert {tuple(key): count for *key, count in keys} == {key: len(several) for key, several in visitors.items()}


def test_rows_of_a_user_leave_and_the_counts_are_those_of_the_others(sink: Sink, database_alias: str) -> None:
    later = NOW + timedelta(days=40, minutes=20)
    sink.record(
        [
            make_click(visitor="v1", viewed=True),
            make_click(visitor="v1", name="other", page="/" + "x" * 900),
            make_click(visitor="v2", action="share", received_at=later),
            make_click(label="crawler", visitor="v3"),
            make_click(user_id="ben", visitor="v4", viewed=True),
            make_click(user_id="ben", visitor="v4", received_at=later),
        ]
    )

    assert erased(ANNA, using=database_alias) == 4

    assert users(database_alias) == ["ben", "ben"]
    assert_counts_are_those_of_the_rows(database_alias)
    assert set(DayVisitor.objects.using(database_alias).values_list("visitor", flat=True)) == {"v4"}


def test_count_that_reaches_nothing_is_deleted(sink: Sink, database_alias: str) -> None:
    sink.record([make_click(visitor="v1"), make_click(visitor="v1", viewed=True)])

    erased(ANNA, using=database_alias)

    assert not Rollup.objects.using(database_alias).exists()
    assert not DayUnique.objects.using(database_alias).exists()
    assert not DayVisitor.objects.using(database_alias).exists()


def test_user_is_found_as_the_author_too(sink: Sink, database_alias: str) -> None:
    sink.record([make_click(user_id="somebody", author_id="anna"), make_click(user_id="ben")])

    assert erased(ANNA, using=database_alias) == 1
    assert users(database_alias) == ["ben"]


def test_user_whose_id_was_too_long_for_its_column_is_found(sink: Sink, database_alias: str) -> None:
    stored = "a" * 127 + "…"
    sink.record([make_click(user_id=stored), make_click(user_id="a" * 127)])

    assert erased(Person(user_id="a" * 300), using=database_alias) == 1
    assert users(database_alias) == ["a" * 127]


def test_visitor_whom_another_user_shares_is_still_counted(sink: Sink, database_alias: str) -> None:
    """Two user ids of one browser on one day: a page view each."""
    sink.record([make_click(visitor="v1"), make_click(user_id="ben", visitor="v1"), make_click(visitor="v1", name="b")])

    erased(ANNA, using=database_alias)

    assert uniques(database_alias) == {("demo-banner", "click", NOW.date()): 1}
    assert DayVisitor.objects.using(database_alias).get().name == "demo-banner"
    assert_counts_are_those_of_the_rows(database_alias)


def test_visitor_who_is_only_labelled_elsewhere_isnt_counted_any_more(sink: Sink, database_alias: str) -> None:
    sink.record([make_click(visitor="v1"), make_click(user_id="ben", visitor="v1", label="rate")])

    erased(ANNA, using=database_alias)

    assert uniques(database_alias) == {}


def test_labelled_row_of_a_user_takes_no_visitor_away(sink: Sink, database_alias: str) -> None:
    sink.record([make_click(visitor="v1", label="rate"), make_click(user_id="ben", visitor="v1")])

    erased(ANNA, using=database_alias)

    assert uniques(database_alias) == {("demo-banner", "click", NOW.date()): 1}


def test_visitor_of_the_next_day_is_another_matter(sink: Sink, database_alias: str) -> None:
    midnight = datetime(2026, 11, 25, tzinfo=UTC)
    sink.record(
        [
            make_click(visitor="v1", received_at=midnight - timedelta(microseconds=1)),
            make_click(user_id="ben", visitor="v1", received_at=midnight),
        ]
    )

    erased(ANNA, using=database_alias)

    assert uniques(database_alias) == {("demo-banner", "click", midnight.date()): 1}


def test_rows_of_a_visitor_leave_whoever_the_user_is(sink: Sink, database_alias: str) -> None:
    sink.record(
        [
            make_click(visitor="v1"),
            make_click(user_id="ben", visitor="v1", name="b"),
            make_click(user_id="cleo", visitor="v2"),
        ]
    )

    assert erased(Person(visitor="v1"), using=database_alias) == 2

    assert users(database_alias) == ["cleo"]
    assert_counts_are_those_of_the_rows(database_alias)


def test_views_of_a_visitor_stay_counted_but_the_visitor_isnt(sink: Sink, database_alias: str) -> None:
    sink.record(
        [
            make_click(visitor="v1", action="view"),
            make_click(visitor="v1", action="view"),
            make_click(visitor="v2", action="view"),
        ]
    )

    erased(Person(visitor="v1"), using=database_alias)

    assert uniques(database_alias) == {("demo-banner", "view", NOW.date()): 1}
    assert DayVisitor.objects.using(database_alias).get().visitor == "v2"
    assert Rollup.objects.using(database_alias).get(dimension="all", span=0, action="view").count == 3


def test_visitor_with_a_new_row_since_is_still_counted(sink: Sink, database_alias: str) -> None:
    """Recorded behind where the walk ended: its visitor was counted with it, and stays."""
    sink.record([make_click(visitor="v1"), make_click(user_id="ben", visitor="v2")])
    steps = erase(Person(visitor="v1"), [15], using=database_alias)
    next(steps)
    sink.record([make_click(visitor="v1")])

    for _ in steps:
        pass

    assert users(database_alias) == ["ben", "anna"]
    assert_counts_are_those_of_the_rows(database_alias)
    assert DayVisitor.objects.using(database_alias).count() == 2


def test_minutes_that_are_forgotten_are_passed_over(sink: Sink, database_alias: str) -> None:
    sink.record([make_click(), make_click(user_id="ben")])
    Rollup.objects.using(database_alias).filter(span=60).delete()

    erased(ANNA, using=database_alias)

    assert not Rollup.objects.using(database_alias).filter(span=60).exists()
    assert_counts_are_those_of_the_rows(database_alias, minutes=False)


def test_minute_that_counts_less_than_there_was_is_deleted_and_none_is_below_zero(
    sink: Sink, database_alias: str
) -> None:
    """As where minutes were forgotten, and one click came late."""
    sink.record([make_click(viewed=True), make_click(viewed=True)])
    Rollup.objects.using(database_alias).filter(dimension="all", span=60).update(count=1)
    Rollup.objects.using(database_alias).filter(dimension="banner", span=60).update(count=3, viewed=1)

    erased(ANNA, using=database_alias)

    rollup = Rollup.objects.using(database_alias).get()
    assert (rollup.dimension, rollup.span, rollup.count, rollup.viewed) == ("banner", 60, 1, 0)


def test_rows_of_other_streams_stay(sink: Sink, database_alias: str) -> None:
    for stream_id in (15, 16, 17):
        Sink(stream_id, using=database_alias).record([make_click(visitor="v1"), make_click(user_id="ben")])

    assert erased(ANNA, 15, 17, using=database_alias) == 2

    assert Interaction.objects.using(database_alias).get(user_id="anna").stream_id == 16
    assert_counts_are_those_of_the_rows(database_alias)


def test_erasing_in_many_small_batches_and_windows_comes_to_the_same(
    sink: Sink, database_alias: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasing, "_WINDOW", 7)
    monkeypatch.setattr(erasing, "_ROWS_AT_ONCE", 3)
    monkeypatch.setattr(erasing, "_COUNTS_OF_VISITORS_AT_ONCE", 2)
    sink.record(
        [
            make_click(
                user_id=("anna", "ben")[number % 3 == 0],
                visitor=f"v{number % 4}",
                name=f"banner-{number % 5}",
                viewed=number % 2 == 0,
                received_at=NOW + timedelta(hours=number),
            )
            for number in range(60)
        ]
    )
    seen = []
    for step in erase(ANNA, [15], using=database_alias):
        seen.append(step)
        assert_counts_are_those_of_the_rows(database_alias)  # also in between: somebody may stop here

    assert sum(step.walked for step in seen) == 60
    assert sum(step.found.get(15, 0) for step in seen) == 40
    assert max(step.found.get(15, 0) for step in seen) <= 3
    assert users(database_alias) == ["ben"] * 20


def test_erasing_looks_at_few_days_of_banners_in_one_transaction(
    sink: Sink, database_alias: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasing, "_COUNTS_OF_VISITORS_AT_ONCE", 2)
    sink.record([make_click(name=f"banner-{number // 3}") for number in range(15)])

    found = [step.found[15] for step in erase(ANNA, [15], using=database_alias) if step.found]

    assert found == [6, 6, 3]


def test_erasing_waits_for_the_batch_that_is_being_recorded(sink: Sink, database_alias: str) -> None:
    """Its keys may be lower than those that others have committed, and would be walked past."""
    sink.position()
    interactions: list[int] = []
    ended = threading.Event()

    def run() -> None:
        try:
            interactions.append(erased(ANNA, using=database_alias))
        finally:
            ended.set()
            connections[database_alias].close()

    erasing_thread = threading.Thread(target=run, daemon=True)
    with transaction.atomic(using=database_alias):
        Position.objects.using(database_alias).filter(stream_id=15).update(lost_events=1)
        make_interaction(1, user_id="anna").save(using=database_alias)
        erasing_thread.start()
        assert not ended.wait(0.3)
    erasing_thread.join(timeout=60)

    assert interactions == [1]


def test_erasing_that_was_stopped_goes_on_when_asked_again(
    sink: Sink, database_alias: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasing, "_ROWS_AT_ONCE", 2)
    sink.record([make_click(visitor="v1") for _ in range(5)])
    steps = erase(ANNA, [15], using=database_alias)
    while not next(steps).found:
        pass
    steps.close()

    assert len(users(database_alias)) == 3
    assert_counts_are_those_of_the_rows(database_alias)
    assert erased(ANNA, using=database_alias) == 3
    assert uniques(database_alias) == {}


def test_erasing_twice_takes_nothing_twice(sink: Sink, database_alias: str) -> None:
    sink.record([make_click(visitor="v1"), make_click(user_id="ben", visitor="v2")])

    assert erased(ANNA, using=database_alias) == 1
    assert erased(ANNA, using=database_alias) == 0
    assert erased(Person(visitor="v1"), using=database_alias) == 0
    assert_counts_are_those_of_the_rows(database_alias)


def test_erasing_what_was_found_and_deleted_meanwhile_subtracts_it_not(sink: Sink, database_alias: str) -> None:
    """Whoever deletes rows by hand leaves the counts as they are; so does `inlive_prune`."""
    sink.record([make_click(), make_click(user_id="ben")])
    steps = erase(ANNA, [15], using=database_alias)
    next(steps)
    list(prune_rows(15, before=NOW + timedelta(days=1), using=database_alias))

    assert sum(sum(step.found.values()) for step in steps) == 0
    assert Rollup.objects.using(database_alias).get(dimension="all", span=0).count == 2


def test_finding_tells_how_many_there_are_and_changes_nothing(sink: Sink, database_alias: str) -> None:
    sink.record([make_click(), make_click(user_id="ben"), make_click(author_id="anna")])

    steps = list(find(ANNA, [15, 16], using=database_alias))

    assert sum((Counter(step.found) for step in steps), Counter()) == {15: 2}
    assert sum(step.walked for step in steps) == walk_length(using=database_alias)
    assert len(users(database_alias)) == 3


def test_empty_record_is_walked_at_once(database_alias: str) -> None:
    assert erased(ANNA, using=database_alias) == 0
    assert walk_length(using=database_alias) == 0


@pytest.mark.parametrize("ids", [{}, {"user_id": "", "visitor": ""}, {"user_id": "a", "visitor": "b"}])
def test_person_is_one_id_of_one_kind(ids: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="Give a user id or a visitor's"):
        Person(**ids)


def test_pending_publishes_of_the_user_are_found_and_deleted(database_alias: str) -> None:
    def keep(stream_id: int = 15, **message: Any) -> int:
        values = {"type": "banner", "action": "click", "name": "sale", "user_id": "anna", "time": 1} | message
        pending = Pending(stream_id=stream_id, message=json.dumps(values), publish_id=f"publish-{next(NUMBERS)}")
        pending.save(using=database_alias)
        return pending.pk

    mine = keep()
    others = [keep(user_id="ben"), keep(name="anna", user_id="annabel"), keep(stream_id=16), keep(user_id=None)]

    found = find_pending(ANNA, [15], using=database_alias)

    assert found == [mine]
    assert find_pending(Person(visitor="anna"), [15], using=database_alias) == []
    assert erase_pending(found, using=database_alias) == 1
    assert list(Pending.objects.using(database_alias).order_by("pk").values_list("pk", flat=True)) == others


def test_position_is_as_it_was(sink: Sink, database_alias: str) -> None:
    """When a stream was recorded last tells the worker whether it is quiet."""
    sink.record([make_click()])
    long_ago = timezone.now() - timedelta(days=2)
    Position.objects.using(database_alias).update(updated_at=long_ago)

    erased(ANNA, using=database_alias)

    assert Position.objects.using(database_alias).get().updated_at == long_ago


@pytest.mark.parametrize("person", [ANNA, Person(visitor="v1")], ids=["user", "visitor"])
def test_counts_are_exact_while_a_worker_records(
    database_alias: str, monkeypatch: pytest.MonkeyPatch, person: Person
) -> None:
    monkeypatch.setattr(erasing, "_ROWS_AT_ONCE", 2)
    errors: list[BaseException] = []
    ended = threading.Event()
    sequence = itertools.count(1)

    def batch() -> list[Record]:
        return [
            make_record(
                seq,
                user_id=("anna", "ben")[seq % 2],
                visitor=f"v{seq % 3}",
                name=f"banner-{seq % 2}",
                viewed=seq % 5 == 0,
                label="crawler" if seq % 7 == 0 else "",
                received_at=NOW + timedelta(minutes=seq),
            )
            for seq in itertools.islice(sequence, 6)
        ]

    def record() -> None:
        try:
            sink = Sink(15, using=database_alias)
            for _ in range(40):
                sink.record(batch())
        except BaseException as error:  # noqa: BLE001  (the test shows it)
            errors.append(error)
        finally:
            ended.set()
            connections[database_alias].close()

    Sink(15, using=database_alias).record(batch())
    worker = threading.Thread(target=record, daemon=True)
    worker.start()
    rounds = during = 0
    while not ended.is_set() or not rounds:
        during += erased(person, using=database_alias)
        rounds += 1
    worker.join(timeout=60)

    assert not errors
    assert during
    assert_counts_are_those_of_the_rows(database_alias)
    assert erased(person, using=database_alias) + during > 2
    assert_counts_are_those_of_the_rows(database_alias)
    assert Interaction.objects.using(database_alias).filter(person.rows).count() == 0
