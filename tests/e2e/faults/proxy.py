"""A TCP proxy that breaks what goes through it, in the ways in which networks do."""

from __future__ import annotations

import contextlib
import random
import re
import selectors
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

__all__ = ["Proxy"]

_PIECE_BYTES = 4096
_POLL_SECONDS = 0.1

_KEPT_CHUNKS = 40
"""What may be sent once more: as far back as a batch or two of the worker's."""

_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER on and 0 seconds: closing then sends a reset (socket(7))."""


class Proxy:
    """Listens on a port of 127.0.0.1 and forwards to another port, or to a Unix socket where given a path.

    Of several targets each connection gets the next that takes it, as a balancer does.
    It runs in threads, one a connection, until the `with` block ends. Its modes may be set at any time.
    """

    def __init__(self, *targets: int | str) -> None:
        self._targets = targets
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(_POLL_SECONDS)
        self.port: int = self._listener.getsockname()[1]
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._cuts: list[Callable[[socket.socket], None]] = []
        self.connections = 0
        """How many were opened so far."""
        self.slicing = False
        """True passes on what the target sends byte by byte, each in a packet of its own."""
        self.stalled = False
        """True passes nothing on in the connections that are open, and closes none."""
        self.losing = False
        """True drops the next chunk of HTTP that has an event and arrives alone, and is then False again."""
        self.repeating = False
        """True sends, now and then, some of the last chunks of HTTP that had events once more, whole."""
        self.repeated = 0
        """How many interactions were sent once more."""
        self._kept: deque[bytes] = deque(maxlen=_KEPT_CHUNKS)
        self.cut_at: tuple[bytes, bool] | None = None
        """Bytes at which the connection of a client that sends them is cut, and whether they are still passed on."""
        self.cuts = 0
        """How many connections were cut."""

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join(timeout=5)
        self._listener.close()

    def reset(self) -> None:
        """Cut the next connection that carries something from the target, in the middle of it, by a reset."""
        self._cuts.append(lambda client: client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET))

    def close(self) -> None:
        """Cut it in the same way, but close it cleanly."""
        self._cuts.append(lambda client: client.shutdown(socket.SHUT_WR))

    @property
    def pending(self) -> int:
        """Cuts that were asked for and have not happened yet."""
        return len(self._cuts)

    def _accept(self) -> None:
        while not self._ending.is_set():
            with contextlib.suppress(TimeoutError):
                client, _ = self._listener.accept()
                self.connections += 1
                thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, client: socket.socket) -> None:
        # An OSError ends the connection on both sides, as it would without a proxy.
        with client, contextlib.suppress(OSError), self._connected() as target:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with selectors.DefaultSelector() as selector:
                selector.register(client, selectors.EVENT_READ)
                selector.register(target, selectors.EVENT_READ)
                while not self._ending.is_set():
                    for key, _ in selector.select(_POLL_SECONDS):
                        forward = self._to_target if key.fileobj is client else self._to_client
                        if not forward(client, target):
                            return

    def _connected(self) -> socket.socket:
        turn = self.connections % len(self._targets)
        *others, last = self._targets[turn:] + self._targets[:turn]
        for target in others:
            with contextlib.suppress(OSError):
                return _connect(target)
        return _connect(last)

    def _to_target(self, client: socket.socket, target: socket.socket) -> bool:
        piece = client.recv(_PIECE_BYTES)
        if self.cut_at is not None and self.cut_at[0] in piece:
            passed_on = self.cut_at[1]
            self.cut_at = None
            self.cuts += 1
            if passed_on:
                target.sendall(piece)
                # Its answer has come, and so it is done: now nobody else gets to know.
                target.recv(_PIECE_BYTES)
            return False
        target.sendall(piece)
        return bool(piece)

    def _to_client(self, client: socket.socket, target: socket.socket) -> bool:
        if self.stalled:
            return not self._ending.wait(_POLL_SECONDS)
        piece = target.recv(_PIECE_BYTES)
        if self._cuts and b"broadcast" in piece:
            # In the middle of an event: what comes before is whole, and this one isn't.
            client.sendall(piece[: piece.index(b"broadcast") + 4])
            self._cuts.pop(0)(client)
            self.cuts += 1
            return False
        if self.losing and _is_one_chunk(piece):
            self.losing = False
            return True
        for start in range(0, len(piece), 1 if self.slicing else _PIECE_BYTES):
            client.sendall(piece[start : start + (1 if self.slicing else _PIECE_BYTES)])
        if self.repeating and _is_one_chunk(piece):
            self._kept.append(piece)
            if random.random() < 0.1:
                again = b"".join(list(self._kept)[-random.randint(1, _KEPT_CHUNKS) :])
                client.sendall(again)
                self.repeated += again.count(b'"interaction":"click"')
        return bool(piece)


def _connect(target: int | str) -> socket.socket:
    if isinstance(target, int):
        return socket.create_connection(("127.0.0.1", target))
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(target)
    return connection


def _is_one_chunk(piece: bytes) -> bool:
    # https://www.rfc-editor.org/rfc/rfc9112#section-7.1
    match = re.fullmatch(rb"([0-9a-fA-F]+)\r\n(id: .+)\r\n", piece, re.DOTALL)
    return match is not None and int(match[1], 16) == len(match[2])
