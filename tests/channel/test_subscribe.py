"""Opening an event stream: its headers, its init, where it begins, who may read, and when it ends."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings

from inlive_banner.channel.subscribe import RETRY_MS
from inlive_banner.signing import ChannelSigner
from tests.channel.driver import CLOSED, PUBLIC, SIGNER, advance, make_token, open_channel, run, settle


def test_subscribe_answers_with_an_event_stream_that_nothing_holds_back(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            reader = await channel.subscribe(headers=[("origin", "https://example.org")]).started()
            assert reader.status == 200
            assert reader.headers["content-type"].partition(";")[0] == "text/event-stream"
            assert reader.headers["cache-control"] == "no-cache"
            assert reader.headers["x-accel-buffering"] == "no"
            assert reader.headers["content-encoding"] == "identity"
            assert reader.headers["access-control-allow-origin"] == "*"

    run(main())


def test_subscribe_begins_with_init_at_once(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            reader = await channel.subscribe().started()
            envelope = reader.init.envelope
            assert str(uuid.UUID(reader.user_id)) == reader.user_id
            assert envelope["to_user_id"] == reader.user_id
            assert {key: envelope[key] for key in ("stream_id", "author_id", "timestamp", "type", "widget_key")} == {
                "stream_id": "15",
                "author_id": "0",
                "timestamp": 0,
                "type": "init",
                "widget_key": "",
            }
            assert reader.init.message["viewer_count"] == 1
            assert "recovered" not in reader.init.message
            assert reader.init.message["head"] == reader.init.id
            assert (await channel.publish(1, token=reader.token)).status == 200

    run(main())


def test_subscribe_retry_is_spread(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            pauses = {(await channel.subscribe().started()).retry_ms for _ in range(20)}
            assert len(pauses) > 1
            assert all(RETRY_MS[0] <= pause <= RETRY_MS[1] for pause in pauses)

    run(main())


def test_subscribe_without_an_id_begins_at_the_head(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            answers = [await channel.publish(value) for value in range(3)]
            reader = await channel.subscribe().started()
            assert reader.init.id == answers[-1].data["id"] == reader.init.message["head"]

    run(main())


def test_subscribe_init_id_is_where_the_subscription_goes_on(tmp_path: Path):
    """Who is cut off right after the init resumes from there, and so misses nothing."""

    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            reader = await channel.subscribe().started()
            reader.hang_up()
            await reader.ended()
            await channel.publish("missed")
            again = await channel.subscribe(headers=[("last-event-id", reader.init.id or "")]).started()
            assert again.init.message["recovered"] is True
            assert (await again.count("broadcast", 1))[0].message == "missed"

    run(main())


def test_subscribe_header_beats_query(tmp_path: Path):
    """A reconnecting EventSource keeps its old URL, so the header is the newer position."""

    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            ids = [(await channel.publish(value)).data["id"] for value in range(3)]
            reader = await channel.subscribe(last_event_id=ids[0], headers=[("last-event-id", ids[1])]).started()
            assert reader.init.id == ids[1]
            await reader.count("broadcast", 1)
            assert reader.seqs == [3]

    run(main())


@pytest.mark.parametrize("position", ["0", "ffffffffffff-1", "rubbish", "-", "1", "\u20ac", "x" * 5000, "0-0", "%00"])
def test_subscribe_after_any_id_that_is_not_valid_gives_all_and_says_so(tmp_path: Path, position: str):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            for value in range(3):
                await channel.publish(value)
            for options in ({"last_event_id": position}, {"headers": [("last-event-id", as_header(position))]}):
                reader = await channel.subscribe(**options).started()
                assert reader.init.message["recovered"] is (position == "0")
                await reader.count("broadcast", 3)
                assert reader.seqs == [1, 2, 3]

    run(main())


def as_header(text: str) -> str:
    """UTF-8 as a browser sends it, in the form in which `make_scope` takes headers."""
    return text.encode().decode("latin-1")


def test_subscribe_after_an_id_beyond_the_head_is_not_recovered_and_gets_what_comes(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            await channel.publish(1)
            epoch = channel.stream.bounds.epochs[0][1]
            reader = await channel.subscribe(last_event_id=f"{epoch}-99").started()
            assert reader.init.message["recovered"] is False
            await channel.publish(2)
            await reader.until(lambda: reader.seqs[-1:] == [2])

    run(main())


@pytest.mark.parametrize(
    "empty", [{"last_event_id": ""}, {"headers": [("last-event-id", "")]}], ids=["query", "header"]
)
def test_subscribe_with_an_empty_id_is_live_only(tmp_path: Path, empty: dict[str, Any]):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            await channel.publish(1)
            reader = await channel.subscribe(**empty).started()
            assert "recovered" not in reader.init.message
            await channel.publish(2)
            await reader.count("broadcast", 1)
            assert reader.seqs == [2]

    run(main())


# Tickets


@pytest.mark.parametrize("way", ["query", "bearer"])
@pytest.mark.parametrize("stream_id", [PUBLIC, CLOSED])
def test_subscribe_with_a_ticket_reads_all(tmp_path: Path, way: str, stream_id: int):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            await channel.publish(1, stream_id=stream_id)
            ticket = SIGNER.make_ticket(stream_id)
            options: dict[str, Any] = (
                {"ticket": ticket} if way == "query" else {"headers": [("authorization", f"Bearer {ticket}")]}
            )
            reader = await channel.subscribe(stream_id=stream_id, last_event_id="0", **options).started()
            assert reader.init.message["recovered"] is True
            assert "head" in reader.init.message
            await channel.publish(2, stream_id=stream_id)
            await reader.count("broadcast", 2)
            assert reader.seqs == [1, 2]

    run(main())


def bad_tickets() -> dict[str, str]:
    good = SIGNER.make_ticket(CLOSED)
    with override_settings(SECRET_KEY="another"):
        other_key = ChannelSigner(token_max_age_seconds=1, ticket_seconds=600).make_ticket(CLOSED)
    return {
        "rubbish": "rubbish",
        "forged": good[:-1] + ("A" if good[-1] != "A" else "B"),
        "prolonged": good.replace(good.split(":")[2], "9999999999"),
        "made silent": good.replace("reader", "service"),
        "of another stream": SIGNER.make_ticket(PUBLIC),
        "renamed": SIGNER.make_ticket(PUBLIC).replace("15:", "16:", 1),
        "of another key": other_key,
        "expired": ChannelSigner(token_max_age_seconds=1, ticket_seconds=-1).make_ticket(CLOSED),
        "a publish token": make_token(CLOSED),
        "a page token": SIGNER.make_page_token(CLOSED),
        "not ASCII": "\u20ac:\u00e4:1:x",
        "many parts": ":" * 50,
    }


@pytest.mark.parametrize("why", bad_tickets())
@pytest.mark.parametrize("stream_id", [PUBLIC, CLOSED])
def test_subscribe_with_a_bad_ticket_is_a_401_never_less_than_asked(tmp_path: Path, why: str, stream_id: int):
    """Also on a public stream, which needs none: a silent downgrade would hide the fault."""

    async def main() -> None:
        ticket = bad_tickets()[why]
        if stream_id == PUBLIC and why == "of another stream":
            ticket = SIGNER.make_ticket(CLOSED)
        async with open_channel(tmp_path) as channel:
            by_query = await channel.subscribe(stream_id=stream_id, ticket=ticket).ended()
            header = ("authorization", f"Bearer {as_header(ticket)}")
            by_header = await channel.subscribe(stream_id=stream_id, headers=[header]).ended()
            for refused in (by_query, by_header):
                assert refused.status == 401
                assert refused.headers["access-control-allow-origin"] == "*"
            assert channel.stream_of(stream_id).subscribers == {}

    run(main())


@pytest.mark.parametrize("stream_id", [PUBLIC, CLOSED])
def test_subscribe_with_an_empty_ticket_is_a_401(tmp_path: Path, stream_id: int):
    """A page whose template rendered none meant to read: it must not be served less in silence."""

    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            assert (await channel.subscribe(stream_id=stream_id, ticket="").ended()).status == 401

    run(main())


def test_subscribe_with_a_ticket_of_an_old_key_is_taken_while_that_is_a_fallback(tmp_path: Path):
    async def main() -> None:
        with override_settings(SECRET_KEY="old"):
            ticket = ChannelSigner(token_max_age_seconds=1, ticket_seconds=600).make_ticket(CLOSED)
        with override_settings(SECRET_KEY_FALLBACKS=["old"]):
            signer = ChannelSigner(token_max_age_seconds=1, ticket_seconds=600)
        async with open_channel(tmp_path, signer=signer) as channel:
            assert "head" in (await channel.subscribe(stream_id=CLOSED, ticket=ticket).started()).init.message

    run(main())


def test_subscribe_ends_when_its_ticket_does(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            reader = await channel.subscribe(stream_id=CLOSED, ticket=SIGNER.make_ticket(CLOSED)).started()
            forever = await channel.subscribe().started()
            await advance(590)
            assert not reader.whole
            await advance(11)
            await reader.ended()
            assert reader.whole
            assert channel.stream_of(CLOSED).subscribers == {}
            assert not forever.task.done()

    run(main())


def test_subscribe_stalled_ends_when_its_ticket_does(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            reader = await channel.subscribe(stream_id=CLOSED, ticket=SIGNER.make_ticket(CLOSED)).started()
            reader.stall()
            await channel.publish(1, stream_id=CLOSED)
            await settle()
            await advance(601)
            assert channel.stream_of(CLOSED).subscribers == {}
            reader.flow()
            await reader.ended()
            assert reader.seqs == []

    run(main())


def test_subscribe_that_ended_before_its_ticket_leaves_no_timer(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            reader = await channel.subscribe(stream_id=CLOSED, ticket=SIGNER.make_ticket(CLOSED)).started()
            timer = channel.stream_of(CLOSED).subscribers[reader.user_id]._end_timer
            assert timer is not None
            reader.hang_up()
            await reader.ended()
            assert timer.cancelled()  # else each reader that left would stay in memory until then
            await advance(601)
            assert not reader.task.cancelled()

    run(main())


def test_subscribe_two_hundred_publishes_and_subscribers_that_come_and_go_miss_nothing(tmp_path: Path):
    """Readers that resume by id see every id once and in order, however much is published meanwhile."""

    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            total = 200

            async def follow(pause: int) -> list[int]:
                seqs: list[int] = []
                last = "0"
                while not seqs or seqs[-1] < total:
                    reader = await channel.subscribe(headers=[("last-event-id", last)]).started()
                    assert reader.init.message["recovered"] is True
                    wanted = min(pause, total - len(seqs))
                    await reader.count("broadcast", wanted)
                    reader.hang_up()
                    await reader.ended()
                    seqs += reader.seqs
                    last = reader.last_event_id
                return seqs

            async def publish() -> None:
                for start in range(0, total, 10):
                    await asyncio.gather(*[channel.publish(value) for value in range(start, start + 10)])

            *followed, _ = await asyncio.gather(*[follow(pause) for pause in (1, 3, 7, 20, 33, 200)], publish())
            for seqs in followed:
                assert seqs == list(range(1, total + 1))

    run(main())
