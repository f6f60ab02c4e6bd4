"""A channel with times that no setting shortens: `python -m tests.e2e.serve_channel PORT '{"stall_seconds": 1}'`."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import django

from inlive_banner.asgi import channel_config
from inlive_banner.channel.app import ChannelApp
from inlive_banner.channel.server import serve

__all__ = ["main"]


def main() -> None:
    """Serve until a signal comes, as the command does."""
    django.setup()
    channel = ChannelApp(replace(channel_config(), **json.loads(sys.argv[2])))
    serve(channel, channel, host="127.0.0.1", port=int(sys.argv[1]))


if __name__ == "__main__":
    main()
