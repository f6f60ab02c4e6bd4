"""One of `manage.py`'s commands whose fsyncs begin to fail when told to: `… FIFO COMMAND ARGUMENTS`.

From the moment at which something opens FIFO for writing, the system answers every fsync and fdatasync of the process
with EIO, as a failing disk does: by a seccomp filter, which needs neither root nor a compiler, and can't be taken out
again (https://www.kernel.org/doc/html/latest/userspace-api/seccomp_filter.html).
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
import threading
from pathlib import Path

from django.core.management import execute_from_command_line

__all__ = ["FAILING", "NUMBERS", "UNABLE", "main"]

FAILING = "each fsync fails from now on"
UNABLE = "fsync can't be made to fail here"
"""What the process prints when it has been told."""

_GENERIC = (82, 83)

NUMBERS = {"x86_64": (74, 75), "aarch64": _GENERIC, "riscv64": _GENERIC}.get(platform.machine(), ())
"""Of the system calls fsync and fdatasync; empty on a machine of which they aren't known here."""

_PR_SET_NO_NEW_PRIVS = 38
_SYS_SECCOMP = {"x86_64": 317}.get(platform.machine(), 277)
_SECCOMP_SET_MODE_FILTER = 1
_SECCOMP_FILTER_FLAG_TSYNC = 1
"""For all threads of the process."""

_LOAD_NUMBER = (0x20, 0, 0, 0)  # BPF_LD | BPF_W | BPF_ABS: the first field of seccomp_data
_RETURN_ALLOW = (0x06, 0, 0, 0x7FFF0000)
_RETURN_EIO = (0x06, 0, 0, 0x00050000 | errno.EIO)
_JUMP_IF_EQUAL = 0x15


class _Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def fail_from_now() -> None:
    """Have each fsync of this process fail. Raises `OSError` where the system doesn't allow a filter."""
    fsync, fdatasync = NUMBERS
    instructions = b"".join(
        struct.pack("=HBBI", *instruction)
        for instruction in (
            _LOAD_NUMBER,
            (_JUMP_IF_EQUAL, 1, 0, fsync),
            (_JUMP_IF_EQUAL, 0, 1, fdatasync),
            _RETURN_EIO,
            _RETURN_ALLOW,
        )
    )
    libc = ctypes.CDLL(None, use_errno=True)
    program = _Program(len(instructions) // 8, instructions)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.syscall(
        _SYS_SECCOMP, _SECCOMP_SET_MODE_FILTER, _SECCOMP_FILTER_FLAG_TSYNC, ctypes.byref(program)
    ):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def main() -> None:
    """Run the command, and wait for the word beside it."""

    def wait() -> None:
        Path(sys.argv[1]).open("rb").close()
        try:
            fail_from_now()
            said = FAILING
        except OSError as error:
            said = f"{UNABLE}: {error}"
        sys.stderr.write(f"{said}\n")

    threading.Thread(target=wait, daemon=True).start()
    execute_from_command_line(["manage.py", *sys.argv[2:]])


if __name__ == "__main__":
    main()
