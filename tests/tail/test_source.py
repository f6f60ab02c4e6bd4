from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from inlive_banner.exceptions import SourceRefusedError, SourceUnavailableError
from inlive_banner.tail.events import Event
from inlive_banner.tail.source import Source
from tests.polling import wait_until
from tests.tail.fake_channel import Connection, FakeChannel
from tests.tail.making import EPOCH, encode_event, encode_init, make_event


def make_source(channel: FakeChannel, *, keep_alive_seconds: float = 30) -> Source:
    return Source(
        channel_url=channel.url + "/channel/",
        stream_id=15,
        make_ticket=lambda: "the:ticket",
        keep_alive_seconds=keep_alive_seconds,
    )


def read_all(channel: FakeChannel, *, keep_alive_seconds: float = 30) -> list[Event]:
    with make_source(channel, keep_alive_seconds=keep_alive_seconds).subscribe("0") as subscription:
        return [event for events in subscription for event in events]


def sends(*pieces: bytes) -> partial[None]:
    """A script: an event stream of these pieces, with a clean end."""

    def script(pieces: tuple[bytes, ...], connection: Connection) -> None:
        connection.begin()
        for piece in pieces:
            connection.send(piece)
        connection.end_stream()

    return partial(script, pieces)


def answers(status: int, body: bytes = b"", **headers: str) -> partial[None]:
    """A script: this answer."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return partial(Connection.answer, status=status, body=body, headers=named)


def test_subscribe_asks_for_the_stream_from_the_position_with_a_ticket(channel: FakeChannel) -> None:
    channel.scripts.append(sends())

    with make_source(channel).subscribe(f"{EPOCH}-7"):
        pass

    (request,) = channel.connections
    assert request.path == "/channel/subscribe/15"
    assert request.headers["Authorization"] == "Bearer the:ticket"
    assert request.headers["Last-Event-ID"] == f"{EPOCH}-7"
    assert request.headers["Accept"] == "text/event-stream"
    assert request.headers["Accept-Encoding"] == "identity"


def test_subscribe_prefers_its_ticket_to_a_netrc(
    channel: FakeChannel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    channel.scripts.append(sends())

    with make_source(channel).subscribe("0"):
        pass

    assert channel.connections[0].headers["Authorization"] == "Bearer the:ticket"


def test_subscription_gives_events_while_the_stream_is_open(channel: FakeChannel) -> None:
    channel.publish()

    with make_source(channel).subscribe("0") as subscription:
        events = (event for events in subscription for event in events)
        assert "init" in next(events).data
        assert next(events) == make_event(1)
        channel.publish()
        assert next(events) == make_event(2)


def test_subscription_reads_much_at_once(channel: FakeChannel) -> None:
    """Not line by line nor in pieces of some hundred bytes."""
    channel.scripts.append(sends(b"".join(encode_event(seq) for seq in range(1, 5001))))

    with make_source(channel).subscribe("0") as subscription:
        sizes = [len(events) for events in subscription]

    assert sum(sizes) == 5000
    assert max(sizes) > 50


def test_subscription_gives_keep_alives_as_reads_without_events(channel: FakeChannel) -> None:
    channel.scripts.append(sends(b":\n\n", encode_event(1)))

    with make_source(channel).subscribe("0") as subscription:
        reads = list(subscription)

    assert [event for events in reads for event in events] == [make_event(1)]
    assert [] in reads or len(reads) == 1  # both may have come in one


def test_subscription_knows_whether_more_is_there(channel: FakeChannel) -> None:
    channel.publish()
    with make_source(channel).subscribe("0") as subscription:
        seen = 0
        for events in subscription:
            seen += len(events)
            if seen == 2:
                break
        assert not subscription.has_more()
        channel.publish()
        assert wait_until(subscription.has_more)


@pytest.mark.parametrize(
    "garbage",
    [b"\xff\xfe\0\0", b"<html>\r\n\r\n", b"data\r\rid:\0\n\n", b"\n" * 100, b"retry: x\n\n"],
    ids=repr,
)
def test_subscription_survives_garbage_in_the_stream(channel: FakeChannel, garbage: bytes) -> None:
    channel.scripts.append(sends(garbage, b"\n\n", encode_event(1)))

    assert read_all(channel)[-1] == make_event(1)


def test_subscription_counts_events_that_are_too_long(channel: FakeChannel) -> None:
    channel.scripts.append(sends(b"data: ", *[b"x" * 100_000] * 11, b"\n\n", encode_event(1)))

    with make_source(channel).subscribe("0") as subscription:
        events = [event for events in subscription for event in events]

    assert events == [make_event(1)]
    assert subscription.dropped_events == 1


def test_subscription_ends_where_the_channel_ends_it_and_drops_the_cut_off_event(channel: FakeChannel) -> None:
    channel.scripts.append(sends(encode_event(1), encode_event(2)[:-1]))

    assert read_all(channel) == [make_event(1)]


def test_subscription_that_breaks_raises_after_the_events_that_came(channel: FakeChannel) -> None:
    sent = threading.Event()

    def break_off(connection: Connection) -> None:
        connection.begin()
        connection.send(encode_event(1) + b"data: cut")
        sent.wait(timeout=5)
        connection.reset()

    channel.scripts.append(break_off)
    with make_source(channel).subscribe("0") as subscription:
        reads = iter(subscription)
        assert next(reads) == [make_event(1)]
        sent.set()
        with pytest.raises(SourceUnavailableError, match="broke") as broken:
            next(reads)
        assert broken.value.__cause__ is not None


def test_subscription_that_is_silent_too_long_raises(channel: FakeChannel) -> None:
    """A half-open connection: the other end is gone and nobody said so."""

    def go_silent(connection: Connection) -> None:
        connection.begin()
        connection.send(encode_init())
        connection.stall()

    channel.scripts.append(go_silent)
    began = time.monotonic()

    with pytest.raises(SourceUnavailableError, match="timed out"):
        read_all(channel, keep_alive_seconds=0.1)

    assert 0.2 < time.monotonic() - began < 2


def test_subscription_interrupted_ends_a_read_that_blocks(channel: FakeChannel) -> None:
    with make_source(channel).subscribe("0") as subscription:
        reads = iter(subscription)
        assert next(reads)
        began = time.monotonic()
        threading.Timer(0.05, subscription.interrupt).start()
        with suppress(SourceUnavailableError):  # the stream wasn't whole, which is true
            assert list(reads) == []
        assert time.monotonic() - began < 1

    subscription.interrupt()  # harmless afterwards


def test_subscription_whose_reading_fails_unexpectedly_raises_that(
    channel: FakeChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who takes the events must not wait for a thread that is gone."""
    monkeypatch.setattr("urllib3.response.HTTPResponse.read1", lambda *args, **kwargs: 1 / 0)

    with make_source(channel).subscribe("0") as subscription, pytest.raises(ZeroDivisionError):
        next(iter(subscription))


