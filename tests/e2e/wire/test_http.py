"""The channel as an HTTP server: refusals, CORS, connections."""

from __future__ import annotations

import json
import socket
from urllib.parse import quote

import pytest

from tests.e2e.channel_server import KEY
from tests.e2e.sse_client import read_head
from tests.e2e.sse_parser import ChunkReader, Event, EventParser

JSON = "application/json"
ORIGIN = "https://elsewhere.example"
BROADCAST = json.dumps({"type": "broadcast", "widget_key": KEY, "message": "hello"}).encode()


@pytest.fixture
def target(public, signer):
    """Where to publish to, with the right to do so."""
    return f"/publish/{public}?token={signer.make_publish_token(public, 'somebody')}"


def post(target, body=BROADCAST, *, length=True, extra=b""):
    """A whole publish, as bytes."""
    size = b"Content-Length: %d\r\n" % len(body) if length else b""
    return (
        b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n%b%b\r\n" % (target.encode(), size, extra)
    ) + (body if length else b"")


def read_answers(connection, number):
    """The codes of so many answers on one connection."""
    rest = b""
    codes = []
    file = connection.makefile("rb")
    for _ in range(number):
        status_line = file.readline()
        length = 0
        while (line := file.readline().strip().lower()) != b"":
            if line.startswith(b"content-length: "):
                length = int(line.split()[1])
        content = json.loads(rest + file.read(length))
        assert str(content["code"]).encode() == status_line.split()[1]
        codes.append(content["code"])
    return codes


@pytest.mark.parametrize("path", ["/", "/nowhere", "/subscribe", "/subscribe/", "/publish", "/subscribe/1000/more"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_path_of_nothing_is_answered_404(server, method, path):
    assert server.ask(method, path, origin=ORIGIN).code == 404


@pytest.mark.parametrize(("method", "route"), [("GET", "/subscribe/"), ("HEAD", "/subscribe/"), ("POST", "/publish/")])
@pytest.mark.parametrize("stream", ["999", "0", "01000", "+1000", "1000x", "%0A1000", "1000%0A", "1e3", "1" * 17, "٣"])
def test_stream_that_does_not_exist_is_answered_404(server, method, route, stream):
    assert server.ask(method, route + quote(stream, safe="%+"), origin=ORIGIN).code == 404


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/publish/1000", {"POST", "OPTIONS"}),
        ("PUT", "/publish/1000", {"POST", "OPTIONS"}),
        ("POST", "/subscribe/1000", {"GET", "HEAD", "OPTIONS"}),
        ("DELETE", "/subscribe/1000", {"GET", "HEAD", "OPTIONS"}),
        ("POST", "/healthz", {"GET", "HEAD"}),
    ],
)
def test_method_that_a_path_does_not_have_is_answered_405(server, method, path, allowed):
    answer = server.ask(method, path, origin=ORIGIN)
    assert answer.code == 405
    assert set(answer.headers["allow"].split(", ")) == allowed


@pytest.mark.parametrize(
    ("field", "body"),
    [
        ("JSON", b""),
        ("JSON", b"{"),
        ("nested", b'{"type": "broadcast", "widget_key": "a-widget-key", "message": ' + b"[" * 8000),
        ("JSON", b'{"type": "broadcast", "widget_key": "a-widget-key", "message": NaN}'),
        ("JSON", b'{"type": "broadcast", "widget_key": "a-widget-key", "message": Infinity}'),
        ("JSON", b'{"type": "broadcast", "widget_key": "a-widget-key", "message": "\xff"}'),
        ("JSON", rb'{"type": "broadcast", "widget_key": "a-widget-key", "message": "\ud800"}'),
        ("JSON", b'{"type": "broadcast", "widget_key": "a-widget-key", "message": 1} more'),
        ("object", b"[]"),
        ("type", b'{"widget_key": "a-widget-key", "message": 1}'),
        ("type", b'{"type": "shout", "widget_key": "a-widget-key", "message": 1}'),
        ("type", b'{"type": 1, "widget_key": "a-widget-key", "message": 1}'),
        ("widget_key", b'{"type": "broadcast", "message": 1}'),
        ("message", b'{"type": "broadcast", "widget_key": "a-widget-key"}'),
        ("message", b'{"type": "private", "widget_key": "a-widget-key", "to_user_id": "x"}'),
        ("to_user_id", b'{"type": "private", "widget_key": "a-widget-key", "message": 1}'),
        ("timestamp", b'{"type": "broadcast", "widget_key": "a-widget-key", "message": 1, "timestamp": "1"}'),
        ("publish_id", b'{"type": "broadcast", "widget_key": "a-widget-key", "message": 1, "publish_id": "short"}'),
        ("publish_id", b'{"type": "broadcast", "widget_key": "a-widget-key", "message": 1, "publish_id": "a b c d e"}'),
    ],
)
def test_body_that_is_not_a_publish_is_answered_400_and_told_why(server, public, target, field, body):
    answer = server.ask("POST", target, body, content_type=JSON, origin=ORIGIN)
    assert answer.code == 400
    assert field in answer.message
    assert server.everything(public) == []


def test_body_over_the_limit_is_answered_413(server, public, target):
    body = json.dumps({"type": "broadcast", "widget_key": KEY, "message": "x" * 16_384}).encode()
    assert server.ask("POST", target, body, content_type=JSON, origin=ORIGIN).code == 413
    assert server.everything(public) == []


