"""The settings, typed and read live. The only module that reads `django.conf.settings`.

All of them are keys of one dict, `INLIVE_BANNER`. Each is read at the moment of use, so `override_settings`
works and nothing is cached at import. `checks` judges the values; here they are only made usable.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_type_hints

from django.conf import settings as django_settings

from inlive_banner.channel.config import StreamConfig
from inlive_banner.envelope import parse_stream_id
from inlive_banner.exceptions import ConfigurationError
from inlive_banner.signing import ChannelSigner

__all__ = ["DEFAULT_WIDGET_KEY", "BannerSettings", "settings"]

DEFAULT_WIDGET_KEY = "demo-widget-key"
"""The demo's key. A check warns where a site outside DEBUG still has it."""

_DEBUG_INTERNAL_URL = "http://127.0.0.1:8001"
"""Where `manage.py inlive_channel` listens by default."""


class BannerSettings:
    """Each key of `INLIVE_BANNER` with its default. Times are seconds, sizes bytes."""

    WIDGET_KEY: str = ""
    """What publishers must send as `widget_key`; it stands in every page with a banner, so it is no secret."""
    STREAM_ID: int | str = ""
    """The stream of the site's banners: a number from 1 to 9999999999999999."""
    CHANNEL_URL: str = "/channel"
    """Where browsers reach the channel: a path on the site itself or an absolute URL."""
    CHANNEL_INTERNAL_URL: str = ""
    """Where the worker reaches the channel. Default: CHANNEL_URL where that is absolute."""
    CHANNEL_LOG: str = ""
    """The channel's durable log: `sqlite:///relative/path` or `sqlite:////absolute/path`."""
    LOGS_PUBLIC: bool = False
    """True opens the logs page to everybody, but for streams that name a VIEW_PERMISSION."""
    BANNER: Mapping[str, Any] = {}
    """Defaults of the template tag's arguments."""
    STREAMS: Mapping[int | str, Mapping[str, Any]] = {}
    """Several streams, or options of the one: stream id -> {WIDGET_KEY, PUBLIC, ALLOWED_ORIGINS, VIEW_PERMISSION,
    ROWS_RETENTION}."""
    TOKEN_MAX_AGE: float = 30 * 24 * 3600.0
    """How long a publish or page token lasts: longer than any page stays open or cached."""
    TICKET_AGE: float = 3600.0
    """How long a reader's ticket lasts; open logs pages fetch a new one by themselves."""
    RETENTION: float = 7 * 24 * 3600.0
    """How long the channel's log keeps a broadcast."""
    ROWS_RETENTION: float = 0
    """How old a row of the database may become before `inlive_prune` deletes it; 0 for any age."""
    LOG_MAX_BYTES: int = 8 * 1024**3
    """At this size of the channel's log, publishes are answered 503 until age has made room."""
    HISTORY_LIMIT: int = 10_000
    """Envelopes in the answer to a `request`, at most."""
    MAX_BODY_BYTES: int = 16 * 1024
    """A publish with a larger body is refused."""
    KEEP_ALIVE: float = 15.0
    """An idle event stream gets a comment line this often."""
    TRUSTED_PROXIES: list[str] | tuple[str, ...] = ("127.0.0.1", "::1")
    """Addresses and networks of the proxies in front of the channel: `X-Forwarded-For` is believed of them only."""
    OWN_ADDRESSES: list[str] | tuple[str, ...] = ()
    """Addresses and networks of the site's own people, whose interactions are labelled and not counted."""
    IMPOSSIBLE_RATE: int = 30
    """Interactions of one visitor in ten seconds beyond which they are labelled and not counted; 0 for no bound."""
    HONOUR_DNT: bool = True
    """True takes `DNT: 1` and `Sec-GPC: 1` of a browser for a no: what its person does is not recorded."""
    TRACK_VIEWS: bool = False
    """True counts it when half of a banner has been in view for a second."""
    CONSENT: bool = False
    """True stores and sends nothing before the visitor has agreed (DOM event `inlive:consent`)."""
    LABEL_STAFF: bool = True
    """True marks what signed-in members of the staff do, so that it is left out of the counts; not under DEBUG."""
    REDIRECT_HOSTS: list[str] | tuple[str, ...] = ()
    """Hosts, besides the site's own, that a link may lead to whose signature isn't this site's; as `example.org`."""
    PUBLISH_TIMEOUT: float = 2.0
    """How long a publish from the server may take, with all its tries."""

    def __getattribute__(self, name: str) -> Any:
        default = object.__getattribute__(self, name)
        if not name.isupper():
            return default
        return getattr(django_settings, "INLIVE_BANNER", {}).get(name, default)

    @property
    def raw(self) -> Any:
        """`INLIVE_BANNER` as the site has it, of whatever type; {} where it has none. For the checks."""
        return getattr(django_settings, "INLIVE_BANNER", {})

    @staticmethod
    def types() -> dict[str, Any]:
        """Each key that `INLIVE_BANNER` may have, with its type."""
        return {key: hint for key, hint in get_type_hints(BannerSettings).items() if key.isupper()}

    @staticmethod
    def default(key: str) -> Any:
        """The value of a key that the site doesn't set."""
        return getattr(BannerSettings, key)

    @property
    def debug(self) -> bool:
        """Django's DEBUG: under it, addresses have defaults for a first try."""
        return bool(django_settings.DEBUG)

    @property
    def login_url(self) -> str:
        """Django's LOGIN_URL: an address, or the name of one, where people sign in."""
        return str(django_settings.LOGIN_URL)

    @property
    def session_cookie_name(self) -> str:
        """Django's SESSION_COOKIE_NAME: who has none of these is signed in nowhere."""
        return str(django_settings.SESSION_COOKIE_NAME)

    @property
    def stream_id(self) -> int:
        """The default stream. Raises `ConfigurationError`."""
        return stream_id_of(self.STREAM_ID, "STREAM_ID")

    @property
    def streams(self) -> dict[int, StreamConfig]:
        """Every configured stream, the default one first. Raises `ConfigurationError`."""
        options: dict[int, Mapping[str, Any]] = {}
        if self.STREAM_ID != "":
            options[self.stream_id] = {}
        for key, value in self.STREAMS.items():
            options[stream_id_of(key, "STREAMS")] = value
        if not options:
            raise ConfigurationError('INLIVE_BANNER["STREAM_ID"] is missing. Set it to a number, such as 15.')
        return {
            stream_id: StreamConfig(
                stream_id=stream_id,
                widget_key=str(value.get("WIDGET_KEY", self.WIDGET_KEY)),
                public=bool(value.get("PUBLIC", False)),
                allowed_origins=tuple(value.get("ALLOWED_ORIGINS", ("*",))),
            )
            for stream_id, value in options.items()
        }

    def stream(self, stream_id: int) -> StreamConfig:
        """One configured stream. Raises `ConfigurationError` where it isn't."""
        streams = self.streams
        if stream_id not in streams:
            known = ", ".join(map(str, streams))
            raise ConfigurationError(
                f'Stream {stream_id} isn\'t configured (known: {known}). Add it to INLIVE_BANNER["STREAMS"].'
            )
        return streams[stream_id]

    @property
    def view_permissions(self) -> dict[int, str]:
        """The permission (`app_label.codename`) of each stream that names one of its own.

        Raises `ConfigurationError` for a key that is no stream id. What can't be a permission closes the stream to all
        but superusers, rather than opening it.
        """
        return {
            stream_id_of(key, "STREAMS"): str(value["VIEW_PERMISSION"])
            for key, value in self.STREAMS.items()
            if "VIEW_PERMISSION" in value
        }

    def view_permission(self, stream_id: int) -> str | None:
        """A stream's own permission; None where it names none."""
        return self.view_permissions.get(stream_id)

    def rows_retention(self, stream_id: int) -> float:
        """How old a stream's rows may become, in seconds; 0 for any age, or whatever the site has set instead.

        Raises `ConfigurationError` for a key that is no stream id.
        """
        for key, value in self.STREAMS.items():
            if stream_id_of(key, "STREAMS") == stream_id and "ROWS_RETENTION" in value:
                return value["ROWS_RETENTION"]  # type: ignore[no-any-return]  # (whoever uses it judges it)
        return self.ROWS_RETENTION

    @property
    def channel_url(self) -> str:
        """CHANNEL_URL without a trailing slash."""
        return self.CHANNEL_URL.rstrip("/")

    @property
    def channel_internal_url(self) -> str:
        """The absolute URL that the site's own processes use, without a trailing slash. Raises `ConfigurationError`."""
        url = self.CHANNEL_INTERNAL_URL or self.CHANNEL_URL
        if url.startswith(("http://", "https://")):
            return url.rstrip("/")
        if not self.CHANNEL_INTERNAL_URL and self.debug:
            return _DEBUG_INTERNAL_URL
        raise ConfigurationError(
            f"The site's own processes need an absolute URL of the channel, and have {url!r}. "
            f'Set INLIVE_BANNER["CHANNEL_INTERNAL_URL"], for example to "{_DEBUG_INTERNAL_URL}".'
        )

    @property
    def channel_log(self) -> str:
        """The log's address. Under DEBUG it defaults to a file in the site's folder. Raises `ConfigurationError`."""
        if self.CHANNEL_LOG:
            return self.CHANNEL_LOG
        if self.debug:
            base = Path(getattr(django_settings, "BASE_DIR", "."))
            return f"sqlite:///{base / 'inlive-channel.sqlite3'}"
        raise ConfigurationError(
            'INLIVE_BANNER["CHANNEL_LOG"] is missing. Set it to a file that only the channel uses, '
            'for example "sqlite:////var/lib/inlive/channel.sqlite3".'
        )

    @property
    def signer(self) -> ChannelSigner:
        """What makes and checks tokens, with the site's secret key."""
        return ChannelSigner(token_max_age_seconds=self.TOKEN_MAX_AGE, ticket_seconds=self.TICKET_AGE)


def stream_id_of(value: int | str, setting: str) -> int:
    """Read a stream id from a setting. Raises `ConfigurationError`, naming the setting."""
    stream_id = parse_stream_id(str(value))
    if stream_id is None:
        raise ConfigurationError(
            f'INLIVE_BANNER["{setting}"] has the stream id {value!r}. '
            "A stream id is a number from 1 to 9999999999999999, such as 15."
        )
    return stream_id


settings = BannerSettings()
"""The one instance: `from inlive_banner.conf import settings`."""
