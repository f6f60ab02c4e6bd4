"""The wire's messages: what is taken, what is refused and why, and that nothing changes on the way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inlive_banner.envelope import (
    MAX_ACTION_LENGTH,
    Envelope,
    EventId,
    Interaction,
    decode_envelope,
    decode_publish,
    encode_envelope,
    encode_json,
    fill_user_id,
    make_publish_id,
    parse_event_id,
    parse_stream_id,
    read_interaction,
)
from inlive_banner.exceptions import InvalidEnvelopeError
from tests.strategies import json_values, raw_json

CASES: list[dict[str, Any]] = json.loads(Path(__file__).with_name("interaction_cases.json").read_text(encoding="utf-8"))
"""What a message means, for Python and JavaScript alike."""

_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def make_envelope(**overrides: Any) -> Envelope:
    values: dict[str, Any] = {
        "stream_id": "15",
        "author_id": "author",
        "to_user_id": "",
        "message": msgspec.Raw(b"1"),
        "timestamp": 0,
        "type": "broadcast",
        "widget_key": "key",
    }
    return Envelope(**values | overrides)


@st.composite
def envelopes(draw: st.DrawFn) -> Envelope:
    return make_envelope(
        stream_id=str(draw(st.integers(1, 10**16 - 1))),
        author_id=draw(_text),
        to_user_id=draw(_text),
        message=msgspec.Raw(draw(raw_json())),
        timestamp=draw(st.integers(0, 2**63) | st.floats(allow_nan=False, allow_infinity=False)),
        type=draw(_text),
        widget_key=draw(_text),
        id=draw(st.just("") | st.builds(lambda seq: f"0123456789ab-{seq}", st.integers(0, 10**18))),
        publish_id=draw(_text),
        received_at=draw(st.integers(0, 2**62)),
        interaction=draw(_text),
    )


@given(envelopes())
def test_envelope_encoded_and_decoded_is_the_same(envelope: Envelope):
    encoded = encode_envelope(envelope)
    assert decode_envelope(encoded) == envelope
    assert decode_envelope(encoded.decode()) == envelope


@given(envelopes())
def test_envelope_encoded_is_one_line_of_standard_json(envelope: Envelope):
    encoded = encode_envelope(envelope)
    assert b"\n" not in encoded
    assert b"\r" not in encoded
    assert json.loads(encoded)["message"] == json.loads(bytes(envelope.message))


def test_envelope_additions_that_are_not_set_are_left_out():
    assert set(json.loads(encode_envelope(make_envelope()))) == {
        "stream_id", "author_id", "to_user_id", "message", "timestamp", "type", "widget_key",
    }  # fmt: skip


def test_envelope_with_unknown_fields_is_taken():
    body = json.loads(encode_envelope(make_envelope())) | {"later": [1]}
    assert decode_envelope(json.dumps(body)) == make_envelope()


@pytest.mark.parametrize(
    "field", ["stream_id", "author_id", "to_user_id", "message", "timestamp", "type", "widget_key"]
)
def test_envelope_without_a_field_of_the_original_is_refused(field: str):
    body = json.loads(encode_envelope(make_envelope()))
    del body[field]
    with pytest.raises(InvalidEnvelopeError, match=field):
        decode_envelope(json.dumps(body))


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b"[" * 100_000, "\ud800"], ids=repr)
def test_envelope_of_anything_else_is_refused(data: bytes | str):
    with pytest.raises(InvalidEnvelopeError):
        decode_envelope(data)


def publish_body(**overrides: Any) -> bytes:
    return json.dumps({"type": "broadcast", "widget_key": "key", "message": 1} | overrides).encode()


@given(json_values(), st.sampled_from([None, 1, "\r", "\t"]))
def test_publish_of_any_message_keeps_it_on_one_line(message: Any, indent: int | str | None):
    body = json.dumps({"type": "broadcast", "widget_key": "key", "message": message}, indent=indent).encode()
    request, decoded = decode_publish(body)
    assert decoded == message
    assert json.loads(bytes(request.message)) == message
    assert b"\n" not in bytes(request.message)
    assert b"\r" not in bytes(request.message)


def test_publish_message_on_one_line_stays_byte_for_byte():
    request, _ = decode_publish(b'{"type":"broadcast","widget_key":"k","message":{"a" : 1.50e1, "a":"\\u00e4"}}')
    assert bytes(request.message) == b'{"a" : 1.50e1, "a":"\\u00e4"}'


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (publish_body(type="other"), "type"),
        (publish_body(widget_key=""), "widget_key"),
        (publish_body(widget_key=1), "widget_key"),
        (publish_body(timestamp="1"), "timestamp"),
        (publish_body(publish_id="short"), "publish_id"),
        (publish_body(type="private"), "to_user_id"),
        (publish_body(type="private", to_user_id=1), "to_user_id"),
        (b'{"type": "broadcast", "widget_key": "key"}', "message"),
        (b'{"type": "private", "widget_key": "key", "to_user_id": "u"}', "message"),
        (b'{"widget_key": "key", "message": 1}', "type"),
        (b'{"type": "request"}', "widget_key"),
        (b"[]", ""),
        (b"{", ""),
        (b'{"type": "request", "widget_key": "key", "unknown": "\xff"}', ""),
        (b'{"type": "broadcast", "widget_key": "key", "message": %b}' % (b"[" * 100_000 + b"]" * 100_000), ""),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_publish_error_names_its_field(body: bytes, field: str):
    with pytest.raises(InvalidEnvelopeError) as raised:
        decode_publish(body)
    assert raised.value.field == field
    assert field in str(raised.value)


@pytest.mark.parametrize("kind", ["request", "webhook"])
def test_publish_of_some_types_needs_no_message(kind: str):
    request, message = decode_publish(json.dumps({"type": kind, "widget_key": "key"}).encode())
    assert (request.type, message) == (kind, None)


@given(st.binary(max_size=200))
def test_publish_of_any_bytes_is_taken_or_refused_and_nothing_else(body: bytes):
    with pytest.raises(InvalidEnvelopeError):
        decode_publish(body)


@pytest.mark.parametrize("case", CASES, ids=[case["why"] for case in CASES])
def test_interaction_table_holds(case: dict[str, Any]):
    expected = case["interaction"]
    assert read_interaction(case["message"]) == (Interaction(**expected) if expected else None)


def test_interaction_table_has_both_kinds():
    assert {case["interaction"] is None for case in CASES} == {True, False}


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ({}, ""),
        ({"webdriver": False, "isTrusted": True}, ""),
        ({"webdriver": True}, "automation"),
        ({"isTrusted": False}, "synthetic"),
        ({"webdriver": True, "isTrusted": False}, "automation"),
        ({"webdriver": "true", "isTrusted": 0}, ""),
        ({"webdriver": 1, "isTrusted": None}, ""),
        ({"hint": "automation"}, ""),
    ],
)
def test_interaction_has_what_the_browser_says_of_itself(said: dict[str, Any], hint: str):
    message = {"type": "banner", "action": "click", "user_id": "u", "time": 1, **said}

    interaction = read_interaction(message)

    assert interaction is not None
    assert interaction.hint == hint


@given(json_values())
def test_interaction_of_any_json_is_one_or_none(message: Any):
    read_interaction(message)
    interaction = read_interaction(
        {"type": "banner", "action": message, "user_id": message, "time": message, "name": message}
    )
    assert interaction is None


@pytest.mark.parametrize(
    ("length", "valid"), [(0, False), (1, True), (MAX_ACTION_LENGTH, True), (MAX_ACTION_LENGTH + 1, False)]
)
def test_interaction_action_has_a_length(length: int, valid: bool):
    message = {"type": "banner", "action": "a" * length, "user_id": "u", "time": 1}
    assert (read_interaction(message) is not None) == valid


@pytest.mark.parametrize(
    "message", [{"type": "banner"}, {"type": "banner", "user_id": ""}, {"type": "banner", "user_id": None}]
)
def test_fill_user_id_puts_it_where_there_is_none(message: dict[str, Any]):
    assert fill_user_id(message, "made")
    assert message["user_id"] == "made"


@pytest.mark.parametrize("message", [{"type": "banner", "user_id": "own"}, {"type": "x"}, {}, [], "banner", None, 1])
def test_fill_user_id_leaves_all_else_alone(message: Any):
    before = encode_json(message)
    assert not fill_user_id(message, "made")
    assert encode_json(message) == before


@pytest.mark.parametrize(
    ("text", "stream_id"),
    [
        ("1", 1), ("15", 15), ("9" * 16, 9999999999999999),
        ("0", None), ("015", None), ("1" * 17, None), ("", None), ("-1", None), ("+1", None), ("1.0", None),
        (" 1", None), ("1\n", None), ("\u0661", None), ("x", None),
    ],
)  # fmt: skip
def test_parse_stream_id_takes_what_the_protocol_has(text: str, stream_id: int | None):
    assert parse_stream_id(text) == stream_id


@given(st.text("0123456789abcdef", min_size=8, max_size=32), st.integers(0, 10**18))
def test_event_id_as_text_and_back_is_the_same(epoch: str, seq: int):
    assert parse_event_id(str(EventId(epoch, seq))) == (epoch, seq)


@pytest.mark.parametrize(
    "text",
    ["", "0", "-", "0123456789ab", "0123456789ab-", "-1", "0123456789ab-01", "0123456789ab--1", "0123456789AB-1",
     "xyz-1", "0123456789ab-1\n", "0123456789ab-\u0661", "0123456789ab-1" + "0" * 19, "0123-1", "0" * 33 + "-1"],
)  # fmt: skip
def test_parse_event_id_of_anything_else_is_none(text: str):
    assert parse_event_id(text) is None


def test_make_publish_id_is_valid_and_new_each_time():
    made = {make_publish_id() for _ in range(100)}
    assert len(made) == 100
    for publish_id in made:
        decode_publish(publish_body(publish_id=publish_id))
