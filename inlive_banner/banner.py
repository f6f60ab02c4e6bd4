"""What a banner's template needs, built from the tag's arguments and the settings.

Needs neither a database nor a request, so that a page with a banner costs nothing and can be cached.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

from django.utils.safestring import SafeData
from django.utils.translation import gettext_lazy as _

from inlive_banner.conf import settings, stream_id_of
from inlive_banner.exceptions import ConfigurationError, InvalidBannerError

__all__ = ["ARGUMENTS", "MAX_NAME_LENGTH", "Banner", "build_banner"]

ARGUMENTS = ("name", "href", "text", "image", "alt", "target", "css_class")
"""What describes a banner; each has a default in `INLIVE_BANNER["BANNER"]` or below."""

MAX_NAME_LENGTH = 200
"""Characters; the length of the column that keeps it."""

_DEFAULTS = {
    "name": "demo-banner",
    "href": "/",
    "text": _("Take a look"),
    "image": "",
    "alt": "",
    "target": "_blank",
    "css_class": "",
}

_DANGEROUS_SCHEMES = frozenset({"javascript", "data", "vbscript", "blob", "filesystem"})
"""Following such an address would run or show what somebody else wrote as if it were the site's own page."""

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE | re.ASCII)

# A browser drops these before it looks at the scheme (https://url.spec.whatwg.org/#concept-basic-url-parser),
# so a check that keeps them in is passed by "java\nscript:".
_DROPPED_ANYWHERE = str.maketrans("", "", "\t\n\r")
_DROPPED_AT_ENDS = "".join(map(chr, range(0x21)))

_TARGET_KEYWORDS = ("_blank", "_self", "_parent", "_top")


@dataclass(frozen=True, slots=True, kw_only=True)
class Banner:
    """The context of `inlive_banner/banner.html`. All plain text: the template escapes it."""

    name: str
    """What the log calls the banner."""
    href: str
    """Where the link leads."""
    text: str
    """What the link says; "" where an image says it."""
    image: str
    """The image's URL; "" where there is none."""
    alt: str
    """What the image says, to those who don't see it."""
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


def build_banner(*, stream_id: object = None, **arguments: object) -> Banner:
    """Build one banner from the tag's arguments; what is None or not given comes from the settings.

    Raises `InvalidBannerError` for an argument that can't be used, whether it comes from the tag or from
    `INLIVE_BANNER["BANNER"]`, and `ConfigurationError` for settings that are missing.
    """
    given = {key: value for key, value in arguments.items() if value is not None}
    unknown = sorted(given.keys() - set(ARGUMENTS))
    if unknown:
        raise InvalidBannerError(
            f"A banner has no argument {unknown[0]!r}. It has {', '.join(ARGUMENTS)} and stream_id.",
            argument=unknown[0],
        )
    values: dict[str, object] = {**_DEFAULTS, **settings.BANNER, **given}
    # Image and text replace each other: what the tag gives isn't mixed with the other one's default.
    if "image" in given:
        values["alt"] = given.get("alt", "")
        values["text"] = given.get("text", "") if plain(given["image"]) else values["text"]
    elif "text" in given:
        values["image"] = values["alt"] = ""
    elif values["image"] and "text" not in settings.BANNER:
        values["text"] = ""
    text = values["text"]
    image, alt = _address("image", plain(values["image"])), plain(values["alt"])
    _check_content(plain(text), image, alt)
    stream = settings.stream(settings.stream_id if stream_id is None else _stream_id(stream_id))
    if not stream.widget_key:
        raise ConfigurationError(
            f'Stream {stream.stream_id} has no widget key. Set INLIVE_BANNER["WIDGET_KEY"] to a key of your own, '
            "any text that is hard to mistake, the same for site and channel."
        )
    return Banner(
        name=_name(plain(values["name"])),
        href=_href(plain(values["href"])),
        text=text if isinstance(text, str) else str(text),  # a safe string stays one: the page's author wrote it
        image=image,
        alt=alt,
        target=_target(plain(values["target"])),
        css_class=plain(values["css_class"]),
        stream_id=str(stream.stream_id),
        widget_key=stream.widget_key,
        channel_url=settings.channel_url,
        token=settings.signer.make_page_token(stream.stream_id),
    )


def plain(value: object) -> str:
    """The plain text of a template's value, for the template to escape.

    A safe string is HTML (a literal in a template is one too): what counts is the text that a browser would
    read in it, or `&#106;avascript:` would pass for a harmless address.
    """
    text = str(value)
    return html.unescape(text) + "" if isinstance(text, SafeData) else text


def _name(name: str) -> str:
    if not name.strip():
        raise InvalidBannerError(
            'name is empty. Give the banner the name that the log shall show, such as name="summer-sale"; '
            "where it comes from a variable, see that the variable has a value.",
            argument="name",
        )
    if len(name) > MAX_NAME_LENGTH:
        raise InvalidBannerError(
            f"name has {len(name)} characters, {name[:40]!r}…; shorten it to {MAX_NAME_LENGTH} or fewer.",
            argument="name",
        )
    return name


def _href(href: str) -> str:
    href = _address("href", href)
    if not href:
        raise InvalidBannerError(
            'href is empty. Say where the banner leads, such as href="https://example.org/"; '
            "where it comes from a variable, see that the variable has a value.",
            argument="href",
        )
    return href


def _address(argument: str, address: str) -> str:
    address = address.translate(_DROPPED_ANYWHERE).strip(_DROPPED_AT_ENDS)
    scheme = _SCHEME.match(address)
    if scheme and scheme[1].lower() in _DANGEROUS_SCHEMES:
        raise InvalidBannerError(
            f"{argument} is {address[:60]!r}, and {scheme[1].lower()}: addresses are refused, since they could run "
            "somebody else's script on your page. Use an https: address or a path of your site.",
            argument=argument,
        )
    return address


def _target(target: str) -> str:
    if target.startswith("_") and target.lower() not in _TARGET_KEYWORDS:
        raise InvalidBannerError(
            f"target is {target!r}. Use one of {', '.join(_TARGET_KEYWORDS)}, the name of a frame, "
            'or target="" for the same tab.',
            argument="target",
        )
    return target


def _check_content(text: str, image: str, alt: str) -> None:
    if image and not (alt.strip() or text.strip()):
        raise InvalidBannerError(
            f"alt is missing for the image {image!r}. Say in words where the banner leads, "
            'such as alt="To the summer sale": some visitors hear the banner instead of seeing it.',
            argument="alt",
        )
    if not image and not text.strip():
        raise InvalidBannerError(
            'text is empty and there is no image. Give the banner one of them, such as text="Summer sale".',
            argument="text",
        )


def _stream_id(stream_id: object) -> int:
    return stream_id_of(stream_id if isinstance(stream_id, int) else plain(stream_id), "STREAMS")
