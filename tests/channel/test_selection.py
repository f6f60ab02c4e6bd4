"""What a subscriber is sent of the broadcasts: its actions only, and the visitor only to the worker."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inlive_banner.channel import ring as ring_module
from inlive_banner.channel import selection as selection_module
from inlive_banner.channel import subscriber as subscriber_module
from inlive_banner.channel.frames import encode_stored
from inlive_banner.channel.selection import (
    ALL,
    WHOLE,
    Filters,
    InvalidActionsError,
    Selection,
    TooManyFiltersError,
    parse_actions,
)
from inlive_banner.envelope import LABELS, Envelope, encode_envelope
from inlive_banner.tail.events import parse_events
from tests.channel.driver import (
    ABSENT,
    CLOSED,
    PUBLIC,
    SIGNER,
    Channel,
    Subscription,
    advance,
    eventually,
    open_channel,
    run,
    settle,
)
from tests.strategies import raw_json

CLICK = {"name": "demo-banner", "type": "banner", "action": "click", "user_id": "visitor", "time": 1}
PEER = "203.0.113.7"
VISITOR = "abcdefghij_-ABCDEFGHIJ"
PERIOD_SECONDS = 15.0

actions = st.sampled_from(["click", "view", "share", 'a"b', "\\", "ä€😀", "\n", "visitor"]) | st.text(
    st.characters(exclude_categories=["Cs"]), min_size=1, max_size=64
)
"""Actions that JSON has to escape, too."""


def make_body(**fields: Any) -> bytes:
    values: dict[str, Any] = {
        "stream_id": "15",
        "author_id": "author",
        "to_user_id": "",
        "message": msgspec.Raw(b"1"),
        "timestamp": 0,
        "type": "broadcast",
        "widget_key": "key",
        "received_at": 1,
    }
    return encode_envelope(Envelope(**values | fields))


# One envelope


@given(
    raw_json(), st.just("") | actions, st.sampled_from(["", *LABELS]), st.sampled_from(["", VISITOR]), st.booleans()
)  # fmt: skip
def test_selection_cuts_the_visitor_and_nothing_else(
    message: bytes, action: str, label: str, visitor: str, framed: bool
):
    """Whatever the message is, and however much it looks like an envelope's end."""
    fields = {"message": msgspec.Raw(message), "interaction": action, "label": label}
    with_visitor, without = make_body(**fields, visitor=visitor), make_body(**fields)
    if framed:
        with_visitor, without = encode_stored(with_visitor, "0123456789ab-1"), encode_stored(without, "0123456789ab-1")

    assert ALL.of(with_visitor) == without
    assert ALL.of(without) == without
    assert WHOLE.of(with_visitor) == with_visitor


@given(raw_json(), st.just("") | actions, st.sampled_from(["", *LABELS]), st.sampled_from(["", VISITOR]), actions)
def test_selection_by_action_is_that_of_the_decoded_envelope(
    message: bytes, action: str, label: str, visitor: str, wanted: str
):
    body = make_body(message=msgspec.Raw(message), interaction=action, label=label, visitor=visitor)
    for named in ([wanted], [wanted, action] if action else ["other"]):
        encoded = frozenset(json_of(name) for name in named)
        is_named = action in named
        assert bool(Selection(actions=encoded).of(body)) == is_named
        assert bool(Selection(actions=encoded, excluded=True).of(body)) != is_named
        assert bool(Selection(actions=encoded).of(encode_stored(body, "0123456789ab-7"))) == is_named


@pytest.mark.parametrize(
    "message",
    [
        {"x": 1, "interaction": "click"},
        {"x": 1, "interaction": "click", "visitor": VISITOR},
        '","interaction":"click"}',
        f',"interaction":"click","visitor":"{VISITOR}"}}',
    ],
)
def test_selection_is_not_deceived_by_a_message_that_looks_like_an_envelopes_end(message: Any):
    raw = msgspec.Raw(json.dumps(message, separators=(",", ":")).encode())
    body = make_body(message=raw)

    assert ALL.of(body) == body
    assert Selection(actions=frozenset([b'"click"'])).of(body) == b""
    assert ALL.of(make_body(message=raw, widget_key=f',"visitor":"{VISITOR}')).count(VISITOR.encode()) >= 1


def json_of(text: str) -> bytes:
    return msgspec.json.encode(text)


# The parameter


@pytest.mark.parametrize(
    ("text", "names", "excluded"),
    [
        ("click", ["click"], False),
        ("click,share", ["click", "share"], False),
        ("share,click,share", ["click", "share"], False),
        ("!view", ["view"], True),
        ("!view,scroll", ["view", "scroll"], True),
        ("x" * 64, ["x" * 64], False),
        ("ä b", ["ä b"], False),
    ],
)
def test_actions_are_read(text: str, names: list[str], excluded: bool):
    assert parse_actions(text) == (frozenset(json_of(name) for name in names), excluded)


