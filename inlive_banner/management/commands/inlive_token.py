"""`manage.py inlive_token`: makes a token with which a program reads the log in a user's name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ObjectDoesNotExist
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error as DatabaseError

from inlive_banner.api_tokens import DEFAULT_DAYS, MAX_DAYS, make_token
from inlive_banner.exceptions import ConfigurationError, InvalidTokenOptionError

EXIT_RUNTIME = 1
EXIT_USAGE = 2


class Command(BaseCommand):
    """Parses, calls, prints."""

    help = "Prints a token with which a program reads the log in a user's name. Only the token goes to stdout."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username", help="the user in whose name the program reads")
        parser.add_argument(
            "--stream",
            dest="streams",
            metavar="ID",
            action="append",
            type=int,
            help="a stream that the token is for; may be repeated (default: all that the user may read)",
        )
        parser.add_argument(
            "--days",
            type=int,
            default=DEFAULT_DAYS,
            metavar="N",
            help=f"how long the token lasts, 1 to {MAX_DAYS} (default: %(default)s)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            user = self._user(options["username"])
            streams = options["streams"]
            token = make_token(user, streams=streams, max_age_days=options["days"])
        except (ConfigurationError, InvalidTokenOptionError) as error:
            raise CommandError(str(error), returncode=EXIT_USAGE) from error
        except DatabaseError as error:
            raise CommandError(f"The database can't be read: {error}", returncode=EXIT_RUNTIME) from error
        self.stdout.write(token)
        if options["verbosity"]:
            named = ", ".join(map(str, streams or ()))
            what = f"stream {named}" if named else "all streams that this user may read"
            until = datetime.now(UTC) + timedelta(days=options["days"])
            self.stderr.write(
                f"Reads {what} as {user.get_username()!r}, until {until:%Y-%m-%d}.\n"
                "It is kept nowhere: store it as you would a password. It ends earlier with the user's password, "
                "permission or account.",
                style_func=str,  # no error
            )

    @staticmethod
    def _user(username: str) -> Any:
        users: Any = get_user_model()._default_manager  # noqa: SLF001  (as Django's own commands do)
        try:
            return users.get_by_natural_key(username)
        except ObjectDoesNotExist as error:
            raise CommandError(
                f"There is no user {username!r}. Give the name that the user signs in with.", returncode=EXIT_USAGE
            ) from error
