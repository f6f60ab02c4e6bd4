"""A terminal to look at: what a process writes to it, and what a person would see of that."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import struct
import termios
import threading
from contextlib import suppress
from typing import Self, TextIO

__all__ = ["Screen", "Terminal"]

_ESCAPE = re.compile(r"\x1b\[(\??)(\d*(?:;\d*)*)([A-Za-z])")


class Screen:
    """Draws text as a terminal of so many columns and any number of rows does. Fails at what it doesn't know."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.cursor_is_shown = True
        self._rows = [""]
        self._row = self._column = 0

    @property
    def lines(self) -> list[str]:
        """What can be read, without the empty end."""
        lines = [row.rstrip() for row in self._rows]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def draw(self, text: str) -> None:
        """Take the next text, with whole escape sequences."""
        while text:
            if escape := _ESCAPE.match(text):
                self._obey(*escape.groups())
                text = text[escape.end() :]
            else:
                self._write(text[0])
                text = text[1:]

    def _write(self, character: str) -> None:
        if character == "\r":
            self._column = 0
        elif character == "\n":
            self._to_row(self._row + 1)
        else:
            assert character.isprintable(), repr(character)
            if self._column == self.columns:
                self._to_row(self._row + 1)
                self._column = 0
            row = self._rows[self._row].ljust(self._column)
            self._rows[self._row] = row[: self._column] + character + row[self._column + 1 :]
            self._column += 1

    def _obey(self, private: str, number: str, command: str) -> None:
        if private:
            assert (number, command) in (("25", "h"), ("25", "l")), number + command
            self.cursor_is_shown = command == "h"
        elif command == "A":
            self._to_row(max(self._row - int(number or 1), 0))
        elif command == "K":
            assert number == "2"
            self._rows[self._row] = ""
        else:
            assert command == "m", command

    def _to_row(self, row: int) -> None:
        self._row = row
        self._rows += [""] * (row + 1 - len(self._rows))


class Terminal:
    """A pseudo-terminal whose other end draws on a screen. `path` and `open` are the process's end of it."""

    def __init__(self, columns: int = 160) -> None:
        self._master, self._slave = pty.openpty()
        self.path = os.ttyname(self._slave)
        self.raw = ""
        """All that was written to it."""
        self._screen = Screen(columns)
        self._lock = threading.Lock()
        self.resize(columns)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    @property
    def lines(self) -> list[str]:
        """What can be read on it now."""
        with self._lock:
            return self._screen.lines

    @property
    def last_line(self) -> str:
        return "".join(self.lines[-1:])

    @property
    def cursor_is_shown(self) -> bool:
        with self._lock:
            return self._screen.cursor_is_shown

    def open(self) -> TextIO:
        """A process's end of it, as a text file."""
        return os.fdopen(os.dup(self._slave), "w", encoding="utf-8", buffering=1)

    def resize(self, columns: int) -> None:
        """Make it so wide, by the next text on."""
        with self._lock:
            self._screen.columns = columns
            fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._master, keys)

    def settings(self) -> list[object]:
        """How it is set: echo, line mode and the like."""
        return termios.tcgetattr(self._slave)

    def close(self) -> None:
        """Take it away from whoever writes to it."""
        if self._slave >= 0:
            os.write(self._slave, b"\0")  # ends the thread, which would hold the terminal while it reads
            self._thread.join(timeout=10)
            os.close(self._slave)
            os.close(self._master)
            self._slave = -1

    def _read(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")()
        rest = ""
        with suppress(OSError):
            while True:
                text = decoder.decode(os.read(self._master, 4096))
                end = "\0" in text
                with self._lock:
                    self.raw += text.replace("\0", "")
                    whole, rest = _whole(rest + text.replace("\0", ""))
                    self._screen.draw(whole)
                if end:
                    return


def _whole(text: str) -> tuple[str, str]:
    """The text up to an escape sequence that isn't complete, and that."""
    start = text.rfind("\x1b")
    if start < 0 or _ESCAPE.match(text, start):
        return text, ""
    return text[:start], text[start:]
