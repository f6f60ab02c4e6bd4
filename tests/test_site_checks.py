"""The system checks of what concerns the site's pages and links."""

from __future__ import annotations

import pytest
from django.core import checks as django_checks
from django.test import override_settings

from inlive_banner.site_checks import check_site
from tests.configured import configured


def found(**changes):
    with configured(**changes):
        messages = check_site()
    assert all(message.hint for message in messages)
    return messages


def test_good_settings_have_no_messages():
    assert found() == []


@pytest.mark.parametrize("host", ["example.org", "localhost:8000", "127.0.0.1", "[::1]:8000", "xn--bcher-kva.example"])
def test_redirect_host_that_an_address_can_have_is_fine(host):
    assert found(REDIRECT_HOSTS=[host]) == found(REDIRECT_HOSTS=(host,)) == []


@pytest.mark.parametrize(
    "host",
    [
        "https://example.org",
        "example.org/",
        "*",
        "*.example.org",
        "Example.org",
        "",
        "a@b",
        "a:port",
        "a b",
        None,
        15,
        "[",
    ],
)
def test_redirect_host_that_no_address_can_have_is_an_error(host):
    (message,) = found(REDIRECT_HOSTS=["example.org", host])

    assert message.id == "inlive_banner.E030"
    assert isinstance(message, django_checks.Error)
    assert repr(host) in message.msg
    assert '"REDIRECT_HOSTS": [' in message.hint


def test_redirect_for_all_banners_under_consent_is_a_warning():
    (message,) = found(CONSENT=True, BANNER={"redirect": True})

    assert message.id == "inlive_banner.W030"
    assert isinstance(message, django_checks.Warning)
    assert found(CONSENT=True, BANNER={"redirect": False}) == found(BANNER={"redirect": True}) == []


@pytest.mark.parametrize("changes", [{"REDIRECT_HOSTS": "example.org"}, {"CONSENT": True, "BANNER": "x"}])
def test_values_of_the_wrong_type_are_left_to_the_check_of_types(changes):
    assert found(**changes) == []
    with override_settings(INLIVE_BANNER=[]):
        assert check_site() == []


def test_checks_are_registered():
    with configured(REDIRECT_HOSTS=["*"]):
        assert "inlive_banner.E030" in [message.id for message in django_checks.run_checks()]


@pytest.mark.parametrize("permission", ["shop.view_orders", "inlive_banner.view_interaction", "läden.any-thing.else"])
def test_permission_that_somebody_can_have_is_fine(permission):
    assert found(STREAMS={15: {"VIEW_PERMISSION": permission, "PUBLIC": False}}) == []


@pytest.mark.parametrize("permission", ["", "view_orders", ".view_orders", "shop.", "shop.view orders", "1.x", "a b.c"])
def test_permission_that_nobody_can_have_is_an_error(permission):
    (message,) = found(STREAMS={15: {}, 16: {"VIEW_PERMISSION": permission}})

    assert message.id == "inlive_banner.E031"
    assert isinstance(message, django_checks.Error)
    assert f"[16] has {permission!r}" in message.msg
    assert '"VIEW_PERMISSION": "shop.view_orders"' in message.hint


def test_permission_of_a_stream_that_the_channel_opens_to_all_is_a_warning():
    (message,) = found(STREAMS={16: {"VIEW_PERMISSION": "shop.view_orders", "PUBLIC": True}})

    assert message.id == "inlive_banner.W031"
    assert isinstance(message, django_checks.Warning)
    assert found(STREAMS={16: {"PUBLIC": True}}) == []


@pytest.mark.parametrize("streams", [[15], {15: None}, {15: {"VIEW_PERMISSION": 15}}])
def test_permissions_in_what_another_check_refuses_are_passed_over(streams):
    assert found(STREAMS=streams) == []
