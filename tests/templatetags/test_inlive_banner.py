"""`{% load inlive_banner %}`."""

from __future__ import annotations

import re
from datetime import date
from html import unescape
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.template import Context, Engine, TemplateSyntaxError
from django.test import RequestFactory, override_settings
from django.utils.safestring import mark_safe

from inlive_banner.conf import settings as app_settings
from inlive_banner.exceptions import ConfigurationError
from inlive_banner.models import DayUnique, Interaction, Position, Rollup
from inlive_banner.query import Cursor
from tests.configured import configured
from tests.nonce import LazyNonce
from tests.rows import make_interaction, save_rollups


class Elements(HTMLParser):
    """Every start tag of a page, with its attributes as a browser reads them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        assert len({name for name, _ in attrs}) == len(attrs), f"an attribute twice: {attrs}"
        self.found.append((tag, dict(attrs)))

    def all(self, tag):
        return [attributes for name, attributes in self.found if name == tag]

    def one(self, tag):
        (attributes,) = self.all(tag)
        return attributes


def compiled(template, templates=None):
    """A page of a site that has further templates by name."""
    loaders = [
        ("django.template.loaders.locmem.Loader", templates or {}),
        "django.template.loaders.app_directories.Loader",
    ]
    libraries = {
        "cache": "django.templatetags.cache",
        "inlive_banner": "inlive_banner.templatetags.inlive_banner",
        "i18n": "django.templatetags.i18n",
        "l10n": "django.templatetags.l10n",
        "static": "django.templatetags.static",
    }
    engine = Engine(loaders=loaders, libraries=libraries)
    return engine.from_string("{% load inlive_banner %}" + template)


def render(template, values=None, *, templates=None, autoescape=True):
    """Render as a site's page would be."""
    return compiled(template, templates).render(Context(values or {}, autoescape=autoescape))


def request_of(user, path="/"):
    request = RequestFactory().get(path)
    request.user = user
    return request


# The banner


def test_banner_is_a_link_with_what_its_script_needs():
    link = Elements(render('{% inlive_banner name="sale" href="/sale/" text="Sale" css_class="wide tall" %}')).one("a")

    token = link.pop("data-inlive-token")
    assert app_settings.signer.read_publish_token(15, token).user_id == ""
    assert link == {
        "class": "inlive-banner wide tall",
        "href": "/sale/",
        "target": "_blank",
        "rel": "noopener",
        "data-inlive-banner": "sale",
        "data-inlive-stream": "15",
        "data-inlive-widget-key": "test-widget-key",
        "data-inlive-channel": "/channel",
    }


def test_banner_without_a_target_opens_in_the_same_tab_and_keeps_its_rel():
    link = Elements(render('{% inlive_banner target="" %}')).one("a")

    assert "target" not in link
    assert link["rel"] == "noopener"


def test_banner_with_an_image_shows_it_instead_of_text():
    html = render('{% inlive_banner image="/sale.png" alt="Sale" %}')

    assert Elements(html).one("img") == {"src": "/sale.png", "alt": "Sale"}
    assert "<span>" not in html


@override_settings(USE_THOUSAND_SEPARATOR=True, LANGUAGE_CODE="en")
def test_banner_with_a_sized_image_has_what_keeps_its_place():
    html = render(
        '{% inlive_banner image="/a.png" alt="Sale" width=1456 height=180 srcset="/a.png 728w, /b.png 1456w" '
        'sizes="(width < 40em) 100vw, 728px" %}'
    )

    assert Elements(html).one("img") == {
        "src": "/a.png",
        "srcset": "/a.png 728w, /b.png 1456w",
        "sizes": "(width < 40em) 100vw, 728px",
        "alt": "Sale",
        "width": "1456",
        "height": "180",
    }


# The block form


def test_block_is_the_link_around_what_its_author_wrote():
    html = render(
        '{% inlive_banner_block name="sale" href="/sale/" target="" css_class="wide" %}<b>{{ words }}</b>'
        "{% end_inlive_banner_block %}",
        {"words": "<Summer & sale>"},
    )

    link = Elements(html).one("a")
    assert (link["href"], link["class"], link["data-inlive-banner"]) == ("/sale/", "inlive-banner wide", "sale")
    assert "data-inlive-token" in link
    assert "target" not in link
    assert re.search(r"<a [^>]*><b>&lt;Summer &amp; sale&gt;</b></a>", html)


