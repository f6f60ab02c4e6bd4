"""The channel as any client sees it: publish, and read what is stored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import requests

from tests.e2e.processes import STREAM_ID, WIDGET_KEY
from tests.user_agent import USER_AGENT

__all__ = ["clicks_on", "publish", "publish_click", "stored_broadcasts"]


def publish(channel_url: str, token: str, message: object, **fields: object) -> str:
    """Publish a broadcast and return its event id."""
    response = requests.post(
        f"{channel_url}/publish/{STREAM_ID}",
        json={"type": "broadcast", "widget_key": WIDGET_KEY, "message": message, **fields},
        headers={"Authorization": f"Bearer {token}", "User-Agent": USER_AGENT},
        timeout=10,
    )
    answer = response.json()
    assert answer["code"] == requests.codes.ok, answer
    event_id: str = answer["data"]["id"]
    return event_id


def publish_click(channel_url: str, token: str, name: str, **fields: object) -> str:
    """Publish a click on a banner of this name; `fields` replace those of its message. Returns its event id."""
    message = {"name": name, "type": "banner", "action": "click", "user_id": "u-1", "time": 1_700_000_000_000}
    return publish(channel_url, token, message | fields)


def stored_broadcasts(channel_url: str) -> list[dict[str, Any]]:
    """Every broadcast that the (public) stream's log holds now, oldest first."""
    response = requests.get(
        f"{channel_url}/subscribe/{STREAM_ID}", params={"last_event_id": "0"}, stream=True, timeout=10
    )
    with closing(response):
        assert response.status_code == requests.codes.ok, response.text
        envelopes = _envelopes(response)
        head = next(envelopes)["message"]["head"]
        found: list[dict[str, Any]] = []
        if head.endswith("-0"):
            return found
        for envelope in envelopes:
            if envelope["type"] == "broadcast":
                found.append(envelope)
                if envelope["id"] == head:
                    break
        return found


def clicks_on(channel_url: str, name: str) -> list[dict[str, Any]]:
    """The stored clicks on the banner of this name, oldest first."""
    return [
        envelope
        for envelope in stored_broadcasts(channel_url)
        if envelope.get("interaction") == "click" and envelope["message"].get("name") == name
    ]


def _envelopes(response: requests.Response) -> Iterator[dict[str, Any]]:
    for line in response.iter_lines(chunk_size=1):
        if line.startswith(b"data:"):
            yield json.loads(line.removeprefix(b"data:"))
