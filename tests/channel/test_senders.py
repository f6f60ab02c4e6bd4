"""Who sends an interaction: the visitor's pseudonym and the label, as the envelope has them."""

from __future__ import annotations

import asyncio
import logging
import re
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from inlive_banner.channel import publish as publish_module
from inlive_banner.channel import visitors as visitors_module
from inlive_banner.channel.app import ChannelApp
from inlive_banner.envelope import LABELS
from inlive_banner.exceptions import ConfigurationError, LogUnavailableError
from tests.channel.driver import (
    BODY,
    CLOSED,
    PUBLIC,
    SIGNER,
    USER_ID,
    Answer,
    Channel,
    advance,
    exchange,
    make_config,
    make_scope,
    make_token,
    open_channel,
    run,
)
from tests.user_agent import USER_AGENT

CLICK = {"name": "demo-banner", "type": "banner", "action": "click", "user_id": "visitor", "time": 1}
PEER = "203.0.113.7"
CRAWLER = ("user-agent", "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)")
DAY_SECONDS = 86400


async def sent(channel: Channel, message: Any = CLICK, *, stream_id: int = PUBLIC, **options: Any) -> dict[str, Any]:
    """Publish, and give the envelope as the worker gets it."""
    answer = await channel.publish(message, stream_id=stream_id, **({"peer": PEER} | options))
    assert answer.status == 200, answer.body
    return await newest(channel, stream_id)


async def newest(channel: Channel, stream_id: int = PUBLIC) -> dict[str, Any]:
    before = channel.stream_of(stream_id).bounds.event_id(channel.stream_of(stream_id).bounds.head - 1)
    ticket = SIGNER.make_ticket(stream_id, silent=True)
    worker = await channel.subscribe(stream_id=stream_id, ticket=ticket, last_event_id=str(before)).started()
    (event,) = await worker.count("broadcast", 1)
    worker.hang_up()
    await worker.ended()
    return event.envelope


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch):
    """Moves the channel's clock: clock(seconds)."""
    ahead = [0.0]
    real_ns, real = time.time_ns, time.time
    monkeypatch.setattr(time, "time_ns", lambda: real_ns() + int(ahead[0] * 1e9))
    monkeypatch.setattr(time, "time", lambda: real() + ahead[0])

    def move(seconds: float) -> None:
        ahead[0] = seconds

    return move


# The visitor


