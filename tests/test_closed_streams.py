"""A stream with a permission of its own, on every page that shows streams."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import Permission, User
from django.template import Context, Template
from django.urls import reverse

from inlive_banner.models import DayUnique, Dimension, Gap, Interaction, Pending, Position, Rollup, Span
from tests.configured import configured
from tests.test_access import OWN, STREAMS
from tests.test_admin import rows  # noqa: F401  (a fixture)

LOGS = "/inlive/logs/"
TICKET = "/inlive/ticket/"
LIVE = "/admin/inlive_banner/interaction/live/"
LIST = "/admin/inlive_banner/interaction/"


@pytest.fixture(autouse=True)
def streams():
    with configured(STREAMS=STREAMS):
        yield


@pytest.fixture
def sign_in(db, client):
    def sign_in(*codenames, **options):
        user = User.objects.create_user("somebody", is_staff=True, **options)
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        client.force_login(user)
        return client

    return sign_in


def offered(response):
    """The streams that a page's switch leads to."""
    return re.findall(r'<a href="\?stream=(\d+)"', response.content.decode())


def shown(response):
    return re.findall(r'data-inlive-stream="(\d+)"', response.content.decode())


def test_logs_offer_the_streams_that_the_reader_may_read(sign_in):
    response = sign_in("view_interaction").get(LOGS)

    assert shown(response) == ["15"]
    assert offered(response) == ["15", "17"]


def test_logs_begin_with_the_first_stream_that_the_reader_may_read(sign_in):
    response = sign_in("view_group").get(LOGS)

    assert response.status_code == 200
    assert shown(response) == ["16"]
    assert offered(response) == []


def test_logs_of_a_closed_stream_name_the_permission_that_it_needs(sign_in):
    response = sign_in("view_interaction").get(f"{LOGS}?stream=16")

    page = response.content.decode()
    assert response.status_code == 403
    assert f"<code>{OWN}</code>" in page
    assert "Can view interaction" not in page
    assert shown(response) == []
    assert '<a href="?">To the log that you may read</a>' in page


def test_logs_of_nothing_but_closed_streams_lead_to_no_other(sign_in):
    response = sign_in().get(f"{LOGS}?stream=15")

    page = response.content.decode()
    assert response.status_code == 403
    assert "<code>inlive_banner.view_interaction</code>" in page
    assert "Can view interaction" in page
    assert 'href="?"' not in page


def test_logs_name_the_first_streams_permission_where_none_may_be_read(sign_in):
    with configured(STREAM_ID="", STREAMS=STREAMS):
        assert f"<code>{OWN}</code>" in sign_in().get(LOGS).content.decode()


@pytest.mark.parametrize(("codename", "status"), [("view_group", 404), ("add_user", 403)])
def test_logs_tell_an_unknown_stream_to_readers_only(sign_in, codename, status):
    response = sign_in(codename).get(f"{LOGS}?stream=99")

    assert response.status_code == status
    assert (b"inlive_banner.view_interaction" in response.content) is (status == 403)


def test_public_logs_lead_who_is_not_signed_in_from_a_closed_stream_to_the_login_page(db, client):
    with configured(STREAMS=STREAMS, LOGS_PUBLIC=True):
        response = client.get(f"{LOGS}?stream=16")
        assert offered(client.get(LOGS)) == ["15", "17"]

    assert response.status_code == 302
    assert "/admin/login/?next=/inlive/logs/" in response.headers["Location"]


@pytest.mark.parametrize(
    ("codename", "statuses"),
    [("view_interaction", [200, 200, 403, 404]), ("view_group", [200, 403, 200, 404]), ("add_user", [403] * 4)],
)
def test_ticket_is_given_for_what_may_be_read(sign_in, codename, statuses):
    client = sign_in(codename)

    assert [client.get(f"{TICKET}{query}").status_code for query in ("", "?stream=15", "?stream=16", "?stream=99")] == (
        statuses
    )