@pytest.mark.parametrize("argument", ["name", "href", "css_class", "target"])
def test_block_escapes_its_arguments_where_escaping_is_off(argument):
    evil = "x\"'><script>alert(1)</script>"
    html = render(
        f"{{% autoescape off %}}{{% inlive_banner_block {argument}=evil %}}<i>x</i>{{% end_inlive_banner_block %}}"
        "{% endautoescape %}",
        {"evil": evil},
    )

    assert len(Elements(html).all("script")) == 1  # our own, by src
    assert evil not in html
    assert "<i>x</i></a>" in html


@pytest.mark.parametrize("content", ["", "  \n ", "{% if False %}x{% endif %}"])
def test_block_without_content_is_a_template_error(content):
    with pytest.raises(TemplateSyntaxError, match="nothing in the block"):
        render(f"{{% inlive_banner_block %}}{content}{{% end_inlive_banner_block %}}")


@pytest.mark.parametrize("argument", ['text="x"', 'image="/x.png"', "link=1"])
def test_block_with_an_argument_that_it_does_not_have_is_a_template_error(argument):
    with pytest.raises(TemplateSyntaxError, match=argument.partition("=")[0]):
        render(f"{{% inlive_banner_block {argument} %}}x{{% end_inlive_banner_block %}}")


def test_block_with_a_dangerous_address_names_its_tag():
    with pytest.raises(TemplateSyntaxError, match=r"inlive_banner_block %}: href is"):
        render('{% inlive_banner_block href="javascript:x" %}x{% end_inlive_banner_block %}')


def test_block_and_banner_bring_the_assets_once():
    html = render(
        "{% include 'part.html' only %}{% inlive_banner %}{% inlive_banner_block %}x{% end_inlive_banner_block %}",
        templates={
            "part.html": LOADED
            + "{% with w=1 %}{% inlive_banner_block %}{{ w }}{% end_inlive_banner_block %}{% endwith %}"
        },
    )

    assert len(Elements(html).all("a")) == 3
    assert len(Elements(html).all("script")) == len(Elements(html).all("link")) == 1


# What is counted, and for whom


@pytest.mark.parametrize(
    ("changes", "attributes"),
    [
        ({}, {}),
        ({"TRACK_VIEWS": True}, {"data-inlive-views": None}),
        ({"CONSENT": True}, {"data-inlive-consent": None}),
    ],
)
@pytest.mark.parametrize("banner", ["{% inlive_banner %}", "{% inlive_banner_block %}x{% end_inlive_banner_block %}"])
def test_banner_has_an_attribute_for_each_part_that_the_site_uses(changes, attributes, banner):
    with configured(**changes):
        link = Elements(render(banner)).one("a")

    optional = ("data-inlive-views", "data-inlive-consent", "data-inlive-href")
    assert {name: link[name] for name in optional if name in link} == attributes


def signed_in_request(user, cookie="sessionid"):
    request = request_of(user)
    request.COOKIES[cookie] = "x"
    return request


STAFF = User(username="editor", is_staff=True)


@pytest.mark.parametrize(
    ("request_", "changes", "is_marked"),
    [
        (signed_in_request(STAFF), {}, True),
        (signed_in_request(STAFF), {"LABEL_STAFF": False}, False),
        (signed_in_request(User(username="reader")), {}, False),
        (signed_in_request(AnonymousUser()), {}, False),
        (signed_in_request(STAFF, "another"), {}, False),
        (RequestFactory().get("/", headers={"cookie": "sessionid=x"}), {}, False),
        (None, {}, False),
    ],
    ids=["staff", "unlabelled", "reader", "anonymous", "no-session", "no-middleware", "no-request"],
)
def test_banner_marks_what_staff_does(request_, changes, is_marked):
    values = {"request": request_} if request_ else {}
    with configured(**changes):
        for banner in ("{% inlive_banner %}", "{% inlive_banner_block %}x{% end_inlive_banner_block %}"):
            token = Elements(render(banner, values)).one("a")["data-inlive-token"]

            assert token.startswith("15~staff:") is is_marked


class Untouchable:
    def __get__(self, instance, owner):
        raise AssertionError("the user was asked for")