def test_visitor_is_one_for_an_address_and_a_user_agent_on_all_streams(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            first = (await sent(channel))["visitor"]
            assert re.fullmatch(r"[A-Za-z0-9_-]{22}", first)
            assert (await sent(channel, token=make_token(user_id="another-author")))["visitor"] == first
            assert (await sent(channel, CLICK | {"action": "view"}))["visitor"] == first
            assert (await sent(channel, stream_id=CLOSED))["visitor"] == first
            assert (await sent(channel, peer="203.0.113.8"))["visitor"] != first
            assert (await sent(channel, headers=[("user-agent", USER_AGENT + " x")]))["visitor"] != first
            assert (await sent(channel, peer="::ffff:203.0.113.7"))["visitor"] == first

    run(main())


def test_visitor_is_the_last_field_of_the_stored_envelope(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            await sent(channel, headers=[CRAWLER])
            ((_, body),) = await channel.log.read_newest(PUBLIC, limit=1, max_bytes=10**6)
            assert re.search(rb',"interaction":"click","label":"crawler","visitor":"[A-Za-z0-9_-]{22}"\}$', body)

    run(main())


def test_visitor_is_another_one_each_day_and_the_same_after_a_restart_within_it(tmp_path: Path, clock: Any):
    async def main() -> None:
        seen = []
        for days in (0, 0, 1, 1):
            clock(days * DAY_SECONDS)
            async with open_channel(tmp_path) as channel:
                seen += [(await sent(channel))["visitor"], (await sent(channel))["visitor"]]
        assert len(set(seen[:4])) == 1
        assert len(set(seen[4:])) == 1
        assert seen[0] != seen[4]

    run(main())


def test_visitor_of_a_new_day_differs_without_a_restart(tmp_path: Path, clock: Any):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            today = (await sent(channel))["visitor"]
            clock(DAY_SECONDS)
            assert (await sent(channel))["visitor"] != today
            clock(0)
            assert (await sent(channel))["visitor"] == today

    run(main())


def test_visitor_of_publishes_at_one_time_is_one(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path, impossible_rate=0) as channel:
            worker = await channel.subscribe(ticket=SIGNER.make_ticket(PUBLIC, silent=True)).started()
            await asyncio.gather(*(channel.publish(CLICK, peer=PEER) for _ in range(20)))
            events = await worker.count("broadcast", 20)
            assert len({event.envelope["visitor"] for event in events}) == 1

    run(main())


def test_secret_in_memory_is_let_go_when_its_day_is_over(tmp_path: Path, clock: Any):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            await sent(channel)
            senders = channel.app._senders
            today = time.time_ns() // (DAY_SECONDS * 10**9)
            senders.forget_past()
            assert senders._visitors.is_ready(today)
            clock(DAY_SECONDS)
            senders.forget_past()
            assert not senders._visitors.is_ready(today)
            assert senders._visitors.pseudonym(b"a", b"") == visitors_module.Visitors(channel.log).pseudonym(b"a", b"")

    run(main())


def test_hub_lets_the_secret_go_without_any_publish(tmp_path: Path, clock: Any):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            await sent(channel)
            today = time.time_ns() // (DAY_SECONDS * 10**9)
            clock(DAY_SECONDS)
            await advance(5.0)
            assert not channel.app._senders._visitors.is_ready(today)

    run(main())


@pytest.mark.parametrize("name", ["dnt", "sec-gpc"])
@pytest.mark.parametrize("honour", [True, False])
def test_interaction_of_who_opts_out_isnt_recorded_where_that_is_honoured(tmp_path: Path, name: str, honour: bool):
    async def main() -> None:
        async with open_channel(tmp_path, honour_dnt=honour) as channel:
            answer = await channel.publish(CLICK, headers=[(name, "1")])
            assert answer.status == 200
            assert (answer.data.get("recorded") is False) is honour
            other = await channel.publish("chat", headers=[(name, "1")])
            assert "recorded" not in other.data
            assert channel.stream_of(PUBLIC).bounds.head == (1 if honour else 2)
            assert "visitor" in await sent(channel, headers=[(name, "0")])

    run(main())


@pytest.mark.parametrize("peer", ["", "not an address"])
def test_visitor_without_an_address_is_unknown(tmp_path: Path, peer: str):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            envelope = await sent(channel, peer=peer, headers=[("x-forwarded-for", "192.0.2.1")])
            assert "visitor" not in envelope
            assert "label" not in envelope

    run(main())


def test_visitor_behind_a_proxy_is_whom_the_trusted_ones_name(tmp_path: Path):
    def forwarded(*values: str) -> list[tuple[str, str]]:
        return [("x-forwarded-for", value) for value in values]

    async def main() -> None:
        async with open_channel(tmp_path, trusted_proxies=("127.0.0.1", "10.0.0.0/8")) as channel:
            direct = (await sent(channel))["visitor"]
            for headers in (forwarded(PEER), forwarded(f"6.6.6.6, {PEER}, 10.1.1.1"), forwarded(PEER, "10.1.1.1")):
                assert (await sent(channel, peer="127.0.0.1", headers=headers))["visitor"] == direct
            assert (await sent(channel, headers=forwarded("192.0.2.1")))["visitor"] == direct
            for malformed in (forwarded("\xff\xfe"), forwarded(","), forwarded("x" * 5000)):
                assert "visitor" not in await sent(channel, peer="127.0.0.1", headers=malformed)

    run(main())


def test_visitor_is_left_out_while_the_log_gives_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            asked = []

            async def fail(day: int) -> bytes:
                asked.append(day)
                raise LogUnavailableError("The log can't be used now.")

            with monkeypatch.context() as patch:
                patch.setattr(channel.log, "daily_secret", fail)
                assert "visitor" not in await sent(channel)
                assert "visitor" not in await sent(channel)
            assert len(asked) == 1  # not again at once, for each publish
            monkeypatch.setattr(visitors_module, "RETRY_SECONDS", 0.0)
            channel.app._senders._visitors._retry_at = 0.0
            assert "visitor" in await sent(channel)
            assert [record.levelname for record in caplog.records] == ["WARNING"]

    run(main())


def test_address_and_user_agent_are_stored_and_logged_nowhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    """Not at DEBUG either, nor where a publish fails unforeseen."""
    agent = "Mozilla/5.0 SecretBrowser/77"

    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            options: dict[str, Any] = {"headers": [("user-agent", agent), ("x-forwarded-for", "198.51.100.23")]}
            await sent(channel, **options)
            await sent(channel, peer="127.0.0.1", **options)
            monkeypatch.setattr(publish_module, "read_interaction", lambda _: 1 / 0)
            assert (await channel.publish(CLICK, peer=PEER, **options)).status == 500

    with caplog.at_level(logging.DEBUG):
        run(main())
    on_disk = b"".join(part.read_bytes() for part in tmp_path.glob("channel.sqlite3*"))
    packed = [bytes(int(part) for part in text.split(".")) for text in (PEER, "198.51.100.23")]
    for trace in (b"SecretBrowser", PEER.encode(), b"198.51.100.23", *packed):
        assert trace not in on_disk
        assert trace.decode("latin-1") not in caplog.text
    assert "failed unforeseen" in caplog.text


def test_visitor_and_label_belong_to_interactions_only(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            for message in ("hello", CLICK | {"time": "x"}):
                envelope = await sent(channel, message, headers=[CRAWLER])
                assert not {"visitor", "label", "interaction"} & envelope.keys()
            reader = await channel.subscribe().started()
            await channel.publish(CLICK, type="private", to_user_id=reader.user_id, peer=PEER, headers=[CRAWLER])
            (event,) = await reader.count("private", 1)
            assert not {"visitor", "label"} & event.envelope.keys()

    run(main())


# The label


@pytest.mark.parametrize(
    ("change", "headers", "label"),
    [
        ({}, [], None),
        ({}, [CRAWLER], "crawler"),
        ({}, [("user-agent", "")], "crawler"),
        ({}, [("user-agent", "python-requests/2.32")], "crawler"),
        ({}, [("sec-purpose", "prefetch;prerender")], "prefetch"),
        ({}, [("purpose", "prefetch")], "prefetch"),
        ({}, [("x-moz", "Prefetch")], "prefetch"),
        ({}, [("sec-purpose", "something")], None),
        ({"webdriver": True}, [], "automation"),
        ({"isTrusted": False}, [], "synthetic"),
        ({"label": "staff", "isTrusted": True}, [], None),
        ({"webdriver": True}, [("purpose", "prefetch")], "prefetch"),
        ({"action": "view"}, [CRAWLER], "crawler"),
        ({"label": "own"}, [], None),
    ],
)
def test_label_says_why_it_is_no_persons(
    tmp_path: Path, change: dict[str, str], headers: list[tuple[str, str]], label: str | None
):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            envelope = await sent(channel, CLICK | change, headers=headers)
            assert envelope.get("label") == label
            assert "visitor" in envelope

    run(main())


def test_label_without_any_user_agent_is_crawler(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            scope = make_scope("POST", f"/publish/{PUBLIC}", query=f"token={make_token()}", client=(PEER, 1))
            scope["headers"] = [(b"content-type", b"application/json")]
            body = BODY % '{"type":"banner","action":"click","user_id":"u","time":1}'
            assert (await exchange(channel.app, scope, [body.encode()])).status == 200
            assert (await newest(channel))["label"] == "crawler"

    run(main())


def test_label_own_is_that_of_the_owners_addresses(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path, own_addresses=("192.0.2.0/24", "2001:db8::1")) as channel:
            for peer, label in (("192.0.2.9", "own"), ("2001:db8::1", "own"), (PEER, None), ("", None)):
                assert (await sent(channel, peer=peer)).get("label") == label
            behind = [("x-forwarded-for", "192.0.2.9")]
            assert (await sent(channel, peer="127.0.0.1", headers=behind))["label"] == "own"
            assert (await sent(channel, headers=behind)).get("label") is None

    run(main())


def test_label_is_the_first_that_fits_in_the_order_of_labels(tmp_path: Path):
    """All fit at first; then the one that was given is taken away, and so on."""

    async def main() -> None:
        async with open_channel(tmp_path, own_addresses=(PEER,), impossible_rate=1) as channel:
            staff = SIGNER.make_publish_token(PUBLIC, USER_ID, staff=True)
            purpose = ("purpose", "prefetch")
            options: list[dict[str, Any]] = [
                {"token": staff, "headers": [CRAWLER, purpose]},
                {"headers": [CRAWLER, purpose]},
                {"peer": "192.0.2.1", "headers": [CRAWLER, purpose]},
                {"peer": "192.0.2.1", "headers": [purpose]},
                {"peer": "192.0.2.1"},
            ]
            found = [(await sent(channel, CLICK | {"webdriver": True}, **option))["label"] for option in options]
            found.append((await sent(channel, CLICK | {"isTrusted": False}, peer="192.0.2.1"))["label"])
            await sent(channel, peer="192.0.2.1")
            found.append((await sent(channel, peer="192.0.2.1"))["label"])
            assert tuple(found) == LABELS

    run(main())


def labels_of(answers: list[dict[str, Any]]) -> list[str]:
    return [envelope.get("label", "") for envelope in answers]


def test_label_rate_is_for_more_than_a_person_can_do(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path, impossible_rate=3) as channel:
            fast = [await sent(channel, token=make_token(user_id="a"), peer=f"192.0.2.{n}") for n in range(5)]
            assert labels_of(fast) == ["", "", "", "rate", "rate"]  # one author from many addresses
            fast = [await sent(channel, token=make_token(user_id=f"b{n}")) for n in range(5)]
            assert labels_of(fast) == ["", "", "", "rate", "rate"]  # one visitor as many authors
            fast = [await sent(channel, token=SIGNER.make_page_token(PUBLIC), peer="192.0.2.77") for _ in range(5)]
            assert labels_of(fast) == ["", "", "", "rate", "rate"]  # one visitor with a page's token
            views = [
                await sent(channel, CLICK | {"action": "view"}, token=make_token(user_id="c"), peer="192.0.2.99")
                for _ in range(5)
            ]
            assert labels_of(views) == [""] * 5
            assert labels_of([await sent(channel, token=make_token(user_id="c"), peer="192.0.2.99")]) == [""]

    run(main())


def test_label_rate_can_be_switched_off(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path, impossible_rate=0) as channel:
            assert labels_of([await sent(channel) for _ in range(40)]) == [""] * 40

    run(main())


def test_duplicate_keeps_the_label_and_the_visitor_of_the_first(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            first = await sent(channel, publish_id="same-publish-id", headers=[CRAWLER])
            assert await sent(channel, publish_id="same-publish-id", peer="192.0.2.1") == first

    run(main())


# Tokens


def identity(answer: Answer) -> str:
    token: str = answer.data["token"]
    return token


def test_staffs_page_token_leads_to_a_token_of_staff(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            page = SIGNER.make_page_token(PUBLIC, staff=True)
            answer = await channel.publish(CLICK | {"user_id": ""}, token=page, peer=PEER)
            assert (await newest(channel))["label"] == "staff"
            assert SIGNER.read_publish_token(PUBLIC, identity(answer)) == (answer.data["user_id"], "staff", False)
            assert (await sent(channel, token=identity(answer)))["label"] == "staff"
            plain = await channel.publish(CLICK, token=SIGNER.make_page_token(PUBLIC), peer=PEER)
            assert SIGNER.read_publish_token(PUBLIC, identity(plain)).label == ""

    run(main())


def test_service_token_publishes_in_a_visitors_name(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path, own_addresses=("192.0.2.200",)) as channel:
            own = (await sent(channel))["visitor"]
            service = SIGNER.make_service_token(PUBLIC)
            forwarded = [("inlive-visitor-address", PEER), ("x-forwarded-for", "192.0.2.1, 127.0.0.1")]
            # Whoever the peer is: a web process on another machine, or one that reaches it over a Unix socket.
            for peer in ("192.0.2.200", ""):
                answer = await channel.publish(CLICK, token=service, peer=peer, headers=forwarded)
                assert set(answer.data) == {"id", "received_at"}
                envelope = await newest(channel)
                assert (envelope["visitor"], envelope["author_id"]) == (own, "visitor")
                assert "label" not in envelope
            assert (await sent(channel, token=service, headers=[*forwarded, CRAWLER]))["label"] == "crawler"
            assert "visitor" not in await sent(channel, token=service)
            staff = SIGNER.make_service_token(PUBLIC, staff=True)
            assert (await sent(channel, token=staff, headers=forwarded))["label"] == "staff"

    run(main())


def test_service_token_without_a_user_makes_one_for_author_and_message(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            service = SIGNER.make_service_token(PUBLIC)
            first = await sent(channel, CLICK | {"user_id": ""}, token=service)
            second = await sent(channel, CLICK | {"user_id": ""}, token=service)
            assert first["author_id"] == first["message"]["user_id"] != second["author_id"]
            assert re.fullmatch(r"[0-9a-f-]{36}", first["author_id"])
            assert first["interaction"] == "click"

    run(main())


# Configuration


def test_channel_with_an_address_that_is_none_is_refused(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="TRUSTED_PROXIES has 'proxy'"):
        ChannelApp(make_config(tmp_path, trusted_proxies=("proxy",)))


def test_secret_stands_in_the_log_and_nothing_else_of_visitors(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            await sent(channel)

    run(main())
    db = sqlite3.connect(tmp_path / "channel.sqlite3")
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert tables == {"life", "epoch", "trimmed", "entry", "daily_secret"}
    assert db.execute("SELECT count(*) FROM daily_secret").fetchone() == (1,)
    db.close()
