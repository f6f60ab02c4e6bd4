"""The README's steps, copied into an untouched `startproject`, lead to a first click in the database."""

from __future__ import annotations

import re
import shlex
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import requests

from tests.e2e.processes import Process
from tests.polling import wait_until
from tests.ports import free_port
from tests.user_agent import USER_AGENT

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
# Only the site's own settings, whatever this run has in its environment.
ENVIRONMENT = {"DJANGO_SETTINGS_MODULE": "mysite.settings", "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}

BEFORE = "# … what is there already"
"""What the README says in place of the reader's own lines."""

URLS = """
from django.contrib import admin
from django.shortcuts import render
from django.urls import include, path

"""
OWN_URLS = 'path("admin/", admin.site.urls), path("", lambda request: render(request, "home.html")),'


class Quickstart:
    """What the section "Use it" tells the reader to paste and to run."""

    def __init__(self, channel_port: int) -> None:
        section = README.partition("\n## Use it\n")[2].partition("\n## ")[0]
        # The one thing changed: a port that nothing else uses during the tests.
        section = section.replace("127.0.0.1:8001", f"127.0.0.1:{channel_port}")
        blocks = re.findall(r"^ +```(\w+)\n(.*?)^ +```", section, re.MULTILINE | re.DOTALL)
        self.settings, self.urls = (_dedent(text) for kind, text in blocks if kind == "python")
        (self.template,) = (_dedent(text) for kind, text in blocks if kind == "django")
        (commands,) = (_dedent(text) for kind, text in blocks if kind == "sh")
        self.commands = [shlex.split(line)[1:] for line in commands.splitlines()]
        self.commands[0] += ["--bind", f"127.0.0.1:{channel_port}"]


@pytest.fixture
def quickstart() -> Quickstart:
    return Quickstart(free_port())


@pytest.fixture
def project(tmp_path: Path, quickstart: Quickstart) -> Path:
    """A new Django project with the README's blocks pasted in."""
    folder = tmp_path / "mysite"
    folder.mkdir()
    run("-m", "django", "startproject", "mysite", str(folder), cwd=folder)
    with (folder / "mysite" / "settings.py").open("a", encoding="utf-8") as file:
        file.write(quickstart.settings.replace(BEFORE, "*INSTALLED_APPS,"))
        file.write('\nTEMPLATES[0]["DIRS"] = [BASE_DIR / "templates"]\nALLOWED_HOSTS = ["*"]\n')
    (folder / "mysite" / "urls.py").write_text(URLS + quickstart.urls.replace(BEFORE, OWN_URLS), encoding="utf-8")
    (folder / "templates").mkdir()
    (folder / "templates" / "home.html").write_text(quickstart.template, encoding="utf-8")
    run("manage.py", "migrate", cwd=folder)
    return folder


@pytest.fixture
def site_url(project: Path, quickstart: Quickstart, tmp_path: Path) -> Iterator[str]:
    """The reader's site, running beside the README's two processes."""
    address = f"127.0.0.1:{free_port()}"
    commands = [*quickstart.commands, ["manage.py", "runserver", "--noreload", address]]
    with ExitStack() as stack:
        for command in commands:
            process = Process(*command, environment=ENVIRONMENT, output=tmp_path / f"{command[1]}.log", cwd=project)
            stack.callback(process.end)
        process.wait_for(f"http://{address}/")
        yield f"http://{address}/"


def test_quickstart_passes_djangos_checks(project: Path) -> None:
    assert "no issues" in run("manage.py", "check", cwd=project)


def test_quickstart_leads_to_a_click_in_the_database(project: Path, site_url: str) -> None:
    page = requests.get(site_url, timeout=10).text
    banner = dict(re.findall(r'data-inlive-([\w-]+)="([^"]*)"', page))
    message = {"type": "banner", "name": banner["banner"], "action": "click", "user_id": "", "time": 1}

    def publish() -> bool:
        try:
            answer = requests.post(
                f"{banner['channel']}/publish/{banner['stream']}",
                json={"type": "broadcast", "widget_key": banner["widget-key"], "message": message},
                headers={"Authorization": f"Bearer {banner['token']}", "User-Agent": USER_AGENT},
                timeout=10,
            )
        except requests.ConnectionError:
            return False  # the channel hasn't begun to listen
        assert answer.status_code == 200, answer.text
        return True

    wait_until(publish, what="the channel to take the click")

    def names() -> list[str]:
        with closing(sqlite3.connect(project / "db.sqlite3", timeout=10)) as database:
            return [name for (name,) in database.execute("SELECT name FROM inlive_banner_interaction")]

    assert wait_until(names, what="the click in the database") == ["summer-sale"]


def run(*arguments: str, cwd: Path) -> str:
    """Run Python to its end and return what it printed. Fails with that unless it exits with 0."""
    environment = {"PATH": "/usr/bin:/bin"} | ({} if arguments[0] == "-m" else ENVIRONMENT)
    done = subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _dedent(text: str) -> str:
    return re.sub(r"^ {3}", "", text, flags=re.MULTILINE)
