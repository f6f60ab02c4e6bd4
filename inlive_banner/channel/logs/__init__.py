"""The durable log behind the channel."""

from __future__ import annotations

from pathlib import Path

from inlive_banner.channel.logs.base import Appended, Bounds, Draft, Entry, Log, Start
from inlive_banner.channel.logs.sqlite import SqliteLog
from inlive_banner.exceptions import ConfigurationError

__all__ = ["Appended", "Bounds", "Draft", "Entry", "Log", "SqliteLog", "Start", "make_log"]

_SQLITE = "sqlite:///"
_ENGINES = ("redis", "rediss", "valkey", "valkeys")


def make_log(url: str, *, max_bytes: int, retention_seconds: float, new_epoch: bool = False) -> Log:
    """The log that a URL names, not opened yet. Raises `ConfigurationError`.

    `sqlite:///relative/path` is relative to the working directory; `sqlite:////absolute/path` has four slashes.
    `redis://`, `rediss://` (TLS), `valkey://` and `valkeys://` name an engine that several nodes may share.
    `new_epoch` begins a new epoch of each stream, at the number after its newest, whatever the log says of itself.
    """
    if url.startswith(_SQLITE) and url.removeprefix(_SQLITE) not in ("", ":memory:"):
        path = Path(url.removeprefix(_SQLITE)).resolve()  # the lock must be the same one by whatever link
        return SqliteLog(path, max_bytes=max_bytes, retention_seconds=retention_seconds, new_epoch=new_epoch)
    if url.partition("://")[0] in _ENGINES:
        from inlive_banner.channel.logs.redis_log import RedisLog  # noqa: PLC0415  (its client is an extra)

        return RedisLog(url, max_bytes=max_bytes, retention_seconds=retention_seconds, new_epoch=new_epoch)
    raise ConfigurationError(
        f"The channel's log is {url!r}, which isn't a log's address. Use sqlite:///relative/path, "
        "sqlite:////absolute/path, or redis://host:6379/0."
    )