def test_banner_without_a_session_cookie_leaves_user_and_session_alone():
    class Request(type(RequestFactory().get("/"))):
        user = session = Untouchable()

    request = RequestFactory().get("/")
    request.__class__ = Request

    assert "~staff" not in render("{% inlive_banner %}", {"request": request})


def test_banner_in_a_page_that_is_cached_for_all_marks_nobody(settings):
    """`cache_page` stores the page before the session's middleware could vary it by cookie."""
    request = signed_in_request(STAFF)
    request._cache_update_cache = True

    assert "~staff" not in render("{% inlive_banner %}", {"request": request})


# In {% cache %}


@pytest.fixture
def fragments(settings):
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "fragments"}}
    from django.core.cache import cache

    cache.clear()


CACHED = "{% load cache %}{% cache 60 banner %}{% inlive_banner %}{% endcache %}"
CACHED_INCLUDE = "{% load cache %}{% cache 60 banner %}{% include 'part.html' only %}{% endcache %}"
PART = {"part.html": "{% load inlive_banner %}{% inlive_banner %}"}


@pytest.mark.parametrize("cached", [CACHED, CACHED_INCLUDE])
def test_cached_banner_marks_nobody_as_staff(fragments, cached):
    """Or all who are shown the fragment later would be left out of the counts."""
    html = render(cached, {"request": signed_in_request(STAFF)}, templates=PART)

    assert "~staff" not in html
    assert "data-inlive-token" in html


@pytest.mark.parametrize("cached", [CACHED, CACHED_INCLUDE])
def test_cached_banner_brings_its_script_to_pages_where_it_is_the_only_one(fragments, cached):
    first = render("{% inlive_banner %}" + cached, templates=PART)
    second = render(cached, templates=PART)

    assert len(Elements(first).all("a")) == 2
    assert [script["src"] for script in Elements(second).all("script")] == ["/static/inlive_banner/banner.js"]


def test_cached_banner_keeps_no_nonce_of_the_page_that_filled_the_cache(fragments):
    assert "n0nce" not in render(CACHED, {"csp_nonce": "n0nce"})


def test_banner_after_a_cached_one_brings_the_nonce(fragments):
    html = render(CACHED + "{% inlive_banner %}", {"csp_nonce": "n0nce"})

    assert [script.get("nonce") for script in Elements(html).all("script")] == [None, "n0nce"]


@pytest.mark.parametrize(
    ("changes", "page", "scripts"),
    [
        ({}, "{% inlive_banner %}", ["banner.js"]),
        ({"TRACK_VIEWS": True}, "{% inlive_banner %}{% inlive_banner %}", ["banner.js", "views.js"]),
        ({"TRACK_VIEWS": True}, "{% inlive_banner views=False %}", ["banner.js"]),
        ({"TRACK_VIEWS": True}, "{% inlive_banner_assets %}{% inlive_banner %}", ["banner.js", "views.js"]),
        ({}, "{% inlive_banner %}{% inlive_banner views=True %}", ["banner.js", "views.js"]),
        ({"CONSENT": True}, "{% inlive_banner %}{% inlive_banner %}", ["banner.js", "consent.js"]),
        ({}, "{% inlive_banner %}{% inlive_banner_assets actions=True %}", ["banner.js", "actions.js"]),
    ],
)
def test_page_brings_the_scripts_that_it_uses_and_no_others(changes, page, scripts):
    with configured(**changes):
        found = Elements(render(page, {"csp_nonce": "n0nce"})).all("script")

    assert [script["src"] for script in found] == [f"/static/inlive_banner/{name}" for name in scripts]
    assert {script["nonce"] for script in found} == {"n0nce"}
    assert [script["src"] for script in found if "data-inlive-consent" in script] == [
        f"/static/inlive_banner/{name}" for name in scripts if name == "consent.js"
    ]


def test_assets_tag_with_actions_says_what_those_of_no_banner_are_recorded_with():
    with configured(BANNER={"name": "shop"}, CONSENT=True):
        *_, actions = Elements(render("{% inlive_banner_assets actions=True %}")).all("script")

    token = actions.pop("data-inlive-token")
    assert app_settings.signer.read_publish_token(15, token).user_id == ""
    assert actions == {
        "type": "module",
        "src": "/static/inlive_banner/actions.js",
        "data-inlive-banner": "shop",
        "data-inlive-stream": "15",
        "data-inlive-widget-key": "test-widget-key",
        "data-inlive-channel": "/channel",
        "data-inlive-consent": None,
    }


