"""Run the whole demo under one supervisor: `python -m project.demo --port 8000 --data .demo`.

Two processes: the site with the channel mounted, and the worker. All that they write is below the data folder,
so a second start goes on where the first ended, and deleting the folder forgets everything.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shlex
import socket
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import django
from django.core.management import call_command
from honcho.manager import Manager

__all__ = ["DemoError", "Secrets", "environment", "keep_secrets", "main"]

HOST = "127.0.0.1"
"""Loopback only: the demo's keys are in this file, and its stream is open to all."""

ROOT = Path(__file__).resolve().parent.parent
STREAM_ID = "15"
ADMIN_USER = "admin"

ASKED_TO_STOP = (130, 143)
"""What honcho's manager returns after SIGINT and SIGTERM."""


class DemoError(Exception):
    """The demo can't start. Its message is the one line that the user sees."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """Made once for each data folder."""

    secret_key: str
    admin_password: str


def main(arguments: list[str] | None = None) -> int:
    """Run until a signal or until a process has ended.

    Returns the exit code: 0 after SIGINT or SIGTERM, else that of the process that ended by itself (1 where that
    was 0, because neither of the two is ever done).
    """
    parser = argparse.ArgumentParser(prog="python -m project.demo", description=__doc__.partition("\n")[0])
    parser.add_argument("--port", type=int, default=8000, help="the site's port on 127.0.0.1 (default: 8000)")
    parser.add_argument("--data", type=Path, default=Path(".demo"), help="where everything is kept (default: .demo)")
    options = parser.parse_args(arguments)
    data = options.data.resolve()
    try:
        check_port(options.port)
        made = keep_secrets(data)
    except DemoError as error:
        print(error, file=sys.stderr)
        return 1
    os.environ.update(environment(port=options.port, data=data, secret_key=made.secret_key))
    prepare_database(made.admin_password)
    print(welcome(options.port, made.admin_password), flush=True)
    return supervise(options.port)


def check_port(port: int) -> None:
    """Raise `DemoError` where the port can't be listened on."""
    with socket.socket() as probe:
        # As the server will do; without it a port that was in use a minute ago would count as taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            raise DemoError(
                f"Port {port} can't be used ({error}). Stop what runs there, or take another: make demo PORT=8001"
            ) from error


def keep_secrets(data: Path) -> Secrets:
    """Read the data folder's secrets; make them where it has none yet. Raises `DemoError`."""
    path = data / "secrets.json"
    try:
        data.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _write_privately(
                path, Secrets(secret_key=secrets.token_urlsafe(50), admin_password=secrets.token_urlsafe(12))
            )
        return Secrets(**json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise DemoError(f"{data} can't be used: {error}. Choose another folder: make demo DATA=...") from error
    except (TypeError, ValueError) as error:
        raise DemoError(f"{path} isn't the demo's. Delete it to have new secrets made.") from error


def environment(*, port: int, data: Path, secret_key: str) -> dict[str, str]:
    """What the demo's processes are told, in the words of project.settings."""
    return {
        "DJANGO_SETTINGS_MODULE": "project.settings",
        "DEBUG": "on",
        "SECRET_KEY": secret_key,
        "ALLOWED_HOSTS": "",
        "CSRF_TRUSTED_ORIGINS": "",
        "DATABASE_URL": f"sqlite:///{data / 'site.sqlite3'}",
        "INLIVE_STREAM_ID": STREAM_ID,
        "INLIVE_WIDGET_KEY": "demo-widget-key",
        "INLIVE_STREAM_PUBLIC": "on",
        "INLIVE_LOGS_PUBLIC": "on",
        "INLIVE_TRACK_VIEWS": "on",
        "INLIVE_CHANNEL_URL": "/channel",
        "INLIVE_CHANNEL_INTERNAL_URL": f"http://{HOST}:{port}/channel",
        "INLIVE_CHANNEL_LOG": f"sqlite:///{data / 'channel.sqlite3'}",
        "PYTHONUNBUFFERED": "1",
    }


def prepare_database(admin_password: str) -> None:
    """Migrate, and make the admin's user where there is none. Leaves no connection open for a fork to share."""
    django.setup()
    # After setup(): models can't be imported before.
    from django.contrib.auth.models import User  # noqa: PLC0415
    from django.db import connections  # noqa: PLC0415

    call_command("migrate", interactive=False, verbosity=0)
    if not User.objects.filter(username=ADMIN_USER).exists():
        User.objects.create_superuser(ADMIN_USER, password=admin_password)
    connections.close_all()


def welcome(port: int, admin_password: str) -> str:
    """What is printed at each start."""
    site = f"http://{HOST}:{port}"
    return (
        f"\n  Banners   {site}/\n"
        f"  Logs      {site}/inlive/logs/\n"
        f"  Admin     {site}/admin/   user {ADMIN_USER}, password {admin_password}\n"
        f"\n  Open the logs beside the banners and click one. Ctrl-C stops the demo; its data stays.\n"
    )


def supervise(port: int) -> int:
    """Run site and worker until a signal comes or one of them ends; returns the exit code."""
    manager = Manager()
    manager.add_process("site", _command("-m", "project.serve", "--port", str(port)), cwd=ROOT)
    manager.add_process("worker", _command("manage.py", "tail_inlive_clicks"), cwd=ROOT)
    manager.loop()
    if manager.returncode in ASKED_TO_STOP:
        return 0
    return manager.returncode or 1


def _command(*arguments: str) -> str:
    # exec: the supervisor signals the process itself, not a shell around it.
    return f"exec {shlex.join([sys.executable, *arguments])}"


def _write_privately(path: Path, made: Secrets) -> None:
    """Write the whole file or none of it, readable by its owner from its first byte on."""
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(asdict(made), file)
    draft.replace(path)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:  # before the supervisor took over the signal: nothing was running yet
        sys.exit(130)
