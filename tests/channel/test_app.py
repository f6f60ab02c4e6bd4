"""Routes, methods, errors and CORS of the channel's application, and its life cycle."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from inlive_banner.channel.app import ChannelApp
from inlive_banner.channel.config import StreamConfig
from tests.channel.driver import (
    PUBLIC,
    WIDGET_KEY,
    Answer,
    Channel,
    exchange,
    make_config,
    make_scope,
    make_token,
    open_channel,
    run,
    settle,
)

ORIGIN = ("origin", "https://page.example")
JSON = ("content-type", "application/json")
BODY = json.dumps({"type": "broadcast", "widget_key": WIDGET_KEY, "message": 1}).encode()

ERRORS: dict[str, tuple[int, dict[str, Any]]] = {
    "unknown path": (404, {"path": "/nothing"}),
    "root": (404, {"path": "/"}),
    "stream missing": (404, {"path": "/subscribe/"}),
    "unknown stream": (404, {"path": "/subscribe/999"}),
    "unknown stream, publish": (404, {"method": "POST", "path": "/publish/999"}),
    "stream id with a leading zero": (404, {"path": "/subscribe/015"}),
    "stream id too long": (404, {"path": "/subscribe/" + "1" * 17}),
    "stream id in other digits": (404, {"path": "/subscribe/\u0661\u0665"}),
    "stream id with a sign": (404, {"path": "/subscribe/+15"}),
    "stream id with a line break": (404, {"path": "/subscribe/15\n"}),
    "one path more": (404, {"path": "/subscribe/15/x"}),
    "post to subscribe": (405, {"method": "POST", "path": "/subscribe/15"}),
    "get of publish": (405, {"path": "/publish/15"}),
    "head of publish": (405, {"method": "HEAD", "path": "/publish/15"}),
    "delete": (405, {"method": "DELETE", "path": "/publish/15"}),
    "post to healthz": (405, {"method": "POST", "path": "/healthz"}),
    "bad ticket": (401, {"path": "/subscribe/15", "query": "ticket=x"}),
    "no token": (401, {"method": "POST", "path": "/publish/15", "headers": [JSON], "pieces": [BODY]}),
    "not JSON": (415, {"method": "POST", "path": "/publish/15", "query": f"token={make_token()}", "pieces": [BODY]}),
    "malformed": (
        400,
        {
            "method": "POST",
            "path": "/publish/15",
            "query": f"token={make_token()}",
            "headers": [JSON],
            "pieces": [b"{"],
        },
    ),
    "too large": (
        413,
        {
            "method": "POST",
            "path": "/publish/15",
            "query": f"token={make_token()}",
            "headers": [JSON],
            "pieces": [b" " * 20_000],
        },
    ),
}


@pytest.mark.parametrize("why", ERRORS)
def test_app_error_has_one_shape_and_can_be_read_by_the_page(tmp_path: Path, why: str):
    async def main() -> None:
        code, options = ERRORS[why]
        method = options.get("method", "GET")
        async with open_channel(tmp_path) as channel:
            headers = [ORIGIN, *options.get("headers", [])]
            answer = await channel.request(
                method,
                options["path"],
                query=options.get("query", ""),
                headers=headers,
                pieces=options.get("pieces", [b""]),
            )
            assert answer.status == code
            assert answer.headers["access-control-allow-origin"] in ("*", ORIGIN[1])
            assert answer.headers["content-type"] == "application/json"
            assert answer.headers["cache-control"] == "no-store"
            if method == "HEAD":
                assert answer.body == b""
                return
            assert int(answer.headers["content-length"]) == len(answer.body)
            assert answer.json["code"] == code
            assert set(answer.json) == {"code", "message"}
            assert len(answer.json["message"]) > 15

    run(main())


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("DELETE", "/subscribe/15", {"GET", "HEAD", "OPTIONS"}),
        ("GET", "/publish/15", {"POST", "OPTIONS"}),
        ("POST", "/healthz", {"GET", "HEAD"}),
        ("PUT", "/readyz", {"GET", "HEAD"}),
    ],
)
def test_app_405_names_the_methods_that_there_are(tmp_path: Path, method: str, path: str, allow: set[str]):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            answer = await channel.request(method, path)
            assert answer.status == 405
            assert allow <= set(answer.headers["allow"].split(", ")) <= allow | {"OPTIONS"}

    run(main())


PREFLIGHT = [
    ORIGIN,
    ("access-control-request-method", "POST"),
    ("access-control-request-headers", "authorization, content-type"),
]


@pytest.mark.parametrize(
    "path", ["/publish/15", "/subscribe/15", "/publish/16", "/publish/999", "/nothing", "/publish/x"]
)
def test_app_preflight_succeeds_on_every_path(tmp_path: Path, path: str):
    """Also where the request itself will be refused: else the page sees only "Failed to fetch", and not the reason."""

    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            answer = await channel.request("OPTIONS", path, headers=PREFLIGHT)
            assert 200 <= answer.status < 300
            assert answer.body == b""
            assert answer.headers["access-control-allow-origin"] in ("*", ORIGIN[1])
            allowed = set(answer.headers["access-control-allow-headers"].lower().replace(" ", "").split(","))
            assert {"authorization", "content-type", "last-event-id"} <= allowed
            assert "POST" in answer.headers["access-control-allow-methods"]
            assert int(answer.headers["access-control-max-age"]) >= 600

    run(main())


def test_app_preflight_succeeds_where_the_log_cannot_be_opened(tmp_path: Path):
    async def main() -> None:
        app = ChannelApp(make_config(tmp_path / "missing"))
        answer = await exchange(app, make_scope("OPTIONS", "/publish/15", headers=PREFLIGHT))
        assert 200 <= answer.status < 300

    run(main())


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/healthz", 200),
        ("HEAD", "/healthz", 200),
        ("GET", "/readyz", 200),
        ("HEAD", "/readyz", 200),
        ("HEAD", "/subscribe/15", 200),
        ("HEAD", "/subscribe/16", 200),
    ],
)
def test_app_probe_or_head_is_answered_whole(tmp_path: Path, method: str, path: str, status: int):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            answer = await channel.request(method, path, headers=[ORIGIN])
            assert answer.status == status
            assert bool(answer.body) == (method == "GET")
            assert answer.headers["access-control-allow-origin"] == "*"
            assert channel.stream.subscribers == {}

    run(main())


def test_app_before_its_log_is_open_is_alive_and_not_ready(tmp_path: Path):
    async def main() -> None:
        app = ChannelApp(make_config(tmp_path))
        assert (await exchange(app, make_scope("GET", "/healthz"))).status == 200
        assert (await exchange(app, make_scope("GET", "/readyz"))).status == 503

    run(main())


@pytest.mark.parametrize("path", ["/subscribe/15", "/subscribe/15/", "/publish/15", "/publish/15/"])
def test_app_takes_a_trailing_slash_and_a_prefix(tmp_path: Path, path: str):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            method = "HEAD" if "subscribe" in path else "POST"
            scope = make_scope(
                method, f"/some/prefix{path}", root_path="/some/prefix", query=f"token={make_token()}", headers=[JSON]
            )
            assert (await exchange(channel.app, scope, [BODY])).status == 200

    run(main())


def restricted(**options: Any) -> dict[str, Any]:
    stream = StreamConfig(
        stream_id=PUBLIC, widget_key=WIDGET_KEY, public=True, allowed_origins=("https://page.example",), **options
    )
    return {"streams": {PUBLIC: stream}}


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://page.example", 200),
        ("", 200),
        ("https://evil.example", 403),
        ("http://page.example", 403),
        ("null", 403),
    ],
)
def test_app_stream_with_allowed_origins_serves_their_pages_only(tmp_path: Path, origin: str, status: int):
    """Who isn't a page (the worker, a server) sends no origin."""

    async def main() -> None:
        async with open_channel(tmp_path, **restricted()) as channel:
            headers = [("origin", origin)] if origin else []
            subscribed = await channel.request("HEAD", "/subscribe/15", headers=headers)
            published = await publish(channel, headers)
            for answer in (subscribed, published):
                assert answer.status == status
                allowed = answer.headers["access-control-allow-origin"]
                assert allowed in ("*", origin)
                if allowed != "*":
                    assert "origin" in answer.headers["vary"].lower()
            assert channel.stream.bounds.head == (1 if status == 200 else 0)

    run(main())


