"""Tokens with which programs read."""

from __future__ import annotations

import re
import time

import pytest
from django.contrib.auth.models import AnonymousUser, Group, Permission, User
from django.core.signing import Signer, TimestampSigner
from django.test import override_settings

from inlive_banner import api_tokens
from inlive_banner.api_tokens import authenticate_reader, make_token, read_token
from inlive_banner.exceptions import (
    ConfigurationError,
    ExpiredTokenError,
    InliveBannerError,
    InvalidTokenError,
    InvalidTokenOptionError,
    RevokedTokenError,
)
from tests.configured import configured
from tests.test_access import OWN, STREAMS

DAY = 24 * 3600


@pytest.fixture(autouse=True)
def streams():
    with configured(STREAMS=STREAMS):
        yield


@pytest.fixture
def program(db):
    user = User.objects.create_user("program", password="first")
    user.user_permissions.add(Permission.objects.get(codename="view_interaction"))
    return user


@pytest.fixture
def shifted(monkeypatch):
    """Moves the clock by some seconds."""
    real = time.time

    def shift(seconds):
        monkeypatch.setattr(api_tokens.time, "time", lambda: real() + seconds)

    return shift


def asking(rf, header=None, user=None):
    request = rf.get("/", headers={} if header is None else {"Authorization": header})
    if user is not None:
        request.user = user
    return request


def test_token_reads_what_its_user_may_read(program, django_assert_num_queries):
    token = make_token(program)

    with django_assert_num_queries(1):
        reader = read_token(token)

    assert reader.user == program
    assert reader.streams is None
    assert reader.readable_streams() == [15, 17]


def test_token_stands_in_a_header_as_it_is(program):
    """The alphabet of a bearer's token (RFC 6750, 2.1)."""
    assert re.fullmatch(r"[A-Za-z0-9._~+/-]+=*", make_token(program, streams=[15, 17]))


def test_token_may_be_for_some_streams_only(program):
    reader = read_token(make_token(program, streams=(17, 17)))

    assert reader.streams == (17,)
    assert reader.readable_streams() == [17]


def test_token_for_some_streams_reads_no_others_where_logs_are_public(program):
    token = make_token(program, streams=(17,))

    with configured(STREAMS=STREAMS, LOGS_PUBLIC=True):
        assert read_token(token).readable_streams() == [17]


def test_token_loses_and_regains_what_its_user_loses_and_regains(program):
    token = make_token(program)
    permission = program.user_permissions.get()

    program.user_permissions.clear()
    assert read_token(token).readable_streams() == []

    group = Group.objects.create(name="readers")
    group.permissions.add(permission, Permission.objects.get(codename="view_group"))
    program.groups.add(group)
    assert read_token(token).readable_streams() == [15, 16, 17]


def test_token_ends_when_its_time_is_over(program, shifted):
    token = make_token(program, max_age_days=2)

    shifted(2 * DAY - 5)
    assert read_token(token).user == program
    shifted(2 * DAY + 5)
    with pytest.raises(ExpiredTokenError, match=r"expired on 20\d\d-\d\d-\d\d\. .*inlive_token"):
        read_token(token)


def test_token_lasts_ninety_days_where_nothing_is_said(program, shifted):
    token = make_token(program)

    shifted(90 * DAY - 5)
    assert read_token(token).user == program
    shifted(90 * DAY + 5)
    with pytest.raises(ExpiredTokenError):
        read_token(token)


def test_token_ends_with_its_users_password(program):
    token = make_token(program)

    program.set_password("second")
    program.save()

    with pytest.raises(RevokedTokenError, match="password .* inlive_token"):
        read_token(token)


def test_token_of_a_user_who_cannot_sign_in_ends_with_a_new_unusable_password(program):
    program.set_unusable_password()
    program.save()
    token = make_token(program)
    assert read_token(token).user == program

    program.set_unusable_password()
    program.save()

    with pytest.raises(RevokedTokenError):
        read_token(token)


def test_token_ends_with_its_users_account(program):
    token = make_token(program)

    User.objects.update(is_active=False)
    with pytest.raises(RevokedTokenError, match="not active"):
        read_token(token)
    program.delete()
    with pytest.raises(RevokedTokenError, match="gone"):
        read_token(token)


def test_token_of_an_inactive_account_is_refused_where_logs_are_public(program):
    token = make_token(program)
    User.objects.update(is_active=False)

    with configured(STREAMS=STREAMS, LOGS_PUBLIC=True), pytest.raises(RevokedTokenError):
        read_token(token)


def test_token_lives_through_a_new_secret_key_while_the_old_one_is_a_fallback(program):
    token = make_token(program)

    with override_settings(SECRET_KEY="new", SECRET_KEY_FALLBACKS=["only-for-the-tests"]):
        assert read_token(token).user == program
    with override_settings(SECRET_KEY="new"), pytest.raises(InvalidTokenError, match="inlive_token"):
        read_token(token)


def test_token_that_was_changed_is_none(program):
    token = make_token(program)

    for place in range(0, len(token), 7):
        changed = f"{token[:place]}{'A' if token[place] != 'A' else 'B'}{token[place + 1 :]}"
        with pytest.raises(InvalidTokenError):
            read_token(changed)


