"""Joins Django's settings to the channel, which knows nothing of Django.

`manage.py inlive_channel` serves what `channel_application()` makes; a site under ASGI may instead mount it
beside itself in its `asgi.py`:

    from django.core.asgi import get_asgi_application
    from inlive_banner.asgi import mount_channel

    application = mount_channel(get_asgi_application(), prefix="/channel")
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from inlive_banner.channel.app import ChannelApp
from inlive_banner.channel.config import ChannelConfig
from inlive_banner.channel.mount import Mount
from inlive_banner.conf import settings

__all__ = ["channel_application", "channel_config", "mount_channel"]


def channel_config() -> ChannelConfig:
    """The channel's configuration, from the site's settings. Raises `ConfigurationError`."""
    return ChannelConfig(
        log_url=settings.channel_log,
        streams=settings.streams,
        signer=settings.signer,
        max_body_bytes=settings.MAX_BODY_BYTES,
        history_limit=settings.HISTORY_LIMIT,
        keep_alive_seconds=settings.KEEP_ALIVE,
        retention_seconds=settings.RETENTION,
        log_max_bytes=settings.LOG_MAX_BYTES,
        trusted_proxies=tuple(settings.TRUSTED_PROXIES),
        own_addresses=tuple(settings.OWN_ADDRESSES),
        impossible_rate=settings.IMPOSSIBLE_RATE,
        honour_dnt=settings.HONOUR_DNT,
    )


def channel_application(*, new_epoch: bool = False) -> ChannelApp:
    """The channel as an ASGI application. Its log is opened by lifespan startup or the first request.

    `new_epoch` is for a log that was put back from a backup: numbers after its newest may have been given out before.
    """
    return ChannelApp(replace(channel_config(), new_epoch=new_epoch))


def mount_channel(site: Callable[..., Awaitable[None]], *, prefix: str = "/channel") -> Mount:
    """Put the channel into an ASGI site: requests below `prefix` go to the channel, all others to the site."""
    return Mount(site, channel_application(), prefix=prefix)