async def publish(channel: Channel, headers: list[tuple[str, str]]) -> Answer:
    return await channel.post(BODY, headers=[JSON, *headers])


def test_app_unforeseen_fault_is_a_500_of_the_same_shape_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:

            def broken(*_: object) -> None:
                raise RuntimeError("secret detail")

            monkeypatch.setattr(channel.log, "append", broken)
            answer = await publish(channel, [ORIGIN])
            assert (answer.status, answer.json["code"]) == (500, 500)
            assert "secret" not in answer.json["message"]
            assert answer.headers["access-control-allow-origin"] == "*"
        assert "secret detail" in caplog.text

    run(main())


@pytest.mark.parametrize("error", [ConnectionResetError(), OSError("gone")], ids=repr)
def test_app_whose_client_is_gone_when_it_answers_logs_no_traceback(
    tmp_path: Path, error: OSError, caplog: pytest.LogCaptureFixture
):
    """A server may raise an OSError from send() after a disconnect (ASGI, HTTP spec): that is daily life."""
    caplog.set_level(logging.WARNING)

    async def main() -> None:
        async with open_channel(tmp_path) as channel:

            async def gone(_: object) -> None:
                raise error

            async def receive() -> dict[str, object]:
                return {"type": "http.request", "body": BODY}

            scope = make_scope("POST", "/publish/15", query=f"token={make_token()}", headers=[JSON])
            try:
                await channel.app(scope, receive, gone)
            except OSError as raised:
                assert raised is error  # noqa: PT017  (may be passed on to the server, whose own it is)
        assert "Traceback" not in caplog.text

    run(main())


