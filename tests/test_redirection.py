"""Links by way of the site."""

from __future__ import annotations

import json
import time
import zlib

import pytest
from django.contrib.auth.models import User
from django.core.signing import Signer, b64_encode
from django.db import DatabaseError, InterfaceError
from django.template import engines
from django.test import Client, override_settings
from django.urls import reverse

from inlive_banner import outbox, redirection
from inlive_banner.banner import build_banner
from inlive_banner.exceptions import InvalidBannerError
from inlive_banner.links import Link, link_path, read_link
from inlive_banner.models import Pending
from tests.configured import ABSENT, configured

GO = "/inlive/go/"


@pytest.fixture(autouse=True)
def sender(monkeypatch):
    """What was given to the outbox, whose thread sends nothing here."""
    given = []
    monkeypatch.setattr(outbox._Sender, "wake", lambda self, out, **options: None)
    monkeypatch.setattr(redirection, "keep", lambda out: [given.append(out), outbox.keep(out)])
    return given


def link(target="/sale/", name="sale", stream_id=15):
    return link_path(Link(target, name, stream_id))


def kept():
    return [json.loads(message) for message in Pending.objects.values_list("message", flat=True)]


# Leading on, and counting


@pytest.mark.parametrize(
    "target",
    [
        "/sale/",
        "/a?b=1&c=2#d",
        "https://example.org/",
        "http://example.org:8080/x?y",
        "//example.org/x",
        "HTTPS://A.example/",
    ],
)
@pytest.mark.django_db
def test_signed_link_leads_on_and_is_counted(client, target):
    response = client.get(link(target))

    assert (response.status_code, response.headers["Location"]) == (302, target)
    (message,) = kept()
    assert (message["name"], message["action"], message["type"]) == ("sale", "click", "banner")
    assert abs(message["time"] / 1000 - time.time()) < 60


@pytest.mark.django_db
def test_signed_link_is_answered_anew_each_time_and_leaves_the_referrer_to_the_site(client):
    response = client.get(link())

    assert "no-store" in response.headers["Cache-Control"]
    assert response.headers["Referrer-Policy"] == "same-origin"  # of Django's SecurityMiddleware
    with override_settings(SECURE_REFERRER_POLICY=None):
        assert "Referrer-Policy" not in Client().get(link()).headers


@pytest.mark.django_db
def test_signed_link_keeps_the_session_alone(client):
    response = client.get(link())

    assert not response.cookies
    assert "Cookie" not in response.headers.get("Vary", "")


@pytest.mark.django_db
def test_signed_link_passes_the_visitor_on(client, sender):
    client.get(
        link(stream_id=15),
        REMOTE_ADDR="203.0.113.9",
        headers={"user-agent": "Mozilla/5.0", "referer": "http://testserver/offers/?q=1"},
    )

    (out,) = sender
    assert (out.address, out.user_agent, out.purpose, out.staff) == ("203.0.113.9", "Mozilla/5.0", "", False)
    assert kept()[0]["page"] == "/offers/"


