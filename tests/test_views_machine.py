"""The state machine of `test_exactly_once_machine`, where a part of the clicks are views, and some have a visitor.

Views have no row, so the law is another one: each event of the log that is a view is counted once.
"""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis.stateful import rule

from inlive_banner.models import DayUnique, DayVisitor, Interaction, Position
from inlive_banner.tail.records import Record, Row
from tests.rows import assert_rollups_count
from tests.test_exactly_once_machine import ExactlyOnce, run_machine


class ViewsOnce(ExactlyOnce):
    """The same log, channel and worker."""

    def __init__(self) -> None:
        super().__init__()
        for model in (DayUnique, DayVisitor):
            model.objects.all().delete()

    def receive(self, position: str) -> list[Record]:
        records = [changed(record) for record in super().receive(position)]
        if records:
            self.delivered[-len(records) :] = records
        return records

    @rule()
    def check(self) -> None:
        """What is promised, once all is drained."""
        self.drain()
        views = {record.event_id: record.row for record in self.delivered if record.row and record.is_view}
        rows = list(Interaction.objects.order_by("pk"))
        stored = [row.publish_id for row in rows]
        clicks = {publish_id for publish_id in self.acknowledged if not is_view(publish_id)}
        assert len(stored) == len(set(stored))
        assert clicks <= set(stored) <= {*clicks, *self.unanswered}
        assert_rollups_count([*rows, *views.values()])
        visitors = {visit(row) for row in [*rows, *views.values()] if row.visitor and not row.label}
        days = DayUnique.objects.values_list("action", "name", "day", "count")
        assert {tuple(key): count for *key, count in days} == Counter(key[:3] for key in visitors)
        assert Position.objects.get().lost_events == 0


def changed(record: Record) -> Record:
    """What the channel would have said of it, by the number that its publish id ends in."""
    if record.row is None:
        return record
    publish_id = record.row.publish_id
    number = int(publish_id[-4:])
    return record._replace(
        row=record.row._replace(
            action="view" if is_view(publish_id) else "click",
            label="own" if number % 5 == 0 else "",
            visitor=f"visitor-{number % 3}" if number % 7 else "",
        )
    )


def is_view(publish_id: str) -> bool:
    return int(publish_id[-4:]) % 4 == 0


def visit(row: Interaction | Row) -> tuple[object, ...]:
    return row.action, row.name, row.received_at.date(), row.visitor


@pytest.mark.django_db(transaction=True)
def test_views_and_visitors_in_any_order_of_faults_are_counted_once():
    run_machine(ViewsOnce, examples=30)
