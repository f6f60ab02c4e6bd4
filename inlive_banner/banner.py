"""What a banner's template needs, built from the tag's arguments and the settings.

Needs neither a database nor a request, so that a page with a banner costs nothing and can be cached.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

from inlive_banner import arguments
from inlive_banner.arguments import plain
from inlive_banner.conf import settings, stream_id_of
from inlive_banner.exceptions import ConfigurationError, InvalidBannerError
from inlive_banner.links import Link, link_path

__all__ = ["ARGUMENTS", "Banner", "build_banner"]

ARGUMENTS = (
    "name",
    "href",
    "text",
    "image",
    "alt",
    "width",
    "height",
    "srcset",
    "sizes",
    "target",
    "css_class",
    "redirect",
    "views",
)
"""What describes a banner; each has a default in `INLIVE_BANNER["BANNER"]` or below."""

_OF_IMAGES = ("alt", "width", "height", "srcset", "sizes")

_DEFAULTS: Mapping[str, object] = {
    "name": "demo-banner",
    "href": "/",
    "text": _("Take a look"),
    "image": "",
    **dict.fromkeys(_OF_IMAGES, ""),
    "target": "_blank",
    "css_class": "",
    "redirect": False,
}

_HAS_WIDTHS = re.compile(r" [0-9]+w$")
_LINK = re.compile(r"<a[\s>]", re.IGNORECASE)


_SCHEME = re.compile(r"^[A-Za-z]+:")
"""The script knows an address by its lower case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Banner:
    """The context of `inlive_banner/banner.html`. All plain text: the template escapes it."""

    name: str
    """What the log calls the banner."""
    href: str
    """Where the link leads; with `redirect`, by way of the site's own address."""
    direct_href: str
    """With `redirect`, where that leads in the end: the script puts it in its place, and counts the click itself."""
    text: str
    """What the link says; "" where an image says it."""
    image: str
    """The image's URL; "" where there is none."""
    alt: str
    """What the image says, to those who don't see it."""
    width: str
    """The image's own width in CSS pixels, decimal text: with the height it keeps the place. "" where not given."""
    height: str
    """The image's own height, as the width."""
    srcset: str
    """The image in other sizes, as HTML has it; "" where there are none."""
    sizes: str
    """How wide the image is shown, as HTML has it; "" where not given."""
    content: str
    """Of the block form: the HTML of the page's author, which stands in the link instead of image and text."""
    target: str
    """The link's target; "" opens it in the same tab."""
    css_class: str
    """Classes besides `inlive-banner`."""
    stream_id: str
    """Decimal text, as on the wire; as a number, a template might put thousands separators into it."""
    widget_key: str
    """What the script publishes with."""
    channel_url: str
    """Where the script publishes to, without a trailing slash."""
    token: str
    """The page token: it lets the page publish to this stream, and nothing else."""
    views: bool
    """True where it is counted when the banner is seen."""
    consent: bool
    """True where nothing may be stored or sent before the visitor has agreed."""


def build_banner(*, stream_id: object = None, content: str = "", staff: bool = False, **given: object) -> Banner:
    """Build one banner from the tag's arguments; what is None or not given comes from the settings.

    `content` is the block form's HTML, safe as it is. `staff` marks what is published with the banner's token as done
    by a member of the staff.

    Raises `InvalidBannerError` for an argument that can't be used, whether it comes from the tag or from
    `INLIVE_BANNER["BANNER"]`, and `ConfigurationError` for settings that are missing.
    """
    values = _values({key: value for key, value in given.items() if value is not None}, is_block=bool(content))
    text = values["text"]
    picture = _picture(values)
    _check_content(plain(text), picture["image"], picture["alt"], content)
    stream = settings.stream(settings.stream_id if stream_id is None else _stream_id(stream_id))
    if not stream.widget_key:
        raise ConfigurationError(
            f'Stream {stream.stream_id} has no widget key. Set INLIVE_BANNER["WIDGET_KEY"] to a key of your own, '
            "any text that is hard to mistake, the same for site and channel."
        )
    name, target = arguments.name(values["name"]), arguments.href(values["href"])
    redirect = arguments.flag("redirect", values["redirect"]) and not settings.CONSENT
    return Banner(
        name=name,
        href=link_path(Link(target, name, stream.stream_id)) if redirect else target,
        direct_href=_SCHEME.sub(lambda match: match[0].lower(), target) if redirect else "",
        text=text if isinstance(text, str) else str(text),  # a safe string stays one: the page's author wrote it
        **picture,
        content=content,
        target=arguments.target(values["target"]),
        css_class=plain(values["css_class"]),
        stream_id=str(stream.stream_id),
        widget_key=stream.widget_key,
        channel_url=settings.channel_url,
        token=settings.signer.make_page_token(stream.stream_id, staff=staff),
        views=arguments.flag("views", values["views"]),
        consent=settings.CONSENT,
    )


