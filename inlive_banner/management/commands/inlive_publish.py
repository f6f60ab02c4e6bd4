"""`manage.py inlive_publish`: publishes to the channel from a shell, a script or a scheduler."""

from __future__ import annotations

import argparse
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error as DatabaseError

from inlive_banner.exceptions import (
    ConfigurationError,
    InliveBannerError,
    InvalidPublishError,
    PublishRefusedError,
)
from inlive_banner.models import Pending
from inlive_banner.outbox import send_pending
from inlive_banner.publishing import publish

EXIT_RUNTIME = 1
EXIT_USAGE = 2
EXIT_REFUSED = 3

_MAX_COUNT = 1_000_000


class Command(BaseCommand):
    """Parses, calls, prints."""

    help = (
        "Publishes what somebody did with a banner, or sends what the site couldn't: until the channel has it on disk."
    )

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(
            prog_name,
            subcommand,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            epilog=(
                "exit codes:\n"
                "  0  the channel has all of it\n"
                "  1  something failed at run time: the channel can't be reached or is busy, or the database\n"
                "  2  wrong arguments or settings\n"
                "  3  the channel refused: wrong key, unknown stream, or too large\n"
            ),
            **kwargs,
        )

    def add_arguments(self, parser: CommandParser) -> None:
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--name", help="the banner's name")
        what.add_argument(
            "--pending",
            action="store_true",
            help="send what the site has kept because the channel was away, instead of publishing something new",
        )
        parser.add_argument("--action", default="click", help="what was done (default: %(default)s)")
        parser.add_argument("--user", default="", metavar="ID", help="who did it (default: the channel makes an id)")
        parser.add_argument("--page", default="", metavar="PATH", help="the path of the page that it was done on")
        parser.add_argument("--stream", metavar="ID", help="a configured stream (default: STREAM_ID)")
        parser.add_argument(
            "--count", type=_count, default=1, metavar="N", help="publish it so many times (default: 1)"
        )
        parser.add_argument(
            "--format",
            choices=("text", "json"),
            default="text",
            help="of stdout: one line per publish, or one for all that was pending (default: %(default)s)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["pending"]:
                self._send_pending(as_json=options["format"] == "json")
            else:
                self._publish(options)
        except (ConfigurationError, InvalidPublishError) as error:
            raise CommandError(str(error), returncode=EXIT_USAGE) from error
        except PublishRefusedError as error:
            raise CommandError(str(error), returncode=EXIT_REFUSED) from error
        except (InliveBannerError, DatabaseError) as error:
            raise CommandError(str(error), returncode=EXIT_RUNTIME) from error

    def _publish(self, options: dict[str, Any]) -> None:
        for _ in range(options["count"]):
            result = publish(
                options["name"],
                options["action"],
                user_id=options["user"],
                page=options["page"],
                stream_id=options["stream"],
            )
            received = result.received_at.isoformat(timespec="milliseconds")
            if options["format"] == "json":
                line = {"publish_id": result.publish_id, "event_id": result.event_id, "received_at": received}
                self.stdout.write(json.dumps(line))
            else:
                event = f", event {result.event_id}" if result.event_id else ""
                self.stdout.write(f"published {result.publish_id}{event}, received {received}")

    def _send_pending(self, *, as_json: bool) -> None:
        sent, left, before = 0, Pending.objects.count(), -1
        while left and left != before:
            before = left
            sent += send_pending()
            left = Pending.objects.count()
        self.stdout.write(json.dumps({"sent": sent, "left": left}) if as_json else f"{sent} sent, {left} left")
        if left:
            raise CommandError(
                f"The channel can't take what is pending now; {left} stay. Try again when it runs.",
                returncode=EXIT_RUNTIME,
            )


def _count(text: str) -> int:
    count = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    if not 1 <= count <= _MAX_COUNT:
        raise argparse.ArgumentTypeError(f"{text!r} isn't a whole number from 1 to {_MAX_COUNT}")
    return count
