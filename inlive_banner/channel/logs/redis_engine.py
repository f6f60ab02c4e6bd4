"""The engine that several nodes share: a Redis or Valkey server, or a cluster of them.

What is particular to a cluster is here: which server owns a key, and a subscription on that one.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlencode, urlsplit

from inlive_banner.exceptions import ConfigurationError, LogUnavailableError

try:
    from redis.asyncio import Redis
    from redis.asyncio.cluster import RedisCluster
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import NoScriptError, RedisError
except ImportError as error:
    raise ConfigurationError(
        'A log on Redis or Valkey needs their client: pip install "django-inlive-banner[redis]".'
    ) from error

__all__ = ["Engine", "end_tasks", "parse_address"]

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 5.0
"""An answer that takes longer is none."""
CONNECT_SECONDS = 2.0
RETRY_SECONDS = 1.0
"""Between two attempts to subscribe to wake-ups."""
CANCEL_SECONDS = 0.2
OLDEST_VERSION = 7
"""The first with sharded channels, which a cluster delivers on one server instead of on all."""

_SCHEMES = {"redis": "redis", "valkey": "redis", "rediss": "rediss", "valkeys": "rediss"}
_FAULTS = (RedisError, OSError, asyncio.TimeoutError)

Client: TypeAlias = "Redis | RedisCluster"
Hear: TypeAlias = Callable[[bytes], Awaitable[None]]


def parse_address(url: str) -> tuple[str, str]:
    """(The address as the client library takes it, what all keys begin with.) Raises `ConfigurationError`.

    `redis://[[user]:password@]host[:port][/db][?prefix=name]`; `rediss://` is TLS; `valkey://` and `valkeys://` are the
    same. A cluster is known by its own answer.
    """
    parts = urlsplit(url)
    asked = dict(parse_qsl(parts.query))
    prefix = asked.pop("prefix", "inlive")
    if parts.scheme not in _SCHEMES or not parts.hostname or set("{}") & set(prefix):
        raise ConfigurationError(
            f"The channel's log is {parts.scheme}://…, which isn't an engine's address. Use redis://host:6379/0, "
            "rediss:// for TLS, and ?prefix=name, without braces, where several sites share it."
        )
    return parts._replace(scheme=_SCHEMES[parts.scheme], query=urlencode(asked)).geturl(), prefix


class Engine:
    """Connections to it. Each method raises `LogUnavailableError` where it fails."""

    def __init__(self, url: str) -> None:
        self._url, self.prefix = parse_address(url)
        self._client: Client | None = None
        self._listeners: set[asyncio.Task[None]] = set()
        self._endings: set[asyncio.Task[None]] = set()
        self._closed = False

    async def open(self) -> None:
        """Connect, and see whether it can be trusted with a log. Raises `ConfigurationError` where it can't."""
        single = Redis.from_url(self._url, **_options())
        client: Client = single
        try:
            if (await single.info("cluster")).get("cluster_enabled"):
                client = RedisCluster.from_url(self._url, **_options())
                await single.aclose()
                await client.initialize()
            for server in self._servers(client):
                await _check(server)
        except ConfigurationError:
            await client.aclose()
            raise
        except _FAULTS as error:
            await client.aclose()
            raise LogUnavailableError(f"The engine of the channel's log can't be reached: {_words(error)}") from error
        self._client = client

    async def run(self, script: str, keys: Sequence[str], *arguments: str | bytes | int) -> list[Any]:
        """What a script gives, on the server that owns the keys."""
        if self._client is None:
            raise LogUnavailableError("The engine of the channel's log isn't connected.")
        digest = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
        client: Any = self._client
        try:
            try:
                answer = await client.evalsha(digest, len(keys), *keys, *arguments)
            except NoScriptError:  # the first time, or on a server that was started anew
                answer = await client.eval(script, len(keys), *keys, *arguments)
        except _FAULTS as error:
            raise LogUnavailableError(f"The engine of the channel's log doesn't do it: {_words(error)}") from error
        return list(answer)

    async def get_or_set(self, key: str, value: bytes, *, seconds: int) -> bytes:
        """The key's value; this one where it has none, which it then has for so long."""
        client: Any = self._client
        try:
            await client.set(key, value, nx=True, ex=seconds)
            found: bytes | None = await client.get(key)
        except _FAULTS as error:
            raise LogUnavailableError(f"The engine of the channel's log doesn't do it: {_words(error)}") from error
        return value if found is None else found

    async def tell(self, channel: str, message: bytes) -> int:
        """Send a message to all who listen to the channel, this node among them; how many they are."""
        client: Any = self._client
        try:
            return int(await client.execute_command("SPUBLISH", channel, message))
        except _FAULTS as error:
            raise LogUnavailableError(f"The engine of the channel's log doesn't do it: {_words(error)}") from error

    def listen(self, channel: str, hear: Hear) -> asyncio.Task[None]:
        """Have a function hear a channel's messages; b"" when it begins to, and where some may have been missed."""
        listener = asyncio.ensure_future(self._listen(channel, hear))
        self._listeners.add(listener)
        return listener

    def hear_no_more(self, listener: asyncio.Task[None]) -> None:
        """End a listener; its connection is let go in a task of its own."""
        self._listeners.discard(listener)
        ending = asyncio.ensure_future(end_tasks([listener]))
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)

    async def close(self) -> None:
        """Let all connections go."""
        self._closed = True
        await asyncio.gather(*self._endings)
        await end_tasks(self._listeners)
        if self._client is not None:
            with contextlib.suppress(*_FAULTS):
                await self._client.aclose()

    async def _listen(self, channel: str, hear: Hear) -> None:
        while not self._closed:
            try:
                async with self._owner(channel) as server, server.pubsub() as subscription:
                    await subscription.ssubscribe(channel)
                    while not self._closed:
                        message = await subscription.get_message(timeout=TIMEOUT_SECONDS)
                        if message is not None:  # that the subscription stands is one, too
                            await hear(message["data"] if message["type"] == "smessage" else b"")
            except LogUnavailableError as error:
                logger.debug("a wake-up came to nothing channel=%s: %s", channel, error)
            except _FAULTS as error:
                logger.debug("no wake-ups now channel=%s: %s", channel, error)
            # Meanwhile each node looks for itself now and then.
            await asyncio.sleep(RETRY_SECONDS)

    def _owner(self, key: str) -> Redis:
        """A client of its own of the server that owns the key: a subscription needs a connection for itself."""
        if not isinstance(self._client, RedisCluster):
            return Redis.from_url(self._url, **_options())
        node = self._client.get_node_from_key(key)
        if node is None:
            raise LogUnavailableError("No server of the cluster owns the log's keys now.")
        return Redis(**{**_cluster_options(self._client), "host": node.host, "port": int(node.port)})

    @staticmethod
    def _servers(client: Client) -> list[Any]:
        if not isinstance(client, RedisCluster):
            return [client]
        return [_Server(client, node) for node in client.get_primaries()]


