"""`manage.py tail_inlive_clicks`: the worker that keeps each interaction exactly once."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS, connections
from django.db import Error as DatabaseError

from inlive_banner.conf import settings
from inlive_banner.exceptions import ConfigurationError, InliveBannerError, SourceRefusedError
from inlive_banner.outbox import send_pending
from inlive_banner.tail.counting import prune_quiet_stream
from inlive_banner.tail.dry_run import DryRunSink
from inlive_banner.tail.leases import Leases
from inlive_banner.tail.pace import Pace
from inlive_banner.tail.reporter import Reporter
from inlive_banner.tail.service import run_workers
from inlive_banner.tail.sharing import SharedWorker, shared_out
from inlive_banner.tail.sink import Report, Sink, holder_name
from inlive_banner.tail.source import Source
from inlive_banner.tail.status import shown_on_terminal
from inlive_banner.tail.worker import Worker

logger = logging.getLogger(__name__)

EXIT_RUNTIME = 1
EXIT_USAGE = 2
EXIT_REFUSED = 3

_MAX_BATCH_SIZE = 10_000
"""So many records are held in memory, and are one transaction, during which other writers of SQLite wait."""

_LEVELS = (logging.ERROR, logging.INFO, logging.DEBUG, logging.DEBUG)
"""Of the package's logger, by Django's -v."""


class Command(BaseCommand):
    """Parses, builds and runs; `inlive_banner.tail` does the work."""

    help = "Reads the channel's streams and records each interaction with a banner exactly once, until it is stopped."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(
            prog_name,
            subcommand,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            epilog=(
                "SIGTERM or Ctrl-C commits what has been read, and ends; a second one ends at once. Nothing is lost\n"
                "either way: the next start goes on from the last commit.\n\n"
                "verbosity (-v), for the notices on stderr: 0 errors only, 1 also warnings and changes of state,\n"
                "2 and 3 also each batch and each message that can't be read.\n\n"
                "Where stderr is a terminal, its last lines show how each stream gets on: a bar while it catches up,\n"
                'then rate and lag. That needs rich (pip install "django-inlive-banner[progress]"); -v 0 and\n'
                "--format json turn it off.\n\n"
                "exit codes:\n"
                "  0  stopped by a signal, or --once has reached the head\n"
                "  1  something failed at run time, for example the database, or a second signal came\n"
                "  2  wrong arguments or settings\n"
                "  3  the channel refused: wrong key, unknown stream, or the address isn't a channel's\n"
            ),
            **kwargs,
        )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--stream",
            action="append",
            type=int,
            metavar="ID",
            help="a configured stream; may be repeated (default: all configured streams)",
        )
        parser.add_argument(
            "--share",
            action="store_true",
            help="share the streams out among all workers that are started with this and the same streams; those of "
            "one that dies are taken over within 10 seconds",
        )
        parser.add_argument(
            "--once", action="store_true", help="record what the channel holds now, then exit, instead of following"
        )
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="read what the channel holds after the stored position, say what would be recorded, write nothing",
        )
        parser.add_argument(
            "--batch-size",
            type=_batch_size,
            default=500,
            metavar="N",
            help=f"commit at the latest after so many events, 1 to {_MAX_BATCH_SIZE} (default: %(default)s)",
        )
        parser.add_argument(
            "--format",
            choices=("text", "json"),
            default="text",
            help="of stdout: text is one line per stream at the end of --once and --dry-run, and nothing else; "
            "json is one line per committed batch (default: %(default)s)",
        )

    def handle(
        self, *, stream: list[int] | None, once: bool, dry_run: bool, batch_size: int, verbosity: int, **options: Any
    ) -> None:
        if options["share"] and (once or dry_run):
            sentence = "--share is for workers that follow; leave it out with --once and --dry-run."
            raise CommandError(sentence, returncode=EXIT_USAGE)
        reporter = Reporter(self.stdout, as_json=options["format"] == "json", dry_run=dry_run)
        make_sink = DryRunSink if dry_run else Sink
        with _notices_on_stderr(_LEVELS[verbosity]):
            try:
                streams = dict.fromkeys(
                    settings.stream(stream_id).stream_id for stream_id in stream or settings.streams
                )
                paces = {stream_id: Pace() for stream_id in streams}

                def make_worker(stream_id: int) -> Worker:
                    pace = paces[stream_id]
                    return Worker(
                        _source(stream_id),
                        make_sink(stream_id),
                        once=once or dry_run,
                        batch_size=batch_size,
                        on_report=partial(_tell, (reporter.batch, pace.batch)),
                        on_connected=pace.connected,
                        retention_seconds=settings.RETENTION,
                    )

                shared = {id_: SharedWorker(partial(make_worker, id_)) for id_ in streams if options["share"]}
                workers: Mapping[int, Worker | SharedWorker] = shared or {
                    stream_id: make_worker(stream_id) for stream_id in streams
                }
                # Not beside JSON: on one terminal, each line of it would go through the status.
                shown = shown_on_terminal(
                    workers,
                    paces,
                    dry_run=dry_run,
                    keep_last=not (once or dry_run),  # whose summary says the same
                    no_color=options["no_color"],
                )
                shares = shared_out(shared, Leases(holder_name(), shared)) if shared else nullcontext()
                with shown if verbosity and options["format"] == "text" else nullcontext(), shares:
                    run_workers(
                        list(workers.values()), meanwhile=None if once or dry_run else partial(_do_chores, streams)
                    )
                if once or dry_run:
                    reporter.summary(streams)
            except ConfigurationError as error:
                raise CommandError(str(error), returncode=EXIT_USAGE) from error
            except SourceRefusedError as error:
                raise CommandError(str(error), returncode=EXIT_REFUSED) from error
            except KeyboardInterrupt as error:
                sentence = "Ended at once. What was read and not recorded yet is read again at the next start."
                raise CommandError(sentence, returncode=EXIT_RUNTIME) from error
            except BrokenPipeError as error:
                sentence = "Whoever read the output has gone. What was reported is recorded."
                raise CommandError(sentence, returncode=EXIT_RUNTIME) from error
            except (InliveBannerError, DatabaseError) as error:
                raise CommandError(str(error), returncode=EXIT_RUNTIME) from error


def _batch_size(text: str) -> int:
    size = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    if not 1 <= size <= _MAX_BATCH_SIZE:
        raise argparse.ArgumentTypeError(f"{text!r} isn't a whole number from 1 to {_MAX_BATCH_SIZE}")
    return size


def _tell(listeners: Iterable[Callable[[Report], None]], report: Report) -> None:
    for listener in listeners:
        listener(report)


def _do_chores(streams: Iterable[int]) -> None:
    """Send what the site couldn't send itself, and forget old visitors. The worker's own work doesn't depend on it."""
    try:
        send_pending(fresh=False)
        for stream_id in streams:
            prune_quiet_stream(DEFAULT_DB_ALIAS, stream_id)
    except (ConfigurationError, DatabaseError) as error:
        # Where it is the database or the settings, the workers say so.
        logger.debug("chores are left for now: %s", error)
    finally:
        connections.close_all()  # this thread's: seconds pass until the next call


def _source(stream_id: int) -> Source:
    return Source(
        channel_url=settings.channel_internal_url,
        stream_id=stream_id,
        # Silent: a worker isn't a viewer. A new one per connection, for each ends some day.
        make_ticket=partial(settings.signer.make_ticket, stream_id, silent=True),
        keep_alive_seconds=settings.KEEP_ALIVE,
        widget_key=settings.stream(stream_id).widget_key,
    )


@contextmanager
def _notices_on_stderr(level: int) -> Iterator[None]:
    """Show the package's log on stderr where the site's LOGGING doesn't send it anywhere."""
    package_logger = logging.getLogger("inlive_banner")
    level_before = package_logger.level
    package_logger.setLevel(level)
    handler: logging.Handler = logging.NullHandler()
    if not package_logger.hasHandlers():
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    package_logger.addHandler(handler)
    try:
        yield
    finally:
        package_logger.removeHandler(handler)
        package_logger.setLevel(level_before)
