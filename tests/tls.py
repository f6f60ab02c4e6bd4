"""TLS in front of a server that has none: the Valkey of the tests was built without."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import trustme

__all__ = ["tls_in_front_of"]


@contextlib.contextmanager
def tls_in_front_of(port: int, folder: Path) -> Iterator[tuple[int, Path]]:
    """(A port of 127.0.0.1 that speaks TLS and passes on to the other, the certificate of who vouches for it.)"""
    authority = trustme.CA()
    certificate = folder / "authority.pem"
    authority.cert_pem.write_to_path(certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    begun: Future[int] = Future()
    ended = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_run(context, port, begun, ended)), daemon=True)
    thread.start()
    try:
        yield begun.result(10), certificate
    finally:
        ended.set()
        thread.join(10)


async def _run(context: ssl.SSLContext, port: int, begun: Future[int], ended: threading.Event) -> None:
    async with await asyncio.start_server(lambda *client: _serve(client, port), "127.0.0.1", 0, ssl=context) as server:
        begun.set_result(server.sockets[0].getsockname()[1])
        await asyncio.to_thread(ended.wait)


async def _serve(client: tuple[asyncio.StreamReader, asyncio.StreamWriter], port: int) -> None:
    target = await asyncio.open_connection("127.0.0.1", port)
    await asyncio.gather(_pass_on(client[0], target[1]), _pass_on(target[0], client[1]))


async def _pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    sink.close()
    with contextlib.suppress(OSError):
        await sink.wait_closed()
