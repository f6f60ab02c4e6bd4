"""Rows in the order of the channel's clock, and an index for each filter of the pages."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("inlive_banner", "0006_rollup_series"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="interaction",
            options={
                "ordering": ["-received_at", "-pk"],
                "verbose_name": "interaction",
                "verbose_name_plural": "interactions",
            },
        ),
        migrations.RemoveIndex(
            model_name="interaction",
            name="inlive_interaction_newest",
        ),
        migrations.RemoveIndex(
            model_name="interaction",
            name="inlive_interaction_people",
        ),
        migrations.AddIndex(
            model_name="interaction",
            index=models.Index(
                condition=models.Q(("id__gt", 0)),
                fields=["stream_id", "-received_at", "-id"],
                name="inlive_interaction_order",
            ),
        ),
        migrations.AddIndex(
            model_name="interaction",
            index=models.Index(
                condition=models.Q(("id__gt", 0), ("label", "")),
                fields=["stream_id", "-received_at", "-id"],
                name="inlive_interaction_people",
            ),
        ),
        migrations.AddIndex(
            model_name="interaction",
            index=models.Index(
                condition=models.Q(("id__gt", 0), models.Q(("label", ""), _negated=True)),
                fields=["stream_id", "-received_at", "-id"],
                name="inlive_interaction_others",
            ),
        ),
        migrations.AddIndex(
            model_name="interaction",
            index=models.Index(
                condition=models.Q(("action", "click"), _negated=True),
                fields=["stream_id", "action", "-received_at", "-id"],
                name="inlive_interaction_action",
            ),
        ),
        migrations.AddIndex(
            model_name="interaction",
            index=models.Index(fields=["stream_id", "name", "-received_at", "-id"], name="inlive_interaction_banner"),
        ),
        migrations.AddIndex(
            model_name="interaction",
            index=models.Index(
                models.F("stream_id"),
                models.Func(
                    models.F("page"),
                    output_field=models.CharField(max_length=200),
                    template="SUBSTR(%(expressions)s, 1, 200)",
                ),
                models.OrderBy(models.F("received_at"), descending=True),
                models.OrderBy(models.F("id"), descending=True),
                name="inlive_interaction_page",
            ),
        ),
        migrations.AddIndex(
            model_name="interaction",
            index=models.Index(
                fields=["stream_id", "user_id", "received_at", "id"],
                name="inlive_interaction_user",
                opclasses=["int8_ops", "varchar_pattern_ops", "timestamptz_ops", "int8_ops"],
            ),
        ),
    ]
