"""Long answers under WSGI and ASGI, with and without compression."""

from __future__ import annotations

import asyncio
import gzip
import threading
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from django.http import HttpRequest
from django.middleware.gzip import GZipMiddleware
from django.test import AsyncRequestFactory, RequestFactory

from inlive_banner.downloads import download

CHUNKS = [b"header\r\n", b"x" * 100_000, b"end\r\n"]


@pytest.fixture(params=[RequestFactory, AsyncRequestFactory], ids=["wsgi", "asgi"])
def factory(request: pytest.FixtureRequest) -> Any:
    return request.param()


def sent(request: HttpRequest, chunks: Iterator[bytes] | None = None) -> Any:
    chunks = iter(CHUNKS) if chunks is None else chunks
    return download(request, chunks, filename="log.csv", content_type="text/csv; charset=utf-8")


def body_of(response: Any) -> bytes:
    async def collect() -> bytes:
        return b"".join([part async for part in response])

    return asyncio.run(collect()) if response.is_async else b"".join(response)


def test_chunks_are_sent_as_an_attachment(factory: Any) -> None:
    response = sent(factory.get("/"))

    assert response.headers["Content-Disposition"] == 'attachment; filename="log.csv"'
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert response.headers["Vary"] == "Accept-Encoding"
    assert "Content-Encoding" not in response.headers
    assert body_of(response) == b"".join(CHUNKS)


def test_what_is_streamed_fits_the_server(factory: Any) -> None:
    """Django warns of the other kind, and reads all of it into memory."""
    assert sent(factory.get("/")).is_async == isinstance(factory, AsyncRequestFactory)


@pytest.mark.parametrize("accepted", ["gzip", "br, gzip;q=0.8", "GZIP", "gzip;q=0.01"])
def test_client_that_takes_gzip_gets_one_stream_of_it(factory: Any, accepted: str) -> None:
    """Browsers read the first part of several, and take it for the whole."""
    response = sent(factory.get("/", headers={"Accept-Encoding": accepted}))

    assert response.headers["Content-Encoding"] == "gzip"
    body = body_of(response)
    assert len(body) < 2_000
    reader = zlib.decompressobj(wbits=31)
    assert reader.decompress(body) == b"".join(CHUNKS)
    assert reader.eof
    assert reader.unused_data == b""


@pytest.mark.parametrize("accepted", ["", "identity", "gzip;q=0", "br, gzip; q=0.0", "gzip;q=0, br"])
def test_client_that_does_not_take_gzip_gets_none(factory: Any, accepted: str) -> None:
    response = sent(factory.get("/", headers={"Accept-Encoding": accepted}))

    assert "Content-Encoding" not in response.headers
    assert body_of(response) == b"".join(CHUNKS)


def test_gzip_middleware_leaves_it_alone(factory: Any) -> None:
    request = factory.get("/", headers={"Accept-Encoding": "gzip"})

    response = GZipMiddleware(sent)(request)

    assert gzip.decompress(body_of(response)) == b"".join(CHUNKS)


def test_head_asks_for_no_chunk(factory: Any) -> None:
    response = sent(factory.head("/"), iter(lambda: pytest.fail("was asked for"), None))

    assert response.headers["Content-Disposition"] == 'attachment; filename="log.csv"'
    assert response.content == b""


def test_chunks_are_asked_for_one_at_a_time_away_from_the_event_loop() -> None:
    threads = []

    def chunks() -> Iterator[bytes]:
        for chunk in CHUNKS:
            threads.append(threading.current_thread())
            yield chunk

    async def collect_two() -> list[bytes]:
        response = sent(AsyncRequestFactory().get("/"), chunks())
        parts = response.streaming_content
        found = [await anext(parts), await anext(parts)]
        await parts.aclose()
        return found

    assert asyncio.run(collect_two()) == CHUNKS[:2]
    assert len(threads) == 2
    assert threading.current_thread() not in threads


def test_failure_on_the_way_is_no_end_of_the_file(factory: Any) -> None:
    """The server then breaks the connection off, and the client knows that the file isn't whole."""

    def chunks() -> Iterator[bytes]:
        yield CHUNKS[0]
        raise OSError("the database is gone")

    with pytest.raises(OSError, match="gone"):
        body_of(sent(factory.get("/", headers={"Accept-Encoding": "gzip"}), chunks()))