@pytest.mark.parametrize("referrer", ["https://example.org/secret/", "", "http://[", "/offers/"])
@pytest.mark.django_db
def test_page_of_another_site_is_nobodys_business(client, referrer):
    client.get(link(), headers={"referer": referrer})

    assert kept()[0]["page"] == ""


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("127.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "10.9.9.9, 198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "198.51.100.1, 10.0.0.7", "198.51.100.1"),
        ("10.0.0.7", "198.51.100.1 ,127.0.0.1", "198.51.100.1"),
        ("::ffff:127.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("", "198.51.100.1", "198.51.100.1"),
        ("", None, ""),
        ("127.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
        ("127.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
        ("127.0.0.1", "198.51.100.1,", ""),
        ("127.0.0.1", None, "127.0.0.1"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "unknown", ""),
        ("127.0.0.1", "198.51.100.1, <script>", ""),
        ("127.0.0.1", "10.0.0.1, 10.0.0.2", "10.0.0.1"),
    ],
)
@pytest.mark.django_db
def test_forwarded_address_is_believed_of_trusted_proxies_alone(client, sender, peer, forwarded, expected):
    headers = {} if forwarded is None else {"x-forwarded-for": forwarded}
    with configured(TRUSTED_PROXIES=["127.0.0.1", "10.0.0.0/8"]):
        client.get(link(), REMOTE_ADDR=peer, headers=headers)

    assert sender[0].address == expected


@pytest.mark.django_db
def test_click_is_counted_without_an_address_where_the_proxies_cant_be_read(client, sender):
    with configured(TRUSTED_PROXIES=["no network"]):
        client.get(link())

    assert [out.address for out in sender] == [""]


@pytest.mark.parametrize("header", ["sec-purpose", "purpose", "x-moz", "x-purpose"])
@pytest.mark.django_db
def test_prefetch_leads_on_and_is_passed_on_as_one(client, sender, header):
    response = client.get(link(), headers={header: "prefetch;prerender"})

    assert response.status_code == 302
    assert sender[0].purpose == Pending.objects.get().purpose == "prefetch;prerender"


@pytest.mark.parametrize("header", ["dnt", "sec-gpc"])
@pytest.mark.parametrize(("honoured", "value", "count"), [(True, "1", 0), (True, "0", 1), (False, "1", 1)])
@pytest.mark.django_db
def test_visitor_who_objects_is_led_on_and_not_counted(client, header, honoured, value, count):
    with configured(HONOUR_DNT=honoured):
        response = client.get(link(), headers={header: value})

    assert response.status_code == 302
    assert Pending.objects.count() == count


def test_link_under_consent_leads_on_and_counts_nothing(client):
    """It comes from a page of before: nobody knows here whether this visitor has agreed. (No database is asked.)"""
    path = link()
    with configured(CONSENT=True):
        assert client.get(path).headers["Location"] == "/sale/"


def test_head_leads_on_and_counts_nothing(client):
    assert client.head(link()).headers["Location"] == "/sale/"


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_other_methods_are_refused(client, method):
    assert getattr(client, method)(link()).status_code == 405


@pytest.mark.django_db
def test_link_of_staff_says_so(client, sender):
    client.force_login(User.objects.create_user("editor", is_staff=True))

    client.get(link())

    assert sender[0].staff
    assert Pending.objects.get().staff


def test_link_of_a_stream_that_is_gone_leads_on(client):
    assert client.get(link(stream_id=99)).headers["Location"] == "/sale/"


@pytest.mark.django_db
def test_link_leads_on_where_the_database_fails(client, monkeypatch, sender):
    def fail(*args, **kwargs):
        raise DatabaseError

    monkeypatch.setattr(Pending, "save", fail)

    assert client.get(link()).status_code == 302
    assert len(sender) == 1  # and is sent from memory


def test_link_leads_on_where_settings_are_missing(client):
    path = link()
    with configured(STREAM_ID="x"):
        assert client.get(path).status_code == 302


@pytest.mark.django_db
def test_link_leads_on_where_the_session_cannot_be_read(client, monkeypatch):
    client.force_login(User.objects.create_user("editor", is_staff=True))
    monkeypatch.setattr("inlive_banner.page.getattr", fail_on_user, raising=False)

    assert client.get(link()).status_code == 302


def fail_on_user(value, name, *default):
    if name == "is_staff":
        raise DatabaseError
    return getattr(value, name, *default)


# Links that nobody vouches for


def packed_by_another(target):
    signer = Signer(key="another", salt="inlive_banner.go")
    signed = signer.sign_object([target, "x" * 100, 15], compress=True)
    assert signed.startswith(".")
    return reverse("inlive_banner:go", args=[signed])


def signed_by_another(target):
    return reverse(
        "inlive_banner:go", args=[Signer(key="another", salt="inlive_banner.go").sign_object([target, "x", 15])]
    )


def unsigned(target):
    from urllib.parse import urlencode

    return f"{GO}?{urlencode({'to': target})}"


@pytest.mark.parametrize("make", [signed_by_another, packed_by_another, unsigned])
@pytest.mark.parametrize(
    "target", ["/sale/?a=b", "http://testserver/sale/", "https://testserver/", "https://shop.example.org/x"]
)
def test_unsigned_link_to_a_trusted_host_leads_on_uncounted(client, make, target):
    with configured(REDIRECT_HOSTS=["shop.example.org"]):
        response = client.get(make(target))

    assert (response.status_code, response.headers["Location"]) == (302, target)


@pytest.mark.parametrize("make", [signed_by_another, packed_by_another, unsigned])
@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "///evil.example",
        "https:evil.example",
        "http:///evil.example",
        "https://testserver@evil.example/",
        "https://testserver.evil.example/",
        "https://shop.example.org:8443/",
        "\thttps://evil.example/",
        "/\t/evil.example/",
        "javascript:alert(1)",
        "java\nscript:alert(1)",
        "data:text/html,x",
        "ftp://testserver/",
        "mailto:a@example.org",
        "sale/",
        "",
        "https://[",
    ],
)
def test_unsigned_link_to_elsewhere_is_a_page_that_says_what_to_do(client, make, target):
    with configured(REDIRECT_HOSTS=["shop.example.org"]):
        response = client.get(make(target))

    assert response.status_code == 400
    assert "Location" not in response.headers
    html = response.content.decode()
    assert "load it again, and click there" in html
    assert 'href="javascript' not in html
    assert "evil.example" not in "".join(part.split('"')[0] for part in html.split('href="')[1:])


