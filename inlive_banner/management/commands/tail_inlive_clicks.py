"""`manage.py tail_inlive_clicks`: the worker that keeps each interaction exactly once."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error as DatabaseError

from inlive_banner.conf import settings
from inlive_banner.exceptions import ConfigurationError, InliveBannerError, SourceRefusedError
from inlive_banner.tail.service import run_workers
from inlive_banner.tail.sink import Sink
from inlive_banner.tail.source import Source
from inlive_banner.tail.worker import Worker

EXIT_RUNTIME = 1
EXIT_USAGE = 2
EXIT_REFUSED = 3

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
            "--once", action="store_true", help="record what the channel holds now, then exit, instead of following"
        )

    def handle(self, *, stream: list[int] | None, once: bool, verbosity: int, **_options: Any) -> None:
        with _notices_on_stderr(_LEVELS[verbosity]):
            try:
                stream_ids = [settings.stream(stream_id).stream_id for stream_id in stream or settings.streams]
                run_workers([_worker(stream_id, once=once) for stream_id in dict.fromkeys(stream_ids)])
            except ConfigurationError as error:
                raise CommandError(str(error), returncode=EXIT_USAGE) from error
            except SourceRefusedError as error:
                raise CommandError(str(error), returncode=EXIT_REFUSED) from error
            except KeyboardInterrupt as error:
                sentence = "Ended at once. What was read and not recorded yet is read again at the next start."
                raise CommandError(sentence, returncode=EXIT_RUNTIME) from error
            except (InliveBannerError, DatabaseError) as error:
                raise CommandError(str(error), returncode=EXIT_RUNTIME) from error


def _worker(stream_id: int, *, once: bool) -> Worker:
    source = Source(
        channel_url=settings.channel_internal_url,
        stream_id=stream_id,
        # Silent: a worker isn't a viewer. A new one per connection, for each ends some day.
        make_ticket=partial(settings.signer.make_ticket, stream_id, silent=True),
        keep_alive_seconds=settings.KEEP_ALIVE,
    )
    return Worker(source, Sink(stream_id), once=once)


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