def test_app_refuses_a_websocket(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            sent = await talk(
                channel.app, {"type": "websocket", "path": "/subscribe/15"}, [{"type": "websocket.connect"}]
            )
            assert [message["type"] for message in sent] == ["websocket.close"]

    run(main())


# Life cycle


async def talk(app: Any, scope: dict[str, Any], incoming: list[dict[str, Any]]) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return incoming.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async with asyncio.timeout(10):
        await app(scope, receive, send)
    return sent


def test_app_lifespan_opens_and_closes_the_log(tmp_path: Path):
    async def main() -> None:
        app = ChannelApp(make_config(tmp_path))
        for _ in range(1):
            events = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
            sent = await talk(app, {"type": "lifespan"}, events)
            assert [message["type"] for message in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
        async with open_channel(tmp_path):
            pass  # the file's owner has let go

    run(main())


def test_app_lifespan_says_why_the_log_cannot_be_opened(tmp_path: Path):
    async def main() -> None:
        app = ChannelApp(make_config(tmp_path / "missing"))
        (sent,) = await talk(app, {"type": "lifespan"}, [{"type": "lifespan.startup"}])
        assert sent["type"] == "lifespan.startup.failed"
        assert "missing" in sent["message"]

    run(main())


def test_app_without_lifespan_opens_the_log_at_the_first_request(tmp_path: Path):
    async def main() -> None:
        app = ChannelApp(make_config(tmp_path))
        scopes = [make_scope("POST", "/publish/15", query=f"token={make_token()}", headers=[JSON]) for _ in range(5)]
        answers = await asyncio.gather(*[exchange(app, scope, [BODY]) for scope in scopes])
        assert {answer.status for answer in answers} == {200}
        await app.stop()

    run(main())


def test_app_whose_log_cannot_be_opened_answers_503_and_recovers(tmp_path: Path):
    async def main() -> None:
        folder = tmp_path / "late"
        app = ChannelApp(make_config(folder))

        async def answer() -> Answer:
            return await exchange(app, make_scope("HEAD", "/subscribe/15", headers=[ORIGIN]))

        refused = await answer()
        assert refused.status == 503
        assert int(refused.headers["retry-after"]) > 0
        assert refused.headers["access-control-allow-origin"] == "*"
        folder.mkdir()
        app._retry_at = 0.0  # the pause between attempts is over
        assert (await answer()).status == 200
        await app.stop()

    run(main())


def test_app_whose_log_cannot_be_opened_tries_once_for_all_who_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An attempt may take seconds (it waits for the last owner to go): a hundred requests may not queue for it."""

    async def main() -> None:
        app = ChannelApp(make_config(tmp_path / "missing"))
        attempts = 0
        open_file = app._log._file.open  # type: ignore[attr-defined]

        def counted(stream_ids: list[int]) -> None:
            nonlocal attempts
            attempts += 1
            open_file(stream_ids)

        monkeypatch.setattr(app._log._file, "open", counted)  # type: ignore[attr-defined]
        scopes = [make_scope("HEAD", "/subscribe/15") for _ in range(20)]
        answers = await asyncio.gather(*[exchange(app, scope) for scope in scopes])
        assert {answer.status for answer in answers} == {503}
        assert attempts == 1

    run(main())


def test_app_end_streams_from_another_thread_ends_them(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            reader = await channel.subscribe().started()
            await asyncio.get_running_loop().run_in_executor(None, channel.app.end_streams)
            await reader.ended()
            assert reader.whole

    run(main())


def test_app_end_streams_before_it_is_open_does_nothing(tmp_path: Path):
    async def main() -> None:
        ChannelApp(make_config(tmp_path)).end_streams()
        await settle()

    run(main())


def test_app_stop_before_start_does_nothing(tmp_path: Path):
    async def main() -> None:
        app = ChannelApp(make_config(tmp_path))
        await app.stop()

    run(main())