def flood(connection: Connection) -> None:
    """A script: events without end."""
    connection.begin()
    while not connection.server.ended.is_set():
        connection.send(encode_event(1) * 100)


@pytest.fixture
def _no_shutdown(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a socket that can't be shut down, of some other transport."""

    def refuse(response: object) -> None:
        raise ValueError("Cannot shutdown socket")

    monkeypatch.setattr("urllib3.response.HTTPResponse.shutdown", refuse)


@pytest.mark.usefixtures("_no_shutdown")
def test_subscription_interrupted_ends_the_iteration_even_where_the_socket_cant_be_shut_down(
    channel: FakeChannel,
) -> None:
    with make_source(channel, keep_alive_seconds=0.4).subscribe("0") as subscription:
        reads = iter(subscription)
        assert next(reads)
        began = time.monotonic()
        subscription.interrupt()
        assert list(reads) == []
        assert time.monotonic() - began < 0.5


@pytest.mark.usefixtures("_no_shutdown")
def test_subscription_left_in_a_flood_ends_its_reading_even_where_the_socket_cant_be_shut_down(
    channel: FakeChannel,
) -> None:
    channel.scripts.append(flood)
    with make_source(channel).subscribe("0") as subscription:
        wait_until(subscription._buffer.full)

    assert not subscription._reader.is_alive()


def test_subscription_left_in_a_flood_ends_its_reading(channel: FakeChannel) -> None:
    channel.scripts.append(flood)
    with make_source(channel).subscribe("0") as subscription:
        wait_until(subscription._buffer.full)

    assert not subscription._reader.is_alive()


@pytest.mark.parametrize("status", [401, 403, 404])
def test_subscribe_refused_raises_with_the_channels_sentence(channel: FakeChannel, status: int) -> None:
    body = b'{"code": %d, "message": "The ticket has expired."}' % status
    channel.scripts.append(answers(status, body, Content_Type="application/json"))

    with pytest.raises(SourceRefusedError, match=r"The ticket has expired\.") as refused:
        make_source(channel).subscribe("0")

    assert refused.value.status == status


@pytest.mark.parametrize("body", [b"", b"<h1>no</h1>", b"[]", b'{"message": 7}', b"\xff"], ids=repr)
def test_subscribe_refused_by_something_else_says_the_status(channel: FakeChannel, body: bytes) -> None:
    channel.scripts.append(answers(404, body))

    with pytest.raises(SourceRefusedError, match="404: Not Found"):
        make_source(channel).subscribe("0")


def test_subscribe_redirected_says_where_to(channel: FakeChannel) -> None:
    channel.scripts.append(answers(301, Location="https://example.org/subscribe/15"))

    with pytest.raises(SourceRefusedError, match=r"https://example\.org/subscribe/15"):
        make_source(channel).subscribe("0")

    assert len(channel.connections) == 1


def test_subscribe_to_something_that_isnt_a_channel_is_refused(channel: FakeChannel) -> None:
    channel.scripts.append(answers(200, b"<h1>Welcome</h1>", Content_Type="text/html"))

    with pytest.raises(SourceRefusedError, match="text/html"):
        make_source(channel).subscribe("0")


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [("7", 7), ("0", 0), ("9999999999", 60), ("-1", 0), ("Wed, 21 Oct 2026 07:28:00 GMT", 0), ("²", 0)],
)
def test_subscribe_to_a_busy_channel_says_when_to_come_again(
    channel: FakeChannel, retry_after: str, seconds: float
) -> None:
    headers = {"Retry_After": retry_after.encode().decode("latin-1")}
    channel.scripts.append(answers(503, b'{"message": "Shutting down."}', **headers))

    with pytest.raises(SourceUnavailableError, match=r"Shutting down\.") as unavailable:
        make_source(channel).subscribe("0")

    assert unavailable.value.retry_after_seconds == seconds


@pytest.mark.parametrize("status", [400, 409, 429, 500, 502])
def test_subscribe_answered_by_another_error_is_worth_another_try(channel: FakeChannel, status: int) -> None:
    channel.scripts.append(answers(status))

    with pytest.raises(SourceUnavailableError, match=str(status)):
        make_source(channel).subscribe("0")


def test_subscription_to_an_empty_event_stream_ends(channel: FakeChannel) -> None:
    channel.scripts.append(answers(200, Content_Type="text/event-stream"))

    assert read_all(channel) == []


def test_subscribe_where_nobody_listens_says_the_reason() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        source = Source(channel_url=url, stream_id=15, make_ticket=str, keep_alive_seconds=15)

        with pytest.raises(SourceUnavailableError, match="refused"):
            source.subscribe("0")


def test_subscribe_to_what_doesnt_speak_http_is_worth_another_try(channel: FakeChannel) -> None:
    channel.scripts.append(lambda connection: connection.wfile.write(b"SSH-2.0-OpenSSH_9.9\r\n") and None)

    with pytest.raises(SourceUnavailableError):
        make_source(channel).subscribe("0")
