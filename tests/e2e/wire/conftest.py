"""One channel for all tests of the wire, and a stream of its own for each of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from inlive_banner.signing import ChannelSigner
from tests.e2e.channel_server import ChannelServer

PUBLIC_STREAMS = range(1000, 1200)
CLOSED_STREAMS = range(2000, 2100)
HISTORY_LIMIT = 20

_public = iter(PUBLIC_STREAMS)
_closed = iter(CLOSED_STREAMS)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChannelServer]:
    """A running channel, with short times where there is a setting for them."""
    server = ChannelServer(
        tmp_path_factory.mktemp("wire"),
        KEEP_ALIVE=0.5,
        HISTORY_LIMIT=HISTORY_LIMIT,
        STREAMS={
            **{stream: {"PUBLIC": True} for stream in PUBLIC_STREAMS},
            **{stream: {} for stream in CLOSED_STREAMS},
            3000: {"PUBLIC": True, "ALLOWED_ORIGINS": ["https://site.example", "https://www.site.example"]},
        },
    )
    with server.running() as process:
        yield server
    assert "Traceback" not in process.printed


@pytest.fixture
def public() -> int:
    """A public stream that no other test uses."""
    return next(_public)


@pytest.fixture
def closed() -> int:
    """A closed stream that no other test uses."""
    return next(_closed)


@pytest.fixture
def signer() -> ChannelSigner:
    """What the site has: the channel's secret key (that of the tests' settings) is the same."""
    return ChannelSigner(token_max_age_seconds=3600, ticket_seconds=3600)
