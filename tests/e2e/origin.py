"""A web server of the tests' own: pages of another origin, and stand-ins for channels that misbehave."""

from __future__ import annotations

import json
import mimetypes
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.e2e.processes import ROOT

__all__ = ["STATIC", "Answer", "Origin", "Request", "encode_event", "serving"]

STATIC = ROOT / "inlive_banner" / "static" / "inlive_banner"

_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": "authorization, content-type",
    "Access-Control-Expose-Headers": "retry-after",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request that the origin has had."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the origin answers."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/html; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)
    stays_open: bool = False
    """The body goes on, as an event stream's does, until the origin ends."""
    chunks: Iterable[bytes] = ()
    """What follows the body, as it comes, where that stays open."""

    @classmethod
    def sentence(cls, code: int, message: str, data: object = None, **headers: str) -> Answer:
        """An answer in the channel's shape."""
        body = json.dumps({"code": code, "message": message, "data": data}).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return cls(status=code, body=body, content_type="application/json", headers=named)

    @classmethod
    def events(cls, *envelopes: dict[str, Any], ends: bool = False, chunks: Iterable[bytes] = ()) -> Answer:
        """An event stream; an envelope that has an `id` is sent with it. Clients come back at once where it ends."""
        body = b"retry: 10\n\n" + b"".join(encode_event(envelope) for envelope in envelopes)
        return cls(body=body, content_type="text/event-stream", stays_open=not ends, chunks=chunks)


def encode_event(envelope: dict[str, Any]) -> bytes:
    """An event of a stream."""
    place = f"id: {envelope['id']}\n" if "id" in envelope else ""
    return f"{place}data: {json.dumps(envelope)}\n\n".encode()


class Origin:
    """Serves pages from memory and files from folders, and answers the rest as the test says."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._ended = threading.Event()
        self._pages: dict[str, Answer] = {}
        self._answers: dict[tuple[str, str], Callable[[Request], Answer]] = {}
        self._folders = {"/static/": STATIC}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        """Its base address."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def page(self, path: str, html: str, **headers: str) -> str:
        """Put a page there; returns its address."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._pages[path] = Answer(body=html.encode(), headers=named)
        return self.url + path

    def stored(self, path: str) -> Answer:
        """The page that was put there."""
        return self._pages[path]

    def folder(self, prefix: str, folder: Path) -> None:
        """Serve a folder's files below `prefix`, which ends with a slash."""
        self._folders[prefix] = folder

    def answer(self, method: str, path: str, function: Callable[[Request], Answer]) -> None:
        """Let `function` answer from now on; it runs in a thread of its own and may wait."""
        self._answers[method, path] = function

    def had(self, method: str, path: str) -> list[Request]:
        """The requests of one kind, oldest first."""
        return [request for request in list(self.requests) if (request.method, request.path) == (method, path)]

    def serve(self) -> None:
        """Serve until `end()`."""
        self._server.serve_forever(poll_interval=0.05)

    def end(self) -> None:
        """Stop serving, and let go of streams that are open."""
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()

    def _respond(self, request: Request) -> Answer:
        function = self._answers.get((request.method, request.path))
        if function:
            return function(request)
        if request.method == "OPTIONS":
            return Answer(status=204)
        for prefix, folder in self._folders.items():
            file = folder / request.path.removeprefix(prefix)
            if request.path.startswith(prefix) and file.is_file():
                return Answer(body=file.read_bytes(), content_type=mimetypes.guess_type(file.name)[0] or "text/plain")
        return self._pages.get(request.path, Answer(status=404, body=b"Not found"))

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        origin = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_request(self) -> None:
                split = urlsplit(self.path)
                length = int(self.headers.get("Content-Length") or 0)
                request = Request(
                    method=self.command,
                    path=split.path,
                    query=parse_qs(split.query),
                    headers={name.lower(): value for name, value in self.headers.items()},
                    body=self.rfile.read(length),
                )
                origin.requests.append(request)
                answer = origin._respond(request)
                try:
                    self.write(answer)
                except ConnectionError:
                    self.close_connection = True  # the page has gone

            do_GET = do_POST = do_OPTIONS = handle_request  # noqa: N815

            def write(self, answer: Answer) -> None:
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.content_type)
                for name, value in (_CORS | answer.headers).items():
                    self.send_header(name, value)
                if answer.stays_open:
                    self.send_header("Connection", "close")
                else:
                    self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)
                self.wfile.flush()
                if answer.stays_open:
                    for chunk in answer.chunks:
                        self.wfile.write(chunk)
                        self.wfile.flush()
                    origin._ended.wait()
                    self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        return Handler


@contextmanager
def serving() -> Iterator[Origin]:
    """An origin that serves while the block runs."""
    origin = Origin()
    thread = threading.Thread(target=origin.serve, name="origin", daemon=True)
    thread.start()
    try:
        yield origin
    finally:
        origin.end()
        thread.join()
