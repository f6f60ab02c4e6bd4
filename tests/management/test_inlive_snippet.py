from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from inlive_banner.links import read_link
from inlive_banner.snippet import make_snippet
from tests.configured import configured
from tests.templatetags.test_inlive_banner import Elements

SITE = "https://www.example.org"


def printed(capsys, *arguments):
    call_command("inlive_snippet", "--name=sale", "--href=/sale/?a=1&b=2", *arguments)
    return capsys.readouterr().out


def test_snippet_is_the_banner_with_absolute_addresses(capsys):
    html = printed(capsys, f"--base-url={SITE}", "--text=<Sale>")

    elements = Elements(html)
    link = elements.one("a")
    assert link["href"] == f"{SITE}/sale/?a=1&b=2"
    assert link["data-inlive-channel"] == f"{SITE}/channel"
    assert link["data-inlive-banner"] == "sale"
    assert elements.one("script")["src"] == f"{SITE}/static/inlive_banner/banner.js"
    assert elements.one("link")["href"] == f"{SITE}/static/inlive_banner/banner.css"
    assert "<span>&lt;Sale&gt;</span>" in html
    assert html.endswith("</a>\n")


def test_snippet_has_no_token_which_would_expire(capsys):
    assert "token" not in printed(capsys, f"--base-url={SITE}")


def test_snippet_with_an_image_and_redirect_is_absolute_too(capsys):
    with configured(TRACK_VIEWS=True, CONSENT=False):
        html = printed(
            capsys, f"--base-url={SITE}/", "--image=/a.png", "--alt=A", "--width=10", "--height=20", "--redirect"
        )

    elements = Elements(html)
    link = elements.one("a")
    assert elements.one("img") == {"src": f"{SITE}/a.png", "alt": "A", "width": "10", "height": "20"}
    assert link["data-inlive-href"] == f"{SITE}/sale/?a=1&b=2"
    assert [script["src"] for script in elements.all("script")] == [
        f"{SITE}/static/inlive_banner/{name}" for name in ("banner.js", "views.js")
    ]
    assert link["href"].startswith(f"{SITE}/inlive/go/")
    assert read_link(link["href"].split("/")[5]).name == "sale"


def test_snippet_of_a_name_like_a_path_keeps_it(capsys):
    html = printed(capsys, f"--base-url={SITE}", "--name=/sale/", "--css-class=/x")

    assert Elements(html).one("a")["data-inlive-banner"] == "/sale/"


@override_settings(STATIC_URL="https://cdn.example.org/s/")
def test_snippet_needs_no_site_where_all_addresses_are_absolute(capsys):
    with configured(CHANNEL_URL="https://channel.example.org"):
        call_command("inlive_snippet", "--name=sale", "--href=https://example.org/sale/")

    elements = Elements(capsys.readouterr().out)
    assert elements.one("a")["data-inlive-channel"] == "https://channel.example.org"
    assert elements.one("script")["src"] == "https://cdn.example.org/s/inlive_banner/banner.js"


@pytest.mark.parametrize("href", ["#here", "mailto:a@example.org", "https://example.org/x"])
def test_snippet_keeps_what_is_no_path(capsys, href):
    call_command("inlive_snippet", "--name=sale", f"--href={href}", f"--base-url={SITE}")

    assert Elements(capsys.readouterr().out).one("a")["href"] == href


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--base-url https://www.example.org"),
        (["--base-url=www.example.org"], "isn't a site's address"),
        (["--base-url=ftp://www.example.org"], "isn't a site's address"),
        (["--base-url=https://a.example", "--image=/a.png"], "alt is missing"),
        (["--base-url=https://a.example", "--stream=99"], "Stream 99"),
    ],
)
def test_snippet_that_cannot_be_made_says_why_and_ends_with_2(capsys, arguments, words):
    with pytest.raises(CommandError, match=words) as caught:
        printed(capsys, *arguments)

    assert caught.value.returncode == 2


def test_snippet_has_absolute_addresses_in_its_srcset_too():
    html = make_snippet(
        "https://example.org", image="/a.png", alt="Sale", srcset="/a.png 1x, //cdn.test/b.png 2x, c.png"
    )

    assert 'srcset="https://example.org/a.png 1x, https://cdn.test/b.png 2x, https://example.org/c.png"' in html
