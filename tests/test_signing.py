"""Tokens and tickets."""

from __future__ import annotations

import re
import time

import pytest
from django.core.signing import TimestampSigner
from django.test import override_settings

from inlive_banner import signing
from inlive_banner.exceptions import InvalidTokenError
from inlive_banner.signing import ChannelSigner
from inlive_banner.tokens import PublishRight

SURVIVES_UNENCODED = re.compile(r"[A-Za-z0-9\-_.~:=]+")
USER = "2f0c2d0e-8a1f-4a6c-9d6e-0a1b2c3d4e5f"


def make_signer(**overrides):
    return ChannelSigner(**({"token_max_age_seconds": 100.0, "ticket_seconds": 50.0} | overrides))


@pytest.fixture
def clock(monkeypatch):
    """Moves both clocks: clock(seconds)."""
    start, passed = time.time(), [0.0]
    monkeypatch.setattr(time, "time", lambda: start + passed[0])
    monkeypatch.setattr(time, "monotonic", lambda: passed[0])

    def move(seconds):
        passed[0] = seconds

    return move


@pytest.mark.parametrize(
    "make",
    [
        lambda signer: signer.make_publish_token(9999999999999999, USER),
        lambda signer: signer.make_page_token(15),
        lambda signer: signer.make_publish_token(15, USER, staff=True),
        lambda signer: signer.make_page_token(15, staff=True),
        lambda signer: signer.make_service_token(15, staff=True),
        lambda signer: signer.make_ticket(15),
        lambda signer: signer.make_ticket(15, silent=True),
    ],
)
def test_token_survives_an_unencoded_query(make):
    assert SURVIVES_UNENCODED.fullmatch(make(make_signer()))


def test_publish_token_tells_its_user():
    signer = make_signer()

    assert signer.read_publish_token(15, signer.make_publish_token(15, USER)) == PublishRight(USER)


def test_page_token_tells_no_user():
    signer = make_signer()

    assert signer.read_publish_token(15, signer.make_page_token(15)) == PublishRight()


def test_token_of_staff_tells_so():
    signer = make_signer()

    assert signer.read_publish_token(15, signer.make_publish_token(15, USER, staff=True)) == PublishRight(USER, "staff")
    assert signer.read_publish_token(15, signer.make_page_token(15, staff=True)) == PublishRight(label="staff")


@pytest.mark.parametrize(("staff", "label"), [(False, ""), (True, "staff")])
def test_service_token_tells_so(staff, label):
    signer = make_signer()

    token = signer.make_service_token(15, staff=staff)

    assert signer.read_publish_token(15, token) == PublishRight(label=label, service=True)
    with pytest.raises(InvalidTokenError, match="for stream 15, not for stream 16"):
        signer.read_publish_token(16, token)


def test_token_of_before_the_labels_stays_good():
    """Pages that were rendered by an older version have them."""
    signer = make_signer()

    old_publish = TimestampSigner(salt="inlive_banner.publish").sign(f"15:{USER}")
    old_page = TimestampSigner(salt="inlive_banner.page").sign("15")

    assert signer.read_publish_token(15, old_publish) == PublishRight(USER)
    assert signer.read_publish_token(15, old_page) == PublishRight()


def test_token_cannot_be_given_a_mark():
    signer = make_signer()
    for token in (signer.make_page_token(15), signer.make_publish_token(15, USER)):
        for mark in ("~staff", "~service", "~service~staff"):
            for changed in (token.replace("15:", f"15{mark}:", 1), token.replace(f"{USER}:", f"{USER}{mark}:")):
                if changed != token:
                    with pytest.raises(InvalidTokenError):
                        signer.read_publish_token(15, changed)


def test_service_token_lasts_five_minutes_also_where_it_was_good_a_moment_ago(clock):
    clock(0)
    signer = make_signer(token_max_age_seconds=10**6)
    token = signer.make_service_token(15)
    clock(298)
    assert signer.read_publish_token(15, token).service

    clock(302)
    with pytest.raises(InvalidTokenError, match="expired"):
        signer.read_publish_token(15, token)


@pytest.mark.parametrize("silent", [True, False])
def test_ticket_tells_when_it_ends_and_whether_it_is_a_services(clock, silent):
    clock(0.0)
    signer = make_signer(ticket_seconds=50.0)

    right = signer.read_ticket(15, signer.make_ticket(15, silent=silent))

    assert right.silent is silent
    assert right.expires_at == int(time.time() + 50)


@pytest.mark.parametrize("make", ["make_publish_token", "make_page_token"])
def test_token_of_another_stream_is_refused(make):
    signer = make_signer()
    token = getattr(signer, make)(*([15, USER] if make == "make_publish_token" else [15]))

    with pytest.raises(InvalidTokenError, match="for stream 15, not for stream 16"):
        signer.read_publish_token(16, token)


