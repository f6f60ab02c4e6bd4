"""Who may read which stream."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser, Permission, User

from inlive_banner.access import Reader, closed_streams, may_read_log, needed_permission, readable_streams
from tests.configured import configured

OWN = "auth.view_group"
"""Some permission that exists, as a stream's own."""

STREAMS = {16: {"VIEW_PERMISSION": OWN}, 17: {}}
"""Besides the default stream, 15."""


@pytest.fixture(autouse=True)
def streams():
    with configured(STREAMS=STREAMS):
        yield


@pytest.fixture
def make_user(db):
    def make(*permissions, **options):
        user = User.objects.create_user("somebody", **options)
        for permission in permissions:
            app_label, codename = permission.split(".")
            user.user_permissions.add(Permission.objects.get(content_type__app_label=app_label, codename=codename))
        return user

    return make


@pytest.fixture
def request_of(rf):
    def make(user):
        request = rf.get("/")
        request.user = user
        return request

    return make


def test_stream_without_a_permission_of_its_own_needs_the_apps():
    assert [needed_permission(stream_id) for stream_id in (15, 16, 17, 99)] == [
        "inlive_banner.view_interaction",
        OWN,
        "inlive_banner.view_interaction",
        "inlive_banner.view_interaction",
    ]


@pytest.mark.parametrize(
    ("permissions", "readable"),
    [
        ([], []),
        (["inlive_banner.view_interaction"], [15, 17]),
        ([OWN], [16]),
        ([OWN, "inlive_banner.view_interaction"], [15, 16, 17]),
        (["auth.change_group"], []),
    ],
)
def test_user_reads_the_streams_whose_permission_they_have(make_user, request_of, permissions, readable):
    request = request_of(make_user(*permissions))

    assert readable_streams(request) == readable
    assert [stream_id for stream_id in (15, 16, 17) if may_read_log(request, stream_id)] == readable


def test_streams_are_in_the_order_of_the_settings(make_user, request_of):
    with configured(STREAM_ID="", STREAMS={17: {}, 16: {"VIEW_PERMISSION": OWN}, 15: {}}):
        assert readable_streams(request_of(make_user(is_superuser=True))) == [17, 16, 15]


@pytest.mark.parametrize(("is_active", "readable"), [(True, [15, 16, 17]), (False, [])])
def test_superusers_read_all_while_they_are_active(make_user, request_of, is_active, readable):
    assert readable_streams(request_of(make_user(is_superuser=True, is_active=is_active))) == readable


@pytest.mark.parametrize("known", [True, False])
def test_public_logs_open_what_names_no_permission_of_its_own(request_of, known):
    request = request_of(AnonymousUser()) if known else None

    assert readable_streams(request) == []
    with configured(STREAMS=STREAMS, LOGS_PUBLIC=True):
        assert readable_streams(request) == [15, 17]
        assert not may_read_log(request, 16)


def test_public_logs_leave_a_stream_to_those_with_its_permission(make_user, request_of):
    with configured(STREAMS=STREAMS, LOGS_PUBLIC=True):
        assert readable_streams(request_of(make_user(OWN))) == [15, 16, 17]


@pytest.mark.parametrize("permission", ["", None, "no permission", 16])
def test_permission_that_cannot_be_one_closes_the_stream(make_user, request_of, permission):
    """A mistake in the settings opens nothing."""
    reader, boss = make_user("inlive_banner.view_interaction"), User(username="boss", is_superuser=True)
    with configured(STREAMS={16: {"VIEW_PERMISSION": permission}}, LOGS_PUBLIC=True):
        assert readable_streams(request_of(reader)) == [15]
        assert readable_streams(request_of(boss)) == [15, 16]


def test_reader_who_has_asked_for_some_streams_reads_no_others(make_user):
    user = make_user(OWN, "inlive_banner.view_interaction")

    assert Reader(user=user, streams=(17, 16)).readable_streams() == [16, 17]
    assert Reader(user=user, streams=()).readable_streams() == []
    with configured(STREAMS=STREAMS, LOGS_PUBLIC=True):
        assert Reader(user=user, streams=(17,)).readable_streams() == [17]


@pytest.mark.parametrize(("permissions", "closed"), [([], [16]), ([OWN], [])])
def test_closed_streams_are_those_whose_own_permission_is_lacking(make_user, request_of, permissions, closed):
    assert closed_streams(request_of(make_user(*permissions))) == closed


def test_closed_streams_of_nobody_are_all_with_a_permission_of_their_own(rf):
    assert closed_streams(rf.get("/")) == [16]