def test_assets_tag_brings_them_once_and_the_banners_none():
    html = render("{% inlive_banner_assets %}{% inlive_banner_assets %}{% inlive_banner %}", {"csp_nonce": "n0nce"})

    assert [tag for tag, _ in Elements(html).found] == ["link", "script", "a", "span"]
    assert Elements(html).one("script")["nonce"] == "n0nce"


@pytest.mark.parametrize("wrapper", ["{}", "{{% autoescape off %}}{}{{% endautoescape %}}"])
@pytest.mark.parametrize("argument", ["name", "text", "css_class", "target", "href", "alt"])
def test_banner_escapes_every_argument(argument, wrapper):
    """Also where the page around has switched escaping off."""
    evil = "x\"'><script>alert(1)</script>&amp;"
    image = 'image="/x.png" ' if argument == "alt" else ""

    html = render(wrapper.format(f"{{% inlive_banner {image}{argument}=evil %}}"), {"evil": evil})

    assert len(Elements(html).all("script")) == 1  # our own, by src
    assert evil not in html
    shown = {**Elements(html).one("a"), **(Elements(html).one("img") if image else {})}
    if argument != "text":
        assert any(value and evil in value for value in shown.values())


def test_banner_escapes_attributes_that_claim_to_be_safe():
    html = render("{% inlive_banner name=evil %}", {"evil": mark_safe('x" onclick="alert(1)')})

    assert "onclick" not in Elements(html).one("a")
    assert Elements(html).one("a")["data-inlive-banner"] == 'x" onclick="alert(1)'


@pytest.mark.parametrize("autoescape", [True, False])
def test_banner_of_a_large_stream_number_has_no_thousands_separators(autoescape):
    with configured(STREAM_ID=1234567), override_settings(USE_THOUSAND_SEPARATOR=True, LANGUAGE_CODE="en"):
        html = render("{% inlive_banner %}", autoescape=autoescape)

    assert Elements(html).one("a")["data-inlive-stream"] == "1234567"


def test_banner_with_a_dangerous_address_is_a_template_error_and_never_rendered():
    with pytest.raises(TemplateSyntaxError, match=r"inlive_banner.*href is 'javascript:x'.*https"):
        render("{% inlive_banner href=address %}", {"address": "javascript:x"})


def test_banner_with_an_unknown_argument_is_a_template_error():
    with pytest.raises(TemplateSyntaxError, match="'link'"):
        render('{% inlive_banner link="/" %}')


def test_banner_without_a_stream_says_which_setting_is_missing():
    with configured(STREAM_ID=""), pytest.raises(ConfigurationError, match="STREAM_ID"):
        render("{% inlive_banner %}")


def test_banner_needs_no_database():
    """pytest-django fails a test that asks for a database without saying so."""
    assert render("{% inlive_banner %}")


def test_banner_template_can_be_overridden_and_still_brings_its_script():
    html = render("{% inlive_banner %}", templates={"inlive_banner/banner.html": "<i>{{ banner.name }}</i>"})

    assert "<i>demo-banner</i>" in html
    assert len(Elements(html).all("script")) == 1


def test_banner_has_nothing_inline():
    html = render("{% inlive_banner %}{% inlive_logs %}")

    assert "style=" not in html
    assert not re.search(r"<style|\bon[a-z]+=", html)
    assert all(script["src"] for script in Elements(html).all("script"))


# Its assets

TWO = "{% inlive_banner %}{% inlive_banner %}"
LOADED = "{% load inlive_banner %}"


