"""The tags in Jinja2, by Django's own backend for it."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.template import engines
from django.test import RequestFactory, override_settings

from inlive_banner.exceptions import InvalidBannerError
from tests.configured import configured
from tests.nonce import LazyNonce

PARTS = {
    "base.html": (
        "<head>{% block head %}{% endblock %}</head>{{ inlive_banner(name='base') }}{% block body %}{% endblock %}"
    ),
    "part.html": "{{ inlive_banner(name='part') }}",
    "macros.html": "{% macro sale() %}{{ inlive_banner(name='macro') }}{% endmacro %}",
}


@pytest.fixture
def jinja(tmp_path):
    for name, template in PARTS.items():
        (tmp_path / name).write_text(template)
    engine = {
        "BACKEND": "django.template.backends.jinja2.Jinja2",
        "DIRS": [tmp_path],
        "OPTIONS": {"environment": "tests.jinja2_environment.environment"},
    }
    with override_settings(TEMPLATES=[engine]):
        yield engines["jinja2"]


def names_in(html):
    return re.findall('data-inlive-banner="(.*?)"', html)


def test_banner_is_that_of_the_django_tag(jinja):
    html = jinja.from_string(
        "{{ inlive_banner(name='sale', href='/sale/?a=1&b=2', text=text, css_class='wide', target='', stream_id=15) }}"
    ).render({"text": "<Sale>"})

    assert re.search(r'<a class="inlive-banner wide" href="/sale/\?a=1&amp;b=2" rel="noopener"', html)
    assert "<span>&lt;Sale&gt;</span>" in html
    assert html.count("<script") == html.count("<link") == 1


def test_banner_takes_every_argument_of_the_tag(jinja):
    html = jinja.from_string(
        "{{ inlive_banner(image='/a.png', alt='A', width=10, height=20, srcset='/b.png 2x', redirect=True, "
        "views=True) }}"
    ).render()

    assert 'src="/a.png" srcset="/b.png 2x" alt="A" width="10" height="20"' in html
    assert 'data-inlive-href="/"' in html
    assert "data-inlive-views" in html
    assert "/views.js" in html


def test_banner_with_an_argument_that_cannot_be_used_says_which(jinja):
    for argument in ("href='javascript:x'", "link='/'", "name=''"):
        with pytest.raises(InvalidBannerError):
            jinja.from_string(f"{{{{ inlive_banner({argument}) }}}}").render()


def test_assets_come_once_over_includes_macros_and_inherited_templates(jinja):
    html = jinja.from_string(
        "{% extends 'base.html' %}{% import 'macros.html' as macros with context %}"
        "{% block head %}{{ inlive_banner_assets() }}{% endblock %}"
        "{% block body %}{% include 'part.html' %}{{ macros.sale() }}{% for n in '12' %}{{ inlive_banner(name=n) }}"
        "{% endfor %}{% endblock %}"
    ).render(request=RequestFactory().get("/"))

    assert names_in(html) == ["base", "part", "macro", "1", "2"]
    assert html.count("<script") == html.count("<link") == 1
    assert html.index("<script") < html.index("</head>")


def test_assets_come_again_on_the_next_page(jinja):
    template = jinja.from_string("{{ inlive_banner() }}{{ inlive_banner() }}")

    for _ in range(2):
        assert template.render(request=RequestFactory().get("/")).count("<script") == 1


@pytest.mark.parametrize("source", ["context", "request"])
def test_assets_pass_the_nonce_on(jinja, source):
    request = RequestFactory().get("/")
    values = {"csp_nonce": LazyNonce()}
    if source == "request":
        request.csp_nonce, values = LazyNonce(), {}

    html = jinja.from_string("{{ inlive_banner() }}").render(values, request)

    assert html.count('nonce="n0nce"') == 2


def test_block_is_the_link_around_what_its_author_wrote(jinja):
    html = jinja.from_string(
        "{% call inlive_banner_block(name='sale', href='/sale/') %}<b>{{ words }}</b>{% endcall %}"
    ).render({"words": "<Sale>"})

    assert re.search(r'<a [^>]*href="/sale/"[^>]*><b>&lt;Sale&gt;</b></a>', html)


@pytest.mark.parametrize("tag", ["{{ inlive_banner() }}", "{% call inlive_banner_block() %}x{% endcall %}"])
def test_banner_marks_what_staff_does(jinja, tag):
    request = RequestFactory().get("/", headers={"cookie": "sessionid=x"})
    request.user = User(username="editor", is_staff=True)

    assert 'data-inlive-token="15~staff:' in jinja.from_string(tag).render(request=request)


def test_banner_is_rendered_from_the_template_that_the_site_has_overridden(jinja, tmp_path):
    folder = tmp_path / "templates" / "inlive_banner"
    folder.mkdir(parents=True)
    (folder / "banner.html").write_text("<i>{{ banner.name }}</i>")
    engine = {"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}
    other = {**engine, "NAME": "other", "APP_DIRS": False}
    overriding = {**engine, "NAME": "site", "DIRS": [tmp_path / "templates"]}
    from django.conf import settings

    with override_settings(TEMPLATES=[*settings.TEMPLATES, other, overriding]):
        html = engines["jinja2"].from_string("{{ inlive_banner(name='sale') }}").render()

    assert "<i>sale</i>" in html


def test_banner_under_the_settings_has_its_attributes(jinja):
    with configured(CONSENT=True):
        html = jinja.from_string("{{ inlive_banner() }}").render()

    assert 'src="/static/inlive_banner/consent.js" data-inlive-consent' in html
    assert html.count("data-inlive-consent") == 2
