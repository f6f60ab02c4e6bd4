"""The demo as a newcomer runs it: from nothing, again, and with one of its processes killed."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import requests

from tests.e2e.processes import Process
from tests.polling import wait_until
from tests.ports import free_port
from tests.user_agent import USER_AGENT


class RunningDemo:
    """`python -m project.demo` on a free port."""

    def __init__(self, data: Path, output: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.data = data
        self.process = Process(
            "-m", "project.demo", "--port", str(port), "--data", str(data), environment={}, output=output
        )

    @property
    def children(self) -> dict[str, int]:
        """Name -> process id, as the supervisor has printed them."""
        return {name: int(pid) for name, pid in re.findall(r"(\w+) started \(pid=(\d+)\)", self.process.printed)}

    @property
    def password(self) -> str:
        found = re.search(r"password (\S+)", self.process.printed)
        assert found, self.process.printed
        return found[1]

    def wait_until_ready(self) -> None:
        self.process.wait_for(f"{self.url}/channel/readyz")
        wait_until(lambda: len(self.children) == 2, what="two processes")

    def click(self) -> None:
        """Publish a click with the token of the banner page, as its script does."""
        page = requests.get(self.url, timeout=10).text
        token = re.search(r'data-inlive-token="([^"]+)"', page)
        assert token
        message = {"name": "demo-banner", "type": "banner", "action": "click", "user_id": "", "time": 1, "page": "/"}
        answer = requests.post(
            f"{self.url}/channel/publish/15",
            json={"type": "broadcast", "widget_key": "demo-widget-key", "message": message},
            headers={"Authorization": f"Bearer {token[1]}", "User-Agent": USER_AGENT},
            timeout=10,
        )
        assert answer.status_code == 200, answer.text

    def rows(self) -> int:
        with closing(sqlite3.connect(self.data / "site.sqlite3", timeout=10)) as database:
            count: int = database.execute("SELECT count(*) FROM inlive_banner_interaction").fetchone()[0]
            return count


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], RunningDemo]]:
    """Starts the demo, each time on the same data; the folder's name has a space, as a newcomer's may."""
    started: list[RunningDemo] = []

    def start() -> RunningDemo:
        demo = RunningDemo(tmp_path / "my data", tmp_path / f"output-{len(started)}.txt")
        started.append(demo)
        demo.wait_until_ready()
        return demo

    yield start
    for demo in started:
        demo.process.end()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("path", ["/", "/offers/", "/inlive/logs/", "/admin/login/", "/channel/healthz"])
def test_addresses_of_the_demo_answer(running: RunningDemo, path: str) -> None:
    assert requests.get(running.url + path, timeout=10).status_code == 200


@pytest.mark.parametrize("file", ["project/demo.css", "inlive_banner/banner.js", "admin/css/base.css"])
def test_static_files_of_the_demo_are_served(running: RunningDemo, file: str) -> None:
    assert requests.get(f"{running.url}/static/{file}", timeout=10).status_code == 200


def test_pages_of_the_demo_forbid_anything_inline(running: RunningDemo) -> None:
    page = requests.get(running.url, timeout=10)

    assert page.headers["Content-Security-Policy"].startswith("default-src 'self'; connect-src 'self';")
    assert not re.search(r"<style|<script(?![^>]* src=)| style=| on\w+=", page.text)


def test_printed_password_opens_the_admin(running: RunningDemo) -> None:
    session = requests.Session()
    login = f"{running.url}/admin/login/"
    session.get(login, timeout=10)
    form = {
        "username": "admin",
        "password": running.password,
        "csrfmiddlewaretoken": session.cookies["csrftoken"],
        "next": "/admin/inlive_banner/interaction/",
    }

    page = session.post(login, data=form, headers={"Referer": login}, timeout=10)

    assert page.status_code == 200
    assert page.url == f"{running.url}/admin/inlive_banner/interaction/"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    """One demo for the tests that only look."""
    folder = tmp_path_factory.mktemp("demo")
    demo = RunningDemo(folder / "data", folder / "output.txt")
    try:
        demo.wait_until_ready()
        yield demo
    finally:
        demo.process.end()


def test_restart_keeps_rows_secret_key_and_password(start: Callable[[], RunningDemo]) -> None:
    first = start()
    first.click()
    wait_until(lambda: first.rows() == 1, what="the click in the database")
    secrets, password = (first.data / "secrets.json").read_text(), first.password
    assert first.process.terminate() == 0

    second = start()

    assert (second.data / "secrets.json").read_text() == secrets
    assert second.password == password
    assert second.rows() == 1
    second.click()
    wait_until(lambda: second.rows() == 2, what="the second click beside the first")


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT], ids=["sigterm", "ctrl-c"])
def test_signal_ends_the_demo_with_0_and_leaves_no_process(
    start: Callable[[], RunningDemo], stop: signal.Signals
) -> None:
    """With a logs page open, too."""
    demo = start()
    children = demo.children
    with requests.get(f"{demo.url}/channel/subscribe/15", stream=True, timeout=10) as reader:
        assert next(reader.iter_lines())

        demo.process._process.send_signal(stop)

        assert demo.process.wait() == 0, demo.process.printed
    assert not [name for name, pid in children.items() if is_alive(pid)]
    assert "Traceback" not in demo.process.printed


@pytest.mark.parametrize("victim", ["site", "worker"])
def test_death_of_one_process_ends_the_other_and_shows_in_the_exit_code(
    start: Callable[[], RunningDemo], victim: str
) -> None:
    demo = start()
    children = demo.children

    os.kill(children[victim], signal.SIGKILL)

    assert demo.process.wait() != 0
    assert not [name for name, pid in children.items() if is_alive(pid)]