def test_ticket_of_another_stream_is_refused():
    signer = make_signer()

    with pytest.raises(InvalidTokenError, match="for stream 15, not for stream 16"):
        signer.read_ticket(16, signer.make_ticket(15))


def test_token_serves_its_own_purpose_only():
    signer = make_signer()

    for token in (signer.make_publish_token(15, USER), signer.make_page_token(15)):
        with pytest.raises(InvalidTokenError):
            signer.read_ticket(15, token)
    for silent in (True, False):
        with pytest.raises(InvalidTokenError):
            signer.read_publish_token(15, signer.make_ticket(15, silent=silent))


def test_page_token_cannot_be_made_into_a_users():
    signer = make_signer()
    stream, *rest = signer.make_page_token(15).split(":")

    with pytest.raises(InvalidTokenError):
        signer.read_publish_token(15, ":".join([stream, USER, *rest]))


@pytest.mark.parametrize(
    "token",
    ["", ":", "15", "15:::", "15:x:y:z", "15:reader:99999999999:x", "\0", "é", "a" * 5000, ":::::::"],
)
def test_token_that_is_forged_is_refused(token):
    with pytest.raises(InvalidTokenError):
        make_signer().read_publish_token(15, token)
    with pytest.raises(InvalidTokenError):
        make_signer().read_ticket(15, token)


def test_token_with_one_changed_character_is_refused():
    signer = make_signer()
    for token, read in (
        (signer.make_publish_token(15, USER), signer.read_publish_token),
        (signer.make_page_token(15), signer.read_publish_token),
        (signer.make_ticket(15), signer.read_ticket),
    ):
        for place in range(0, len(token) - 1, 7):  # the last character's low bits aren't part of the signature
            changed = token[:place] + ("b" if token[place] == "a" else "a") + token[place + 1 :]
            with pytest.raises(InvalidTokenError):
                read(15, changed)


@pytest.mark.parametrize("make", ["make_publish_token", "make_page_token"])
def test_token_expires(clock, make):
    clock(0)
    signer = make_signer(token_max_age_seconds=100.0)
    token = getattr(signer, make)(*([15, USER] if make == "make_publish_token" else [15]))

    clock(98)
    assert make_signer().read_publish_token(15, token) in (PublishRight(USER), PublishRight())
    clock(102)
    with pytest.raises(InvalidTokenError, match="expired"):
        signer.read_publish_token(15, token)


def test_token_that_was_good_is_not_checked_again_for_a_minute(clock):
    clock(0)
    signer = make_signer(token_max_age_seconds=100.0)
    token = signer.make_publish_token(15, USER)
    clock(98)
    signer.read_publish_token(15, token)

    clock(98 + signing.KNOWN_SECONDS - 1)
    assert signer.read_publish_token(15, token) == PublishRight(USER)
    clock(98 + signing.KNOWN_SECONDS)
    with pytest.raises(InvalidTokenError, match="expired"):
        signer.read_publish_token(15, token)


def test_tokens_that_were_good_are_remembered_for_their_own_stream_only():
    signer = make_signer()
    token = signer.make_page_token(15)
    signer.read_publish_token(15, token)

    with pytest.raises(InvalidTokenError, match="not for stream 16"):
        signer.read_publish_token(16, token)


def test_tokens_that_were_good_take_bounded_memory(monkeypatch):
    monkeypatch.setattr(signing, "KNOWN_TOKENS", 3)
    signer = make_signer()

    for number in range(10):
        signer.read_publish_token(15, signer.make_publish_token(15, f"user-{number}"))

        assert len(signer._known) <= 3


def test_ticket_expires(clock):
    clock(0)
    signer = make_signer(ticket_seconds=50.0)
    ticket = signer.make_ticket(15)

    clock(48)
    assert signer.read_ticket(15, ticket)
    clock(50)
    with pytest.raises(InvalidTokenError, match="expired"):
        signer.read_ticket(15, ticket)


def test_tokens_outlast_a_rotation_of_the_key():
    with override_settings(SECRET_KEY="old"):
        old = make_signer()
        tokens = old.make_publish_token(15, USER), old.make_page_token(15)
        ticket = old.make_ticket(15)

    with override_settings(SECRET_KEY="new", SECRET_KEY_FALLBACKS=["old"]):
        rotated = make_signer()
    with override_settings(SECRET_KEY="new", SECRET_KEY_FALLBACKS=[]):
        forgotten = make_signer()

    assert [rotated.read_publish_token(15, token) for token in tokens] == [PublishRight(USER), PublishRight()]
    assert rotated.read_ticket(15, ticket)
    for token in tokens:
        with pytest.raises(InvalidTokenError):
            forgotten.read_publish_token(15, token)
    with pytest.raises(InvalidTokenError):
        forgotten.read_ticket(15, ticket)
