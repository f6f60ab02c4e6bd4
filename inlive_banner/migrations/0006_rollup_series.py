"""Counts by banner, by page and of all, each by minute, quarter hour and day; until now by banner and quarter hour.

Everything recorded so far is counted anew where it can be: pages of views aren't known, since views have no rows.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

_EVER, _QUARTER, _DAY, _MONTH = 0, 900, 86_400, 2_592_000
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST = 400
_AT_ONCE = 1_000


def fill(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Make the counts that are new."""
    using = schema_editor.connection.alias
    rollup, interaction = apps.get_model("inlive_banner", "Rollup"), apps.get_model("inlive_banner", "Interaction")
    counts: Counter[tuple[Any, ...]] = Counter()
    viewed: Counter[tuple[Any, ...]] = Counter()

    def add(dimension: str, value: str, key: tuple[Any, ...], quarter: datetime, much: tuple[int, int]) -> None:
        midnight = quarter.replace(hour=0, minute=0)
        starts = {_QUARTER: quarter, _DAY: midnight, _MONTH: midnight.replace(day=1), _EVER: _BEGINNING}
        if dimension == "banner":
            del starts[_QUARTER]  # it is there
        for span, start in starts.items():
            series = (*key, dimension, value, span, start)
            counts[series] += much[0]
            viewed[series] += much[1]

    # Minutes aren't made: nobody looks at those of before.
    counted = rollup.objects.using(using)
    series_of = ("stream_id", "action", "label", "value", "start", "count", "viewed")
    for *key, name, start, count, firsts in counted.values_list(*series_of).iterator():
        add("banner", name, tuple(key), start, (count, firsts))
        add("all", "", tuple(key), start, (count, firsts))
    fields = ("stream_id", "action", "label", "page", "received_at", "viewed")
    for *key, page, time, first in interaction.objects.using(using).order_by().values_list(*fields).iterator():
        value = page if len(page) <= _LONGEST else f"{page[: _LONGEST - 1]}…"
        quarter = time.replace(minute=time.minute - time.minute % 15, second=0, microsecond=0)
        add("page", value, tuple(key), quarter, (1, int(first)))
    names = ("stream_id", "action", "label", "dimension", "value", "span", "start")
    made = (
        rollup(**dict(zip(names, series, strict=True)), count=count, viewed=viewed[series])
        for series, count in counts.items()
    )
    rollup.objects.using(using).bulk_create(made, batch_size=_AT_ONCE)


def drop(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Leave what there was before: by banner and quarter hour."""
    rollups = apps.get_model("inlive_banner", "Rollup").objects.using(schema_editor.connection.alias)
    rollups.exclude(dimension="banner", span=_QUARTER).delete()


class Migration(migrations.Migration):
    dependencies = [("inlive_banner", "0005_pending")]

    operations = [
        migrations.RemoveConstraint(model_name="rollup", name="inlive_rollup_labelled_once"),
        migrations.RenameField(model_name="rollup", old_name="name", new_name="value"),
        migrations.RenameField(model_name="rollup", old_name="quarter", new_name="start"),
        migrations.AlterField(
            model_name="rollup",
            name="value",
            field=models.CharField(blank=True, max_length=400, verbose_name="value"),
        ),
        migrations.AlterField(model_name="rollup", name="start", field=models.DateTimeField(verbose_name="start")),
        migrations.AddField(
            model_name="rollup",
            name="dimension",
            field=models.CharField(
                choices=[("all", "all"), ("banner", "banner"), ("page", "page")],
                default="banner",
                max_length=8,
                verbose_name="by",
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="rollup",
            name="span",
            field=models.PositiveIntegerField(
                choices=[(60, "minute"), (900, "quarter hour"), (86400, "day"), (2592000, "month"), (0, "all time")],
                default=900,
                verbose_name="span",
            ),
            preserve_default=False,
        ),
        migrations.AddConstraint(
            model_name="rollup",
            constraint=models.UniqueConstraint(
                fields=("stream_id", "dimension", "value", "span", "action", "start", "label"),
                name="inlive_rollup_series_once",
            ),
        ),
        migrations.AddIndex(
            model_name="rollup",
            index=models.Index(
                fields=["stream_id", "dimension", "span", "action", "label", "start"], name="inlive_rollup_most"
            ),
        ),
        migrations.RunPython(fill, drop, elidable=True),
    ]
