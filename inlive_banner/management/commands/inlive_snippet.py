"""`manage.py inlive_snippet`: a banner as plain HTML, to paste into pages that Django doesn't render."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from inlive_banner.exceptions import ConfigurationError, InvalidBannerError
from inlive_banner.snippet import make_snippet

EXIT_USAGE = 2


class Command(BaseCommand):
    """Parses, calls, prints."""

    help = "Prints a banner as HTML with absolute addresses, for pages that Django doesn't render."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--name", required=True, help="the banner's name")
        parser.add_argument("--href", required=True, help="where it leads")
        parser.add_argument("--text", help="what it says")
        parser.add_argument("--image", help="an image's address")
        parser.add_argument("--alt", help="the image in words, for those who don't see it")
        parser.add_argument("--width", help="the image's own width in pixels")
        parser.add_argument("--height", help="the image's own height in pixels")
        parser.add_argument("--target", help="the link's target")
        parser.add_argument("--css-class", help="classes besides inlive-banner")
        parser.add_argument(
            "--redirect",
            action="store_true",
            default=None,
            help="count clicks without JavaScript too, by way of the site",
        )
        parser.add_argument("--stream", dest="stream_id", metavar="ID", help="a configured stream (default: STREAM_ID)")
        parser.add_argument(
            "--base-url", default="", metavar="URL", help="where your site is, such as https://www.example.org"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        names = (
            "name",
            "href",
            "text",
            "image",
            "alt",
            "width",
            "height",
            "target",
            "css_class",
            "redirect",
            "stream_id",
        )
        try:
            snippet = make_snippet(options["base_url"], **{name: options[name] for name in names})
        except (ConfigurationError, InvalidBannerError) as error:
            raise CommandError(str(error), returncode=EXIT_USAGE) from error
        self.stdout.write(snippet, ending="")