@pytest.mark.parametrize(
    ("page", "templates", "banners"),
    [
        (TWO, {}, 2),
        ("{% for number in numbers %}{% inlive_banner %}{% endfor %}", {}, 3),
        ("{% include 'part.html' %}{% inlive_banner %}", {"part.html": LOADED + TWO}, 3),
        ("{% inlive_banner %}{% include 'part.html' only %}", {"part.html": LOADED + TWO}, 3),
        ("{% include 'part.html' %}{% include 'part.html' %}", {"part.html": LOADED + "{% inlive_banner %}"}, 2),
        (
            "{% for number in numbers %}{% include 'part.html' only %}{% endfor %}",
            {"part.html": LOADED + "{% inlive_banner %}"},
            3,
        ),
        ("{% with x=1 %}{% inlive_banner %}{% endwith %}{% inlive_banner %}", {}, 2),
        ("{% include 'outer.html' %}{% inlive_banner %}", {
            "outer.html": "{% include 'part.html' with x=1 only %}",
            "part.html": LOADED + "{% inlive_banner %}",
        }, 2),
    ],
)  # fmt: skip
@pytest.mark.parametrize("with_request", [True, False])
def test_assets_come_once_however_many_banners(page, templates, banners, with_request):
    values = {"numbers": [1, 2, 3]}
    if with_request:
        values["request"] = request_of(AnonymousUser())

    elements = Elements(render(page, values, templates=templates))

    assert len(elements.all("a")) == banners
    assert [link["href"] for link in elements.all("link")] == ["/static/inlive_banner/banner.css"]
    assert [script["src"] for script in elements.all("script")] == ["/static/inlive_banner/banner.js"]
    assert elements.one("script")["type"] == "module"
    first = [tag for tag, _ in elements.found].index("a")
    assert [tag for tag, _ in elements.found[:first]].count("script") == 1


def test_assets_come_once_over_blocks_of_extended_templates():
    templates = {
        "base.html": LOADED + "{% block head %}{% inlive_banner %}{% endblock %}{% block body %}{% endblock %}",
        "middle.html": "{% extends 'base.html' %}{% block body %}{% block deep %}{% endblock %}{% endblock %}",
        "part.html": LOADED + "{% inlive_banner %}",
        "page.html": "{% extends 'middle.html' %}"
        + LOADED
        + "{% block head %}{{ block.super }}{% inlive_banner %}{% endblock %}"
        + "{% block deep %}{% include 'part.html' %}{% for n in '12' %}{% inlive_banner %}{% endfor %}{% endblock %}",
    }

    elements = Elements(render("{% include 'page.html' %}", templates=templates))

    assert len(elements.all("a")) == 5
    assert len(elements.all("script")) == len(elements.all("link")) == 1


def test_assets_come_again_on_the_next_page():
    template = compiled(TWO)
    context = Context()

    pages = [template.render(context), template.render(context), template.render(Context())]

    assert [len(Elements(page).all("script")) for page in pages] == [1, 1, 1]


