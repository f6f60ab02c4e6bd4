"""Rows for the pages of the admin. `fill` runs in the demo's own process, by `manage.py shell`."""

from __future__ import annotations

from datetime import timedelta

from django.db import connection, transaction
from django.utils import timezone

from inlive_banner.tail.counting import count_interactions
from inlive_banner.tail.inserting import insert_rows
from inlive_banner.tail.records import Row

BANNERS = ("summer-sale", "newsletter", "café-été", "تخفيضات")
LABELS = {7: "crawler", 11: "staff"}
ROWS = 220


def fill() -> None:
    """Some days of clicks, a position that is behind, a gap, and somebody who may see all of it."""
    from django.contrib.auth.models import User

    from inlive_banner.models import Gap, Position

    now = timezone.now()
    rows = [
        Row(
            event_id=f"0123456789abcdef-{number}",
            publish_id=f"publish-{number:03}",
            name=BANNERS[number % 4 if number % 3 else 0],
            action="share" if number % 19 == 0 else "click",
            user_id=f"user-{number % 23:02}-7a90-4c3f-8b6e",
            author_id=f"author-{number}",
            page=f"/section-{number % 5}/",
            label=LABELS.get(number % 13, ""),
            visitor=f"visitor-{number % 40}",
            viewed=False,
            visitor_time=now - timedelta(minutes=40 * (ROWS - number)),
            received_at=now - timedelta(minutes=40 * (ROWS - number)),
        )
        for number in range(1, ROWS + 1)
    ]
    with transaction.atomic():
        insert_rows(connection, 15, rows)
        count_interactions("default", 15, rows)
    Position.objects.create(
        stream_id=15,
        last_event_id=f"0123456789abcdef-{ROWS}",
        received_at=now,
        lag=timedelta(minutes=3),
        lost_events=12,
        holder="worker-host:4711",
        connected_since=now - timedelta(hours=5),
    )
    Gap.objects.create(
        stream_id=15, after_event_id="0123456789abcdef-5", resumed_after="0123456789abcdef-17", found_at=now
    )
    User.objects.create_superuser("boss", password="boss")