BAD_ACTIONS = ["", "!", ",", "click,", ",click", "!,view", "x" * 65, ",".join("abcdefghijklmnopq"), "\ud800"]


@pytest.mark.parametrize("text", BAD_ACTIONS)
def test_actions_that_are_none_are_refused(text: str):
    with pytest.raises(InvalidActionsError, match="^actions "):
        parse_actions(text)


def test_filters_are_made_once_and_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(selection_module, "MAX_FILTERS", 2)
    filters = Filters()
    one, two, three = (Selection(actions=frozenset([b'"%s"' % name])) for name in (b"a", b"b", b"c"))

    first = filters.take(one, trusted=False)
    assert filters.take(Selection(actions=frozenset([b'"a"'])), trusted=False) is first
    filters.take(two, trusted=False)
    with pytest.raises(TooManyFiltersError):
        filters.take(three, trusted=False)
    assert filters.take(three, trusted=True) is three
    assert filters.take(Selection(), trusted=False) is ALL
    assert filters.take(Selection(whole=True), trusted=False) is WHOLE
    filters.release(three)
    filters.release(first)
    filters.release(ALL)
    with pytest.raises(TooManyFiltersError):
        filters.take(three, trusted=False)  # somebody still uses the first
    filters.release(first)
    assert filters.take(three, trusted=False) is three


# Subscribers


async def let_pass(seconds: float) -> None:
    """Let time pass in small steps, so that each tick of a timer comes in its turn."""
    for _ in range(round(seconds * 2) + 2):
        await advance(0.5)


@pytest.mark.parametrize("text", BAD_ACTIONS[:-1])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_subscribe_to_malformed_actions_is_a_400(tmp_path: Path, text: str, method: str):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            answer = await channel.request(method, f"/subscribe/{PUBLIC}", query=urlencode({"actions": text}))
            assert answer.status == 400
            if method == "GET":
                assert answer.json["message"].startswith("actions ")

    run(main())


