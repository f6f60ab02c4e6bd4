from __future__ import annotations

import pytest

from inlive_banner.tail.events import Event
from inlive_banner.tail.malformed import MAX_SAMPLE_LENGTH, describe
from tests.tail.making import make_event


@pytest.mark.parametrize(
    ("message", "kind", "sample"),
    [
        ({"user_id": ""}, "it has no user id", "''"),
        ({"time": "noon"}, "its time isn't a number", "'noon'"),
        ({"time": True}, "its time isn't a number", "True"),
        ({"action": "a" * 65}, "its action isn't a text of 1 to 64 characters", repr("a" * 65)),
        ({}, "the channel doesn't take it for an interaction", "'click'"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_describe_a_banners_message_names_the_fault_and_shows_its_value(
    message: dict[str, object], kind: str, sample: str
) -> None:
    assert describe(make_event(message=message, interaction="")) == (kind, sample)


@pytest.mark.parametrize("data", ["{", "[]", "{}", "x" * 10_000_000], ids=lambda data: data[:5])
def test_describe_what_isnt_an_envelope_shows_a_part_of_it(data: str) -> None:
    kind, sample = describe(Event(data))

    assert kind == "it isn't an envelope"
    assert len(sample) <= MAX_SAMPLE_LENGTH
    assert data not in sample


def test_describe_a_message_that_cant_be_decoded_shows_its_beginning() -> None:
    event = make_event(message={"time": 12345})

    kind, sample = describe(Event(event.data.replace('"time":12345', '"time":1e999')))

    assert kind == "its message can't be decoded"
    assert len(sample) <= MAX_SAMPLE_LENGTH


def test_describe_what_framing_dropped_says_so() -> None:
    assert "longer than the worker reads" in describe(Event(""))[0]


@pytest.mark.parametrize("value", ["n" * 10_000_000, ["n" * 1000], "\0" * 300], ids=lambda value: ascii(value)[:9])
def test_describe_shortens_a_sample_and_keeps_it_printable(value: object) -> None:
    _, sample = describe(make_event(message={"time": value}))

    assert len(sample) == MAX_SAMPLE_LENGTH
    assert sample.isprintable()
