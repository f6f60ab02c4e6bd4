"""The links to the export on the logs page."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.contrib.auth.models import Permission, User
from django.template import Context, Template
from django.test import override_settings

from inlive_banner.models import Interaction
from tests.configured import configured
from tests.rows import make_interaction

LOGS = "/inlive/logs/"


@pytest.fixture
def reader(db, client):
    user = User.objects.create_user("reader")
    user.user_permissions.add(Permission.objects.get(codename="view_interaction"))
    client.force_login(user)
    Interaction.objects.bulk_create(make_interaction(number) for number in range(1, 61))
    return client


def links_of(page: str) -> dict[str, str]:
    """The links by their words."""
    foot = page.partition("inlive-export")[2].partition("</footer>")[0]
    return {words: unescape(url) for url, words in re.findall('<a href="([^"]+)"[^>]*>([^<]+)</a>', foot)}


def test_page_links_to_both_formats(reader):
    links = links_of(reader.get(LOGS).content.decode())

    assert links == {
        "CSV": "/inlive/export/?format=csv&stream=15",
        "JSON lines": "/inlive/export/?format=jsonl&stream=15",
    }


@pytest.mark.parametrize(
    "query",
    [
        "banner=a%26b&path=%2Fsale%2F&who=everything",
        "period=7d&tz=Asia%2FJakarta",
        "from=2026-11-20&to=2026-11-24",
    ],
)
def test_link_asks_for_what_the_page_shows(reader, query):
    url = links_of(reader.get(f"{LOGS}?{query}").content.decode())["CSV"]

    asked = dict(parse_qsl(urlsplit(url).query))
    period = {"period": "custom"} if "from=" in query else {}
    assert asked == {"format": "csv", "stream": "15", **dict(parse_qsl(query)), **period}
    assert reader.get(url).status_code == 200


@pytest.mark.parametrize("query", ["tz=x%20y", "tz=", "period=soon", "who=me", "before=1", "page=2&lang=de"])
def test_link_leaves_out_what_the_page_has_passed_over(reader, query):
    """The export would refuse it."""
    url = links_of(reader.get(f"{LOGS}?{query}").content.decode())["CSV"]

    assert reader.get(url).status_code == 200
    assert url == "/inlive/export/?format=csv&stream=15"


def test_link_names_the_stream_that_is_shown(reader):
    with configured(STREAMS={1600: {}}), override_settings(USE_THOUSAND_SEPARATOR=True):
        links = links_of(reader.get(f"{LOGS}?stream=1600").content.decode())

    assert links["CSV"] == "/inlive/export/?format=csv&stream=1600"


@override_settings(ROOT_URLCONF="tests.templatetags.no_urls")
def test_site_without_the_addresses_has_no_links(db, rf):
    with configured(LOGS_PUBLIC=True):
        page = Template("{% load inlive_banner %}{% inlive_logs %}").render(Context({"request": rf.get("/")}))

    assert "data-inlive-logs" in page
    assert "inlive-export" not in page
