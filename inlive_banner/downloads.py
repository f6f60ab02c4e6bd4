"""Answers that are longer than memory: sent while they are made, under WSGI and ASGI alike."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers
from django.utils.text import compress_sequence

__all__ = ["download"]

_TAKES_GZIP = re.compile(r"\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))", re.IGNORECASE)
_MAX_RANDOM_BYTES = 100
"""Of noise in the head of what is compressed, so that its length tells nothing of it; as many as Django's."""


def download(request: HttpRequest, chunks: Iterator[bytes], *, filename: str, content_type: str) -> HttpResponseBase:
    """An attachment of that name, which is plain ASCII, made of the chunks; compressed where the client takes that.

    The chunks are asked for as fast as the client takes them, one at a time, under ASGI in the request's own thread.
    A client that goes away ends it. `HEAD` asks for none.
    """
    headers = {"Content-Disposition": f'attachment; filename="{filename}"', "Content-Type": content_type}
    # Done here because GZipMiddleware makes, of what an ASGI site streams, a file of many parts (Django 5.2), of which
    # browsers read the first one only. What is compressed already, it leaves alone.
    is_compressed = _TAKES_GZIP.search(request.headers.get("Accept-Encoding", "")) is not None
    if is_compressed:
        headers["Content-Encoding"] = "gzip"
    response: HttpResponseBase
    if request.method == "HEAD":
        response = HttpResponse(headers=headers)
    else:
        sent = iter(compress_sequence(chunks, max_random_bytes=_MAX_RANDOM_BYTES)) if is_compressed else chunks
        content = _in_thread(sent) if isinstance(request, ASGIRequest) else sent
        response = StreamingHttpResponse(content, headers=headers)
    patch_vary_headers(response, ["Accept-Encoding"])
    return response


async def _in_thread(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The same, for an event loop, which waiting for the database must not stop."""

    def take() -> bytes | None:
        return next(chunks, None)

    while (chunk := await sync_to_async(take)()) is not None:
        yield chunk
