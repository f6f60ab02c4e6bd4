"""The channel's ASGI application: routes, errors, life cycle."""

from __future__ import annotations

import asyncio
import logging
import re
import time

from inlive_banner.channel.config import ChannelConfig
from inlive_banner.channel.hub import Hub
from inlive_banner.channel.logs import make_log
from inlive_banner.channel.publish import publish
from inlive_banner.channel.request import ClientGoneError, Request
from inlive_banner.channel.response import RefusedError, cors_headers, send_json, send_preflight
from inlive_banner.channel.senders import Senders
from inlive_banner.channel.stream import Stream
from inlive_banner.channel.subscribe import subscribe
from inlive_banner.channel.types import Receive, Scope, Send
from inlive_banner.envelope import parse_stream_id
from inlive_banner.exceptions import LogError

__all__ = ["ChannelApp"]

logger = logging.getLogger(__name__)

_ROUTE = re.compile(r"/(?:(subscribe|publish)/([^/]+)/?|(healthz|readyz))")
_PROBES = ("healthz", "readyz")
_METHODS = {
    "subscribe": ("GET", "HEAD", "OPTIONS"),
    "publish": ("POST", "OPTIONS"),
    "healthz": ("GET", "HEAD"),
    "readyz": ("GET", "HEAD"),
}
_UNAVAILABLE_RETRY_SECONDS = 5


class ChannelApp:
    """The channel as an ASGI 3 application, at the root or below any prefix (`root_path`)."""

    def __init__(self, config: ChannelConfig) -> None:
        """Opens nothing yet. Raises `ConfigurationError` where an address in the configuration isn't one."""
        self.config = config
        self._log = make_log(
            config.log_url,
            max_bytes=config.log_max_bytes,
            retention_seconds=config.retention_seconds,
            new_epoch=config.new_epoch,
        )
        self._senders = Senders(config, self._log)
        self._hub: Hub | None = None
        self._opening = asyncio.Lock()
        self._retry_at = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None

    async def start(self) -> None:
        """Open the log, where it isn't open yet. Raises `LogUnavailableError`, `LogOwnedError`."""
        async with self._opening:
            await self._open()

    async def stop(self) -> None:
        """End streams, finish accepted publishes, close the log."""
        if self._hub is not None:
            await self._hub.close()

    def end_streams(self) -> None:
        """Have all streams end, so that a server can shut down. Safe to call from a signal handler or a thread."""
        if self._hub is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(self._hub.end_streams)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the server's lifespan events."""
        if scope["type"] != "http":
            await self._other(scope, receive, send)
            return
        # One coroutine for all routes, because an open stream keeps each level of calls in memory.
        request = Request(scope, receive)
        headers = cors_headers(request.origin, ("*",))
        if request.method == "OPTIONS":
            # Whatever the path: a page may read the refusal of its request only after a preflight that succeeds.
            await send_preflight(send, headers)
            return
        try:
            route, stream_id = _route(scope["path"].removeprefix(scope.get("root_path", "")))
            if request.method not in _METHODS[route]:
                allow = ", ".join(_METHODS[route])
                raise RefusedError(405, f"{request.method} isn't possible here. Use {allow}.", allow=allow)
            if route in _PROBES:
                await self._probe(route, send, head=request.method == "HEAD")
                return
            stream = await self._stream(stream_id)
            headers = cors_headers(request.origin, stream.config.allowed_origins)
            _check_origin(stream, request)
            if route == "publish":
                data = await publish(stream, request)
                await send_json(send, 200, "OK", data=data, headers=headers)
            else:
                await subscribe(stream, request, receive, send, headers)
        except RefusedError as error:
            headers = [*headers, *error.headers]
            await send_json(send, error.code, error.message, headers=headers, head=request.method == "HEAD")
        except (ClientGoneError, OSError):  # ASGI: a server may raise OSError for a client that is gone
            logger.debug("a client hung up before it was answered")
        except Exception:
            # The edge: whatever it is, the page gets an answer that it may read, and the log the traceback.
            logger.exception("a request failed unforeseen path=%s", scope["path"])
            # Raises, and so closes the connection, where an answer has begun already.
            await send_json(
                send, 500, "The channel failed on this request. Its server's log says why.", headers=headers
            )

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            await send({"type": "websocket.close"})  # before accepting: that is how ASGI refuses a WebSocket

    async def _stream(self, stream_id: int | None) -> Stream:
        if stream_id is None or stream_id not in self.config.streams:
            raise RefusedError(404, "There is no such stream on this server. Check the stream id.")
        hub = self._hub or await self._start_late()
        return hub.streams[stream_id]

    async def _open(self) -> Hub:
        if self._hub is None:
            hub = Hub(self.config, self._log, self._senders)
            await hub.open()
            self._loop = asyncio.get_running_loop()
            self._hub = hub
        return self._hub

    async def _start_late(self) -> Hub:
        """Open the log at the first request, under a server that has no lifespan events. Raises `RefusedError`."""
        async with self._opening:
            if time.monotonic() < self._retry_at:
                raise _log_closed()
            try:
                return await self._open()
            except LogError as error:
                logger.warning("can't open the log: %s", error)
                # Requests are refused at once for a while, instead of each waiting for an attempt of its own.
                self._retry_at = time.monotonic() + _UNAVAILABLE_RETRY_SECONDS
                raise _log_closed() from error

    async def _probe(self, probe: str, send: Send, *, head: bool) -> None:
        """`/healthz`: the process answers. `/readyz`: it takes streams and publishes."""
        if probe == "readyz" and (self._hub is None or self._hub.closing):
            raise RefusedError(503, "The channel isn't ready.", retry_after_seconds=1)
        await send_json(send, 200, "OK", headers=cors_headers(b"", ("*",)), head=head)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    await self.start()
                except LogError as error:
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                    return
                await send({"type": "lifespan.startup.complete"})
            else:
                await self.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return


def _route(path: str) -> tuple[str, int | None]:
    """The route's name, and the stream id in the path. Raises `RefusedError` (404)."""
    match = _ROUTE.fullmatch(path)
    if match is None:
        raise RefusedError(
            404, "There is nothing here. The channel serves /subscribe/<stream id> and /publish/<stream id>."
        )
    return match[1] or match[3], parse_stream_id(match[2] or "")


def _check_origin(stream: Stream, request: Request) -> None:
    allowed = stream.config.allowed_origins
    if request.origin and "*" not in allowed and request.origin.decode("latin-1") not in allowed:
        raise RefusedError(403, "Pages of this origin may not use the stream. Add it to the stream's ALLOWED_ORIGINS.")


def _log_closed() -> RefusedError:
    return RefusedError(
        503,
        "The channel's log can't be opened. Its server's log says why.",
        retry_after_seconds=_UNAVAILABLE_RETRY_SECONDS,
    )
