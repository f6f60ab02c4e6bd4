"""Serves an ASGI application with open event streams under uvicorn, and ends it well.

What uvicorn doesn't do by itself (measured with 0.54): a reader that takes nothing can't be cut through ASGI; SIGTERM
with an open stream hangs or prints a traceback per stream; and the exit code is the signal's even after a clean end.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn

from inlive_banner.channel.app import ChannelApp
from inlive_banner.channel.types import ASGIApp
from inlive_banner.exceptions import ConfigurationError

__all__ = ["open_socket", "serve"]

logger = logging.getLogger(__name__)

BACKLOG = 4096
"""Connections that may wait to be accepted: a restart brings all clients back within seconds."""
GRACE_SECONDS = 2.0
"""How long accepted requests may take to finish after the signal; then their connections are dropped."""
KEEP_ALIVE_SECONDS = 75
"""How long an idle HTTP connection stays open for the next publish."""


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, end_streams: Callable[[], None]) -> None:
        super().__init__(config)
        self._end_streams = end_streams

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  (the base class names them)
        # The signal isn't passed on to the base class: it would raise it again after a clean end.
        if self.should_exit:
            self.force_exit = True
        self.should_exit = True
        self._end_streams()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        dropping = asyncio.ensure_future(self._drop_leftovers())
        try:
            await super().shutdown(sockets)
        finally:
            dropping.cancel()

    async def _drop_leftovers(self) -> None:
        """Connections whose peers take nothing never drain, and would hold the process for ever."""
        await asyncio.sleep(GRACE_SECONDS)
        for connection in list(self.server_state.connections):
            with contextlib.suppress(AttributeError):  # none yet, or gone
                connection.transport.abort()


def open_socket(host: str, port: int, *, stall_seconds: float) -> socket.socket:
    """Listen on an address. Raises `ConfigurationError`, saying what to do, where that can't be.

    Connections inherit TCP_USER_TIMEOUT (Linux, RFC 5482): the system drops a reader whose socket has taken nothing
    for `stall_seconds`, and only then is its memory freed.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as error:
        raise ConfigurationError(
            f"Can't listen on {host!r}: {error.strerror}. Use an address such as 127.0.0.1."
        ) from error
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(stall_seconds * 1000))
    try:
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"Can't listen on {host}:{port}: {error.strerror}. Stop what uses the port, or choose another."
        ) from error
    listener.setblocking(False)
    return listener


def serve(app: ASGIApp, channel: ChannelApp, *, host: str, port: int) -> None:
    """Serve `app`, which holds `channel`, until SIGTERM or SIGINT. Blocks; returns after a clean end.

    The channel's streams are ended first, accepted publishes are finished, and the log is closed. A second signal
    forces, and raises `SystemExit`. Raises `ConfigurationError`, `LogUnavailableError`, `LogOwnedError` before it
    serves.
    """
    listener = open_socket(host, port, stall_seconds=channel.config.stall_seconds)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        ws="none",
        lifespan="on",
    )
    server = _Server(config, channel.end_streams)

    async def run() -> None:
        await channel.start()  # before uvicorn's start-up, which would wrap a failure in a traceback
        logger.info("channel on http://%s:%s", host, port)
        await server.serve(sockets=[listener])

    with contextlib.closing(listener), asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(run())
    if server.force_exit:
        raise SystemExit(1)
