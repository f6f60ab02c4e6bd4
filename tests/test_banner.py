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


# Images


def test_banner_image_keeps_its_size_and_its_other_sizes():
    banner = build_banner(
        image="/sale.png", alt="Sale", width=728, height="90", srcset="/sale.png 728w, /big.png 1456w", sizes="100vw"
    )

    assert (banner.width, banner.height) == ("728", "90")
    assert (banner.srcset, banner.sizes) == ("/sale.png 728w, /big.png 1456w", "100vw")


@pytest.mark.parametrize("argument", ["width", "height"])
@pytest.mark.parametrize("value", ["12em", "100%", "1.5", 0, -1, True, "0", 1e3, "١٢", 100_001, "9" * 5000])
def test_banner_image_of_a_bad_size_is_refused(argument, value):
    size = {"width": 10, "height": 10, argument: value}
    with pytest.raises(InvalidBannerError, match=f"{argument} is .*whole number") as caught:
        build_banner(image="/sale.png", alt="Sale", **size)
    assert caught.value.argument == argument


@pytest.mark.parametrize(("given", "missing"), [("width", "height"), ("height", "width")])
def test_banner_image_with_half_a_size_is_refused(given, missing):
    """A browser keeps no place free by one of them."""
    with pytest.raises(InvalidBannerError, match=f"{missing} is missing") as caught:
        build_banner(image="/sale.png", alt="Sale", **{given: 100})
    assert caught.value.argument == missing


@pytest.mark.parametrize(
    "srcset",
    [
        "javascript:x 1x",
        "/a.png 1x, data:image/png;base64,AAAA 2x",
        "/a.png 1x, java\tscript:x 2x",
        mark_safe("/a.png 1x, &#106;avascript:x 2x"),
    ],
)
def test_banner_srcset_with_a_dangerous_address_is_refused(srcset):
    with pytest.raises(InvalidBannerError, match="srcset") as caught:
        build_banner(image="/a.png", alt="A", srcset=srcset)
    assert caught.value.argument == "srcset"


@pytest.mark.parametrize(
    ("srcset", "words"),
    [
        ("/a.png 2y", "'2y'"),
        ("/a.png -2x", "'-2x'"),
        ("/a.png 800w 600h", "'800w 600h'"),
        ("/a.png 800w, /b.png 2x", "mixes"),
        ("/a.png, /b.png 800w", "mixes"),
    ],
)
def test_banner_srcset_that_no_browser_reads_is_refused(srcset, words):
    with pytest.raises(InvalidBannerError, match=words):
        build_banner(image="/a.png", alt="A", srcset=srcset, sizes="100vw")


@pytest.mark.parametrize(
    ("srcset", "expected"),
    [
        ("/a.png", "/a.png"),
        ("/new 1x,\n  /b,c.png 1.5x,", "/new 1x, /b,c.png 1.5x"),
        (mark_safe("/a?b=1&amp;c=2 2x"), "/a?b=1&c=2 2x"),
        ("/new", "/new"),
        ("", ""),
    ],
)
def test_banner_srcset_that_browsers_read_keeps_its_images(srcset, expected):
    assert build_banner(image="/a.png", alt="A", srcset=srcset).srcset == expected


@pytest.mark.parametrize(
    "changes", [{"sizes": "100vw"}, {"srcset": "/a.png 800w"}, {"srcset": "/w 2x", "sizes": "1px"}]
)
def test_banner_widths_and_sizes_need_each_other(changes):
    with pytest.raises(InvalidBannerError, match="sizes and the widths"):
        build_banner(image="/a.png", alt="A", **changes)


@pytest.mark.parametrize("changes", [{"width": 1, "height": 1}, {"srcset": "/a.png 2x"}])
def test_banner_without_an_image_takes_nothing_of_one(changes):
    with pytest.raises(InvalidBannerError, match="describes an image, and this banner has none"):
        build_banner(text="Sale", **changes)


def test_banner_without_an_image_drops_the_settings_size():
    with configured(BANNER={"image": "/sale.png", "alt": "Sale", "width": 728, "height": 90}):
        assert build_banner().width == "728"
        assert build_banner(text="Words").width == build_banner(content="<b>Words</b>").width == ""
        assert build_banner(image="/other.png", alt="Other").width == ""


# The block form


def test_banner_with_content_has_nothing_else_to_show():
    with configured(BANNER={"image": "/sale.png", "alt": "Sale", "text": "Words"}):
        banner = build_banner(content=mark_safe("<b>Sale</b>"))

    assert (banner.content, banner.text, banner.image, banner.alt) == ("<b>Sale</b>", "", "", "")


@pytest.mark.parametrize("content", ["<a href='/x'>x</a>", "<b><A\nhref=/>x</A></b>", "<a>x</a>"])
def test_banner_with_a_link_in_its_content_is_refused(content):
    with pytest.raises(InvalidBannerError, match="inner <a>"):
        build_banner(content=mark_safe(content))


def test_banner_with_other_elements_in_its_content_is_fine():
    assert build_banner(content=mark_safe("<article><abbr>x</abbr></article>")).content


# What is counted, and for whom


@pytest.mark.parametrize(
    ("setting", "argument", "expected"),
    [(False, None, False), (True, None, True), (True, False, False), (False, True, True)],
)
def test_banner_views_are_counted_as_the_setting_says_unless_the_banner_says_otherwise(setting, argument, expected):
    with configured(TRACK_VIEWS=setting):
        assert build_banner(views=argument).views is expected


@pytest.mark.parametrize("argument", ["views", "redirect"])
@pytest.mark.parametrize("value", ["False", "", 1, 0])
def test_banner_flag_that_is_neither_true_nor_false_is_refused(argument, value):
    with pytest.raises(InvalidBannerError, match=f"{argument} is .* without quotes"):
        build_banner(**{argument: value})


@pytest.mark.parametrize("value", [True, False])
def test_banner_takes_consent_from_the_settings(value):
    with configured(CONSENT=value):
        assert build_banner().consent is value


def test_banner_for_staff_has_a_token_of_its_own():
    assert build_banner(staff=True).token.startswith("15~staff:")
    assert build_banner().token.startswith("15:")


def test_banner_by_way_of_the_site_leads_directly_in_the_scripts_letters():
    """The script takes an address for one by its first letters, in lower case; else the click would count twice."""
    assert build_banner(href="HTTPS://Example.org/A", redirect=True).direct_href == "https://Example.org/A"