@pytest.mark.parametrize("make", [signed_by_another, packed_by_another, unsigned])
def test_unsigned_link_cannot_inject_a_header(client, make):
    response = client.get(make("/sale/\r\nSet-Cookie: a=b"))

    assert "Set-Cookie" not in response.headers
    assert response.headers["Location"] == "/sale/Set-Cookie:%20a=b"


BOMB = "." + b64_encode(zlib.compress(b'["/' + b"a" * 50_000_000 + b'"]')).decode() + ":x"


@pytest.mark.parametrize(
    "signed",
    [
        "x",
        "x:y",
        ":",
        "WzFd:x",
        "W10:x",
        "bnVsbA:x",
        "e30:x",
        "é",
        ".x:y",
        "%00",
        "WyIvIl0",
        "a" * 3000,
        ".eJw:x",
        BOMB,
        "[" * 3000,
    ],
)
def test_link_that_cannot_be_read_is_a_page_that_says_what_to_do(client, signed):
    response = client.get(f"{GO}{signed}/")

    assert response.status_code in (302, 400)
    if response.status_code == 302:
        assert response.headers["Location"] == "/"  # its target could be read, and is the site's own


def test_link_that_was_changed_is_worth_no_more_than_an_unsigned_one(client):
    path = link("https://example.org/")
    payload, _, signature = path.strip("/").rpartition("/")[2].partition(":")
    evil = Signer().sign_object(["https://evil.example/", "x", 15]).partition(":")[0]

    assert payload != evil
    assert client.get(f"{GO}{evil}:{signature}/").status_code == 400


def test_link_of_before_a_change_of_keys_leads_on_and_is_counted_with_the_fallback(client, db):
    path = link("https://example.org/")
    with override_settings(SECRET_KEY="new", SECRET_KEY_FALLBACKS=["only-for-the-tests"]):
        assert client.get(path).status_code == 302
        assert Pending.objects.count() == 1
    with override_settings(SECRET_KEY="new"):
        assert client.get(path).status_code == 400


def test_page_of_an_unusable_link_escapes_its_target(client):
    html = client.get(unsigned("https://evil.example/<script>alert(1)</script>")).content.decode()

    assert "<script>" not in html
    assert "&lt;script&gt;" in html


# The links themselves


def test_link_is_short_and_stays_the_same():
    """A page is the same each time it is rendered; a signature of 256 bits is 43 characters."""
    assert len(link("/sale/", "sale")) < 90
    assert link() == link()
    long = "https://example.org/" + "summer-sale/" * 30
    assert len(link(long)) < 200
    assert read_link(link(long).split("/")[3]).target == long


@pytest.mark.parametrize("target", ["mailto:a@example.org", "#here", "?q=1", "sale/", "tel:+49"])
def test_link_to_what_a_redirect_cannot_reach_is_refused(target):
    with pytest.raises(InvalidBannerError, match="Leave redirect out"):
        build_banner(href=target, redirect=True)


@override_settings(ROOT_URLCONF="tests.templatetags.no_urls")
def test_link_in_a_site_without_our_addresses_says_what_to_add():
    with pytest.raises(InvalidBannerError, match=r'path\("inlive/"') as caught:
        build_banner(redirect=True)
    assert caught.value.argument == "redirect"


def test_banner_with_redirect_leads_by_way_of_the_site_and_names_its_target():
    banner = build_banner(name="sale", href="/sale/?a=1", redirect=True)

    assert read_link(banner.href.split("/")[3]) == Link("/sale/?a=1", "sale", 15)
    assert banner.direct_href == "/sale/?a=1"


def test_banner_without_redirect_or_under_consent_leads_there_directly():
    with configured(CONSENT=True):
        assert (build_banner(redirect=True).href, build_banner(redirect=True).direct_href) == ("/", "")
    assert build_banner().direct_href == ""


def test_banner_tag_has_the_direct_target_for_its_script():
    with configured(BANNER={"redirect": True}):
        html = engines["django"].from_string('{% load inlive_banner %}{% inlive_banner href="/a?b&c" %}').render()

    assert 'data-inlive-href="/a?b&amp;c"' in html
    assert f'href="{GO}' in html


def test_address_without_a_stream_is_what_users_rely_on():
    assert reverse("inlive_banner:go_unsigned") == GO
    with configured(STREAM_ID=ABSENT, STREAMS={16: {}}):
        assert link(stream_id=16).startswith(GO)


@pytest.mark.parametrize("error", [DatabaseError, InterfaceError, RuntimeError])
@pytest.mark.django_db
def test_link_leads_on_whatever_goes_wrong_with_its_click(client, monkeypatch, caplog, error):
    def fail(_out):
        raise error("connection already closed")

    monkeypatch.setattr("inlive_banner.redirection.keep", fail)

    assert client.get(link()).status_code == 302
    assert "isn't counted" in caplog.text
