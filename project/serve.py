"""Serve the demo's site with the channel mounted: `python -m project.serve --port 8000`."""

from __future__ import annotations

import argparse
import sys

from inlive_banner.channel.server import serve
from inlive_banner.exceptions import ConfigurationError, LogError
from project.asgi import application

__all__ = ["main"]


def main() -> None:
    """Serve until SIGTERM or SIGINT; then end the open streams and return."""
    parser = argparse.ArgumentParser(prog="python -m project.serve", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    try:
        serve(application, application.channel, host=options.host, port=options.port)
    except (ConfigurationError, LogError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
