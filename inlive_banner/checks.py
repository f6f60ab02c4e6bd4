"""System checks: `manage.py check` finds what is wrong before a visitor does, and says what to paste.

The ids are stable: what they mean never changes, and none is used again for something else.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from ipaddress import ip_network
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin
from urllib.parse import urlsplit

from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as CheckWarning

from inlive_banner.banner import ARGUMENTS, build_banner
from inlive_banner.conf import DEFAULT_WIDGET_KEY, settings
from inlive_banner.envelope import parse_stream_id
from inlive_banner.exceptions import ConfigurationError, InvalidBannerError

__all__ = ["check_settings"]

_EXAMPLE = 'INLIVE_BANNER = {"STREAM_ID": 15, "WIDGET_KEY": "…"}'
_STREAM_OPTIONS: dict[str, Any] = {
    "WIDGET_KEY": str,
    "PUBLIC": bool,
    "ALLOWED_ORIGINS": list | tuple,
    "VIEW_PERMISSION": str,
    "ROWS_RETENTION": float,
}

_MAY_BE_ZERO = ("IMPOSSIBLE_RATE", "ROWS_RETENTION")
"""Numbers of which 0 means that there is no such bound."""

_IN_WORDS: dict[Any, str] = {
    str: "a text",
    bool: "True or False",
    int: "a whole number above 0",
    float: "a number above 0",
    int | str: "a number or its text",
    list | tuple: "a list",
    Mapping: "a dict",
}


@register("inlive_banner")
def check_settings(**_kwargs: Any) -> list[CheckMessage]:
    """Judge every key of `INLIVE_BANNER`."""
    if not isinstance(settings.raw, Mapping):
        return [
            Error(
                f"INLIVE_BANNER is {settings.raw!r}; it must be a dict.",
                hint=f"In the settings: {_EXAMPLE}",
                id="inlive_banner.E001",
            )
        ]
    messages = [*_unknown_keys(), *_types()]
    if any(message.id == "inlive_banner.E002" for message in messages):
        return messages  # values of the wrong type can't be judged further
    messages += [*_stream_id(), *_streams()]
    if not any(message.is_serious() for message in messages):
        messages += [*_widget_keys(), *_banner()]
    return [*messages, *_channel_url(), *_channel_internal_url(), *_channel_log(), *_addresses()]


def _unknown_keys() -> Iterator[CheckMessage]:
    for key in settings.raw:
        if key not in settings.types():
            yield CheckWarning(
                f"INLIVE_BANNER has the key {key!r}, which means nothing.",
                hint=_instead(str(key).upper(), settings.types()),
                id="inlive_banner.W001",
            )


def _types() -> Iterator[CheckMessage]:
    for key, hint in settings.types().items():
        value = getattr(settings, key)
        if not _fits(value, hint) and not _is_zero(key, value):
            yield Error(
                f'INLIVE_BANNER["{key}"] is {value!r}; it must be {_IN_WORDS[_base(hint)]}.',
                hint=f'In INLIVE_BANNER, leave it out, or begin with its default: "{key}": {settings.default(key)!r}',
                id="inlive_banner.E002",
            )


def _is_zero(key: str, value: object) -> bool:
    return key in _MAY_BE_ZERO and value == 0 and type(value) is int


def _base(hint: Any) -> Any:
    """The type that a value can be tested against: a generic's own class, `Mapping` of `Mapping[str, str]`."""
    if get_origin(hint) is UnionType:
        return Union[tuple(get_origin(kind) or kind for kind in get_args(hint))]  # noqa: UP007  (made of a tuple)
    return get_origin(hint) or hint


def _fits(value: object, hint: Any) -> bool:
    if hint in (int, float):
        return isinstance(value, int | hint) and not isinstance(value, bool) and value > 0
    return isinstance(value, _base(hint)) and isinstance(value, bool) == (hint is bool)


