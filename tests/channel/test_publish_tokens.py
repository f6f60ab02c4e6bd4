"""Who may publish: tokens, page tokens, and everything that only looks like one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings

from inlive_banner.signing import ChannelSigner
from tests.channel.driver import (
    BODY,
    CLOSED,
    PUBLIC,
    SIGNER,
    USER_ID,
    make_token,
    open_channel,
    run,
)

CLICK = {"name": "demo-banner", "type": "banner", "action": "click", "user_id": "visitor", "time": 1}


def forged(token: str) -> str:
    return token[:-1] + ("A" if token[-1] != "A" else "B")


BAD_TOKENS = {
    "none": "",
    "rubbish": "rubbish",
    "many parts": "1:2:3:4:5:6",
    "forged": forged(make_token()),
    "another user's signature": make_token(user_id="0") .replace(":0:", ":1:"),
    "of another stream": make_token(CLOSED),
    "of another stream, renamed": make_token(CLOSED).replace("16:", "15:", 1),
    "page token of another stream": SIGNER.make_page_token(CLOSED),
    "ticket": SIGNER.make_ticket(PUBLIC),
    "ticket of the worker": SIGNER.make_ticket(PUBLIC, silent=True),
    "page token with a user put in": SIGNER.make_page_token(PUBLIC).replace("15:", "15:0:", 1),
    "not ASCII": "15:\u00e4:\u20ac:x",
    "NUL": "15:\0:x:y",
    "long": "15:" + "x" * 10_000,
}  # fmt: skip


@pytest.mark.parametrize("token", BAD_TOKENS.values(), ids=BAD_TOKENS)
def test_publish_with_a_bad_token_is_a_401_and_stores_nothing(tmp_path: Path, token: str):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            assert (await channel.publish(token=token)).status == 401
            bearer = [
                ("content-type", "application/json"),
                ("authorization", f"Bearer {token}".encode().decode("latin-1")),
            ]
            assert (await channel.post((BODY % 1).encode(), token="", headers=bearer)).status == 401
            assert channel.stream.bounds.head == 0

    run(main())


@pytest.mark.parametrize("make", [make_token, SIGNER.make_page_token], ids=["publish", "page"])
def test_publish_with_an_expired_token_is_a_401_that_says_so(tmp_path: Path, make: Any):
    async def main() -> None:
        signer = ChannelSigner(token_max_age_seconds=-1, ticket_seconds=600)
        async with open_channel(tmp_path, signer=signer) as channel:
            answer = await channel.publish(token=make(PUBLIC))
            assert answer.status == 401
            assert "expired" in answer.json["message"]

    run(main())


@pytest.mark.parametrize("kind", ["publish", "page"])
def test_publish_with_a_token_of_an_old_key_is_taken_while_that_is_a_fallback(tmp_path: Path, kind: str):
    def make_signer() -> ChannelSigner:
        return ChannelSigner(token_max_age_seconds=3600, ticket_seconds=600)

    async def main() -> None:
        with override_settings(SECRET_KEY="old"):
            old = make_signer()
            token = old.make_page_token(PUBLIC) if kind == "page" else old.make_publish_token(PUBLIC, USER_ID)
        async with open_channel(tmp_path, signer=make_signer()) as channel:
            assert (await channel.publish(token=token)).status == 401
        with override_settings(SECRET_KEY_FALLBACKS=["older", "old"]):
            signer = make_signer()
        async with open_channel(tmp_path, signer=signer) as channel:
            assert (await channel.publish(token=token)).status == 200

    run(main())


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_publish_by_bearer_on_a_fixed_url_is_taken(tmp_path: Path, scheme: str):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            headers = [("content-type", "application/json"), ("authorization", f"{scheme} {make_token()}")]
            assert (
                await channel.request("POST", "/publish/15", headers=headers, pieces=[(BODY % 1).encode()])
            ).status == 200

    run(main())


@pytest.mark.parametrize("authorization", ["", "Basic dXNlcjpwYXNz"], ids=["empty", "basic"])
def test_publish_with_an_authorization_of_no_use_takes_the_query_token(tmp_path: Path, authorization: str):
    """The published client sends an empty header; a proxy before a test site may ask for a password."""

    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            headers = [("content-type", "application/json"), ("authorization", authorization)]
            assert (await channel.post((BODY % 1).encode(), headers=headers)).status == 200

    run(main())


def test_publish_token_of_init_survives_an_unencoded_query_and_a_restart(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            reader = await channel.subscribe().started()
            token = reader.token
            assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~:=")
        async with open_channel(tmp_path) as channel:
            answer = await channel.request(
                "POST",
                "/publish/15",
                query=f"token={token}",
                headers=[("content-type", "application/json")],
                pieces=[(BODY % 1).encode()],
            )
            assert answer.status == 200

    run(main())


def test_publish_by_page_token_fills_the_user_in_and_hands_over_a_token(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            reader = await channel.subscribe().started()
            first = (await channel.publish(CLICK | {"user_id": ""}, token=SIGNER.make_page_token(PUBLIC))).data
            second = (await channel.publish(CLICK, token=first["token"])).data
            one, two = await reader.count("broadcast", 2)
            assert one.message == CLICK | {"user_id": first["user_id"]}
            assert one.envelope["author_id"] == two.envelope["author_id"] == first["user_id"]
            assert one.envelope["interaction"] == "click"
            assert two.message == CLICK
            assert set(second) == {"id", "received_at"}

    run(main())


@pytest.mark.parametrize(
    "message",
    [CLICK, {"type": "other", "user_id": ""}, "text", [{"type": "banner"}]],
    ids=["own id", "other", "text", "list"],
)
def test_publish_by_page_token_leaves_other_messages_as_they_are(tmp_path: Path, message: object):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            reader = await channel.subscribe().started()
            assert (await channel.publish(message, token=SIGNER.make_page_token(PUBLIC))).status == 200
            assert (await reader.count("broadcast", 1))[0].message == message

    run(main())


def test_publish_by_page_token_makes_a_user_of_its_own_each_time(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            token = SIGNER.make_page_token(PUBLIC)
            users = {(await channel.publish(CLICK, token=token)).data["user_id"] for _ in range(3)}
            assert len(users) == 3

    run(main())


def test_publish_by_page_token_cannot_ask_for_the_history(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            assert (await channel.publish(type="request", token=SIGNER.make_page_token(PUBLIC))).status == 409

    run(main())
