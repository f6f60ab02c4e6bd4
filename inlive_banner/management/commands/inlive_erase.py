"""`manage.py inlive_erase`: deletes all that is recorded of one user or visitor, and counts it no more."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error as DatabaseError
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from inlive_banner.conf import settings
from inlive_banner.erasing import Person, Step, erase, erase_pending, find, find_pending, walk_length
from inlive_banner.exceptions import ConfigurationError
from inlive_banner.management.bar import progress_bar
from inlive_banner.management.stopping import Stop, stopped_by_signals
from inlive_banner.streams import chosen_streams, give_way

EXIT_RUNTIME = 1
EXIT_USAGE = 2
EXIT_NO = 3

_SECONDS_OF_A_DAY = 24 * 3600


class Command(BaseCommand):
    """Parses, asks, calls, prints."""

    help = "Deletes all interactions of one user or visitor from the database, and takes them out of all counts."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(
            prog_name,
            subcommand,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            epilog=(
                "Views are counts without names, and stay. The channel's log keeps what it has for RETENTION.\n"
                "docs/privacy.md says what else remains.\n\n"
                "SIGTERM or Ctrl-C ends it after the batch that it is at, a second one at once; the next start\n"
                "goes on.\n\n"
                "exit codes:\n"
                "  0  nothing is left of what was recorded when it began, or stopped by a signal\n"
                "  1  something failed at run time, for example the database, or a second signal came\n"
                "  2  wrong arguments or settings\n"
                "  3  the question was answered with no, or there was nobody to answer it\n"
            ),
            **kwargs,
        )

    def add_arguments(self, parser: CommandParser) -> None:
        whose = parser.add_mutually_exclusive_group(required=True)
        whose.add_argument("--user", type=_id, metavar="ID", help="a user id, also as the author's")
        whose.add_argument("--visitor", type=_id, metavar="ID", help="a visitor's pseudonym, of one day")
        parser.add_argument(
            "--stream",
            action="append",
            type=int,
            metavar="ID",
            help="a stream that is configured or was; may be repeated (default: all)",
        )
        parser.add_argument("--dry-run", action="store_true", help="say what would be erased, erase nothing")
        parser.add_argument("--yes", action="store_true", help="erase without a question")

    def handle(self, *args: Any, **options: Any) -> None:
        person = Person(user_id=options["user"] or "", visitor=options["visitor"] or "")
        try:
            streams = chosen_streams(options["stream"])
            if options["dry_run"] or not options["yes"]:
                self._tell_found(person, streams, options)
                if options["dry_run"]:
                    return
                _ask()
            with stopped_by_signals() as stop:
                self._erase(person, streams, stop, options)
        except ConfigurationError as error:
            raise CommandError(str(error), returncode=EXIT_USAGE) from error
        except KeyboardInterrupt as error:
            sentence = "Ended at once. What was under way is as it was; the next start goes on."
            raise CommandError(sentence, returncode=EXIT_RUNTIME) from error
        except DatabaseError as error:
            raise CommandError(str(error), returncode=EXIT_RUNTIME) from error

    def _tell_found(self, person: Person, streams: list[int], options: dict[str, Any]) -> None:
        found = self._walked(find(person, streams), Stop(), options)
        pending = len(find_pending(person, streams))
        for stream_id in streams:
            sentence = ngettext(
                "stream {stream}: {count} interaction would be erased",
                "stream {stream}: {count} interactions would be erased",
                found[stream_id],
            )
            self.stdout.write(sentence.format(stream=stream_id, count=_number(found[stream_id])))
        if person.user_id:
            sentence = ngettext(
                "{count} pending publish would be erased", "{count} pending publishes would be erased", pending
            )
            self.stdout.write(sentence.format(count=_number(pending)))

    def _erase(self, person: Person, streams: list[int], stop: Stop, options: dict[str, Any]) -> None:
        # First: what is still to be sent would otherwise be recorded meanwhile.
        pending = erase_pending(find_pending(person, streams))
        erased = self._walked(erase(person, streams), stop, options)
        for stream_id in streams:
            sentence = ngettext(
                "stream {stream}: {count} interaction erased",
                "stream {stream}: {count} interactions erased",
                erased[stream_id],
            )
            self.stdout.write(sentence.format(stream=stream_id, count=_number(erased[stream_id])))
        if person.user_id:
            sentence = ngettext("{count} pending publish erased", "{count} pending publishes erased", pending)
            self.stdout.write(sentence.format(count=_number(pending)))
        if stop.is_wanted:
            self.stderr.write(_("Stopped. There may be more, and the next start goes on."))
        if options["verbosity"]:
            self._tell_what_remains()

    def _walked(self, steps: Iterable[Step], stop: Stop, options: dict[str, Any]) -> Counter[int]:
        """How many rows the steps have found, by stream."""
        found: Counter[int] = Counter()
        with progress_bar(
            _("rows"), walk_length, is_wanted=options["verbosity"] > 0, no_color=options["no_color"]
        ) as advance:
            for step in steps:
                advance(step.walked)
                found.update(step.found)
                if stop.is_wanted:
                    break
                if step.found:
                    give_way()
        return found

    def _tell_what_remains(self) -> None:
        days = f"{settings.RETENTION / _SECONDS_OF_A_DAY:g}"
        self.stderr.write(
            _(
                "The channel's log still has what came in the last {days} days (RETENTION), and whoever reads the live "
                "log can see it until then. A log or a database that is put back from a backup may bring all of it "
                "back: erase again then."
            ).format(days=days)
        )


def _ask() -> None:
    """Raises `CommandError` unless the answer is yes."""
    try:
        answer = input(_("This can't be undone. Type 'yes' to erase it: "))
    except EOFError as error:
        sentence = "Nobody answers here, so nothing was erased. Say --yes, or --dry-run."
        raise CommandError(sentence, returncode=EXIT_NO) from error
    if answer.strip() != "yes":
        raise CommandError("Nothing was erased.", returncode=EXIT_NO)


def _number(count: int) -> str:
    return number_format(count, force_grouping=True)


def _id(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("it is empty; an id is what the log and the admin show as user or visitor")
    return text