def _stream_id() -> Iterator[CheckMessage]:
    value = settings.STREAM_ID
    if value == "" and settings.STREAMS:
        return  # a site whose banners all name their stream
    if parse_stream_id(str(value)) is None:
        problem = "is missing" if value == "" else f"is {value!r}"
        yield Error(
            f'INLIVE_BANNER["STREAM_ID"] {problem}; it must be a number from 1 to 9999999999999999.',
            hint='In INLIVE_BANNER: "STREAM_ID": 15',
            id="inlive_banner.E004",
        )


def _streams() -> Iterator[CheckMessage]:
    for key, options in settings.STREAMS.items():
        for problem in _stream_problems(key, options):
            yield Error(
                f'INLIVE_BANNER["STREAMS"][{key!r}] {problem}.',
                hint='In INLIVE_BANNER: "STREAMS": '
                '{15: {"WIDGET_KEY": "…", "PUBLIC": False, "ALLOWED_ORIGINS": ["https://example.org"]}}',
                id="inlive_banner.E005",
            )


def _stream_problems(key: Any, options: Any) -> Iterator[str]:
    if parse_stream_id(str(key)) is None:
        yield "isn't a stream id, a number from 1 to 9999999999999999"
    if not isinstance(options, Mapping):
        yield f"is {options!r}, and must be a dict of the stream's options"
        return
    for option, value in options.items():
        if option not in _STREAM_OPTIONS:
            yield f"has the option {option!r}, which means nothing (it can have {', '.join(_STREAM_OPTIONS)})"
        elif not _fits(value, _STREAM_OPTIONS[option]) and not _is_zero(option, value):
            yield f"has {value!r} as {option}, which must be {_IN_WORDS[_STREAM_OPTIONS[option]]}"
        elif option == "ALLOWED_ORIGINS":
            for origin in value:
                if origin != "*" and not _is_origin(origin):
                    yield f"allows the origin {origin!r}, which no browser sends: one looks like 'https://example.org'"


def _is_origin(value: Any) -> bool:
    if not isinstance(value, str) or value != value.lower():
        return False
    parts = urlsplit(value)
    return bool(parts.scheme in ("http", "https") and parts.hostname and f"{parts.scheme}://{parts.netloc}" == value)


def _widget_keys() -> Iterator[CheckMessage]:
    paste = f'In INLIVE_BANNER: "WIDGET_KEY": "{secrets.token_urlsafe(16)}"'
    for stream in settings.streams.values():
        if not stream.widget_key:
            yield Error(f"Stream {stream.stream_id} has no widget key.", hint=paste, id="inlive_banner.E003")
        elif stream.widget_key == DEFAULT_WIDGET_KEY and not settings.debug:
            yield CheckWarning(
                f"Stream {stream.stream_id} has the demo's widget key, {DEFAULT_WIDGET_KEY!r}, which everybody knows.",
                hint=paste,
                id="inlive_banner.W002",
            )


def _banner() -> Iterator[CheckMessage]:
    problems = [f"has the key {key!r}, which means nothing" for key in settings.BANNER if key not in ARGUMENTS]
    hints = [_instead(str(key), ARGUMENTS) for key in settings.BANNER if key not in ARGUMENTS]
    if not problems:
        try:
            build_banner(stream_id=next(iter(settings.streams)))
        except InvalidBannerError as error:
            problems, hints = [f"can't be used: {error}"], [f'In INLIVE_BANNER["BANNER"], set "{error.argument}".']
        except ConfigurationError:
            return  # another check's
    for problem, hint in zip(problems, hints, strict=True):
        yield Error(f'INLIVE_BANNER["BANNER"] {problem}', hint=hint, id="inlive_banner.E010")


def _channel_url() -> Iterator[CheckMessage]:
    url = settings.CHANNEL_URL
    is_path = url.startswith("/") and not url.startswith("//") and not set(url) & set("?# \\")
    if not is_path and not _is_base_url(url):
        yield Error(
            f'INLIVE_BANNER["CHANNEL_URL"] is {url!r}; browsers need a path of the site or an absolute URL.',
            hint='In INLIVE_BANNER: "CHANNEL_URL": "/channel" or "CHANNEL_URL": "https://channel.example.org"',
            id="inlive_banner.E006",
        )


