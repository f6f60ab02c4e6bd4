"""`manage.py inlive_prune`: deletes old rows. The counts stay."""

from __future__ import annotations

import argparse
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error as DatabaseError
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from inlive_banner.exceptions import ConfigurationError, RowsRetentionError
from inlive_banner.management.bar import progress_bar
from inlive_banner.management.stopping import Stop, stopped_by_signals
from inlive_banner.pruning import BATCH_SIZE, count_rows, prune_rows
from inlive_banner.retention import rows_before
from inlive_banner.streams import chosen_streams, give_way

EXIT_RUNTIME = 1
EXIT_USAGE = 2

_MAX_BATCH_SIZE = 50_000
"""So many rows are one transaction, during which the stream's workers wait."""

_MAX_DAYS = 36_500


class Command(BaseCommand):
    """Parses, calls, prints."""

    help = "Deletes interactions that are older than ROWS_RETENTION. Rows leave, numbers stay: no count is changed."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(
            prog_name,
            subcommand,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            epilog=(
                "SIGTERM or Ctrl-C ends it after the batch that it is at, a second one at once; the next start\n"
                "goes on.\n"
                "Rows that the channel or a browser may deliver again (RETENTION, and 7 days) can't be deleted:\n"
                "they are what tells that an interaction is counted already.\n\n"
                "Where stderr is a terminal, it shows how it gets on. That needs rich\n"
                '(pip install "django-inlive-banner[progress]"); -v 0 turns it off.\n\n'
                "exit codes:\n"
                "  0  nothing that is too old is left, or stopped by a signal\n"
                "  1  something failed at run time, for example the database, or a second signal came\n"
                "  2  wrong arguments or settings\n"
            ),
            **kwargs,
        )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--stream",
            action="append",
            type=int,
            metavar="ID",
            help="a stream that is configured or was; may be repeated (default: all)",
        )
        parser.add_argument(
            "--older-than", type=_days, metavar="DAYS", help="instead of ROWS_RETENTION, for all these streams"
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="say how many rows of each stream are too old, delete nothing"
        )
        parser.add_argument(
            "--batch-size",
            type=_batch_size,
            default=BATCH_SIZE,
            metavar="N",
            help=f"rows of one transaction, 1 to {_MAX_BATCH_SIZE} (default: %(default)s)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            now = timezone.now()
            before = {
                stream_id: rows_before(stream_id, now=now, age=options["older_than"])
                for stream_id in chosen_streams(options["stream"])
            }
            with stopped_by_signals() as stop:
                for stream_id, moment in before.items():
                    if moment is None:
                        self.stdout.write(_("stream {stream}: rows are kept for ever").format(stream=stream_id))
                    elif options["dry_run"]:
                        self._tell_count(stream_id, moment)
                    else:
                        self._prune(stream_id, moment, stop, options)
                    if stop.is_wanted:
                        break
        except (ConfigurationError, RowsRetentionError) as error:
            raise CommandError(str(error), returncode=EXIT_USAGE) from error
        except KeyboardInterrupt as error:
            sentence = "Ended at once. The batch that was under way is not deleted; the next start goes on."
            raise CommandError(sentence, returncode=EXIT_RUNTIME) from error
        except DatabaseError as error:
            raise CommandError(str(error), returncode=EXIT_RUNTIME) from error

    def _tell_count(self, stream_id: int, before: datetime) -> None:
        count = count_rows(stream_id, before=before)
        sentence = ngettext(
            "stream {stream}: {count} row received before {before} would be deleted; nothing was deleted",
            "stream {stream}: {count} rows received before {before} would be deleted; nothing was deleted",
            count,
        )
        self.stdout.write(_filled(sentence, stream_id, count, before))

    def _prune(self, stream_id: int, before: datetime, stop: Stop, options: dict[str, Any]) -> None:
        deleted = 0
        with progress_bar(
            _("stream {stream}").format(stream=stream_id),
            lambda: count_rows(stream_id, before=before),
            is_wanted=options["verbosity"] > 0,
            no_color=options["no_color"],
        ) as advance:
            for count in prune_rows(stream_id, before=before, batch_size=options["batch_size"]):
                deleted += count
                advance(count)
                if stop.is_wanted:
                    break
                give_way()
        sentence = ngettext(
            "stream {stream}: {count} row received before {before} deleted",
            "stream {stream}: {count} rows received before {before} deleted",
            deleted,
        )
        if stop.is_wanted:
            stopped = _("stopped, and the next start goes on")
            sentence = f"{sentence}; {stopped}"
        self.stdout.write(_filled(sentence, stream_id, deleted, before))


def _filled(sentence: str, stream_id: int, count: int, before: datetime) -> str:
    moment = before.isoformat(timespec="seconds")
    return sentence.format(stream=stream_id, count=number_format(count, force_grouping=True), before=moment)


def _days(text: str) -> timedelta:
    days = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    if not 1 <= days <= _MAX_DAYS:
        raise argparse.ArgumentTypeError(f"{text!r} isn't a whole number of days from 1 to {_MAX_DAYS}")
    return timedelta(days=days)


def _batch_size(text: str) -> int:
    size = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    if not 1 <= size <= _MAX_BATCH_SIZE:
        raise argparse.ArgumentTypeError(f"{text!r} isn't a whole number from 1 to {_MAX_BATCH_SIZE}")
    return size
