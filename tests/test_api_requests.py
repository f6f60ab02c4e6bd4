"""Who may ask the API, what may be asked, and what each refusal says."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import Permission, User

from inlive_banner.api_tokens import make_token
from tests.configured import configured
from tests.json_schema import faults
from tests.test_access import OWN, STREAMS

EXPORT = "/inlive/export/?format=csv&"
INTERACTIONS = "/inlive/api/interactions/?"
FIGURES = "/inlive/api/figures/?"


@pytest.fixture(autouse=True)
def streams():
    with configured(STREAMS=STREAMS):
        yield


@pytest.fixture(params=[EXPORT, INTERACTIONS, FIGURES], ids=["export", "interactions", "figures"])
def url(request):
    return request.param


@pytest.fixture
def reader(db):
    user = User.objects.create_user("reader", password="first")
    user.user_permissions.add(Permission.objects.get(codename="view_interaction"))
    return user


@pytest.fixture
def signed_in(client, reader):
    client.force_login(reader)
    return client


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def assert_refused(response, status, words):
    body = response.json()
    assert response.status_code == body["code"] == status
    assert words in body["message"]
    assert faults(body, "error") == []
    assert "no-store" in response.headers["Cache-Control"]


def test_reader_is_answered(signed_in, url):
    response = signed_in.get(url)

    assert response.status_code == 200
    assert "no-store" in response.headers["Cache-Control"]


def test_program_is_answered_for_its_token(client, reader, url):
    assert client.get(url, headers=bearer(make_token(reader))).status_code == 200


def test_who_is_not_known_is_asked_for_a_token(client, db, url):
    response = client.get(url)

    assert_refused(response, 401, "Authorization: Bearer")
    assert response.headers["WWW-Authenticate"] == "Bearer"


def test_token_that_is_not_good_is_refused_also_to_who_is_signed_in(signed_in, url):
    response = signed_in.get(url, headers=bearer("made.up"))

    assert_refused(response, 401, "no API token of this site")
    assert response.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def test_token_of_another_password_is_refused(client, reader, url):
    token = make_token(reader)
    reader.set_password("second")
    reader.save()

    assert_refused(client.get(url, headers=bearer(token)), 401, "password")


@pytest.mark.parametrize("stream", ["", "&stream=15", "&stream=99", "&stream=x"])
def test_who_may_not_read_learns_the_permission_and_not_which_streams_there_are(client, db, url, stream):
    client.force_login(User.objects.create_user("stranger"))

    assert_refused(client.get(url + stream), 403, "inlive_banner.view_interaction")


def test_reader_of_other_streams_learns_the_streams_own_permission(signed_in, url):
    assert_refused(signed_in.get(f"{url}&stream=16"), 403, OWN)


def test_token_for_other_streams_is_refused(client, reader, url):
    token = make_token(reader, streams=[17])

    assert client.get(f"{url}&stream=17", headers=bearer(token)).status_code == 200
    assert client.get(f"{url}&stream=15", headers=bearer(token)).status_code == 403


@pytest.mark.parametrize("stream", ["99", "x", "0", ""])
def test_unknown_stream_is_not_found(signed_in, url, stream):
    assert_refused(signed_in.get(f"{url}&stream={stream}"), 404, "no such stream")


def test_all_may_read_where_the_settings_say_so(client, db, url):
    with configured(STREAMS=STREAMS, LOGS_PUBLIC=True):
        assert client.get(url).status_code == 200
        assert client.get(f"{url}&stream=16").status_code == 401


def test_addresses_are_for_reading_only(signed_in, url):
    assert signed_in.post(url).status_code == 405
    assert signed_in.delete(url).status_code == 405
    response = signed_in.head(url)
    assert response.status_code == 200
    assert response.content == b""


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"period": "tomorrow"}, "period is 'tomorrow'. It can be: hour, today"),
        ({"period": "custom"}, "Give from, to, or both."),
        ({"from": "24.11.2026"}, "from is '24.11.2026'. Give a day"),
        ({"from": "2026-02-30"}, "from is '2026-02-30'. Give a day"),
        ({"from": "2026-11-24", "to": "soon"}, "to is 'soon'. Give a day"),
        ({"tz": "Mars"}, "tz is 'Mars'. Give a time zone"),
        ({"tz": "../etc"}, "tz is '../etc'. Give a time zone"),
        ({"who": "me"}, "who is 'me'. It can be: people, everything, others."),
        ({"bots": "yes"}, "bots is 'yes'. It can be: 0, 1."),
        ({"page": "/sale/"}, "no parameter 'page' here. There are: a"),
        ({"before": "1-1", "after": "1"}, "before"),
        ({"period": "x" * 999}, f"period is '{'x' * 60}…'."),
    ],
)
def test_what_can_not_be_meant_is_refused(signed_in, url, params, words):
    """A page passes over it; a program would take all rows for those that it asked for."""
    assert_refused(signed_in.get(url + urlencode(params)), 400, words)


def test_parameter_that_is_given_twice_is_refused(signed_in, url):
    assert_refused(signed_in.get(f"{url}&banner=a&banner=b"), 400, "banner is given twice")


@pytest.mark.parametrize(
    "params",
    [
        {"period": "", "from": "", "to": "", "tz": "", "banner": "", "action": "", "user": "", "path": "", "who": ""},
        {"period": "today", "tz": "Asia/Jakarta"},
        {"from": "2026-11-24", "to": "2026-11-20"},
        {"period": "custom", "to": "2026-11-20", "tz": "UTC"},
        {"who": "others", "bots": "1"},
        {"banner": "x\0y", "user": "'; --", "path": "%", "action": "\ud7ff\U0010ffff"},
    ],
)
def test_what_the_logs_page_can_ask_can_be_asked(signed_in, url, params):
    assert signed_in.get(url + urlencode(params)).status_code == 200