@override_settings(
    STORAGES={
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"},
        "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    },
    DEBUG=False,
)
def test_assets_have_the_hashed_names_of_the_manifest(tmp_path):
    from django.core.management import call_command

    with override_settings(STATIC_ROOT=str(tmp_path)):
        call_command("collectstatic", interactive=False, verbosity=0)
        elements = Elements(render("{% inlive_banner %}"))
        collected = {path.name for path in (tmp_path / "inlive_banner").iterdir()}

    script = elements.one("script")
    assert script["data-inlive-retry"].startswith("/static/inlive_banner/retry.")
    for url in (script["src"], script["data-inlive-retry"], elements.one("link")["href"]):
        assert re.fullmatch(r"/static/inlive_banner/\w+\.[0-9a-f]{12}\.(js|css)", url)
        assert url.rpartition("/")[2] in collected


@pytest.mark.parametrize("tag", ["inlive_banner", "inlive_logs"])
@pytest.mark.parametrize(
    "values",
    [
        lambda: {"csp_nonce": LazyNonce()},
        lambda: {"csp_nonce": "n0nce"},
        lambda: {"request": SimpleNamespace(csp_nonce=LazyNonce(), user=AnonymousUser(), GET={})},
    ],
    ids=["django-6", "text", "django-csp"],
)
def test_assets_pass_the_nonce_on(tag, values):
    elements = Elements(render(f"{{% {tag} %}}", values()))

    assert elements.one("script")["nonce"] == elements.one("link")["nonce"] == "n0nce"


@pytest.mark.parametrize("values", [{}, {"csp_nonce": None}])
def test_assets_without_a_nonce_have_none(values):
    assert "nonce" not in render("{% inlive_banner %}", values)


# The log


@pytest.fixture
def reader(db):
    user = User.objects.create_user("reader")
    user.user_permissions.add(Permission.objects.get(codename="view_interaction"))
    return user


@pytest.fixture
def rows(db):
    Position.objects.create(stream_id=15, last_event_id="a1b2c3d4-60")
    return Interaction.objects.bulk_create(make_interaction(number) for number in range(1, 61))


def test_logs_without_a_request_show_a_notice_and_nothing_else(rows, django_assert_num_queries):
    with django_assert_num_queries(0):
        html = render("{% inlive_logs %}")

    assert "inlive-notice" in html
    assert "data-inlive-ticket" not in html
    assert "visitor-" not in html


@pytest.mark.parametrize("user", [AnonymousUser(), User(username="somebody", pk=1)])
def test_logs_for_who_may_not_read_show_a_notice(rows, user):
    html = render("{% inlive_logs %}", {"request": request_of(user)})

    assert "inlive-notice" in html
    assert "data-inlive-ticket" not in html


def test_logs_without_authentication_middleware_show_a_notice(rows):
    assert "inlive-notice" in render("{% inlive_logs %}", {"request": RequestFactory().get("/")})


@pytest.mark.parametrize("user", [AnonymousUser(), None])
def test_public_logs_are_shown_to_all(rows, user):
    values = {"request": request_of(user)} if user else {}
    with configured(LOGS_PUBLIC=True):
        assert "visitor-60" in render("{% inlive_logs %}", values)


def test_logs_for_a_reader_have_what_their_script_needs(rows, reader):
    html = render("{% inlive_logs %}", {"request": request_of(reader)})

    elements = Elements(html)
    section = elements.one("section")
    assert section["data-inlive-logs"] == "live"
    assert section["data-inlive-stream"] == "15"
    assert section["data-inlive-channel"] == "/channel"
    assert section["data-inlive-position"] == "a1b2c3d4-60"
    assert section["data-inlive-ticket-url"] == "/inlive/ticket/?stream=15"
    assert app_settings.signer.read_ticket(15, section["data-inlive-ticket"]).silent is False
    rows_shown = [row["data-inlive-id"] for row in elements.all("li") if "data-inlive-id" in row]
    assert rows_shown == [f"publish-{number:03}" for number in range(60, 10, -1)]
    assert [script["src"] for script in elements.all("script")] == ["/static/inlive_banner/logs.js"]
    assert elements.one("link")["href"] == "/static/inlive_banner/logs.css"
    (status,) = [attributes for attributes in elements.all("p") if "data-inlive-status" in attributes]
    assert status["data-state"] == "offline"
    for state in ("connecting", "live", "reconnecting", "refused", "gap", "offline"):
        assert status[f"data-text-{state}"]


def test_logs_row_template_has_the_shape_of_a_row(rows, reader):
    html = render("{% inlive_logs %}", {"request": request_of(reader)})

    (template,) = re.findall(r"<template data-inlive-row>\s*(<li.*?</li>)\s*</template>", html, re.DOTALL)
    (row, *_) = re.findall(r"<li data-inlive-id.*?</li>", html, re.DOTALL)
    assert re.findall("data-inlive-field=.*?>", template) == [
        re.sub(" datetime=.*?(?=>)", "", field) for field in re.findall("data-inlive-field=.*?>", row)
    ]
    assert "datetime" not in template
    assert not re.findall(r"<[^>]+data-inlive-field[^>]+>[^<\s]", template)


def test_logs_escape_what_visitors_send(reader):
    evil = "<script>alert(1)</script>\"'"
    Position.objects.create(stream_id=15, last_event_id="a1b2c3d4-1")
    make_interaction(1, name=evil, user_id=evil, page=evil, action=evil).save()

    for page in ("{% inlive_logs %}", "{% autoescape off %}{% inlive_logs %}{% endautoescape %}"):
        html = render(page, {"request": request_of(reader)})

        assert "<script>alert" not in html
        assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 4


def test_logs_name_an_action_that_is_no_click(reader):
    Position.objects.create(stream_id=15, last_event_id="a1b2c3d4-2")
    make_interaction(1, action="share").save()
    make_interaction(2, action="click").save()

    html = render("{% inlive_logs %}", {"request": request_of(reader)})

    assert re.findall('data-inlive-field="action">(.*?)<', html) == ["", "share", ""]


def test_logs_older_link_keeps_the_pages_own_query(rows, reader):
    html = render("{% inlive_logs %}", {"request": request_of(reader, "/?tab=clicks&tab=x%26y&before=")})

    (older,) = [link for link in Elements(html).all("a") if "data-inlive-older" in link]
    assert older["href"] == f"?tab=clicks&tab=x%26y&before={Cursor.of(rows[10])}"


def test_logs_of_older_rows_stand_still_and_lead_back(rows, reader):
    html = render("{% inlive_logs %}", {"request": request_of(reader, f"/?before={Cursor.of(rows[10])}&tab=1")})

    elements = Elements(html)
    assert elements.one("section")["data-inlive-logs"] == "older"
    assert not [attributes for attributes in elements.all("p") if "data-inlive-status" in attributes]
    assert '<a href="?tab=1">Back to the newest</a>' in html
    (older,) = [link for link in elements.all("a") if "data-inlive-older" in link]
    assert "hidden" in older
    assert "href" not in older


def test_logs_of_a_stream_without_rows_show_the_tag_to_paste(reader):
    with configured(STREAMS={16: {}}):
        default = render("{% inlive_logs %}", {"request": request_of(reader)})
        other = render("{% inlive_logs stream_id=16 %}", {"request": request_of(reader)})

    assert re.search(r"data-inlive-empty>", default)
    assert "{% inlive_banner name=&quot;summer-sale&quot; href=&quot;/sale/&quot; %}" in default.replace('"', "&quot;")
    assert "stream_id=16 %}" in other
    assert Elements(other).one("section")["data-inlive-stream"] == "16"


def test_logs_with_rows_hide_the_empty_state(rows, reader):
    assert re.search(r"data-inlive-empty hidden>", render("{% inlive_logs %}", {"request": request_of(reader)}))


def test_logs_count_is_exact_in_the_attribute_and_localised_in_the_text(reader):
    Position.objects.create(stream_id=15, last_event_id="a1b2c3d4-1")
    save_rollups(1234567)

    with override_settings(USE_THOUSAND_SEPARATOR=True, LANGUAGE_CODE="en"):
        html = render("{% inlive_logs %}", {"request": request_of(reader)})

    assert '<b data-inlive-count="1234567">1,234,567</b>' in html


def numbers_in(html):
    """The numbers above the log: label -> number."""
    return dict(re.findall(r"<dt>(.*?)</dt>\s*<dd><b[^>]*>(.*?)</b>", html))


@pytest.fixture
def labelled(reader):
    """Clicks and views of people and of a crawler; one row of each."""
    Position.objects.create(stream_id=15, last_event_id="a1b2c3d4-3")
    save_rollups(1300, viewed=52)
    save_rollups(3, label="crawler", viewed=1)
    save_rollups(2000, action="view")
    save_rollups(400, action="view", label="own")
    DayUnique.objects.create(stream_id=15, name="sale", action="click", day=date(2026, 11, 24), count=1100)
    make_interaction(1).save()
    make_interaction(2, label="crawler").save()
    make_interaction(3, label="moonlight").save()


def test_logs_count_people_and_say_what_is_left_out(labelled, reader):
    with override_settings(USE_THOUSAND_SEPARATOR=True, LANGUAGE_CODE="en"):
        html = render("{% inlive_logs %}", {"request": request_of(reader)})

    assert '<b data-inlive-count="1300">1,300</b>' in html
    assert numbers_in(html) == {
        "Clicks": "1,300",
        "Unique visitors": "1,100",
        "Views": "2,000",
        "Click rate": "2.6\N{NO-BREAK SPACE}%",
    }
    assert "<span>per banner and UTC day, summed</span>" in html
    assert "1,248 clicks without a counted view" in html
    assert "3 clicks of crawlers, staff and the like aren" in html
    assert re.findall('data-inlive-field="label">(.*?)<', html) == ["", ""]  # the row's and the template's
    assert 'data-filter-who="people"' in html


def test_logs_of_everything_count_all_and_say_why_a_row_is_no_persons(labelled, reader):
    html = render("{% inlive_logs %}", {"request": request_of(reader, "/?bots=1")})

    assert 'data-inlive-count="1303"' in html
    assert numbers_in(html) == {"Clicks": "1,303", "Views": "2,400", "Click rate": "2.2\N{NO-BREAK SPACE}%"}
    assert re.findall('data-inlive-field="label">(.*?)<', html) == ["moonlight", "crawler", "", ""]
    section = Elements(html).all("section")[0]
    assert section["data-filter-who"] == "everything"
    assert section["data-label-own"] == "own address"


@pytest.mark.parametrize(
    ("address", "switch"),
    [
        ("/?tab=x%26y", "?tab=x%26y&who=everything"),
        ("/?bots=1&tab=x", "?tab=x"),
        ("/?bots=1", "?"),
        ("/?who=everything", "?"),
        ("/?bots=0", "?who=everything"),
        ("/?before=1-99&user=u", "?user=u&who=everything"),
        ("/?before=x&bots=1", "?"),
        ("/?who=others&bots=1", "?"),
    ],
)
def test_logs_switch_between_people_and_everything_by_a_link(labelled, reader, address, switch):
    html = render("{% inlive_logs %}", {"request": request_of(reader, address)})

    links = dict(re.findall(r'<a href="([^"]*)"[^>]*>(Everything|People)</a>', html))
    wanted = "Everything" if "everything" in switch else "People"
    assert [unescape(url) for url, words in links.items() if words == wanted] == [switch]


def test_logs_of_everything_stay_so_on_older_pages(rows, reader):
    html = render("{% inlive_logs %}", {"request": request_of(reader, "/?bots=1")})

    (older,) = [link for link in Elements(html).all("a") if "data-inlive-older" in link]
    assert older["href"] == f"?who=everything&before={Cursor.of(rows[10])}"


def test_logs_without_visitors_and_views_have_no_numbers_of_them(rows, reader):
    html = render("{% inlive_logs %}", {"request": request_of(reader)})

    assert set(numbers_in(html)) <= {"Clicks", "Unique visitors"}
    assert "aren't counted" not in unescape(html)


def test_logs_with_visitors_and_no_views_have_no_click_rate(labelled, reader):
    Rollup.objects.filter(action="view").delete()

    html = render("{% inlive_logs %}", {"request": request_of(reader)})

    assert numbers_in(html) == {"Clicks": "1,300", "Unique visitors": "1,100"}


def test_logs_of_one_filter_say_so_to_their_script_and_offer_to_take_it_away(rows, reader):
    address = "/?banner=sale&action=click&user=visitor-7&path=/&tab=1"
    html = render("{% inlive_logs %}", {"request": request_of(reader, address)})

    section = Elements(html).all("section")[0]
    filters = {key.removeprefix("data-filter-"): value for key, value in section.items() if "filter" in key}
    assert filters == {"who": "people", "banner": "sale", "action": "click", "user": "visitor-7", "page": "/"}
    assert re.findall(r'data-inlive-id="([^"]*)"', html) == ["publish-007"]
    assert 'href="?tab=1&amp;banner=sale&amp;action=click&amp;path=%2F"' in html
    assert "data-period-since" not in section


def test_logs_of_a_period_say_so_to_their_script_in_milliseconds(rows, reader):
    with override_settings(USE_THOUSAND_SEPARATOR=True, LANGUAGE_CODE="de"):
        html = render("{% inlive_logs %}", {"request": request_of(reader, "/?from=2026-11-24&tz=Asia/Kathmandu")})

    section = Elements(html).all("section")[0]
    assert int(section["data-period-since"]) == 1_795_457_700_000  # 23 November, 18:15 UTC
    assert int(section["data-period-until"]) == 1_795_457_700_000 + 86_400_000


def test_logs_of_an_unknown_stream_say_what_to_configure(reader):
    with pytest.raises(ConfigurationError, match="99"):
        render("{% inlive_logs stream_id=99 %}", {"request": request_of(reader)})


@override_settings(ROOT_URLCONF="tests.templatetags.no_urls")
def test_logs_in_a_site_without_our_urls_have_no_ticket_url(rows):
    with configured(LOGS_PUBLIC=True):
        assert "data-inlive-ticket-url" not in Elements(render("{% inlive_logs %}")).one("section")


def test_logs_times_are_utc_for_the_script_and_local_for_the_reader(reader):
    Position.objects.create(stream_id=15, last_event_id="a1b2c3d4-1")
    make_interaction(1).save()

    with override_settings(TIME_ZONE="Asia/Jakarta"):
        html = render("{% inlive_logs %}", {"request": request_of(reader)})

    assert 'datetime="2026-11-24T12:00:01.250Z"' in html
    assert "19:00:01 WIB" in html


def test_logs_with_two_sections_bring_their_assets_once(rows):
    with configured(LOGS_PUBLIC=True):
        elements = Elements(render("{% inlive_logs %}{% inlive_banner %}{% inlive_logs %}"))

    assert len(elements.all("section")) == 2
    assert len(elements.all("script")) == len(elements.all("link")) == 2
