"""The rules of a banner's arguments, one function for each kind of value.

Each takes the value as a template gave it, returns it as the page needs it, and raises `InvalidBannerError`, whose
message names the argument, shows the value, and says what to write instead.
"""

from __future__ import annotations

import html
import re

from django.utils.safestring import SafeData

from inlive_banner.exceptions import InvalidBannerError

__all__ = ["MAX_NAME_LENGTH", "address", "candidates", "flag", "href", "name", "pixels", "plain", "target"]

MAX_NAME_LENGTH = 200
"""Characters; the length of the column that keeps it."""

_MOST_PIXELS = 100_000

_DANGEROUS_SCHEMES = frozenset({"javascript", "data", "vbscript", "blob", "filesystem"})
"""Following such an address would run or show what somebody else wrote as if it were the site's own page."""

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE | re.ASCII)

# A browser drops these before it looks at the scheme (https://url.spec.whatwg.org/#concept-basic-url-parser),
# so a check that keeps them in is passed by "java\nscript:".
_DROPPED_ANYWHERE = str.maketrans("", "", "\t\n\r")
_DROPPED_AT_ENDS = "".join(map(chr, range(0x21)))

_TARGET_KEYWORDS = ("_blank", "_self", "_parent", "_top")

# One candidate (https://html.spec.whatwg.org/#parse-a-srcset-attribute): an address, which may hold commas but not
# end with one, then what describes it, up to the next comma.
_CANDIDATE = re.compile(r"[\s,]*(\S*[^\s,])\s*([^,]*?)\s*(?:,|$)")
_DESCRIPTOR = re.compile(r"[1-9][0-9]*w|[0-9]+(?:\.[0-9]+)?x|", re.ASCII)


def plain(value: object) -> str:
    """The plain text of a template's value, for the template to escape.

    A safe string is HTML (a literal in a template is one too): what counts is the text that a browser would
    read in it, or `&#106;avascript:` would pass for a harmless address.
    """
    text = str(value)
    return html.unescape(text) + "" if isinstance(text, SafeData) else text


def name(value: object) -> str:
    """The name of a banner: 1 to 200 characters, and not only blanks."""
    text = plain(value)
    if not text.strip():
        raise InvalidBannerError(
            'name is empty. Give the banner the name that the log shall show, such as name="summer-sale"; '
            "where it comes from a variable, see that the variable has a value.",
            argument="name",
        )
    if len(text) > MAX_NAME_LENGTH:
        raise InvalidBannerError(
            f"name has {len(text)} characters, {text[:40]!r}…; shorten it to {MAX_NAME_LENGTH} or fewer.",
            argument="name",
        )
    return text


def href(value: object) -> str:
    """Where a link leads: an address, and not an empty one."""
    text = address("href", value)
    if not text:
        raise InvalidBannerError(
            'href is empty. Say where the banner leads, such as href="https://example.org/"; '
            "where it comes from a variable, see that the variable has a value.",
            argument="href",
        )
    return text


def address(argument: str, value: object) -> str:
    """An address without what browsers drop from it; "" for none. Those that could run a script are refused."""
    text = plain(value).translate(_DROPPED_ANYWHERE).strip(_DROPPED_AT_ENDS)
    scheme = _SCHEME.match(text)
    if scheme and scheme[1].lower() in _DANGEROUS_SCHEMES:
        raise InvalidBannerError(
            f"{argument} is {text[:60]!r}, and {scheme[1].lower()}: addresses are refused, since they could run "
            "somebody else's script on your page. Use an https: address or a path of your site.",
            argument=argument,
        )
    return text


def candidates(value: object) -> str:
    """An image's `srcset`: addresses, each with a width (`800w`) or a density (`2x`); "" for none."""
    read = [(address("srcset", url), descriptor) for url, descriptor in _CANDIDATE.findall(plain(value))]
    for _, descriptor in read:
        if not _DESCRIPTOR.fullmatch(descriptor):
            raise InvalidBannerError(
                f"srcset describes an image by {descriptor!r}. Write its width or its density, such as "
                'srcset="/sale.png 800w, /sale@2x.png 1600w" or srcset="/sale@2x.png 2x".',
                argument="srcset",
            )
    if len({descriptor[-1:] == "w" for _, descriptor in read}) > 1:
        raise InvalidBannerError(
            f"srcset mixes widths (w) with densities (x): {plain(value)[:80]!r}. Use one kind for all its images.",
            argument="srcset",
        )
    return ", ".join(f"{url} {descriptor}".strip() for url, descriptor in read)


def pixels(argument: str, value: object) -> str:
    """A width or a height in CSS pixels, 1 to 100000, as decimal text; "" for none.

    Text, because as a number a template might put thousands separators into it.
    """
    text = "" if value is None else plain(value).strip()
    if not text:
        return ""
    is_number = text.isascii() and text.isdigit() and len(text) < 10
    if not is_number or not 1 <= int(text) <= _MOST_PIXELS:
        raise InvalidBannerError(
            f"{argument} is {plain(value)[:40]!r}. Give the image's own {argument} in pixels, a whole number without "
            f"a unit, such as {argument}=400.",
            argument=argument,
        )
    return str(int(text))


def flag(argument: str, value: object) -> bool:
    """True or False. A text isn't taken for one: "False" would be true."""
    if not isinstance(value, bool):
        raise InvalidBannerError(
            f"{argument} is {value!r}. Write {argument}=True or {argument}=False, without quotes.", argument=argument
        )
    return value


def target(value: object) -> str:
    """A link's target: one of HTML's keywords, a frame's name, or "" for the same tab."""
    text = plain(value)
    if text.startswith("_") and text.lower() not in _TARGET_KEYWORDS:
        raise InvalidBannerError(
            f"target is {text!r}. Use one of {', '.join(_TARGET_KEYWORDS)}, the name of a frame, "
            'or target="" for the same tab.',
            argument="target",
        )
    return text
