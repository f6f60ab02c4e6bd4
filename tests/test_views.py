"""The logs page and the tickets."""

from __future__ import annotations

import re
import time

import pytest
from django.contrib.auth.models import Permission, User
from django.test import override_settings
from django.urls import reverse
from django.utils import translation

from inlive_banner import rows as rows_module
from inlive_banner import views
from inlive_banner.conf import settings as app_settings
from inlive_banner.models import Interaction, Position
from inlive_banner.query import Cursor
from tests.configured import configured
from tests.nonce import LazyNonce
from tests.rows import make_interaction

LOGS = "/inlive/logs/"
TICKET = "/inlive/ticket/"


@pytest.fixture
def stranger(db, client):
    client.force_login(User.objects.create_user("stranger"))
    return client


@pytest.fixture
def reader(db, client):
    user = User.objects.create_user("reader")
    user.user_permissions.add(Permission.objects.get(codename="view_interaction"))
    client.force_login(user)
    return client


@pytest.fixture
def rows(db):
    Position.objects.create(stream_id=15, last_event_id="a1b2c3d4-60")
    return Interaction.objects.bulk_create(make_interaction(number) for number in range(1, 61))


def test_addresses_are_what_users_rely_on():
    assert reverse("inlive_banner:logs") == LOGS
    assert reverse("inlive_banner:ticket") == TICKET


@override_settings(LOGIN_URL="/sign-in/")
def test_logs_lead_who_is_not_signed_in_to_the_login_page(client, rows):
    response = client.get(f"{LOGS}?before=9")

    assert response.status_code == 302
    assert response.headers["Location"] == "/sign-in/?next=/inlive/logs/%3Fbefore%3D9"


@override_settings(LOGIN_URL="admin:login")
def test_logs_tell_who_may_not_read_whom_to_ask(stranger, rows):
    response = stranger.get(LOGS)

    page = response.content.decode()
    assert response.status_code == 403
    assert "inlive_banner.view_interaction" in page
    assert "<b>stranger</b>" in page
    assert 'href="/admin/login/?next=%2Finlive%2Flogs%2F"' in page
    assert "visitor-" not in page
    assert "data-inlive-ticket" not in page


def test_logs_refuse_an_account_that_was_closed(rows, client):
    user = User.objects.create_superuser("former")
    client.force_login(user)
    User.objects.update(is_active=False)

    assert client.get(LOGS).status_code == 302


def test_logs_show_a_reader_the_newest_rows(reader, rows):
    response = reader.get(LOGS)

    page = response.content.decode()
    assert response.status_code == 200
    assert page.count("data-inlive-id=") == 50
    assert "visitor-60" in page
    assert "visitor-10<" not in page


def test_logs_open_to_all_where_the_settings_say_so(client, rows):
    with configured(LOGS_PUBLIC=True):
        assert "visitor-60" in client.get(LOGS).content.decode()


@pytest.mark.parametrize("before", ["x", "", "-1", "0", "99999999999999999999", "%00", "1%20OR%201"])
def test_logs_pass_over_an_unusable_before(reader, rows, before):
    assert "visitor-60" in reader.get(f"{LOGS}?before={before}").content.decode()


def test_logs_turn_to_older_rows(reader, rows):
    page = reader.get(f"{LOGS}?before={Cursor.of(rows[10])}").content.decode()

    assert page.count("data-inlive-id=") == 10
    assert "visitor-60" not in page


def test_logs_look_back_so_far_and_offer_to_look_further(reader, rows, monkeypatch):
    """Where two filters rarely meet, a page ends before it has found all that it could show."""
    Interaction.objects.update(user_id="u")
    Interaction.objects.filter(publish_id__in=["publish-001", "publish-015"]).update(name="rare")
    monkeypatch.setattr(rows_module, "LOOKED_AT", 25)

    response, pages = reader.get(LOGS, {"user": "u", "banner": "rare"}), []
    while older := response.context["older_url"]:
        pages.append(response.content.decode())
        assert "Look further back" in pages[-1]
        response = reader.get(f"{LOGS}{older}")
    pages.append(response.content.decode())

    assert [page.count("data-inlive-id=") for page in pages] == [0, 1, 1]
    assert ["data-inlive-empty>" in page and "Nothing found yet" in page for page in pages] == [True, False, False]
    assert ["There may be older ones" in page for page in pages] == [True, True, False]


def test_logs_take_a_handful_of_queries_besides_the_users(reader, rows, django_assert_max_num_queries):
    reader.get(LOGS)
    with django_assert_max_num_queries(17 + 4):  # session, user, and permissions of user and groups
        reader.get(LOGS)
    with configured(LOGS_PUBLIC=True), django_assert_max_num_queries(17):
        type(reader)().get(LOGS)


