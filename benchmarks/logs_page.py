"""The logs page: rows versus time, on generated clicks of a year.

    python -m benchmarks.logs_page [--rows 10000000] [--database sqlite|postgresql]

Fills a database by the worker's own code, to a hundredth, a tenth and all of `--rows`, and at each size asks for the
pages that readers ask for: whole answers of the site, from the request of a reader who is signed in to the last byte
of HTML, without a web server and the network. 20 banners, 200 pages and 200,000 users, some much more frequent than
others; 3 of 100 actions aren't clicks, 8 of 100 rows aren't people's. Prints the median and the longest of `--repeat`
answers, in milliseconds, and the size of the database.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.catch_up import STREAM_ID, postgres

if TYPE_CHECKING:
    from inlive_banner.models import Interaction
    from inlive_banner.tail.records import Row

_YEAR = timedelta(days=365)
_BATCH = 10_000
_BANNERS = [f"banner-{number}" for number in range(20)]
_PAGES = [f"/section-{number % 9}/page-{number}/" for number in range(200)]
_USERS = 200_000


def main() -> None:
    """Measure and print, a table for each database."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", type=int, default=10_000_000, help="at most (default: %(default)s)")
    options.add_argument("--repeat", type=int, default=9, help="answers of each page (default: %(default)s)")
    options.add_argument("--database", choices=["sqlite", "postgresql"], help="only this one (default: both)")
    options.add_argument("--url", help=argparse.SUPPRESS)
    arguments = options.parse_args()
    if arguments.url:
        _measure_all(arguments.rows, arguments.repeat)
        return
    for name in [arguments.database] if arguments.database else ["sqlite", "postgresql"]:
        print(name)
        if name == "sqlite":
            with tempfile.TemporaryDirectory(prefix="inlive-bench-") as folder:
                _run(f"sqlite:///{Path(folder, 'site.sqlite3')}", arguments)
        else:
            with postgres() as url:
                _run(url, arguments)


def _run(url: str, arguments: argparse.Namespace) -> None:
    # A process for each database: Django is set up once.
    environment = {
        **os.environ,
        "DATABASE_URL": url,
        "DJANGO_SETTINGS_MODULE": "project.settings",
        "SECRET_KEY": "only-for-the-benchmark",
        "ALLOWED_HOSTS": "127.0.0.1",
        "INLIVE_STREAM_ID": str(STREAM_ID),
        "INLIVE_WIDGET_KEY": "demo-widget-key",
        "INLIVE_CHANNEL_URL": "http://127.0.0.1:9",
        "INLIVE_CHANNEL_LOG": "sqlite:///never-opened.sqlite3",
    }
    own = ["--rows", str(arguments.rows), "--repeat", str(arguments.repeat), "--url", url]
    subprocess.run([sys.executable, "-m", "benchmarks.logs_page", *own], env=environment, check=True)


def _measure_all(most: int, repeat: int) -> None:
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    from inlive_banner.models import Interaction

    call_command("migrate", verbosity=0, skip_checks=True)
    now = datetime.now(UTC)
    rows = _rows(most, now)
    done = Interaction.objects.count()  # a database that was kept is filled already
    for size in (most // 100, most // 10, most):
        if size < done:
            continue
        began = time.perf_counter()
        _fill(rows, size - done)
        with connection.cursor() as cursor:
            # As PostgreSQL's autovacuum does in its own time; SQLite's file is never analyzed by itself.
            cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "VACUUM")
        print(f"{size:>12,} rows, {size - done:,} of them in {time.perf_counter() - began:.0f} s, {_size():,.0f} MiB")
        done = size
        ask = _reader()
        for name, params in _pages(now).items():
            _measure(name, partial(ask, params), repeat)


def _rows(count: int, now: datetime) -> Iterator[Row]:
    from inlive_banner.tail.records import Row

    source = random.Random(2026)  # noqa: S311  (the same clicks each time)
    weights = [1 / (number + 1) for number in range(len(_PAGES))]
    first = now - _YEAR
    for start in range(0, count, _BATCH):
        banners = source.choices(_BANNERS, weights[: len(_BANNERS)], k=_BATCH)
        pages = source.choices(_PAGES, weights, k=_BATCH)
        labels = source.choices(["", "crawler", "staff"], [92, 7, 1], k=_BATCH)
        actions = source.choices(["click", "share", "open"], [970, 29, 1], k=_BATCH)
        for number, (banner, page, label, action) in enumerate(
            zip(banners, pages, labels, actions, strict=True), start
        ):
            received_at = first + _YEAR * (number / count)
            user = int(_USERS * source.random() ** 2)
            yield Row(
                event_id=f"0123456789ab-{number + 1}",
                publish_id=f"{int(received_at.timestamp() * 1000):011x}{number:016x}",
                name=banner,
                action=action,
                user_id=f"{user * 2654435761 % 2**32:08x}-7a90-4c3f-8b6e-{user:012d}",
                author_id=f"{user:08x}-7a90-4c3f-8b6e-{user:012d}",
                page=page,
                label=label,
                visitor="",
                viewed=False,
                visitor_time=received_at,
                received_at=received_at,
            )


