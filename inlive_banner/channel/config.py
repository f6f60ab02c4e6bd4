"""What the channel is told at its start: plain values and a signer, so that it depends on no framework."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from inlive_banner.tokens import TokenSigner

__all__ = ["ChannelConfig", "StreamConfig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamConfig:
    """One stream of the channel."""

    stream_id: int
    widget_key: str
    """What publishers must send as `widget_key`."""
    public: bool = False
    """True lets anybody read; else a reader needs a ticket."""
    allowed_origins: tuple[str, ...] = ("*",)
    """Origins whose pages may talk to the stream, as `https://example.org`; `*` allows all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelConfig:
    """The channel's whole configuration."""

    log_url: str
    """`sqlite:///relative/path`, `sqlite:////absolute/path`, or `redis://host:port/0` (also `rediss`, `valkey(s)`)."""
    streams: Mapping[int, StreamConfig]
    signer: TokenSigner
    max_body_bytes: int = 16 * 1024
    """A publish with a larger body is refused (413)."""
    history_limit: int = 10_000
    """Envelopes in the answer to a `request`, at most; the newest."""
    history_max_bytes: int = 8 * 1024 * 1024
    """Bytes in the answer to a `request`, at most; the newest."""
    keep_alive_seconds: float = 15.0
    """An idle connection gets a comment line this often, so that proxies and clients know it is alive."""
    announce_seconds: float = 1.0
    """A subscriber is announced to the others after this time; one that leaves sooner never is."""
    stall_seconds: float = 20.0
    """A reader whose socket takes nothing for this time is disconnected; it resumes by its last event id."""
    retention_seconds: float = 7 * 24 * 3600.0
    """Broadcasts older than this are trimmed from the log."""
    log_max_bytes: int = 8 * 1024**3
    """At this size of the log, publishes are answered 503 until age has made room: nothing is dropped."""
    new_epoch: bool = False
    """True begins a new epoch of each stream when the log is opened: for a log that was put back from a backup."""
    trusted_proxies: tuple[str, ...] = ("127.0.0.1", "::1")
    """Addresses and networks of the proxies in front: only of these `X-Forwarded-For` is believed."""
    own_addresses: tuple[str, ...] = ()
    """Addresses and networks of the site's own people: their interactions are labelled `own`."""
    impossible_rate: int = 30
    """Interactions of one author or visitor in ten seconds beyond which they are labelled `rate`; 0 for never."""
    honour_dnt: bool = True
    """True records no interaction of a browser that says `DNT: 1` or `Sec-GPC: 1`."""