async def end_tasks(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks that use an engine, until they have ended."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        # Again and again: while it connects, the client library takes a cancellation for itself.
        _, left = await asyncio.wait(left, timeout=CANCEL_SECONDS)


class _Server:
    """One server of a cluster, asked as a single one is."""

    def __init__(self, cluster: RedisCluster, node: Any) -> None:
        self._cluster = cluster
        self._node = node

    async def info(self, section: str) -> dict[str, Any]:
        found: dict[str, Any] = await self._cluster.info(section, target_nodes=self._node)
        return found

    async def config_get(self, *names: str) -> Any:
        found: Any = await self._cluster.config_get(*names, target_nodes=self._node)
        return found


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": .") + "."  # some of the client's errors have no words


def _options() -> dict[str, Any]:
    # What to try again, and for how long, the log decides: only it knows that a publish id makes that harmless.
    return {
        "socket_timeout": TIMEOUT_SECONDS,
        "socket_connect_timeout": CONNECT_SECONDS,
        "retry": Retry(NoBackoff(), 0),
    }


def _cluster_options(cluster: RedisCluster) -> dict[str, Any]:
    kwargs = dict(cluster.connection_kwargs)
    kept = ("username", "password", "ssl", "ssl_ca_certs", "ssl_cert_reqs", "ssl_certfile", "ssl_keyfile")
    return {name: kwargs[name] for name in kept if name in kwargs} | _options()


async def _check(server: Any) -> None:
    """Raises `ConfigurationError` where it would lose what it has acknowledged; warns where a crash could."""
    version = (await server.info("server"))["redis_version"]
    if int(version.split(".")[0]) < OLDEST_VERSION:
        raise ConfigurationError(
            f"The engine of the channel's log is Redis {version}. It has to be Redis {OLDEST_VERSION} or Valkey."
        )
    try:
        found = await server.config_get("maxmemory-policy", "appendonly", "appendfsync")
    except RedisError:
        logger.warning(
            "can't ask the engine for its settings: see yourself that maxmemory-policy is noeviction, appendonly yes "
            "and appendfsync always"
        )
        return
    if found["maxmemory-policy"] != "noeviction":
        raise ConfigurationError(
            f"The engine of the channel's log has maxmemory-policy {found['maxmemory-policy']}, by which it throws "
            "away what it has acknowledged when its memory is full. Set it to noeviction."
        )
    if found["appendonly"] != "yes":
        logger.warning(
            "the engine keeps the log in memory: a crash of it loses acknowledged clicks; set appendonly yes"
        )
    elif found["appendfsync"] != "always":
        logger.warning(
            "the engine has appendfsync %s: a crash of its machine loses the clicks of the last second; set always",
            found["appendfsync"],
        )