@pytest.mark.parametrize("text", ["", ".", "x", "a.b", "ÿ.ÿ", "..", " ", "\0", "x" * 10_000])
def test_text_that_is_no_token_says_how_to_make_one(text):
    with pytest.raises(InvalidTokenError, match="`manage.py inlive_token`") as caught:
        read_token(text)

    assert not isinstance(caught.value, ExpiredTokenError | RevokedTokenError)


@pytest.mark.parametrize("salt", ["inlive_banner.ticket", "inlive_banner.publish", "django.core.signing"])
def test_what_was_signed_for_something_else_is_no_token(program, salt):
    values = Signer(salt="inlive_banner.api", sep=".").unsign_object(make_token(program))

    for signer in (Signer(salt=salt, sep="."), TimestampSigner(salt=salt)):
        with pytest.raises(InvalidTokenError):
            read_token(signer.sign_object(values))


def test_token_of_a_user_whose_key_is_of_another_kind_by_now_is_refused(program):
    signer = Signer(salt="inlive_banner.api", sep=".")
    values = signer.unsign_object(make_token(program))

    with pytest.raises(RevokedTokenError):
        read_token(signer.sign_object({**values, "user": "6f0d7a52-3c0e-4c53-9d4b-0c3c43c4f4e1"}))


def test_token_says_nothing_of_password_and_session(program):
    values = Signer(salt="inlive_banner.api", sep=".").unsign_object(make_token(program))

    assert set(values) == {"user", "mark", "streams", "expires"}
    assert program.get_session_auth_hash() not in str(values)
    assert program.password not in str(values)


@pytest.mark.parametrize("days", [0, -1, 3651, 1.5, True, "9", None])
def test_token_for_an_unusable_time_is_not_made(program, days):
    with pytest.raises(InvalidTokenOptionError, match="1 to 3650") as caught:
        make_token(program, max_age_days=days)

    assert caught.value.argument == "max_age_days"


def test_token_may_last_ten_years(program, shifted):
    token = make_token(program, max_age_days=3650)

    shifted(3649 * DAY)
    assert read_token(token).user == program


def test_token_for_who_may_not_read_is_not_made(db):
    user = User.objects.create_user("stranger")

    with pytest.raises(InvalidTokenOptionError, match=f"'stranger' .*view_interaction or {OWN} first") as caught:
        make_token(user)

    assert caught.value.argument == "user"


def test_token_for_a_stream_that_the_user_may_not_read_is_not_made(program):
    with pytest.raises(InvalidTokenOptionError, match=f"stream 16. .*permission {OWN} first") as caught:
        make_token(program, streams=[15, 16])

    assert caught.value.argument == "streams"


def test_token_for_no_stream_is_not_made(program):
    with pytest.raises(InvalidTokenOptionError, match="leave streams out"):
        make_token(program, streams=[])


def test_token_for_an_unknown_stream_is_not_made(program):
    with pytest.raises(ConfigurationError, match="99"):
        make_token(program, streams=[99])


def test_token_for_a_closed_account_is_not_made(program):
    program.is_active = False

    with (
        configured(STREAMS=STREAMS, LOGS_PUBLIC=True),
        pytest.raises(InvalidTokenOptionError, match="isn't active") as caught,
    ):
        make_token(program)

    assert caught.value.argument == "user"


def test_errors_are_what_callers_expect():
    for error in (ExpiredTokenError, RevokedTokenError):
        assert issubclass(error, InvalidTokenError)
        assert issubclass(error, PermissionError)
    assert issubclass(InvalidTokenOptionError, InliveBannerError)
    assert issubclass(InvalidTokenOptionError, ValueError)


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER  "])
def test_reader_is_whose_token_is_sent(program, rf, scheme):
    reader = authenticate_reader(asking(rf, f"{scheme}{make_token(program, streams=[17])}", AnonymousUser()))

    assert reader.user == program
    assert reader.streams == (17,)


def test_readers_token_counts_more_than_their_session(program, rf):
    boss = User.objects.create_superuser("boss")

    assert authenticate_reader(asking(rf, f"Bearer {make_token(program)}", boss)).user == program


@pytest.mark.parametrize("header", ["Bearer x", "Bearer", "bearer "])
def test_bad_token_is_an_error_also_for_who_is_signed_in(program, rf, header):
    with pytest.raises(InvalidTokenError):
        authenticate_reader(asking(rf, header, program))


@pytest.mark.parametrize("header", [None, "", "Basic cHJveHk6c2VjcmV0", "Bearerx y"])
def test_reader_without_a_token_is_whose_session_it_is(program, rf, header):
    reader = authenticate_reader(asking(rf, header, program))

    assert reader.user == program
    assert reader.streams is None


@pytest.mark.parametrize("user", [None, AnonymousUser()])
def test_reader_without_token_and_session_is_nobody(rf, user):
    reader = authenticate_reader(asking(rf, user=user))

    assert reader.user is None
    assert reader.readable_streams() == []
    with configured(STREAMS=STREAMS, LOGS_PUBLIC=True):
        assert reader.readable_streams() == [15, 17]