def _values(given: Mapping[str, object], *, is_block: bool) -> dict[str, object]:
    """Each argument's value: the tag's, else the settings', else the default."""
    unknown = sorted(given.keys() - set(ARGUMENTS))
    if unknown:
        raise InvalidBannerError(
            f"A banner has no argument {unknown[0]!r}. It has {', '.join(ARGUMENTS)} and stream_id.",
            argument=unknown[0],
        )
    values = {**_DEFAULTS, "views": settings.TRACK_VIEWS, **settings.BANNER, **given}
    # Image, text and the block's content replace each other: what the tag gives isn't mixed with another's default.
    if is_block:
        values |= {"text": "", "image": ""}
    elif "image" in given:
        values |= {key: given.get(key, "") for key in _OF_IMAGES}
        values["text"] = given.get("text", "") if plain(given["image"]) else values["text"]
    elif "text" in given:
        values |= {"image": "", **{key: given.get(key, "") for key in _OF_IMAGES}}
    elif values["image"] and "text" not in settings.BANNER:
        values["text"] = ""
    return values


def _picture(values: Mapping[str, object]) -> dict[str, Any]:
    """What describes the image; all "" where there is none."""
    image, alt = arguments.address("image", values["image"]), plain(values["alt"])
    picture = {
        "width": arguments.pixels("width", values["width"]),
        "height": arguments.pixels("height", values["height"]),
        "srcset": arguments.candidates(values["srcset"]),
        "sizes": plain(values["sizes"]).strip(),
    }
    described = next((key for key in picture if picture[key]), "")
    if described and not image:
        if values[described] == settings.BANNER.get(described):
            return {"image": "", "alt": "", **dict.fromkeys(picture, "")}  # the site's default, of another banner's use
        raise InvalidBannerError(
            f'{described} describes an image, and this banner has none. Give it one, such as image="/sale.png", or '
            f"leave {described} out.",
            argument=described,
        )
    for one, other in (("width", "height"), ("height", "width")):
        if picture[one] and not picture[other]:
            raise InvalidBannerError(
                f"{one} is {picture[one]} and {other} is missing. Give both, the image's own: only then does a browser "
                "keep the place free until the image is there.",
                argument=other,
            )
    if bool(_HAS_WIDTHS.search(picture["srcset"])) != bool(picture["sizes"]):
        raise InvalidBannerError(
            'sizes and the widths in srcset (such as "/sale.png 800w") need each other. Say how wide the image is '
            'shown, such as sizes="100vw", or leave both out.',
            argument="sizes",
        )
    return {"image": image, "alt": alt if image else "", **picture}


def _check_content(text: str, image: str, alt: str, content: str) -> None:
    if image and not (alt.strip() or text.strip()):
        raise InvalidBannerError(
            f"alt is missing for the image {image!r}. Say in words where the banner leads, "
            'such as alt="To the summer sale": some visitors hear the banner instead of seeing it.',
            argument="alt",
        )
    if not (image or text.strip() or content):
        raise InvalidBannerError(
            'text is empty and there is no image. Give the banner one of them, such as text="Summer sale".',
            argument="text",
        )
    if _LINK.search(content):
        raise InvalidBannerError(
            "The block holds a link, and is one itself: browsers would end it where the other begins. "
            "Take the inner <a> out.",
            argument="content",
        )


def _stream_id(stream_id: object) -> int:
    return stream_id_of(stream_id if isinstance(stream_id, int) else plain(stream_id), "STREAMS")