def _channel_internal_url() -> Iterator[CheckMessage]:
    hint = 'In INLIVE_BANNER: "CHANNEL_INTERNAL_URL": "http://127.0.0.1:8001"'
    url = settings.CHANNEL_INTERNAL_URL
    if url and not _is_base_url(url):
        yield Error(
            f'INLIVE_BANNER["CHANNEL_INTERNAL_URL"] is {url!r}; the worker needs an absolute URL.',
            hint=hint,
            id="inlive_banner.E007",
        )
    elif not url and not settings.debug and not _is_base_url(settings.CHANNEL_URL):
        yield Error(
            'INLIVE_BANNER["CHANNEL_INTERNAL_URL"] is missing: outside DEBUG the worker doesn\'t guess where the '
            f"channel is, and CHANNEL_URL is only a path, {settings.CHANNEL_URL!r}.",
            hint=hint,
            id="inlive_banner.E008",
        )


def _is_base_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  (raises for a bad one)
    except ValueError:
        return False
    plain = not parts.query and not parts.fragment and not set(url) & set(" \\")
    return bool(parts.scheme in ("http", "https") and parts.hostname and plain)


def _channel_log() -> Iterator[CheckMessage]:
    url = settings.CHANNEL_LOG
    hint = 'In INLIVE_BANNER: "CHANNEL_LOG": "sqlite:////var/lib/inlive/channel.sqlite3"'
    if not url:
        if not settings.debug:
            yield CheckWarning(
                'INLIVE_BANNER["CHANNEL_LOG"] is missing: outside DEBUG the channel doesn\'t guess where its log is.',
                hint=f'{hint} (if no channel runs here: SILENCED_SYSTEM_CHECKS = ["inlive_banner.W003"])',
                id="inlive_banner.W003",
            )
        return
    if url.startswith(("redis://", "rediss://", "valkey://", "valkeys://")):
        return  # what is behind it, the channel asks when it starts
    if not url.startswith("sqlite:///") or not url.removeprefix("sqlite:///"):
        yield Error(
            f'INLIVE_BANNER["CHANNEL_LOG"] is {url!r}; it can be sqlite:/// and a path, or redis:// and a host.',
            hint=hint,
            id="inlive_banner.E009",
        )
        return
    folder = Path(url.removeprefix("sqlite:///")).parent
    if not folder.is_dir():
        yield CheckWarning(
            f'INLIVE_BANNER["CHANNEL_LOG"] is {url!r}, and there is no folder {str(folder)!r}: '
            "the channel won't start here.",
            hint=f"mkdir -p {folder}",
            id="inlive_banner.W004",
        )


def _addresses() -> Iterator[CheckMessage]:
    for key, error_id in (("TRUSTED_PROXIES", "inlive_banner.E020"), ("OWN_ADDRESSES", "inlive_banner.E021")):
        for text in getattr(settings, key):
            try:
                network = ip_network(text, strict=False) if isinstance(text, str) else None
            except ValueError:
                network = None
            if network is None:
                yield Error(
                    f'INLIVE_BANNER["{key}"] has {text!r}, which is neither an address nor a network.',
                    hint=f'In INLIVE_BANNER: "{key}": ["192.0.2.7", "10.0.0.0/8"]',
                    id=error_id,
                )
            elif network.prefixlen == 0:
                yield CheckWarning(
                    f'INLIVE_BANNER["{key}"] has {text!r}, which is every address there is: '
                    f"{'anybody may say whose click it is' if key == 'TRUSTED_PROXIES' else 'no click counts'}.",
                    hint=f'In INLIVE_BANNER: "{key}": ["192.0.2.7", "10.0.0.0/8"]',
                    id="inlive_banner.W020",
                )


def _instead(key: str, known: Iterable[str]) -> str:
    close = get_close_matches(key, known, n=1)
    return f'Did you mean "{close[0]}"?' if close else f"Known are: {', '.join(known)}."
