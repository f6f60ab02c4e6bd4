from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from django.utils import translation

from inlive_banner.envelope import EventId
from inlive_banner.tail.pace import Backlog, Pace, View
from inlive_banner.tail.records import Init
from inlive_banner.tail.status import Line, duration, line_of, shown_on_terminal
from inlive_banner.tail.worker import Phase, Worker
from tests.polling import wait_until
from tests.tail.making import EPOCH
from tests.tail.test_notices import make_report
from tests.terminal import Terminal

ROOT = Path(__file__).resolve().parents[2]


def make_view(**fields: object) -> View:
    defaults = {"recorded": 1234, "per_second": 12.34, "lag_seconds": 0.0123, "idle_seconds": 0.5, "backlog": None}
    return View(**defaults | fields)


def make_backlog(*, seconds_left: float | None = 9) -> Backlog:
    return Backlog(done=12_345, total=50_000, per_second=4312.7, seconds_left=seconds_left)


def words(line: Line) -> str:
    return f"{line.label} {', '.join(line.parts)}"


@pytest.mark.parametrize(
    ("view", "phase", "expected"),
    [
        (make_view(), Phase.FOLLOWING, "stream 15: 1,234 recorded, 12.3/s, lag 12 ms"),
        (
            make_view(per_second=0, lag_seconds=None, idle_seconds=75.9),
            Phase.FOLLOWING,
            "stream 15: 1,234 recorded, 0.0/s, idle for 75 s",
        ),
        (
            make_view(backlog=make_backlog(), lag_seconds=7300),
            Phase.FOLLOWING,
            "stream 15 12,345 of 50,000, 9 s left, 4,312/s, lag 2 h",
        ),
        (
            make_view(backlog=make_backlog(seconds_left=None), lag_seconds=None),
            Phase.FOLLOWING,
            "stream 15 12,345 of 50,000, 4,312/s",
        ),
        (make_view(backlog=make_backlog()), Phase.CONNECTING, "stream 15: connecting, 1,234 recorded"),
        (make_view(), Phase.CHANNEL_AWAY, "stream 15: waiting for the channel, 1,234 recorded"),
        (make_view(), Phase.DATABASE_AWAY, "stream 15: waiting for the database, 1,234 recorded"),
        (make_view(), Phase.ENDED, "stream 15: ended, 1,234 recorded"),
    ],
    ids=["busy", "idle", "behind", "behind and stuck", "connecting", "channel away", "database away", "ended"],
)
def test_line_says_how_the_stream_gets_on(view: View, phase: Phase, expected: str) -> None:
    line = line_of(15, view, phase)

    assert words(line) == expected
    assert line.trouble is ("waiting" in expected)
    assert (line.backlog is not None) is ("left" in expected or "50,000" in expected)


def test_line_of_a_dry_run_doesnt_say_that_anything_was_recorded() -> None:
    assert "would record 1,234" in words(line_of(15, make_view(), Phase.FOLLOWING, dry_run=True))


