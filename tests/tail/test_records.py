from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inlive_banner.envelope import EventId, encode_envelope
from inlive_banner.tail.events import Event
from inlive_banner.tail.records import Init, Record, read_init, read_record, storable_text, storable_time
from tests.tail.making import EPOCH, NOW, NOW_MS, encode_init, make_envelope, make_event

LATER = datetime(2026, 11, 24, 13, 0, tzinfo=UTC)
PART_ONE_ONLY = {"id": "", "publish_id": "", "received_at": 0, "interaction": ""}
"""An envelope of a server without our additions."""


def test_read_record_of_a_click_has_all_that_is_stored() -> None:
    record = read_record(make_event(7), now=LATER)

    assert record == Record(
        EventId(EPOCH, 7),
        (f"{EPOCH}-7", "publish-0123-7", "demo-banner", "click", "visitor", "author", "/", "", "", False, NOW, NOW),
    )


def test_read_record_takes_the_channels_word_for_what_is_an_interaction() -> None:
    """The message looks like a click in all ways; the channel didn't say that it is one."""
    assert read_record(make_event(7, interaction=""), now=LATER) == Record(EventId(EPOCH, 7), malformed=True)


def test_read_record_takes_the_action_from_the_channel() -> None:
    record = read_record(make_event(interaction="view"), now=LATER)

    assert record is not None
    assert record.row is not None
    assert record.row.action == "view"


def test_read_record_has_the_channels_label_and_visitor_and_whether_it_was_seen_before() -> None:
    record = read_record(make_event(message={"viewed": True}, label="crawler", visitor="v" * 22), now=LATER)

    assert record is not None
    assert record.row is not None
    assert (record.row.label, record.row.visitor, record.row.viewed) == ("crawler", "v" * 22, True)


def test_read_record_takes_a_label_that_it_doesnt_know_cut_to_its_column() -> None:
    """A newer channel may know more, and what it doesn't count must not be counted here."""
    for label, stored in (("moonlight", "moonlight"), ("x" * 99, "x" * 31 + "…")):
        record = read_record(make_event(label=label), now=LATER)

        assert record is not None
        assert record.row is not None
        assert record.row.label == stored


@pytest.mark.parametrize(("action", "is_view"), [("view", True), ("click", False), ("", False)])
def test_record_says_whether_it_is_a_view(action: str, is_view: bool) -> None:
    record = read_record(make_event(interaction=action), now=LATER)

    assert record is not None
    assert record.is_view is is_view


@pytest.mark.parametrize("message", ["hello", 7, ["a"], {"type": "chat"}], ids=repr)
def test_read_record_of_another_broadcast_is_only_its_place(message: object) -> None:
    event = make_event(7, message=message, interaction="")

    assert read_record(event, now=LATER) == Record(EventId(EPOCH, 7))


def test_read_record_of_a_banners_message_that_cant_be_read_is_malformed() -> None:
    event = make_event(7, message={"user_id": ""})

    assert read_record(event, now=LATER) == Record(EventId(EPOCH, 7), malformed=True)


@pytest.mark.parametrize("data", ["", "{}", "[]", "{", '{"type": 7}', "null"], ids=repr)
def test_read_record_of_what_isnt_an_envelope_is_malformed_at_its_place(data: str) -> None:
    assert read_record(Event(data, f"{EPOCH}-7"), now=LATER) == Record(EventId(EPOCH, 7), malformed=True)


def test_read_record_of_a_lone_surrogate_is_malformed() -> None:
    event = make_event(7)
    broken = Event(event.data.replace("demo-banner", r"\ud800"), event.last_event_id)

    assert read_record(broken, now=LATER) == Record(EventId(EPOCH, 7), malformed=True)


def test_read_record_of_a_number_beyond_all_bounds_is_malformed() -> None:
    event = make_event(7, message={"time": 12345})
    broken = Event(event.data.replace('"time":12345', '"time":1e999'), event.last_event_id)

    assert read_record(broken, now=LATER) == Record(EventId(EPOCH, 7), malformed=True)


def test_read_record_of_a_message_nested_without_end_is_malformed() -> None:
    event = make_event(7)
    nested = Event(event.data.replace('"demo-banner"', "[" * 5000 + "]" * 5000), event.last_event_id)

    assert read_record(nested, now=LATER) == Record(EventId(EPOCH, 7), malformed=True)


@pytest.mark.parametrize("kind", ["init", "system", "private", "request"])
def test_read_record_of_what_the_log_doesnt_hold_is_nothing(kind: str) -> None:
    assert read_record(make_event(type=kind), now=LATER) is None


