"""The HTML standard's algorithm, written down as it is told there: slow, on the whole stream, without a parser.

https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

from __future__ import annotations

import re

from inlive_banner.tail.events import Event

__all__ = ["interpret"]


def interpret(stream: bytes) -> list[Event]:
    """The events that a whole stream dispatches."""
    text = stream.removeprefix(b"\xef\xbb\xbf").decode(errors="replace")
    lines = re.split("\r\n|\r|\n", text)[:-1]  # what follows the last line end is no line
    events: list[Event] = []
    last_event_id = id_buffer = data = kind = ""
    retry = None
    for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if line == "":
            last_event_id = id_buffer
            if data:
                events.append(Event(data.removesuffix("\n"), last_event_id, kind or "message", retry))
                retry = None
            data = kind = ""
        elif field == "data":
            data += value + "\n"
        elif field == "event":
            kind = value
        elif field == "id" and "\0" not in value:
            id_buffer = value
        elif field == "retry" and re.fullmatch("[0-9]+", value):
            retry = int(value)
    return events