@pytest.mark.parametrize(("codename", "readable"), [("view_interaction", [15, 17]), ("view_group", [16])])
def test_tag_shows_a_log_to_those_with_its_permission(sign_in, rf, codename, readable):
    sign_in(codename)
    request = rf.get("/")
    request.user = User.objects.get()

    page = "{% load inlive_banner %}{% inlive_logs %}{% inlive_logs stream_id=16 %}{% inlive_logs stream_id=17 %}"
    html = Template(page).render(Context({"request": request}))

    assert [int(stream) for stream in re.findall(r'data-inlive-stream="(\d+)"', html)] == readable
    assert html.count("inlive-notice") == 3 - len(readable)


def test_live_page_offers_the_streams_that_the_reader_may_read(sign_in):
    client = sign_in("view_interaction")

    response = client.get(LIVE)

    assert shown(response) == ["15"]
    assert offered(response) == ["17"]
    assert [client.get(f"{LIVE}?stream={stream}").status_code for stream in (16, 17, 99)] == [403, 200, 404]


def test_live_page_begins_with_the_first_stream_that_may_be_read(sign_in):
    with configured(STREAM_ID="", STREAMS=STREAMS):
        assert shown(sign_in("view_interaction").get(LIVE)) == ["17"]


def test_live_page_without_a_stream_that_may_be_read_is_refused(sign_in):
    with configured(STREAM_ID="", STREAMS={16: STREAMS[16]}):
        assert sign_in("view_interaction").get(LIVE).status_code == 403


@pytest.mark.parametrize("model", [DayUnique, Gap, Interaction, Pending, Position, Rollup])
@pytest.mark.parametrize("may_read", [True, False])
def test_admin_has_the_rows_of_streams_that_the_user_may_read(rows, sign_in, model, may_read):  # noqa: F811
    name = model._meta.model_name
    row = model.objects.filter(stream_id=15).last()
    if model is Rollup:
        row = Rollup.objects.by(Dimension.BANNER, Span.DAY).filter(stream_id=15).first()
    if model is not Position:
        row.stream_id = 16
        row.save()
    else:
        row = model.objects.get(pk=16)
    client = sign_in(f"view_{name}", *(["view_group"] if may_read else []))

    page = client.get(reverse(f"admin:inlive_banner_{name}_changelist"))
    change = client.get(reverse(f"admin:inlive_banner_{name}_change", args=[row.pk]))

    listed = {shown_row.stream_id for shown_row in page.context["cl"].result_list}
    if model is Interaction:  # one stream at a time
        other = client.get(f"{reverse('admin:inlive_banner_interaction_changelist')}?stream=16")
        listed |= {shown_row.stream_id for shown_row in other.context["cl"].result_list}
    assert (16 in listed) is may_read
    assert (15 in listed) or model is DayUnique or model is Pending
    assert change.status_code == (200 if may_read else 302)


@pytest.mark.parametrize("may_read", [True, False])
def test_admin_finds_and_offers_what_the_user_may_read(rows, sign_in, may_read):  # noqa: F811
    client = sign_in("view_interaction", *(["view_group"] if may_read else []))

    assert ("?stream=16" in client.get(LIST).content.decode()) is may_read
    closed = [row for row in rows if row.stream_id == 16]
    for query in (f"q={closed[0].publish_id}&stream=16", "stream=16", f"q={closed[0].user_id}&stream=16"):
        assert bool(client.get(f"{LIST}?{query}").context["cl"].result_count) is may_read


def test_admin_asks_nothing_more_of_the_database_where_no_stream_is_closed(rows, sign_in):  # noqa: F811
    client = sign_in("view_interaction")
    with configured(STREAMS={16: {}, 17: {}}):
        assert "NOT" not in str(client.get(LIST).context["cl"].queryset.query)


def test_superusers_see_all_rows(rows, sign_in):  # noqa: F811
    client = sign_in(is_superuser=True)

    assert client.get(LIST).context["cl"].result_count == 10
    assert client.get(f"{LIST}?stream=16").context["cl"].result_count == 10
    assert client.get(f"{LIVE}?stream=16").status_code == 200
