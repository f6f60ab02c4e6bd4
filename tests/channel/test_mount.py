"""The mount gives requests below its prefix to the channel, and all others to the site."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inlive_banner.channel.app import ChannelApp
from inlive_banner.channel.mount import Mount
from inlive_banner.exceptions import ConfigurationError
from tests.channel.driver import exchange, make_config, make_scope, make_token, run


class Site:
    """An ASGI site that answers 299 and remembers what it was asked."""

    def __init__(self) -> None:
        self.scopes: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        await send({"type": "http.response.start", "status": 299, "headers": []})
        await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize("prefix", ["", "/"])
def test_mount_at_the_root_is_refused(tmp_path: Path, prefix: str):
    with pytest.raises(ConfigurationError, match="/channel"):
        Mount(Site(), ChannelApp(make_config(tmp_path)), prefix=prefix)


@pytest.mark.parametrize("prefix", ["/channel", "channel", "/channel/", "/a/b"])
@pytest.mark.parametrize("root_path", ["", "/behind/a/proxy"])
def test_mount_gives_each_request_to_whom_it_belongs(tmp_path: Path, prefix: str, root_path: str):
    async def main() -> None:
        site = Site()
        mount = Mount(site, ChannelApp(make_config(tmp_path)), prefix=prefix)
        base = "/" + prefix.strip("/")
        answers = {}
        for path in (f"{base}/healthz", f"{base}/nothing", f"{base}x/healthz", base, "/", "/healthz"):
            scope = make_scope("GET", root_path + path, root_path=root_path)
            answers[path] = (await exchange(mount, scope)).status
        assert list(answers.values()) == [200, 404, 299, 299, 299, 299]
        assert all(scope["root_path"] == root_path for scope in site.scopes)

    run(main())


def test_mount_serves_publishes_below_its_prefix(tmp_path: Path):
    async def main() -> None:
        mount = Mount(Site(), ChannelApp(make_config(tmp_path)), prefix="/channel")
        scope = make_scope(
            "POST",
            "/channel/publish/15",
            query=f"token={make_token()}",
            headers=[("content-type", "application/json")],
        )
        body = b'{"type": "broadcast", "widget_key": "test-widget-key", "message": 1}'
        assert (await exchange(mount, scope, [body])).status == 200
        await mount.channel.stop()

    run(main())


def test_mount_leaves_the_servers_scope_as_it_was(tmp_path: Path):
    async def main() -> None:
        mount = Mount(Site(), ChannelApp(make_config(tmp_path)), prefix="/channel")
        scope = make_scope("GET", "/channel/healthz")
        before = dict(scope)
        await exchange(mount, scope)
        assert scope == before

    run(main())


def test_mount_answers_lifespan_for_the_channel(tmp_path: Path):
    async def main() -> None:
        site = Site()
        mount = Mount(site, ChannelApp(make_config(tmp_path)), prefix="/channel")
        incoming = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
        sent = []

        async def receive() -> dict[str, str]:
            return incoming.pop(0)

        async def send(message: dict[str, str]) -> None:
            sent.append(message["type"])

        await mount({"type": "lifespan"}, receive, send)  # type: ignore[arg-type]
        assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
        assert site.scopes == []

    run(main())
