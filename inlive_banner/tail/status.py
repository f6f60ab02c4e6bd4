"""The status of a process's workers, one line a stream, for a person at a terminal. Drawn by `rich`, where it is there.

Nothing of this is data, and no worker waits for it: workers leave numbers behind, and a thread of its own looks at
them a few times a second.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO, cast

from django.utils.formats import number_format
from django.utils.translation import gettext as _

from inlive_banner.tail.pace import Backlog, Pace, View
from inlive_banner.tail.sharing import SharedWorker
from inlive_banner.tail.worker import Phase, Worker

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

__all__ = ["Line", "duration", "line_of", "shown_on_terminal", "terminal_console"]

logger = logging.getLogger(__name__)

_REFRESH_SECONDS = 0.25
"""Fast enough to look alive."""

_LONGEST_BAR = 40
_SHORTEST_BAR = 8

_MARGIN = 4
"""Columns that stay free: a terminal prints "^C" there, and a line that it wraps can't be taken back."""

_NO_TERMINALS = ("", "dumb", "unknown")
"""Values of TERM that promise no way to go back in a line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What a stream's line says, before it is fitted into a terminal."""

    label: str
    parts: Sequence[str]
    """The most important first: where there is no room, the last ones go."""
    backlog: Backlog | None = None
    """Shown as a bar behind the label."""
    trouble: bool = False

    def fitted(self, width: int, measure: Callable[[str], int] = len) -> tuple[int, str]:
        """The bar's columns, 0 for none, and the text behind it, such that all of it takes `width` at most.

        `measure` gives a text's columns. The most important part is kept even where it doesn't fit.
        """
        bar = _SHORTEST_BAR + 1 if self.backlog is not None else 0
        parts = list(self.parts)
        while len(parts) > 1 and measure(self.label) + 1 + bar + measure(", ".join(parts)) > width:
            parts.pop()
        text = ", ".join(parts)
        room = width - measure(self.label) - 1 - measure(text) - 1
        if self.backlog is None or room < _SHORTEST_BAR:
            return 0, text
        return min(room, _LONGEST_BAR), text


def line_of(stream_id: int, view: View, phase: Phase, *, dry_run: bool = False) -> Line:
    """Say how a stream is getting on."""
    label = _("stream {stream}").format(stream=stream_id)
    recorded = _("would record {count}") if dry_run else _("{count} recorded")
    recorded = recorded.format(count=_number(view.recorded))
    lag = [] if view.lag_seconds is None else [_("lag {duration}").format(duration=duration(view.lag_seconds))]
    if phase is not Phase.FOLLOWING:
        trouble = phase in (Phase.CHANNEL_AWAY, Phase.DATABASE_AWAY)
        return Line(label=f"{label}:", parts=[_phase(phase), recorded], trouble=trouble)
    if (backlog := view.backlog) is not None:
        parts = [_("{done} of {total}").format(done=_number(backlog.done), total=_number(backlog.total))]
        if backlog.seconds_left is not None:
            parts.append(_("{duration} left").format(duration=duration(backlog.seconds_left)))
        return Line(label=label, parts=[*parts, _rate(backlog.per_second), *lag], backlog=backlog)
    idle = _("idle for {duration}").format(duration=duration(int(view.idle_seconds)))
    return Line(label=f"{label}:", parts=[recorded, _rate(view.per_second), *(lag or [idle])])


def duration(seconds: float) -> str:
    """A length of time in its largest fitting unit, for people."""
    if 0 < seconds < 1:
        return _("{number} ms").format(number=_number(seconds * 1000))
    for unit, unit_seconds, limit in (
        (_("{number} s"), 1, 120),
        (_("{number} min"), 60, 7200),
        (_("{number} h"), 3600, 172_800),
    ):
        if seconds < limit:
            return unit.format(number=_number(seconds / unit_seconds))
    return _("{number} d").format(number=_number(seconds / 86_400))


def _number(value: float) -> str:
    return number_format(int(value), force_grouping=True)


def _rate(per_second: float) -> str:
    return _("{number}/s").format(number=number_format(per_second, 1) if per_second < 100 else _number(per_second))


def _phase(phase: Phase) -> str:
    return {
        Phase.CONNECTING: _("connecting"),
        Phase.CHANNEL_AWAY: _("waiting for the channel"),
        Phase.DATABASE_AWAY: _("waiting for the database"),
        Phase.ELSEWHERE: _("left to another worker"),
    }.get(phase, _("ended"))


