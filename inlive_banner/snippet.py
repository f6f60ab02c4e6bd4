"""Plain HTML of a banner, for pages that Django doesn't render: its addresses are absolute, and nothing in it ages."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from typing import Any
from urllib.parse import urljoin, urlsplit

from inlive_banner.banner import build_banner
from inlive_banner.exceptions import ConfigurationError
from inlive_banner.page import banner_assets
from inlive_banner.rendering import render_banner

__all__ = ["make_snippet"]

_ADDRESS = re.compile(r'\b(href|src|data-inlive-(?:channel|href|retry))="([^"]*)"')
_SRCSET = re.compile(r'\bsrcset="([^"]*)"')
_IN_A_COMMENT = re.compile(r"^\s+|\s+$", re.MULTILINE)


def make_snippet(base_url: str = "", **arguments: Any) -> str:
    """The HTML of one banner with its stylesheet and script.

    `base_url` is the site's own, such as `https://www.example.org`; every path is made absolute with it. It may be ""
    where none is needed. The other arguments are the banner's. There is no page token in it, for that would expire:
    the script fetches one when the visitor clicks.

    Raises `ConfigurationError` where an address needs `base_url`, and as `build_banner`.
    """
    parts = urlsplit(base_url)
    if base_url and not (parts.scheme in ("http", "https") and parts.hostname):
        raise ConfigurationError(f"{base_url!r} isn't a site's address, such as https://www.example.org.")
    banner = replace(build_banner(**arguments), token="")
    rendered = render_banner({"banner": banner, **banner_assets({}, {}, views=banner.views)})

    def absolute(address: str) -> str:
        # An own scheme, or a place in the page that the snippet will stand in.
        if urlsplit(address).scheme or address.startswith("#"):
            return address
        if not base_url:
            raise ConfigurationError(
                f"{address!r} is a path of your site, and the page with the snippet may be elsewhere. Say where the "
                "site is: --base-url https://www.example.org"
            )
        return urljoin(base_url, address)

    def attribute(match: re.Match[str]) -> str:
        return f'{match[1]}="{html.escape(absolute(html.unescape(match[2])))}"'

    def candidates(match: re.Match[str]) -> str:
        # Each is an address and a descriptor: https://html.spec.whatwg.org/multipage/images.html#srcset-attributes
        each = [part.strip().partition(" ") for part in html.unescape(match[1]).split(", ")]
        return f'srcset="{html.escape(", ".join(f"{absolute(address)} {rest}".strip() for address, _, rest in each))}"'

    return (
        _SRCSET.sub(candidates, _ADDRESS.sub(attribute, rendered)).replace(' data-inlive-token=""', "").strip() + "\n"
    )