def test_body_over_the_limit_in_chunks_is_answered_413_before_its_end(server, public, target):
    head = post(target, length=False, extra=b"Transfer-Encoding: chunked\r\n")
    with server.send_raw(head + b"4200\r\n" + b"x" * 0x4200 + b"\r\n") as connection:
        assert read_answers(connection, 1) == [413]
    assert server.everything(public) == []


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded", "text/json"])
def test_body_that_does_not_say_json_is_answered_415(server, public, target, content_type):
    """What a page of any origin may send without a preflight is never a publish."""
    headers = {"content_type": content_type} if content_type else {}
    assert server.ask("POST", target, BROADCAST, origin=ORIGIN, **headers).code == 415
    assert server.everything(public) == []


@pytest.mark.parametrize("path", ["/publish/1000?token=any", "/subscribe/1000"])
def test_preflight_allows_what_the_clients_send(server, path):
    answer = server.ask(
        "OPTIONS",
        path,
        origin=ORIGIN,
        access_control_request_method="POST",
        access_control_request_headers="authorization,content-type",
    )
    assert answer.code in (200, 204)
    assert answer.headers["access-control-allow-origin"] in ("*", ORIGIN)
    allowed = {name.strip() for name in answer.headers["access-control-allow-headers"].lower().split(",")}
    assert {"authorization", "content-type"} <= allowed
    assert {"GET", "POST"} <= {name.strip() for name in answer.headers["access-control-allow-methods"].split(",")}
    assert int(answer.headers["access-control-max-age"]) >= 600


def test_origin_that_is_allowed_is_named(server):
    with server.subscribe(3000, origin="https://site.example") as stream:
        assert stream.status == 200
        assert stream.headers["access-control-allow-origin"] == "https://site.example"
        assert "origin" in stream.headers["vary"].lower()


def test_origin_that_is_not_allowed_is_refused_and_may_read_why(server, signer):
    with server.subscribe(3000, origin=ORIGIN) as stream:
        assert stream.status == 403
        assert stream.headers["access-control-allow-origin"] in ("*", ORIGIN)
    answer = server.ask(
        "POST",
        "/publish/3000",
        BROADCAST,
        content_type=JSON,
        origin=ORIGIN,
        authorization=f"Bearer {signer.make_page_token(3000)}",
    )
    assert answer.code == 403
    assert server.everything(3000) == []


@pytest.mark.parametrize("path", ["/subscribe/1000", "/healthz", "/readyz"])
def test_head_is_answered_without_a_body(server, path):
    assert server.ask("HEAD", path).code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probe_is_answered_200(server, path):
    assert server.ask("GET", path).code == 200


def test_two_publishes_share_a_connection(server, public, signer):
    with server.publisher(signer.make_publish_token(public, "somebody"), public) as publisher:
        assert publisher.publish(1).code == 200
        port = publisher.local_port
        assert publisher.publish(2).code == 200
        assert publisher.publish(3, widget_key="wrong").code == 403
        assert publisher.publish(4).code == 200
        assert publisher.local_port == port != 0


def test_pipelined_publishes_are_answered_and_stored_in_order(server, public, target):
    bodies = [json.dumps({"type": "broadcast", "widget_key": KEY, "message": number}).encode() for number in range(5)]
    with server.send_raw(b"".join(post(target, body) for body in bodies)) as connection:
        assert read_answers(connection, 5) == [200] * 5
    assert [envelope["message"] for envelope in server.everything(public)] == list(range(5))


def test_publish_in_chunks_is_taken(server, public, target):
    head = post(target, length=False, extra=b"Transfer-Encoding: chunked\r\n")
    chunks = b"".join(b"%x\r\n%b\r\n" % (1, BROADCAST[place : place + 1]) for place in range(len(BROADCAST)))
    with server.send_raw(head + chunks + b"0\r\n\r\n") as connection:
        assert read_answers(connection, 1) == [200]
    assert [envelope["message"] for envelope in server.everything(public)] == ["hello"]


def test_publish_that_waits_to_be_told_to_go_on_is_told(server, target):
    """curl does so with a large body."""
    request = post(target, extra=b"Expect: 100-continue\r\n")
    with server.send_raw(request.removesuffix(BROADCAST)) as connection:
        assert read_head(connection)[0] == 100
        connection.sendall(BROADCAST)
        assert read_answers(connection, 1) == [200]


def test_publish_in_single_bytes_is_taken(server, target):
    with server.send_raw(b"") as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for place, byte in enumerate(request := post(target)):
            connection.sendall(bytes([byte]))
            assert place < len(request)
        assert read_answers(connection, 1) == [200]


def test_publish_by_http_1_0_is_answered_and_the_connection_ends(server, target):
    with server.send_raw(post(target).replace(b"HTTP/1.1", b"HTTP/1.0", 1)) as connection:
        assert read_answers(connection, 1) == [200]
        assert connection.recv(1) == b""


def test_subscribe_by_http_1_0_streams(server, public):
    """As reverse proxies do that weren't told otherwise."""
    with server.send_raw(b"GET /subscribe/%d HTTP/1.0\r\n\r\n" % public) as connection:
        status, headers, text = read_head(connection)
        assert status == 200
        assert headers["connection"] == "close"
        # RFC 9112, 6.1, has no chunks for a client of HTTP/1.0; uvicorn sends them, and nginx can read them.
        chunks = ChunkReader()
        parser = EventParser()
        events: list[Event | str] = []
        while not events:
            events += parser.feed(chunks.feed(text))
            text = connection.recv(65536)
        assert isinstance(events[0], Event)
        assert events[0].type == "init"


def test_client_that_hangs_up_within_a_publish_leaves_no_trace(server, public, target):
    request = post(target)
    with server.send_raw(request[:-5]):
        pass
    with server.send_raw(request[:40]):
        pass
    assert server.ask("GET", "/healthz").code == 200
    assert server.everything(public) == []