def test_subscribe_with_too_many_filters_is_a_429_until_one_has_gone(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            readers = [await channel.subscribe(actions=f"a{n}").started() for n in range(selection_module.MAX_FILTERS)]
            answer = await channel.request("GET", f"/subscribe/{PUBLIC}", query="actions=another")
            assert answer.status == 429
            assert int(answer.headers["retry-after"]) > 0
            await channel.subscribe(actions="a0").started()
            await channel.subscribe().started()
            await channel.subscribe(actions="with-a-ticket", ticket=SIGNER.make_ticket(PUBLIC)).started()
            for reader in readers[5:7]:
                reader.hang_up()
                await reader.ended()
                channel.subscriptions.remove(reader)
            await channel.subscribe(actions="another").started()
            answer = await channel.request("GET", f"/subscribe/{PUBLIC}", query="actions=one-more")
            assert answer.status == 429  # the one with a ticket has taken a place too

    run(main())


@pytest.mark.parametrize("stream_id", [PUBLIC, CLOSED])
def test_subscriber_gets_the_label_and_only_the_worker_the_visitor(tmp_path: Path, stream_id: int):
    """Live, in the replay from the ring and from the log, and in the history."""

    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            ticket = SIGNER.make_ticket(stream_id)
            options = {"stream_id": stream_id} | ({"ticket": ticket} if stream_id == CLOSED else {})
            reader = await channel.subscribe(**options).started()  # type: ignore[arg-type]
            filtered = await channel.subscribe(actions="click", **options).started()  # type: ignore[arg-type]
            service = SIGNER.make_ticket(stream_id, silent=True)
            worker = await channel.subscribe(stream_id=stream_id, ticket=service).started()
            narrow = await channel.subscribe(stream_id=stream_id, ticket=service, actions="click").started()
            await channel.publish(CLICK | {"webdriver": True}, peer=PEER, stream_id=stream_id)
            live = [(await each.count("broadcast", 1))[0].envelope for each in (reader, filtered)]
            whole = [(await each.count("broadcast", 1))[0].envelope for each in (worker, narrow)]
            late = await channel.subscribe(**options, last_event_id="0").started()  # type: ignore[arg-type]
            live.append((await late.count("broadcast", 1))[0].envelope)
            await channel.publish(type="request", message=ABSENT, token=reader.token, stream_id=stream_id)
            ((history,),) = [event.message for event in await reader.count("request", 1)]
            await channel.publish(type="request", message=ABSENT, token=worker.token, stream_id=stream_id)
            ((workers,),) = [event.message for event in await worker.count("request", 1)]
            for envelope in (*live, history):
                assert envelope["label"] == "automation"
                assert "visitor" not in envelope
            for envelope in (*whole, workers):
                assert len(envelope["visitor"]) == 22
            for each in (reader, filtered):
                assert whole[0]["visitor"].encode() not in each.raw
        async with open_channel(tmp_path) as channel:  # the ring is empty now: all comes from the log
            late = await channel.subscribe(**options, last_event_id="0").started()  # type: ignore[arg-type]
            assert (await late.count("broadcast", 1))[0].envelope == live[0]
            late_worker = await channel.subscribe(stream_id=stream_id, ticket=service, last_event_id="0").started()
            assert (await late_worker.count("broadcast", 1))[0].envelope == whole[0]

    run(main())


async def publish_all(channel: Channel, kinds: list[str]) -> None:
    for kind in kinds:
        await channel.publish("hello" if kind == "hello" else CLICK | {"action": kind}, peer=PEER)


def kinds_of(reader: Subscription) -> list[str]:
    return [event.envelope.get("interaction", "hello") for event in reader.of("broadcast")]


def test_filtered_subscriber_gets_its_actions_live_replayed_and_as_history(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            wanted = {"click,share": ["click", "share", "click"], "!view": ["click", "hello", "share", "click"]}
            live = {text: await channel.subscribe(actions=text).started() for text in wanted}
            await publish_all(channel, ["click", "view", "hello", "share", "view", "click", "view"])
            for text, kinds in wanted.items():
                replayed = await channel.subscribe(actions=text, last_event_id="0").started()
                for reader in (live[text], replayed):
                    await reader.count("broadcast", len(kinds))
                    assert kinds_of(reader) == kinds
                await channel.publish(type="request", message=ABSENT, token=replayed.token)
                (history,) = await replayed.count("request", 1)
                assert [item.get("interaction", "hello") for item in history.message] == kinds

    run(main())


def test_filtered_subscriber_gets_private_messages_and_notices(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            reader = await channel.subscribe(actions="click").started()
            await advance(1.0)
            other = await channel.subscribe().started()
            await advance(1.0)
            await channel.publish(type="private", to_user_id=reader.user_id, token=other.token)
            await reader.count("private", 1)
            (join,) = await reader.count("system", 1)
            assert join.message == {"status": "join", "viewer_count": 2}

    run(main())


def test_filtered_subscriber_is_told_of_its_place_with_the_keep_alive(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path, keep_alive_seconds=PERIOD_SECONDS) as channel:
            reader = await channel.subscribe(actions="click").started()
            await publish_all(channel, ["click", "view", "view"])
            await reader.count("broadcast", 1)
            await eventually(lambda: channel.stream.subscribers[reader.user_id].seq == 3, "its place")
            assert reader.positions == []
            await let_pass(PERIOD_SECONDS)
            head = str(channel.stream.bounds.event_id(3))
            await eventually(lambda: [position for _, position in reader.positions] == [head], "its place told")
            comments = reader.comments
            await let_pass(PERIOD_SECONDS)
            await eventually(lambda: reader.comments > comments, "a comment")
            assert len(reader.positions) == 1  # nothing new to tell
            # Where it resumes, nothing comes a second time and nothing is missing.
            assert reader.last_event_id == head
            await publish_all(channel, ["view", "click"])
            again = await channel.subscribe(actions="click", last_event_id=head).started()
            assert again.init.message["recovered"] is True
            await again.count("broadcast", 1)
            assert again.seqs == [5]

    run(main())


def test_unfiltered_and_outside_subscribers_get_comments_only(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path, keep_alive_seconds=PERIOD_SECONDS) as channel:
            reader = await channel.subscribe().started()
            outsider = await channel.subscribe(stream_id=CLOSED, actions="click").started()
            await channel.publish(1)
            await channel.publish(CLICK, stream_id=CLOSED)
            await reader.count("broadcast", 1)
            for _ in range(3):
                await let_pass(PERIOD_SECONDS)
            await eventually(lambda: reader.comments and outsider.comments, "comments")
            assert reader.positions == outsider.positions == []

    run(main())


@pytest.mark.usefixtures("tiny_reads")
def test_filtered_subscriber_far_behind_is_told_of_its_place_by_each_read_that_has_nothing(tmp_path: Path):
    """A scan of a long log takes a while: without a sign of life a proxy might end the connection."""

    async def main() -> None:
        async with open_channel(tmp_path, impossible_rate=0) as channel:
            await publish_all(channel, ["view"] * 20 + ["click"] + ["view"] * 10)
        async with open_channel(tmp_path, impossible_rate=0) as channel:
            reader = await channel.subscribe(actions="click", last_event_id="0").started()
            await eventually(lambda: channel.stream.subscribers[reader.user_id].seq == 31, "the head")
            await settle()
            assert reader.seqs == [21]
            told = [int(position.rpartition("-")[2]) for _, position in reader.positions]
            assert told == sorted(set(told))
            assert len(told) > 3
            assert reader.last_event_id.endswith("-31")

    run(main())


def test_subscribers_with_the_same_filter_share_what_is_joined(tmp_path: Path):
    async def main() -> None:
        async with open_channel(tmp_path) as channel:
            sent: dict[str, list[Any]] = {text: [] for text in ("click,a", "a,click", "!view")}
            readers = [await channel.subscribe(actions=text).started() for text in sent]
            for reader, bodies in zip(readers, sent.values(), strict=True):
                subscriber = channel.stream.subscribers[reader.user_id]
                original = subscriber._send

                async def send(message: Any, original: Any = original, bodies: list[Any] = bodies) -> None:
                    bodies.append(message["body"])
                    await original(message)

                subscriber._send = send  # type: ignore[assignment]
            await channel.publish(CLICK, peer=PEER)
            for reader in readers:
                await reader.count("broadcast", 1)
            assert sent["click,a"][0] is sent["a,click"][0]

    run(main())


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from(["click", "view", "share", "hello", "pause"]), max_size=25),
    st.sampled_from(["click", "view", "click,share", "!view", "!click,view,share", "other", "!other"]),
    st.integers(0, 8),
    st.integers(1, 3000),
    st.integers(1, 3000),
    st.integers(200, 20_000),
)  # fmt: skip
def test_filtered_subscriber_gets_the_filter_of_what_an_unfiltered_one_gets(
    tmp_path_factory: pytest.TempPathFactory,
    kinds: list[str],
    text: str,
    before: int,
    read_bytes: int,
    chunk_bytes: int,
    ring_bytes: int,
):
    """In order, none missing, none twice; wherever it begins, however reads and writes are cut, live or replayed, and
    wherever it goes away and comes back by its last event id."""
    excluded, names = text.startswith("!"), text.removeprefix("!").split(",")

    async def main() -> None:
        async with open_channel(tmp_path_factory.mktemp("log"), impossible_rate=0) as channel:
            channel.stream.ring.max_bytes = ring_bytes
            await publish_all(channel, [kind for kind in kinds[:before] if kind != "pause"])
            everything = await channel.subscribe(last_event_id="0").started()
            reader = await channel.subscribe(actions=text, last_event_id="0").started()
            parts = [reader]
            for kind in kinds[before:]:
                if kind == "pause":
                    await settle()
                    reader.hang_up()
                    await reader.ended()
                    reader = await channel.subscribe(actions=text, last_event_id=reader.last_event_id).started()
                    parts.append(reader)
                else:
                    await publish_all(channel, [kind])
            await publish_all(channel, ["last"])
            await everything.until(lambda: kinds_of(everything)[-1:] == ["last"], "the end")
            await advance(0.1)
            subscriber = channel.stream.subscribers[reader.user_id]
            await eventually(lambda: subscriber.seq == channel.stream.ring.seq and not subscriber.pumping, "the head")
            expected = [
                event
                for event in everything.of("broadcast")
                if (event.envelope.get("interaction", "") in names) != excluded
            ]
            assert [event for part in parts for event in part.of("broadcast")] == expected

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subscriber_module, "READ_ENTRIES", 3)
        patch.setattr(subscriber_module, "READ_BYTES", read_bytes)
        patch.setattr(ring_module, "MAX_CHUNK_BYTES", chunk_bytes)
        run(main())


def test_position_without_data_is_understood_by_the_worker(tmp_path: Path):
    """Its parser carries the id to the next event that has data."""

    async def main() -> None:
        async with open_channel(tmp_path, keep_alive_seconds=PERIOD_SECONDS) as channel:
            ticket = SIGNER.make_ticket(PUBLIC, silent=True)
            reader = await channel.subscribe(actions="click", ticket=ticket).started()
            await publish_all(channel, ["click", "view", "view"])
            await eventually(lambda: channel.stream.subscribers[reader.user_id].seq == 3, "its place")
            await let_pass(PERIOD_SECONDS)
            await eventually(lambda: reader.positions, "its place told")
            await channel.publish(type="private", to_user_id=reader.user_id)
            await reader.count("private", 1)
            place = reader.positions[0][1]
            for cut in (1, 7, len(reader.raw)):
                pieces = [reader.raw[start : start + cut] for start in range(0, len(reader.raw), cut)]
                last = list(parse_events(pieces))[-1]
                assert json.loads(last.data)["type"] == "private"
                assert last.last_event_id == place

    run(main())
