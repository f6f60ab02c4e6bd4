"""The builder of a banner's context."""

from __future__ import annotations

import pytest
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy

from inlive_banner.banner import build_banner
from inlive_banner.conf import settings as app_settings
from inlive_banner.exceptions import ConfigurationError, InvalidBannerError
from tests.configured import configured


def test_banner_without_arguments_has_the_built_in_defaults():
    banner = build_banner()

    assert (banner.name, banner.href, banner.target) == ("demo-banner", "/", "_blank")
    assert banner.text
    assert (banner.image, banner.alt, banner.css_class) == ("", "", "")
    assert (banner.stream_id, banner.widget_key, banner.channel_url) == ("15", "test-widget-key", "/channel")


def test_banner_takes_defaults_from_the_settings_and_the_tag_above_them():
    with configured(BANNER={"name": "from-settings", "href": "/settings/", "target": ""}):
        banner = build_banner(href="/tag/")

    assert (banner.name, banner.href, banner.target) == ("from-settings", "/tag/", "")


def test_banner_with_a_page_token_may_publish_to_its_stream_only():
    with configured(STREAMS={16: {}}):
        banner = build_banner(stream_id=16)

        assert app_settings.signer.read_publish_token(16, banner.token).user_id == ""
        with pytest.raises(PermissionError):
            app_settings.signer.read_publish_token(15, banner.token)


@pytest.mark.parametrize("stream_id", [16, "16", mark_safe("16")])
def test_banner_of_another_stream_has_that_streams_key(stream_id):
    with configured(STREAMS={"16": {"WIDGET_KEY": "key-of-16"}}):
        banner = build_banner(stream_id=stream_id)

    assert (banner.stream_id, banner.widget_key) == ("16", "key-of-16")


@pytest.mark.parametrize("stream_id", [99, "", "fifteen", 0])
def test_banner_of_an_unknown_stream_says_what_to_configure(stream_id):
    with pytest.raises(ConfigurationError, match="STREAMS"):
        build_banner(stream_id=stream_id)


def test_banner_without_a_widget_key_says_what_to_set():
    with configured(WIDGET_KEY=""), pytest.raises(ConfigurationError, match="WIDGET_KEY"):
        build_banner()


@pytest.mark.parametrize(
    "href",
    [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        " javascript:alert(1)",
        "\x01\x1fjavascript:alert(1)",
        "java\nscript:alert(1)",
        "java\tscript\r:alert(1)",
        mark_safe("&#106;avascript:alert(1)"),
        mark_safe("javascript&colon;alert(1)"),
        mark_safe("java&Tab;script:alert(1)"),
        gettext_lazy("javascript:alert(1)"),
        "data:text/html,<script>alert(1)</script>",
        "vbscript:msgbox",
        "blob:https://example.org/1",
        "filesystem:https://example.org/temporary/x",
    ],
)
def test_banner_with_a_dangerous_address_is_refused(href):
    with pytest.raises(InvalidBannerError, match="href is .* refused") as caught:
        build_banner(href=href)
    assert caught.value.argument == "href"


def test_banner_with_a_dangerous_image_is_refused():
    with pytest.raises(InvalidBannerError, match="image is"):
        build_banner(image="javascript:alert(1)", alt="x")


@pytest.mark.parametrize(
    ("href", "expected"),
    [
        ("https://example.org/a?b=1&c=2#d", "https://example.org/a?b=1&c=2#d"),
        ("/javascript:not-a-scheme", "/javascript:not-a-scheme"),
        ("?next=javascript:x", "?next=javascript:x"),
        ("mailto:a@example.org", "mailto:a@example.org"),
        ("tel:+4930123", "tel:+4930123"),
        ("#here", "#here"),
        (" /padded/ ", "/padded/"),
        (mark_safe("/a?b=1&amp;c=2"), "/a?b=1&c=2"),
    ],
)
def test_banner_with_a_harmless_address_keeps_it(href, expected):
    assert build_banner(href=href).href == expected


@pytest.mark.parametrize("argument", ["name", "href", "text"])
def test_banner_with_an_empty_argument_is_refused(argument):
    """A variable without a value would else mix the banner's clicks with another's, without a word."""
    with pytest.raises(InvalidBannerError, match=f"{argument} is empty") as caught:
        build_banner(**{argument: ""})
    assert caught.value.argument == argument


def test_banner_with_none_takes_the_default():
    assert build_banner(name=None, href=None).name == "demo-banner"


def test_banner_name_fits_its_column():
    assert build_banner(name="x" * 200).name == "x" * 200
    with pytest.raises(InvalidBannerError, match="201 characters"):
        build_banner(name="x" * 201)


@pytest.mark.parametrize("alt", [None, "", "  "])
def test_banner_with_an_image_needs_its_words(alt):
    with pytest.raises(InvalidBannerError, match=r"alt is missing for the image '/sale.png'") as caught:
        build_banner(image="/sale.png", alt=alt)
    assert caught.value.argument == "alt"


def test_banner_with_image_and_text_needs_no_alt():
    banner = build_banner(image="/sale.png", text="Sale")

    assert (banner.image, banner.alt, banner.text) == ("/sale.png", "", "Sale")


def test_banner_with_an_image_drops_the_default_text():
    assert build_banner(image="/sale.png", alt="Sale").text == ""


def test_banner_with_text_drops_the_settings_image():
    with configured(BANNER={"image": "/sale.png", "alt": "Sale"}):
        assert build_banner(text="Words").image == ""
        assert build_banner().image == "/sale.png"
        assert build_banner().text == ""


def test_banner_with_another_image_does_not_borrow_the_settings_alt():
    with configured(BANNER={"image": "/sale.png", "alt": "Sale"}), pytest.raises(InvalidBannerError, match="alt"):
        build_banner(image="/winter.png")


def test_banner_with_an_empty_image_shows_the_default_text():
    assert build_banner(image="").text


@pytest.mark.parametrize("target", ["_blank", "_self", "_parent", "_TOP", "", "frame1"])
def test_banner_target_takes_keywords_and_frames(target):
    assert build_banner(target=target).target == target


def test_banner_target_with_a_misspelt_keyword_is_refused():
    with pytest.raises(InvalidBannerError, match="_blank, _self"):
        build_banner(target="_new")


def test_banner_with_an_unknown_argument_names_the_known_ones():
    with pytest.raises(InvalidBannerError, match="no argument 'link'.*href"):
        build_banner(link="/")


def test_banner_text_that_is_safe_stays_so_and_no_other():
    assert hasattr(build_banner(text=mark_safe("<b>Sale</b>")).text, "__html__")
    assert not hasattr(build_banner(text="<b>Sale</b>").text, "__html__")
    assert not hasattr(build_banner(name=mark_safe("a&amp;b")).name, "__html__")
    assert build_banner(name=mark_safe("a&amp;b")).name == "a&b"


def test_banner_channel_url_loses_its_last_slash():
    with configured(CHANNEL_URL="https://channel.example.org/"):
        assert build_banner().channel_url == "https://channel.example.org"
