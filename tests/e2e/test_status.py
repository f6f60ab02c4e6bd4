"""The worker's status as a person sees it: the real command in a real terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.processes import ROOT, Demo
from tests.polling import wait_until
from tests.tail.fake_channel import Connection, FakeChannel, serving
from tests.tail.making import EPOCH, encode_event, encode_init
from tests.terminal import Terminal

IN_TERMINAL = 'tty=$1; shift; exec "$@" <>"$tty" >&0 2>&0'
"""The first terminal that a session's leader opens is the one that controls it: Ctrl-C there is a signal."""

IN_BACKGROUND = 'tty=$1; shift; exec <>"$tty" >&0 2>&0; set -m; "$@" & wait $!'


class Worker:
    """`manage.py tail_inlive_clicks` at a terminal, with nothing else in its environment that terminals look at."""

    def __init__(self, demo: Demo, terminal: Terminal, *arguments: str, how: str = IN_TERMINAL, **env: str) -> None:
        environment = {**os.environ, **demo.environment, "TERM": "xterm-256color", **env}
        for name in ("NO_COLOR", "COLUMNS", "LINES", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
            if name not in env:
                environment.pop(name, None)
        manage = (sys.executable, "manage.py", "tail_inlive_clicks", *arguments)
        self.process = subprocess.Popen(
            ["/bin/sh", "-c", how, "sh", terminal.path, *manage], cwd=ROOT, env=environment, start_new_session=True
        )

    def wait(self) -> int:
        return self.process.wait(timeout=20)


@pytest.fixture
def channel() -> Iterator[FakeChannel]:
    with serving() as channel:
        yield channel


@pytest.fixture
def demo(own_demo: Demo, channel: FakeChannel) -> Demo:
    own_demo.environment["INLIVE_CHANNEL_INTERNAL_URL"] = channel.url
    return own_demo


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    with Terminal() as terminal:
        yield terminal


@pytest.fixture
def start(demo: Demo, terminal: Terminal) -> Iterator[Callable[..., Worker]]:
    """Starts a worker at the terminal, and sees that it is gone at the end."""
    workers: list[Worker] = []

    def start(*arguments: str, **options: str) -> Worker:
        workers.append(Worker(demo, terminal, *arguments, **options))
        return workers[-1]

    yield start
    for worker in workers:
        worker.process.kill()
        worker.wait()


class Halves:
    """A channel's script: of 1,000 events, 400 at once, the others when the test lets them go; then live ones."""

    def __init__(self) -> None:
        self.let_go = threading.Event()

    def __call__(self, connection: Connection) -> None:
        connection.begin()
        connection.send(encode_init(f"{EPOCH}-0", head=f"{EPOCH}-1000", recovered=True))
        connection.send(b"".join(encode_event(seq) for seq in range(1, 401)))
        self.let_go.wait(timeout=30)
        connection.send(b"".join(encode_event(seq) for seq in range(401, 1001)))
        connection.stall()


def rows(demo: Demo) -> int:
    ((count,),) = demo.query("SELECT COUNT(*) FROM inlive_banner_interaction")
    return int(count)


def wait_for_line(terminal: Terminal, *words: str) -> None:
    def has_all() -> bool:
        return all(word in terminal.last_line for word in words)

    wait_until(has_all, deadline_seconds=20, what=f"{words} in the last line of {terminal.lines}")


def test_worker_catching_up_shows_a_bar_and_then_its_rate(
    channel: FakeChannel, terminal: Terminal, start: Callable[..., Worker]
) -> None:
    halves = Halves()
    channel.scripts.append(halves)
    worker = start()

    wait_for_line(terminal, "stream 15 ━", "━ 400 of 1,000, ", " s left, ", "/s, lag ")
    halves.let_go.set()
    wait_for_line(terminal, "stream 15: 1,000 recorded, ", "/s, lag ")
    assert "0.0/s" not in terminal.last_line
    # Nothing comes any more.
    wait_for_line(terminal, "stream 15: 1,000 recorded, 0.0/s, idle for ")

    worker.process.send_signal(signal.SIGTERM)
    assert worker.wait() == 0
    wait_for_line(terminal, "stream 15: ended, 1,000 recorded")


def test_worker_logs_above_its_status(channel: FakeChannel, terminal: Terminal, start: Callable[..., Worker]) -> None:
    """Whole lines, each once, in a site that has a handler of its own for them."""
    cut = threading.Event()

    def deliver_and_break(connection: Connection) -> None:
        connection.begin()
        connection.send(encode_init(f"{EPOCH}-0", head=f"{EPOCH}-3", recovered=True))
        connection.send(b"".join(encode_event(seq) for seq in range(1, 4)))
        cut.wait(timeout=30)
        connection.reset()

    channel.publish(4)
    channel.scripts += [
        deliver_and_break,
        lambda connection: connection.answer(503, b'{"message": "Shutting down."}'),
    ]
    worker = start()
    wait_for_line(terminal, "stream 15: 3 recorded")
    cut.set()
    wait_for_line(terminal, "stream 15: 4 recorded")
    worker.process.send_signal(signal.SIGTERM)
    assert worker.wait() == 0

    wait_for_line(terminal, "stream 15: ended, 4 recorded")
    *log, _status = terminal.lines
    first, away, back, ended = (line.partition("inlive_banner.tail.worker: stream=15 ") for line in log)
    assert [head for head, _, _ in (first, away, back, ended)] == ["INFO ", "WARNING ", "INFO ", "INFO "]
    assert first[2] == "following from 0"
    assert away[2].startswith("waiting for the channel ")
    assert back[2].startswith("following")
    assert ended[2] == "ended"


def test_worker_stopped_by_ctrl_c_leaves_the_terminal_as_it_was(
    channel: FakeChannel, terminal: Terminal, start: Callable[..., Worker]
) -> None:
    before = terminal.settings()
    channel.publish(3)
    worker = start()
    wait_for_line(terminal, "3 recorded")
    assert len(terminal.lines) == 2

    terminal.type(b"\x03")

    assert worker.wait() == 0
    wait_for_line(terminal, "stream 15: ended, 3 recorded")
    assert len(terminal.lines) == 3
    assert "^C" not in "".join(terminal.lines)
    assert terminal.raw.rpartition("3 recorded")[2].startswith("\r\n")
    assert terminal.cursor_is_shown
    assert terminal.settings() == before


def test_worker_killed_leaves_the_cursor(
    channel: FakeChannel, terminal: Terminal, start: Callable[..., Worker]
) -> None:
    channel.publish(3)
    worker = start()
    wait_for_line(terminal, "3 recorded")

    worker.process.kill()

    worker.wait()
    assert terminal.cursor_is_shown


def test_worker_refused_says_only_why(channel: FakeChannel, terminal: Terminal, start: Callable[..., Worker]) -> None:
    channel.scripts.append(lambda connection: connection.answer(404, b'{"message": "Unknown stream."}'))

    assert start().wait() == 3

    wait_for_line(terminal, "CommandError: ", "Unknown stream.")
    assert not [line for line in terminal.lines if line.startswith("stream 15")]
    assert terminal.cursor_is_shown


@pytest.mark.parametrize("option", ["--once", "--dry-run"])
def test_worker_that_ends_by_itself_leaves_only_its_summary(
    channel: FakeChannel, terminal: Terminal, start: Callable[..., Worker], option: str
) -> None:
    terminal.resize(200)  # for the summary in one line
    halves = Halves()
    channel.scripts.append(halves)
    worker = start(option)
    wait_for_line(terminal, "━ 400 of 1,000, ")
    halves.let_go.set()

    assert worker.wait() == 0

    wait_for_line(terminal, "position")
    assert len([line for line in terminal.lines if line.startswith("stream 15")]) == 1
    assert terminal.cursor_is_shown


def test_worker_in_a_narrow_terminal_keeps_to_one_line(
    channel: FakeChannel, terminal: Terminal, start: Callable[..., Worker]
) -> None:
    """Also where it becomes narrow while the worker runs."""
    channel.scripts.append(Halves())
    start("-v1")
    wait_for_line(terminal, "400 of 1,000", "lag")

    terminal.resize(40)

    wait_until(lambda: len(terminal.last_line) <= 36, what="a line that fits")
    assert "━ 400 of 1,000" in terminal.last_line
    terminal.resize(20)
    wait_until(lambda: len(terminal.last_line) <= 20, what="a line that fits")
    assert terminal.last_line.startswith("stream 15 4")
    assert len(terminal.lines) == 2


def test_worker_whose_terminal_goes_away_goes_on(
    demo: Demo, channel: FakeChannel, terminal: Terminal, start: Callable[..., Worker]
) -> None:
    """As where somebody has detached it from the terminal that it was started at."""
    worker = start(how='trap "" HUP; ' + IN_TERMINAL)
    channel.publish(3)
    wait_for_line(terminal, "3 recorded")

    terminal.close()
    channel.publish(5)

    wait_until(lambda: rows(demo) == 8)
    worker.process.send_signal(signal.SIGTERM)
    assert worker.wait() == 0


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (["-v0"], {}),
        (["--format=json"], {}),
        ([], {"TERM": "dumb"}),
        ([], {"how": IN_BACKGROUND}),
    ],
    ids=["errors only", "json", "dumb terminal", "in the background"],
)
def test_worker_at_a_terminal_shows_no_status_where_it_would_be_in_the_way(
    channel: FakeChannel,
    terminal: Terminal,
    start: Callable[..., Worker],
    arguments: list[str],
    options: dict[str, str],
) -> None:
    channel.publish(3)

    assert start("--once", *arguments, **options).wait() == 0

    wait_until(lambda: "position" in terminal.raw, what=f"the summary in {terminal.raw!r}")
    assert "\x1b" not in terminal.raw