@pytest.mark.parametrize("key", ["period", "from", "to", "tz", "banner", "action", "user", "path", "who", "before"])
@pytest.mark.parametrize(
    "value",
    [
        "",
        "%00",
        "%FF%FE",
        "x" * 5000,
        "%F0%9F%98%80" * 1000,
        "0",
        "-1",
        "9" * 30,
        "2026-02-30",
        "0001-01-01",
        "9999-12-31",
        "Europe",
        "No/Such_Zone",
        "../../etc/passwd",
        "posixrules",
        "leapseconds",
        "253402300799999999-9223372036854775807",
        "999999999999999999-1",
        "%27%3B--",
        "%7B%7B",
    ],
    ids=lambda value: value[:24],
)
def test_logs_answer_whatever_the_address_says(reader, rows, key, value):
    response = reader.get(f"{LOGS}?{key}={value}&{key}={value}")

    assert response.status_code == 200
    assert "data-inlive-logs" in response.content.decode()


def test_logs_of_a_day_that_a_zone_left_out_are_empty(reader, rows):
    """Samoa went to the other side of the date line: no 30 December 2011."""
    page = reader.get(f"{LOGS}?from=2011-12-30&to=2011-12-30&tz=Pacific/Apia").content.decode()

    assert 'data-inlive-count="0"' in page


def test_logs_pick_a_stream_and_offer_the_others(reader, rows):
    with configured(STREAMS={1600: {}}), override_settings(USE_THOUSAND_SEPARATOR=True):
        response = reader.get(f"{LOGS}?stream=1600")

    page = response.content.decode()
    assert 'data-inlive-stream="1600"' in page
    assert '<a href="?stream=15">' in page
    assert '<a href="?stream=1600" aria-current="page">Stream 1600</a>' in page
    assert "visitor-" not in page


def test_logs_without_a_default_stream_show_the_first(reader, rows):
    with configured(STREAM_ID="", STREAMS={16: {}, 15: {}}):
        assert 'data-inlive-stream="16"' in reader.get(LOGS).content.decode()


@pytest.mark.parametrize("stream", ["99", "x", "", "0", "%00"])
def test_logs_of_an_unknown_stream_are_not_found(reader, stream):
    assert reader.get(f"{LOGS}?stream={stream}").status_code == 404


@pytest.mark.parametrize("url", [LOGS, TICKET])
def test_answers_are_never_cached(reader, rows, url):
    assert "no-store" in reader.get(url).headers["Cache-Control"]


@pytest.mark.parametrize("url", [LOGS, TICKET])
def test_refusals_are_never_cached(stranger, url):
    response = stranger.get(url)

    assert response.status_code == 403
    assert "no-store" in response.headers["Cache-Control"]


@pytest.mark.parametrize("url", [LOGS, TICKET])
def test_addresses_are_for_reading_only(reader, url):
    assert reader.post(url).status_code == 405
    assert reader.head(url).status_code == 200


def test_logs_page_is_clean_under_a_strict_content_policy(reader, rows):
    page = reader.get(LOGS).content.decode()

    assert "<style" not in page
    assert " style=" not in page
    assert page.count("<script") == page.count('<script type="module" src="/static/')


@pytest.mark.parametrize("may_read", [True, False])
def test_pages_pass_the_nonce_on(db, rf, may_read):
    request = rf.get(LOGS)
    request.user = User(username="somebody", pk=1, is_superuser=may_read)
    request.csp_nonce = LazyNonce()

    page = views.logs(request).content.decode()

    assets = re.findall("<(?:link|script) [^>]+>", page)
    assert len(assets) == (3 if may_read else 1)
    assert all('nonce="n0nce"' in asset for asset in assets)


def test_logs_page_says_its_language_and_direction(reader):
    with translation.override("en"):  # puts the language back that the request leaves behind
        page = reader.get(LOGS, headers={"Accept-Language": "ar"}).content.decode()

    assert '<html lang="ar" dir="rtl">' in page


def test_ticket_gives_a_reader_the_right_to_read_the_stream(reader):
    response = reader.get(TICKET)

    body = response.json()
    right = app_settings.signer.read_ticket(15, body["ticket"])
    assert response.headers["Content-Type"] == "application/json"
    assert set(body) == {"ticket", "expires_at"}
    assert right.silent is False
    assert body["expires_at"] == right.expires_at
    assert abs(body["expires_at"] - time.time() - app_settings.TICKET_AGE) < 60


def test_ticket_is_for_the_stream_asked_for(reader):
    with configured(STREAMS={16: {}}):
        body = reader.get(f"{TICKET}?stream=16").json()

    assert app_settings.signer.read_ticket(16, body["ticket"])
    with pytest.raises(PermissionError):
        app_settings.signer.read_ticket(15, body["ticket"])


def test_ticket_is_refused_to_who_is_not_signed_in(db, client):
    response = client.get(TICKET)

    assert response.status_code == 403
    assert response.json()["code"] == 403
    assert "Sign in" in response.json()["message"]


def test_ticket_is_refused_to_who_may_not_read(stranger):
    response = stranger.get(f"{TICKET}?stream=99")

    assert response.status_code == 403
    assert "ticket" not in response.json()


def test_ticket_for_all_where_the_settings_say_so(client, db):
    with configured(LOGS_PUBLIC=True):
        assert client.get(TICKET).status_code == 200


@pytest.mark.parametrize("stream", ["99", "x", "0", ""])
def test_ticket_for_an_unknown_stream_is_not_found(reader, stream):
    response = reader.get(f"{TICKET}?stream={stream}")

    assert response.status_code == 404
    assert response.json()["code"] == 404
