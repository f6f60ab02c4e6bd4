"""Whom a page is for, through all of Django's middleware."""

from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import AsyncClient, Client, override_settings

from tests.configured import configured

pytestmark = pytest.mark.django_db

MARK = "15~staff:"


@pytest.fixture(autouse=True)
def site(settings):
    settings.ROOT_URLCONF = "tests.templatetags.banner_urls"
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "pages"}}
    cache.clear()


@pytest.fixture
def editor():
    client = Client()
    client.force_login(User.objects.create_user("editor", is_staff=True))
    return client


def test_page_without_a_session_cookie_asks_nothing_and_does_not_vary(client, django_assert_num_queries):
    with django_assert_num_queries(0):
        response = client.get("/")

    assert "Cookie" not in response.headers.get("Vary", "")
    assert not response.cookies
    assert MARK not in response.text


def test_page_of_staff_is_marked_and_varies(editor):
    response = editor.get("/")

    assert MARK in response.text
    assert "Cookie" in response.headers["Vary"]


def test_page_of_staff_asks_nothing_where_staff_is_not_to_be_marked(editor, django_assert_num_queries):
    with configured(LABEL_STAFF=False), django_assert_num_queries(0):
        response = editor.get("/")

    assert MARK not in response.text
    assert "Cookie" not in response.headers.get("Vary", "")


def test_page_of_staff_under_debug_is_not_marked(editor, django_assert_num_queries):
    """A developer who is signed in, and tries the banner out, shall see the click in the totals."""
    with override_settings(DEBUG=True), django_assert_num_queries(0):
        assert MARK not in editor.get("/").text


def test_cached_page_that_staff_has_filled_marks_nobody(editor, client):
    """`cache_page` stores it before the session's middleware has made it vary."""
    assert MARK not in editor.get("/cached/").text
    assert MARK not in client.get("/cached/").text


@pytest.mark.django_db(transaction=True)
def test_page_of_an_async_view_is_rendered_for_staff_too():
    client = AsyncClient()
    client.force_login(User.objects.create_user("editor", is_staff=True))

    response = async_to_sync(client.get)("/async/")

    assert response.status_code == 200
    assert "data-inlive-token" in response.text