def test_read_record_without_our_additions_judges_by_itself() -> None:
    record = read_record(make_event(**PART_ONE_ONLY), now=LATER)

    assert record is not None
    assert record.event_id is None
    assert record.row is not None
    assert (record.row.action, record.row.received_at, record.row.event_id) == ("click", LATER, "")
    assert len(record.row.publish_id) == 64


def test_read_record_without_our_additions_derives_the_same_publish_id_whatever_the_order_of_keys() -> None:
    envelope = make_envelope(**PART_ONE_ONLY)
    message = msgspec.json.decode(envelope.message)
    turned = make_envelope(**PART_ONE_ONLY)
    turned.message = msgspec.Raw(msgspec.json.encode(dict(reversed(message.items()))))
    another = make_envelope(message={"time": 1}, **PART_ONE_ONLY)

    ids = []
    for each in (envelope, turned, another):
        record = read_record(Event(encode_envelope(each).decode()), now=LATER)
        assert record is not None
        assert record.row is not None
        ids.append(record.row.publish_id)

    assert ids[0] == ids[1] != ids[2]


def test_read_record_without_a_publish_id_takes_the_event_id() -> None:
    record = read_record(make_event(7, publish_id=""), now=LATER)

    assert record is not None
    assert record.row is not None
    assert record.row.publish_id == f"{EPOCH}-7"


def test_read_record_of_too_much_text_fits_the_columns() -> None:
    long = "x" * 5000
    record = read_record(
        make_event(message={"name": long, "user_id": long, "page": long}, author_id=long, interaction=long),
        now=LATER,
    )

    assert record is not None
    assert record.row is not None
    lengths = [len(value) for value in record.row[2:7]]
    assert lengths == [200, 64, 128, 128, 1000]
    assert all(value.endswith("x…") for value in record.row[2:7])


@pytest.mark.parametrize("time", [1e300, -1e300, 9e15, -9e15, 253_402_300_799_999])
def test_read_record_of_a_time_that_is_no_date_leaves_it_out(time: float) -> None:
    record = read_record(make_event(message={"time": time}), now=LATER)

    assert record is not None
    assert record.row is not None
    assert record.row.visitor_time is None


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("", ""),
        ("plain", "plain"),
        ("a\0b", "a\ufffdb"),
        ("a\ud800b", "a\ufffdb"),
        ("a\udc00\ud800b", "a\ufffd\ufffdb"),
        ("😀", "😀"),
        ("12345678", "12345678"),
        ("123456789", "1234567…"),
        ("\0" * 9, "\ufffd" * 7 + "…"),
    ],
    ids=ascii,
)
def test_storable_text_is_what_every_database_can_hold(text: str, stored: str) -> None:
    assert storable_text(text, 8) == stored


@given(st.text(st.characters(exclude_categories=())), st.integers(1, 20))
def test_storable_text_of_any_text_is_short_clean_and_stays_so(text: str, max_length: int) -> None:
    stored = storable_text(text, max_length)

    assert len(stored) <= max_length
    assert "\0" not in stored
    assert stored.encode().decode() == stored
    assert storable_text(stored, max_length) == stored


@given(st.floats() | st.integers())
def test_storable_time_of_any_number_is_a_date_or_none(unix_ms: float) -> None:
    time = storable_time(unix_ms)

    assert time is None or 2 <= time.year <= 9998


def test_storable_time_keeps_milliseconds() -> None:
    assert storable_time(NOW_MS + 123) == NOW.replace(microsecond=123_000)


def test_read_init_has_position_head_and_whether_it_recovered() -> None:
    data = encode_init(f"{EPOCH}-3", head=f"{EPOCH}-9", recovered=False).decode().split("data: ")[1]

    assert read_init(Event(data, f"{EPOCH}-3")) == Init(
        position=EventId(EPOCH, 3), head=f"{EPOCH}-9", recovered=False, token="t"
    )


def test_read_init_without_our_additions_is_an_init_all_the_same() -> None:
    data = encode_init("").decode().split("data: ")[1]

    assert read_init(Event(data)) == Init(token="t")


@pytest.mark.parametrize("message", ['"hello"', '{"head": 7}', '{"recovered": "yes"}'])
def test_read_init_with_a_message_of_another_shape_is_none(message: str) -> None:
    envelope = make_envelope(type="init")
    envelope.message = msgspec.Raw(message.encode())

    assert read_init(Event(encode_envelope(envelope).decode())) is None


@pytest.mark.parametrize("event", [make_event(), Event("{}"), Event("")], ids=["click", "not an envelope", "empty"])
def test_read_init_of_something_else_is_none(event: Event) -> None:
    assert read_init(event) is None
