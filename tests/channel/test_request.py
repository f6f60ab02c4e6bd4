"""The body of a publish: its content type, its size, its pieces, and clients that hang up or stall."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inlive_banner.channel import request as request_module
from tests.channel.driver import (
    BODY,
    advance,
    make_scope,
    make_token,
    open_channel,
    run,
    settle,
)


@pytest.mark.parametrize("content_type", ["text/plain", "", "application/x-www-form-urlencoded", "text/json+x", "json"])
def test_publish_of_another_content_type_is_a_415(tmp_path: Path, content_type: str):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            headers = [("content-type", content_type)] if content_type else []
            assert (await channel.post((BODY % 1).encode(), headers=headers)).status == 415

    run(main())


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON", "application/ld+json"]
)
def test_publish_of_a_json_content_type_is_taken(tmp_path: Path, content_type: str):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            assert (await channel.post((BODY % 1).encode(), headers=[("content-type", content_type)])).status == 200

    run(main())


@pytest.mark.parametrize("extra", [-1, 0, 1])
@pytest.mark.parametrize("length_told", [True, False])
@pytest.mark.parametrize("pieces", [1, 7])
def test_publish_body_at_the_limit_is_taken_and_one_byte_more_is_a_413(
    tmp_path: Path, extra: int, length_told: bool, pieces: int
):
    async def main() -> None:
        async with open_channel(tmp_path, max_body_bytes=400) as channel:
            body = (BODY % '"%s"').encode().replace(b"%s", b"x" * (400 + extra - len(BODY % '""')))
            assert len(body) == 400 + extra
            headers = [("content-type", "application/json")]
            if length_told:
                headers.append(("content-length", str(len(body))))
            size = -(-len(body) // pieces)
            parts = [body[place : place + size] for place in range(0, len(body), size)]
            answer = await channel.post(*parts, headers=headers)
            assert answer.status == (413 if extra > 0 else 200)
            assert channel.stream.bounds.head == (0 if extra > 0 else 1)

    run(main())


def test_publish_told_to_be_too_long_is_refused_before_its_body_is_read(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path, max_body_bytes=400) as channel:
            headers = [("content-type", "application/json"), ("content-length", "401")]
            assert (await channel.post(None, headers=headers)).status == 413

    run(main())


def test_publish_whose_body_never_ends_stops_being_read(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path, max_body_bytes=400) as channel:
            taken = 0
            statuses = []

            async def receive() -> dict[str, object]:
                nonlocal taken
                taken += 1
                assert taken < 100
                return {"type": "http.request", "body": b"x" * 100, "more_body": True}

            async def send(message: dict[str, object]) -> None:
                statuses.append(message.get("status"))

            headers = [("content-type", "application/json")]
            scope = make_scope("POST", "/publish/15", query=f"token={make_token()}", headers=headers)
            await channel.app(scope, receive, send)  # type: ignore[arg-type]
            assert statuses[0] == 413
            assert taken == 5

    run(main())


@given(st.data())
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_publish_body_in_any_pieces_is_read_whole(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject):
    from tests.strategies import chunked

    async def main() -> None:
        async with open_channel(tmp_path_factory.mktemp("log")) as channel:
            reader = await channel.subscribe().started()
            pieces = data.draw(chunked((BODY % '"ä€😀"').encode()))
            assert (await channel.post(*pieces)).status == 200
            assert (await reader.count("broadcast", 1))[0].message == "ä€😀"

    run(main())


@pytest.mark.parametrize("pieces", [(None,), (b'{"type": "broad', None), (b"", None)])
def test_publish_whose_client_hangs_up_in_the_body_is_forgotten(tmp_path: Path, pieces: tuple[bytes | None, ...]):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            answer = await channel.post(*pieces)
            assert answer.status == 0
            assert channel.stream.bounds.head == 0

    run(main())


@pytest.mark.parametrize("begun", [False, True])
def test_publish_whose_body_never_comes_is_answered(tmp_path: Path, begun: bool):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            messages = [{"type": "http.request", "body": b'{"type"', "more_body": True}] if begun else []
            statuses = []

            async def receive() -> dict[str, object]:
                return messages.pop(0) if messages else await asyncio.Event().wait()  # type: ignore[return-value]

            async def send(message: dict[str, object]) -> None:
                statuses.append(message.get("status"))

            headers = [("content-type", "application/json")]
            scope = make_scope("POST", "/publish/15", query=f"token={make_token()}", headers=headers)
            task = asyncio.ensure_future(channel.app(scope, receive, send))  # type: ignore[arg-type]
            await settle()
            await advance(request_module.BODY_SECONDS + 1)
            await asyncio.wait([task], timeout=5)
            assert task.done()
            assert statuses[0] == 400

    run(main())
