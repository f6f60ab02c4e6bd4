"""The admin's positions: how each stream's worker does, in words."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import override_settings
from django.utils import timezone

from inlive_banner.health import BEHIND, RECENT, State, judge
from inlive_banner.models import Gap, Position
from inlive_banner.wording import health_in_words, length_in_words
from tests.rows import NOON

POSITIONS = "/admin/inlive_banner/position/"


def make_position(**overrides):
    """A stream that is recorded now."""
    values = {
        "stream_id": 15,
        "last_event_id": "a1b2c3d4-20",
        "updated_at": NOON - timedelta(seconds=5),
        "received_at": NOON - timedelta(seconds=6),
        "lag": timedelta(milliseconds=20),
        "holder": "worker-host:4711",
        "connected_since": NOON - timedelta(hours=2),
    }
    return Position(**(values | overrides))


MICROSECOND = timedelta(microseconds=1)

STATES = [
    ({}, State.RECORDING, "Recording now"),
    ({"updated_at": NOON - RECENT}, State.RECORDING, "Recording now"),
    ({"updated_at": NOON + timedelta(minutes=5)}, State.RECORDING, "Recording now"),
    ({"lag": None}, State.RECORDING, "Recording now"),
    ({"lag": BEHIND - MICROSECOND}, State.RECORDING, "Recording now"),
    ({"lag": BEHIND}, State.BEHIND, "Behind by 10 s"),
    ({"lag": timedelta(hours=50)}, State.BEHIND, "Behind by 50 h"),
    (
        {"updated_at": NOON - RECENT - MICROSECOND},
        State.WAITING,
        "Waiting for events, connected since Nov. 24, 2026, 10:00:00",
    ),
    (
        {"updated_at": NOON - timedelta(days=1), "lag": timedelta(hours=1)},
        State.WAITING,
        "Waiting for events, connected since Nov. 24, 2026, 10:00:00",
    ),
    (
        {"received_at": None, "lag": None, "last_event_id": "0"},
        State.WAITING,
        "Waiting for events, connected since Nov. 24, 2026, 10:00:00",
    ),
    (
        {"holder": "", "connected_since": None},
        State.ABSENT,
        "No worker; nothing recorded since Nov. 24, 2026, 11:59:55",
    ),
    (
        {"holder": "", "connected_since": None, "received_at": None},
        State.ABSENT,
        "No worker; nothing recorded since Nov. 24, 2026, 11:59:55",
    ),
    (
        {"holder": "", "connected_since": None, "received_at": None, "last_event_id": "0"},
        State.UNBEGUN,
        "No worker yet",
    ),
]


@pytest.mark.parametrize(("values", "state", "words"), STATES)
def test_health_is_judged_and_said(values, state, words):
    health = judge(make_position(**values), now=NOON)

    assert health.state is state
    assert health_in_words(health) == words


def test_each_state_is_tested():
    assert {state for _, state, _ in STATES} == set(State)


@override_settings(USE_TZ=False)
def test_health_is_said_where_times_have_no_zone():
    now = NOON.replace(tzinfo=None)
    position = make_position(holder="", updated_at=now - timedelta(hours=1))

    assert health_in_words(judge(position, now=now)) == "No worker; nothing recorded since Nov. 24, 2026, 11:00:00"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.9, "0 s"), (119.9, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h"), (3_600_000, "1,000 h")],
)
def test_length_is_said_in_its_largest_fitting_unit(seconds, words):
    assert length_in_words(timedelta(seconds=seconds)) == words


@pytest.fixture
def boss(db, client):
    client.force_login(User.objects.create_superuser("boss"))
    return client


def cells(client, field):
    return re.findall(rf'class="field-{field}[^"]*">(.*?)</t[dh]>', client.get(POSITIONS).content.decode())


def test_list_says_how_each_stream_is_recorded(boss):
    now = timezone.now()
    make_position(received_at=now, lag=timedelta(minutes=3)).save()
    make_position(stream_id=16, holder="").save()

    assert [words.split(" since ")[0] for words in cells(boss, "health")] == [
        "No worker; nothing recorded",
        "Behind by 3 min",
    ]
    page = boss.get(f"{POSITIONS}15/change/").content.decode()
    assert "Behind by 3 min" in page


def test_lost_events_lead_to_the_gaps_of_the_stream(boss):
    make_position(lost_events=1234).save()
    make_position(stream_id=16).save()
    for stream_id in (15, 16):
        Gap.objects.create(
            stream_id=stream_id, after_event_id="a-5", resumed_after="a-9", lost_events=1234, found_at=NOON
        )

    assert cells(boss, "lost") == ["0", '<a href="/admin/inlive_banner/gap/?stream=15">1,234</a>']
    gaps = boss.get("/admin/inlive_banner/gap/?stream=15").context["cl"].result_list
    assert [gap.stream_id for gap in gaps] == [15]


def test_list_takes_one_statement_however_many_streams(boss, django_assert_max_num_queries):
    for stream_id in range(1, 30):
        make_position(stream_id=stream_id).save()

    with django_assert_max_num_queries(6):
        boss.get(POSITIONS)
