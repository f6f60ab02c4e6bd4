"""`manage.py inlive_channel`: the channel server as a process of its own."""

from __future__ import annotations

import argparse
import logging
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from inlive_banner.asgi import channel_application
from inlive_banner.exceptions import ConfigurationError, LogError

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    """Parses, builds, runs."""

    help = "Run the real-time channel: browsers publish to it and subscribe to it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--bind",
            type=_address,
            default="127.0.0.1:8001",
            metavar="HOST:PORT",
            help="Address to listen on (default: 127.0.0.1:8001). Use [::1]:8001 for IPv6.",
        )

        parser.add_argument(
            "--new-epoch",
            action="store_true",
            help="Begin a new epoch of each stream: once, after the log was put back from a backup.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            # Only this command needs the extra; the import says so where it is missing.
            from inlive_banner.channel.server import serve  # noqa: PLC0415
        except ImportError as error:
            raise CommandError(
                f'{error.name} is missing. Install the channel\'s server: pip install "django-inlive-banner[channel]".'
            ) from error
        _set_up_logging(options["verbosity"])
        host, port = options["bind"]
        try:
            channel = channel_application(new_epoch=options["new_epoch"])
            logger.info("opening the log %s", channel.config.log_url)
            serve(channel, channel, host=host, port=port)
        except (ConfigurationError, LogError) as error:
            raise CommandError(str(error)) from error


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} isn't an address such as 127.0.0.1:8001")
    return host.strip("[]"), int(port)


def _set_up_logging(verbosity: int) -> None:
    """Notices go to stderr, unless the site's LOGGING has already said where."""
    level = {0: logging.ERROR, 1: logging.INFO, 2: logging.INFO}.get(verbosity, logging.DEBUG)
    if verbosity == 1:
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)  # its six lines at each start say nothing new
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
