"""A progress bar on stderr, for a person at a terminal. Drawn by `rich`, where it is there."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.utils.formats import number_format
from django.utils.translation import gettext as _

from inlive_banner.tail.status import terminal_console

__all__ = ["progress_bar"]


@contextmanager
def progress_bar(
    label: str, total: Callable[[], int], *, is_wanted: bool = True, no_color: bool = False
) -> Iterator[Callable[[int], None]]:
    """Show a bar while the block runs, which calls what it is given with what it has done since.

    `total` is only asked where a bar can be shown. Nothing of it stays on the screen, and it raises nothing of itself.
    """
    console = terminal_console(no_color=no_color) if is_wanted else None
    if console is None:
        yield lambda _count: None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415  (optional)

    columns = (TextColumn("{task.description}"), BarColumn(complete_style="green"), TextColumn("{task.fields[text]}"))
    progress = Progress(
        *columns,
        TimeRemainingColumn(),
        console=console,
        transient=True,
        auto_refresh=False,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    whole = total()
    task = progress.add_task(label, total=whole, text=_of(0, whole))
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        progress.update(task, completed=done, text=_of(done, whole))
        with contextlib.suppress(OSError):  # the terminal has gone, and nobody looks any more
            progress.refresh()

    with contextlib.suppress(OSError):
        progress.start()
        console.show_cursor()  # rich hides it, and a process that is killed couldn't bring it back
    try:
        yield advance
    finally:
        with contextlib.suppress(OSError):
            progress.stop()


def _of(done: int, total: int) -> str:
    numbers = (number_format(number, force_grouping=True) for number in (done, max(done, total)))
    return _("{done} of {total}").format(**dict(zip(("done", "total"), numbers, strict=True)))