def test_line_has_words_and_numbers_of_the_active_language() -> None:
    with translation.override("de"):
        assert "1.234 aufgezeichnet, 12,3/s" in words(line_of(15, make_view(), Phase.FOLLOWING))


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0 s"),
        (0.0004, "0 ms"),
        (0.9996, "999 ms"),
        (1, "1 s"),
        (119.9, "119 s"),
        (120, "2 min"),
        (7199, "119 min"),
        (7200, "2 h"),
        (172_799, "47 h"),
        (172_800, "2 d"),
        (1e9, "11,574 d"),
    ],
)
def test_duration_is_in_its_largest_fitting_unit(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected


@pytest.mark.parametrize("width", [80, 56, 40, 30, 26])
@pytest.mark.parametrize("behind", [True, False], ids=["behind", "following"])
def test_line_fitted_takes_no_more_than_the_width(width: int, *, behind: bool) -> None:
    line = line_of(15, make_view(backlog=make_backlog() if behind else None, lag_seconds=50), Phase.FOLLOWING)

    bar, text = line.fitted(width)

    assert len(line.label) + 1 + (bar + 1 if bar else 0) + len(text) <= width
    assert text.split(", ") == list(line.parts)[: text.count(", ") + 1]


def test_line_fitted_has_a_bar_only_where_there_is_room_and_a_backlog() -> None:
    behind = line_of(15, make_view(backlog=make_backlog()), Phase.FOLLOWING)

    assert behind.fitted(1000)[0] == 40
    assert 8 <= behind.fitted(40)[0] < 40
    assert behind.fitted(30) == (0, "12,345 of 50,000")
    assert line_of(15, make_view(), Phase.FOLLOWING).fitted(1000)[0] == 0


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    """A terminal that can do what rich needs."""
    for name in ("NO_COLOR", "COLUMNS", "LINES", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with Terminal() as terminal:
        yield terminal


@contextmanager
def stderr_on(terminal: Terminal) -> Iterator[None]:
    """Not a fixture: pytest puts its own stderr back before the test's call."""
    with terminal.open() as stderr, redirect_stderr(stderr):
        yield


def following(*stream_ids: int) -> dict[int, Worker]:
    """Workers, as much of them as a status looks at."""
    return {stream_id: cast("Worker", SimpleNamespace(phase=Phase.FOLLOWING)) for stream_id in stream_ids}


def paces(*stream_ids: int) -> dict[int, Pace]:
    return {stream_id: Pace() for stream_id in stream_ids}


def test_status_has_a_line_for_each_stream(terminal: Terminal) -> None:
    streams = paces(15, 16)
    streams[16].connected(Init(position=EventId(EPOCH, 0), head=f"{EPOCH}-10"))
    streams[16].batch(make_report())

    with stderr_on(terminal), shown_on_terminal(following(15, 16), streams):
        wait_until(lambda: len(terminal.lines) == 2)
        first, second = terminal.lines

    assert first == "stream 15: 0 recorded, 0.0/s, idle for 0 s"
    assert "━" in second
    assert "1 of 10" in second


def test_status_is_up_to_date_when_it_ends_and_is_kept(terminal: Terminal) -> None:
    streams, workers = paces(15), following(15)

    with stderr_on(terminal), shown_on_terminal(workers, streams):
        wait_until(lambda: "0 recorded" in terminal.last_line)
        streams[15].batch(make_report())
        workers[15].phase = Phase.ENDED

    wait_until(lambda: terminal.raw.endswith("ended, 1 recorded\r\n\x1b[?25h"))
    assert terminal.lines == ["stream 15: ended, 1 recorded"]
    assert terminal.cursor_is_shown


@pytest.mark.parametrize("fails", [True, False], ids=["fails", "ends"])
def test_status_that_isnt_kept_leaves_nothing_on_the_screen(terminal: Terminal, *, fails: bool) -> None:
    def run() -> None:
        with shown_on_terminal(following(15, 16), paces(15, 16), keep_last=fails):
            wait_until(lambda: len(terminal.lines) == 2)
            if fails:
                raise LookupError

    with stderr_on(terminal):
        if fails:
            with pytest.raises(LookupError):
                run()
        else:
            run()
        sys.stderr.write("next\n")

    wait_until(lambda: terminal.last_line == "next")
    assert terminal.lines == ["next"]


def test_status_stays_below_what_is_logged_to_its_terminal(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also by a handler that the site has made before, and whose stream is another file of the same terminal."""
    logger = logging.getLogger("tests.tail.status")
    with terminal.open() as stdout, (tmp_path / "log").open("w") as file:
        site, other = logging.StreamHandler(stdout), logging.StreamHandler(file)
        monkeypatch.setattr(logger, "handlers", [site, other])
        monkeypatch.setattr(logger, "propagate", False)

        with stderr_on(terminal), shown_on_terminal(following(15), paces(15)):
            wait_until(lambda: "stream 15" in terminal.last_line)
            logger.error("long [bold] %s", "word " * 40)
            sys.stderr.write("half a line")
            sys.stderr.write(", and its end\n")
            sys.stderr.write("without an end")
            wait_until(lambda: len(terminal.lines) == 4)
            assert "stream 15" in terminal.last_line

        assert site.stream is stdout
        assert other.stream is file
        wait_until(lambda: terminal.last_line == "without an end")
    text = "long [bold] " + "word " * 40
    assert terminal.lines == [
        text[:160],
        text[160:].rstrip(),
        "half a line, and its end",
        "stream 15: 0 recorded, 0.0/s, idle for 0 s",
        "without an end",
    ]
    assert (tmp_path / "log").read_text() == f"{text}\n"


def test_status_ends_in_silence_where_its_terminal_goes_away(terminal: Terminal) -> None:
    """What happens to the terminal is no reason for the worker to fail, now or at its end."""
    stderr = terminal.open()

    try:
        with redirect_stderr(stderr), shown_on_terminal(following(15), paces(15)):
            wait_until(lambda: "stream 15" in terminal.last_line)
            terminal.close()
            sys.stderr.write("to nobody\n")
            sys.stderr.write("without an end")
    finally:
        with suppress(OSError):
            stderr.close()


def test_status_is_left_out_where_rich_is_missing(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "inlive_banner")
    monkeypatch.setitem(sys.modules, "rich.console", None)

    with stderr_on(terminal), shown_on_terminal(following(15), paces(15)):
        sys.stderr.write("through\n")

    wait_until(lambda: terminal.raw == "through\r\n")
    assert [(record.levelname, "[progress]" in record.getMessage()) for record in caplog.records] == [("DEBUG", True)]


@pytest.mark.parametrize("name", ["dumb", "unknown", ""])
def test_status_is_left_out_where_the_terminal_cant_go_back(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("TERM", name)

    with stderr_on(terminal), shown_on_terminal(following(15), paces(15)):
        sys.stderr.write("through\n")

    wait_until(lambda: terminal.raw == "through\r\n")


def test_status_is_left_out_where_stderr_is_closed(terminal: Terminal) -> None:
    closed = terminal.open()
    closed.close()

    with redirect_stderr(closed), shown_on_terminal(following(15), paces(15)):
        pass

    assert terminal.raw == ""


def test_rich_isnt_imported_where_no_status_is_shown() -> None:
    """It takes longer to import than all that the worker has of its own."""
    script = (
        "import sys, django; django.setup();"
        "from inlive_banner.management.commands import tail_inlive_clicks as command;"
        "command.shown_on_terminal({}, {}).__enter__();"
        "sys.exit(any(name.split('.')[0] == 'rich' for name in sys.modules))"
    )

    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, stderr=subprocess.PIPE, timeout=30, check=False)

    assert (done.returncode, done.stderr) == (0, b"")
