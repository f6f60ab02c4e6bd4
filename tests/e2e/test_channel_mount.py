"""The channel mounted in the demo's site: under plain uvicorn, as anybody might run it, and under our own server."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.e2e.channel_server import Publisher
from tests.e2e.processes import HOST, STREAM_ID, WIDGET_KEY, Demo, Process
from tests.e2e.sse_client import EventStream

OF_DJANGO = {"x-frame-options", "x-content-type-options", "referrer-policy", "content-security-policy", "set-cookie"}
"""Headers that the site's middleware sets."""

GRACE_SECONDS = 3


class MountedSite:
    """The demo's site, its channel mounted, not running yet."""

    def __init__(self, demo: Demo) -> None:
        self._demo = demo
        self.port = demo.site_port
        self.url = demo.site_url
        self.environment = {**demo.environment, "INLIVE_CHANNEL_URL": "/channel"}

    def start(self, *arguments: str) -> Process:
        """Run it under a server."""
        return Process(*arguments, environment=self.environment, output=self._demo.folder / "mounted.log")

    def subscribe(self, query: str = "") -> EventStream:
        """Open an event stream of the channel."""
        return EventStream(self.port, f"/channel/subscribe/{STREAM_ID}{query}")

    def publisher(self, token: str) -> Publisher:
        """A connection that publishes."""
        return Publisher(self.port, token, f"/channel/publish/{STREAM_ID}", WIDGET_KEY)


@pytest.fixture
def site(tmp_path: Path, migrated_database: Path) -> MountedSite:
    demo = Demo(tmp_path)
    shutil.copy(migrated_database, demo.database)
    return MountedSite(demo)


def servers(port: int) -> dict[str, tuple[str, ...]]:
    plain = ("project.asgi:application", "--host", HOST, "--port", str(port))
    return {
        "plain uvicorn": ("-m", "uvicorn", *plain, "--timeout-graceful-shutdown", str(GRACE_SECONDS)),
        "our server": ("-m", "project.serve", "--port", str(port)),
    }


@pytest.fixture(params=["plain uvicorn", "our server"])
def process(request: pytest.FixtureRequest, site: MountedSite) -> Iterator[Process]:
    process = site.start(*servers(site.port)[request.param])
    try:
        process.wait_for(site.url)
        yield process
    finally:
        process.end()


def test_mounted_channel_and_site_both_answer_and_the_channel_ends_well(process, site, request):
    page = requests.get(site.url, timeout=10)
    assert page.status_code == 200
    assert "data-inlive-banner" in page.text
    assert 'data-inlive-channel="/channel"' in page.text
    assert OF_DJANGO & {name.lower() for name in page.headers}  # else the next lines could not fail

    with site.subscribe() as stream:
        init = stream.next("init")
        assert not OF_DJANGO & stream.headers.keys()
        with site.publisher(init.message["token"]) as publisher:
            answer = publisher.publish("hello")
            assert not OF_DJANGO & answer.headers.keys()
            assert stream.next("broadcast").id == answer.data["id"]
        unknown = requests.get(f"{site.url}/channel/nowhere", timeout=10)
        assert (unknown.status_code, unknown.json()["code"]) == (404, 404)
        beside = requests.get(f"{site.url}/channels/subscribe/{STREAM_ID}", timeout=10)
        assert beside.status_code == 404
        assert beside.headers["content-type"].startswith("text/html")  # Django's

        begin = time.monotonic()
        code = process.terminate()
        passed = time.monotonic() - begin
        if "plain" in request.node.name:
            # Its own grace time is all that ends its streams; what matters is that they don't hold it for ever.
            assert passed < GRACE_SECONDS + 5
        else:
            assert stream.rest() == []
            assert code == 0
            assert passed < 5
            assert "Traceback" not in process.printed


def test_mounted_channel_after_a_restart_has_what_was_acknowledged(site):
    """Under plain uvicorn, where the log is opened and closed by the lifespan."""
    for process_number in range(2):
        process = site.start(*servers(site.port)["plain uvicorn"])
        try:
            process.wait_for(f"{site.url}/channel/readyz")
            with site.subscribe("?last_event_id=0") as stream:
                init = stream.next("init")
                with site.publisher(init.message["token"]) as publisher:
                    publisher.publish(process_number)
                numbers = [stream.next("broadcast").message for _ in range(process_number + 1)]
            process.terminate()
        finally:
            process.end()
        assert numbers == list(range(process_number + 1))
