"""Events/s from the bytes of a connection to parsed events: framing and sseclient-py, without I/O.

    python -m benchmarks.parse [--events 200000] [--piece 65536]

Prints one line for each kind of stream. "plain" is what the channel sends; the others make the framing step work.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from inlive_banner.tail.events import parse_events

_DATA = b'{"message":"%s"}' % (b"x" * 330)
"""Makes an event of some 400 bytes with its id."""


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--events", type=int, default=200_000, help="events per stream (default: %(default)s)")
    options.add_argument("--piece", type=int, default=65536, help="bytes per piece (default: %(default)s)")
    arguments = options.parse_args()
    kinds: dict[str, Callable[[int], bytes]] = {
        "plain": lambda number: b"id: 0123456789abcdef-%d\ndata: %s\n\n" % (number, _DATA),
        "not ASCII": lambda number: b"id: 0123456789abcdef-%d\ndata: \xc3\xa4%s\n\n" % (number, _DATA),
        "CR LF": lambda number: b"id: 0123456789abcdef-%d\r\ndata: %s\r\n\r\n" % (number, _DATA),
        "comments": lambda number: b":\n\nid: 0123456789abcdef-%d\ndata: %s\n\n" % (number, _DATA),
    }
    for kind, encode in kinds.items():
        stream = b"".join(encode(number) for number in range(1, arguments.events + 1))
        pieces = [stream[start : start + arguments.piece] for start in range(0, len(stream), arguments.piece)]
        start = time.perf_counter()
        count = sum(1 for _ in parse_events(pieces))
        seconds = time.perf_counter() - start
        if count != arguments.events:
            raise SystemExit(f"{kind}: {count} events of {arguments.events}")
        print(f"{kind:<10} {count / seconds:>9,.0f} events/s of {len(stream) / count:.0f} bytes")


if __name__ == "__main__":
    main()