def _fill(rows: Iterator[Row], count: int) -> None:
    from django.db import connection, transaction

    from inlive_banner.models import Rollup, Span
    from inlive_banner.tail.counting import count_interactions
    from inlive_banner.tail.inserting import insert_rows

    for start in range(0, count, _BATCH):
        batch = [next(rows) for _ in range(min(_BATCH, count - start))]
        with transaction.atomic():
            insert_rows(connection, STREAM_ID, batch)
            count_interactions("default", STREAM_ID, batch)
    # As the worker does day by day: of what is older than three days no minutes are kept.
    Rollup.objects.filter(span=Span.MINUTE, start__lt=datetime.now(UTC) - timedelta(days=3)).delete()


def _size() -> float:
    """The database's size, MiB."""
    from django.db import connection

    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_database_size(current_database())")
        else:
            cursor.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
        size: int = cursor.fetchone()[0]
    return size / 2**20


def _reader() -> Callable[[dict[str, str]], None]:
    """Asks for the log with some parameters, as a user of the site who may read it."""
    from django.contrib.auth import get_user_model
    from django.test import Client
    from django.urls import reverse

    name = "benchmark"
    user = get_user_model().objects.filter(username=name).first() or get_user_model().objects.create_superuser(name)
    client, url = Client(SERVER_NAME="127.0.0.1"), reverse("inlive_banner:logs")
    client.force_login(user)

    def ask(params: dict[str, str]) -> None:
        answer = client.get(url, params)
        if answer.status_code != HTTPStatus.OK or b"data-inlive-logs=" not in answer.content:
            raise SystemExit(f"{url} {params}: {answer.status_code}")

    return ask


def _pages(now: datetime) -> dict[str, dict[str, str]]:
    """What readers ask for, by its name in the table."""
    from inlive_banner.models import Interaction

    oldest = Interaction.objects.order_by("received_at", "pk").filter(stream_id=STREAM_ID)[60]
    user = Interaction.objects.order_by("-received_at", "-pk").filter(stream_id=STREAM_ID)[5].user_id
    month_ago = f"{(now - timedelta(days=200)).date()}"
    return {
        "first page": {},
        "everything": {"who": "everything"},
        "not people": {"who": "others"},
        "frequent banner": {"banner": _BANNERS[0]},
        "rare banner": {"banner": _BANNERS[-1]},
        "unknown banner": {"banner": "none"},
        "rare action": {"action": "open"},
        "frequent page": {"path": _PAGES[0]},
        "rare page": {"path": _PAGES[-1]},
        "one user": {"user": user},
        "rare banner, rare page": {"banner": _BANNERS[-1], "path": _PAGES[-1]},
        "frequent banner, frequent page": {"banner": _BANNERS[0], "path": _PAGES[0]},
        "frequent banner, rare action": {"banner": _BANNERS[0], "action": "open"},
        "frequent banner, not people": {"banner": _BANNERS[0], "who": "others"},
        "frequent banner, rare page, not people": {"banner": _BANNERS[0], "path": _PAGES[-1], "who": "others"},
        "today": {"period": "today"},
        "last hour": {"period": "hour"},
        "30 days": {"period": "30d", "tz": "Asia/Kathmandu"},
        "a year": {"from": f"{(now - _YEAR).date()}", "to": f"{now.date()}", "tz": "Asia/Kathmandu"},
        "a day 200 days ago, a banner": {"from": month_ago, "to": month_ago, "banner": _BANNERS[3]},
        "last page": {"before": _cursor(oldest)},
        "last page of a rare banner": {"before": _cursor(oldest), "banner": _BANNERS[-1]},
    }


def _cursor(row: Interaction) -> str:
    from inlive_banner.query import Cursor

    return str(Cursor.of(row))


def _measure(name: str, read: Callable[[], object], repeat: int) -> None:
    took = []
    for _ in range(repeat):
        began = time.perf_counter()
        read()
        took.append(1000 * (time.perf_counter() - began))
    print(f"{'':>12} {name:<42} {statistics.median(took):>8.1f} {max(took):>8.1f}", flush=True)


if __name__ == "__main__":
    main()