@pytest.mark.parametrize("how", ["variable", "option"])
def test_worker_without_color_shows_its_status_in_one(
    channel: FakeChannel, terminal: Terminal, start: Callable[..., Worker], how: str
) -> None:
    channel.scripts.append(Halves())

    start(*(["--no-color"] if how == "option" else []), **({"NO_COLOR": "1"} if how == "variable" else {}))

    wait_for_line(terminal, "━ ", "400 of 1,000")
    assert "\x1b[3" not in terminal.raw  # no foreground colour of any kind


def test_worker_without_rich_says_so_and_works(
    channel: FakeChannel, terminal: Terminal, start: Callable[..., Worker], tmp_path: Path
) -> None:
    (tmp_path / "rich").mkdir()
    (tmp_path / "rich" / "__init__.py").write_text("raise ModuleNotFoundError(name='rich')")
    channel.publish(3)

    assert start("--once", "-v2", PYTHONPATH=str(tmp_path)).wait() == 0

    wait_until(lambda: "3 recorded" in terminal.raw)
    assert 'rich is missing (pip install "django-inlive-banner[progress]")' in terminal.raw
    assert "\x1b" not in terminal.raw


def test_worker_in_a_pipe_writes_no_escape_sequence(demo: Demo, channel: FakeChannel) -> None:
    """Not even where the environment wants colours in pipes, as some build servers' does."""
    channel.publish(3)
    environment = {**os.environ, **demo.environment, "TERM": "xterm-256color", "FORCE_COLOR": "1"}

    done = subprocess.run(
        [sys.executable, "manage.py", "tail_inlive_clicks", "--once", "-v2"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        timeout=30,
        check=True,
    )

    assert b"\x1b" not in done.stdout + done.stderr
    assert done.stdout.startswith(b"stream 15: 3 recorded")
    assert b"following" in done.stderr
