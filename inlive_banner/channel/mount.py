"""Puts the channel into an ASGI site, below a prefix."""

from __future__ import annotations

from inlive_banner.channel.app import ChannelApp
from inlive_banner.channel.types import ASGIApp, Receive, Scope, Send
from inlive_banner.exceptions import ConfigurationError

__all__ = ["Mount"]


class Mount:
    """An ASGI application that gives requests below `prefix` to the channel and all others to the site.

    Middleware around the mount must hand ASGI's `send` on as it is: events are sent from outside of any task, where
    `asyncio.timeout()` and the like can't be used. Middleware of the site belongs around the site alone.

    It answers the server's lifespan events itself, for the channel: Django has no use for them. On shutdown a
    server waits for open streams before it says so, so give it a graceful timeout, or run the channel with
    `inlive_banner.channel.server`, which ends the streams first.
    """

    def __init__(self, site: ASGIApp, channel: ChannelApp, *, prefix: str) -> None:
        self.site = site
        self.channel = channel
        self.prefix = "/" + prefix.strip("/")
        if self.prefix == "/":
            raise ConfigurationError(f'The channel can\'t be mounted at {prefix!r}. Use a prefix, such as "/channel".')

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request with whichever it belongs to."""
        if scope["type"] == "lifespan":
            await self.channel(scope, receive, send)
            return
        root_path = scope.get("root_path", "")
        if scope["path"].removeprefix(root_path).startswith(self.prefix + "/"):
            await self.channel({**scope, "root_path": root_path + self.prefix}, receive, send)
        else:
            await self.site(scope, receive, send)