@contextmanager
def shown_on_terminal(
    workers: Mapping[int, Worker | SharedWorker],
    paces: Mapping[int, Pace],
    *,
    dry_run: bool = False,
    keep_last: bool = True,
    no_color: bool = False,
) -> Iterator[None]:
    """Show a line for each worker, by its stream, on stderr while the block runs.

    Does nothing where that has no place: a pipe, a file, a terminal without cursor movements (TERM=dumb), a job in
    the background; nor where `rich` isn't installed. What is logged to the same terminal meanwhile, or written to
    `sys.stderr`, appears above the lines.
    `keep_last` leaves the last state on the screen, unless the block raises. Never raises of itself.
    """
    console = terminal_console(no_color=no_color)
    if console is None:
        yield
        return
    from rich.live import Live  # noqa: PLC0415  (optional, and slow to import)

    def lines() -> list[Line]:
        views = [(stream_id, paces[stream_id].view(), worker.phase) for stream_id, worker in workers.items()]
        return [line_of(stream_id, view, phase, dry_run=dry_run) for stream_id, view, phase in views]

    live = Live(
        console=console,
        auto_refresh=False,
        redirect_stdout=False,
        redirect_stderr=False,
        transient=not keep_last,
        get_renderable=lambda: _drawn(lines(), console),
    )
    ended = threading.Event()

    def draw() -> None:
        with contextlib.suppress(OSError):  # the terminal has gone, and nobody looks any more
            while not ended.wait(_REFRESH_SECONDS):
                live.refresh()
            live.stop()

    thread = threading.Thread(target=draw, name="inlive-status", daemon=True)
    with _written_above(console):
        # Here, not in the thread: what a worker logs meanwhile would be written into the first line.
        with contextlib.suppress(OSError):
            live.start(refresh=True)
            console.show_cursor()  # rich hides it, and a process that is killed couldn't bring it back
        thread.start()
        try:
            yield
        except BaseException:
            live.transient = True  # an error's sentence comes next, and says more
            raise
        finally:
            ended.set()
            thread.join()


def terminal_console(*, no_color: bool = False) -> Console | None:
    """What draws on stderr; None where that is no terminal for it, or `rich` is missing."""
    if not _is_here(sys.stderr) or os.environ.get("TERM", "") in _NO_TERMINALS:
        return None
    try:
        from rich.console import Console  # noqa: PLC0415  (optional, and slow to import)
    except ImportError:
        logger.debug('No status is shown: rich is missing (pip install "django-inlive-banner[progress]").')
        return None
    console = Console(file=sys.stderr, no_color=True if no_color else None, highlight=False)
    return console if console.is_interactive else None


def _is_here(stream: TextIO) -> bool:
    """Whether it is a terminal, and this process isn't a background job there, which would write into other work."""
    try:
        if not stream.isatty():
            return False
    except ValueError:  # closed
        return False
    with contextlib.suppress(OSError):  # it isn't the terminal that controls this process
        return os.tcgetpgrp(stream.fileno()) == os.getpgrp()
    return True


def _drawn(lines: Sequence[Line], console: Console) -> RenderableType:
    from rich.cells import cell_len  # noqa: PLC0415
    from rich.progress_bar import ProgressBar  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    width = max(console.width - _MARGIN, 1)
    rows = Table.grid()
    for line in lines:
        bar_width, text = line.fitted(width, cell_len)
        row = Table.grid(padding=(0, 1, 0, 0))
        cells: list[RenderableType] = [Text(line.label, "bold", no_wrap=True, overflow="ellipsis")]
        if line.backlog is not None and bar_width:
            # rich's own colour for a bar that isn't full is nearly red.
            cells.append(ProgressBar(line.backlog.total, line.backlog.done, width=bar_width, complete_style="green"))
        cells.append(Text(text, "yellow" if line.trouble else "", no_wrap=True, overflow="ellipsis"))
        row.add_row(*cells)
        rows.add_row(row)
    return rows


@contextmanager
def _written_above(console: Console) -> Iterator[None]:
    """Lead through the console what would be written to its terminal beside it, and tear the lines."""
    above = _Above(console)
    terminal = _device(sys.stderr)
    handlers = {
        handler: handler.stream
        for logger_ in (logging.root, *logging.root.manager.loggerDict.values())
        if isinstance(logger_, logging.Logger)
        for handler in logger_.handlers
        if isinstance(handler, logging.StreamHandler) and _device(handler.stream) == terminal
    }
    for handler in handlers:
        handler.setStream(above)
    try:
        with contextlib.redirect_stderr(cast("TextIO", above)):
            yield
    finally:
        for handler, stream in handlers.items():
            handler.setStream(stream)
        above.end_line()


def _device(stream: Any) -> int | None:
    """Which terminal a stream is; None where it is none."""
    try:
        # Not by its name: a container may have a terminal whose name is known outside only.
        return os.fstat(stream.fileno()).st_rdev if stream.isatty() else None
    except (AttributeError, OSError, ValueError):
        return None


class _Above(io.TextIOBase):
    """Prints whole lines above what is live on the console, each as it was written. For any number of threads."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._begun = ""
        """A line that has no end yet."""
        self._has_gone = False
        """The terminal. Nobody reads any more, and the console would keep what it can't write."""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._console.encoding

    def fileno(self) -> int:
        return self._console.file.fileno()

    def isatty(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        with self._lock:
            *lines, self._begun = (self._begun + text).split("\n")
        if lines and not self._has_gone:
            self._print("\n".join(lines))
        return len(text)

    def end_line(self) -> None:
        """Print what has no end yet."""
        if self._begun:
            self.write("\n")

    def _print(self, text: str) -> None:
        from rich.text import Text  # noqa: PLC0415

        # soft_wrap: where it is too long, the terminal wraps it, and whoever copies it gets one line.
        try:
            self._console.print(Text.from_ansi(text), soft_wrap=True)
        except OSError:
            self._has_gone = True
