"""`manage.py inlive_channel`: what it says where it can't start, and how one process follows another."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest

from tests.e2e.channel_server import ChannelServer
from tests.e2e.processes import ROOT, Process
from tests.polling import wait_until

OWNER_SECONDS = 5
"""How long a second owner waits for the first one, as architecture.md has it."""


class Ended(NamedTuple):
    """A command that has ended by itself."""

    code: int
    printed: str
    seconds: float


def run(server: ChannelServer, *arguments: str) -> Ended:
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, *(arguments or server.command)],
        cwd=ROOT,
        env={**os.environ, **server.environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=30,
    )
    return Ended(done.returncode, done.stdout, time.monotonic() - begin)


@pytest.fixture(scope="module")
def refusals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Ended]]:
    """Starts that must fail, all at once, because each takes a second and one takes five."""
    folder = tmp_path_factory.mktemp("refusals")
    (folder / "file").write_text("no database", encoding="ascii")

    def having(**settings: object) -> ChannelServer:
        return ChannelServer(folder, **settings)

    def bind(address: str) -> tuple[str, ...]:
        return ("manage.py", "inlive_channel", "--bind", address)

    owner, second, other_log = having(), having(), f"sqlite:///{folder / 'other.sqlite3'}"
    with socket.socket() as taken, owner.running(), ThreadPoolExecutor(9) as pool:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        starts: dict[str, Any] = {
            "second owner": (second,),
            "folder missing": (having(CHANNEL_LOG=f"sqlite:///{folder / 'nowhere' / 'log.sqlite3'}"),),
            "folder a file": (having(CHANNEL_LOG=f"sqlite:///{folder / 'file' / 'log.sqlite3'}"),),
            "log no database": (having(CHANNEL_LOG=f"sqlite:///{folder / 'file'}"),),
            "port taken": (having(CHANNEL_LOG=other_log), *bind(f"127.0.0.1:{taken.getsockname()[1]}")),
            "foreign address": (having(CHANNEL_LOG=other_log), *bind("192.0.2.1:8001")),
            "bad bind": (having(), *bind("8001")),
            "bad log": (having(CHANNEL_LOG="postgres://somewhere"), *bind("127.0.0.1:1"), "--skip-checks"),
            "no log": (having(CHANNEL_LOG=""), *bind("127.0.0.1:1"), "--skip-checks"),
            "no stream": (having(STREAM_ID="", STREAMS={}), *bind("127.0.0.1:1"), "--skip-checks"),
            "no settings": (having(STREAM_ID="", STREAMS={}, WIDGET_KEY=""),),
        }
        running = {name: pool.submit(run, server, *arguments) for name, (server, *arguments) in starts.items()}
        yield {name: start.result() for name, start in running.items()}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("second owner", "in use by the channel with process id"),
        ("folder missing", "folder"),
        ("folder a file", "folder"),
        ("log no database", "file is not a database"),
        ("port taken", "Address already in use"),
        ("foreign address", "Can't listen on 192.0.2.1:8001"),
        ("bad log", "'postgres://somewhere'"),
        ("no log", '"CHANNEL_LOG"'),
        ("no stream", '"STREAM_ID"'),
    ],
)
def test_command_where_it_cannot_start_says_so_in_one_line(refusals, name, words):
    code, printed, _ = refusals[name]
    assert code == 1
    *_, last = printed.splitlines()
    assert last.startswith("CommandError: ")
    assert words in last
    assert "Traceback" not in printed
    assert printed.count("CommandError") == 1


def test_command_with_a_bad_address_shows_its_usage(refusals):
    code, printed, _ = refusals["bad bind"]
    assert code == 2
    assert printed.splitlines()[-1].endswith("argument --bind: '8001' isn't an address such as 127.0.0.1:8001")


def test_command_without_settings_fails_with_what_the_checks_say(refusals):
    code, printed, _ = refusals["no settings"]
    assert code == 1
    assert "inlive_banner.E" in printed
    assert "HINT: " in printed
    assert "Traceback" not in printed


def test_second_owner_waits_for_the_first_one_before_it_gives_up(refusals):
    assert refusals["second owner"].seconds >= OWNER_SECONDS


def test_second_owner_started_while_the_first_one_ends_takes_over(tmp_path):
    first, second = ChannelServer(tmp_path), ChannelServer(tmp_path)
    second.output = tmp_path / "second.log"
    with first.running() as ending, first.subscribe() as stream:
        with first.publisher(stream.next("init").message["token"]) as publisher:
            publisher.publish("before")
        follower = Process(*second.command, environment=second.environment, output=second.output)
        try:
            wait_until(lambda: "opening the log" in follower.printed, what="the second one to be about to open the log")
            with socket.socket() as probe:
                assert probe.connect_ex(("127.0.0.1", first.port)) == 0
            assert ending.terminate() == 0
            follower.wait_for(f"http://127.0.0.1:{second.port}/readyz")
            assert [envelope["message"] for envelope in second.everything()] == ["before"]
        finally:
            follower.end()
