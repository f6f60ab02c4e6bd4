"""Pages with banners, written by hand as on a site without Django, and what their script tells."""

from __future__ import annotations

from html import escape
from typing import Any

from playwright.sync_api import Page

from tests.e2e.origin import Answer, Origin
from tests.e2e.processes import STREAM_ID, WIDGET_KEY

__all__ = ["PUBLISH", "SUBSCRIBE", "accepting", "banner", "banner_page", "failed", "kept", "module", "published"]

PUBLISH = f"/publish/{STREAM_ID}"
SUBSCRIBE = f"/subscribe/{STREAM_ID}"

ACCEPTED = Answer.sentence(200, "OK", {"received_at": 1})


def banner(
    name: str, *, channel: str, token: str = "", tag: str = "a", content: str = "Banner", **attributes: str
) -> str:
    """The HTML of a banner as a page's author would write it by hand."""
    given = {
        "data-inlive-banner": name,
        "data-inlive-stream": str(STREAM_ID),
        "data-inlive-widget-key": WIDGET_KEY,
        "data-inlive-channel": channel,
        "data-inlive-views": "",
        **({"data-inlive-token": token} if token else {}),
        **{key.replace("_", "-"): value for key, value in ({"href": "#here"} | attributes).items()},
    }
    written = " ".join(f'{key}="{escape(value)}"' for key, value in given.items())
    return f"<{tag} {written}>{content}</{tag}>"


def module(name: str, **attributes: str) -> str:
    """The HTML of the tag of a module of ours, such as `views`."""
    written = "".join(f' {key.replace("_", "-")}="{escape(value)}"' for key, value in attributes.items())
    return f'<script type="module" src="/static/{name}.js"{written}></script>'


def banner_page(*banners: str, static: str = "/static/", retry: str = "", modules: str = "") -> str:
    """A page with banners, and with a record of the script's events that tests can read.

    `static` is where the scripts are, `retry` the second one's address, if it isn't beside the first, and `modules`
    the tags of others.
    """
    attribute = f' data-inlive-retry="{retry}"' if retry else ""
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>A page with a banner</title><link rel="icon" href="data:,">
<script>
const published = [], failed = [];
addEventListener("inlive:published", (event) => published.push(event.detail));
addEventListener("inlive:failed", (event) => failed.push(event.detail));
</script>
<script type="module" src="{static}banner.js"{attribute}></script>{modules}</head>
<body><p>Text</p>{"".join(banners)}</body></html>"""


def published(page: Page, count: int = 1) -> list[dict[str, Any]]:
    """Wait until the page has told of `count` published clicks; returns what it told."""
    page.wait_for_function("count => published.length >= count", arg=count)
    told: list[dict[str, Any]] = page.evaluate("published")
    return told


def failed(page: Page, count: int = 1) -> list[dict[str, Any]]:
    """Wait until the page has told of `count` failures; returns what it told."""
    page.wait_for_function("count => failed.length >= count", arg=count)
    told: list[dict[str, Any]] = page.evaluate("failed")
    return told


def kept(page: Page) -> int:
    """How many clicks the page's origin keeps to be sent."""
    count: int = page.evaluate("Object.keys(localStorage).filter(key => key.startsWith('inlive-banner:')).length")
    return count


def accepting(origin: Origin, *answers: Answer) -> None:
    """Let the origin be a channel that answers publishes with these, the last one for ever."""
    pending = list(answers) or [ACCEPTED]
    origin.answer("POST", PUBLISH, lambda _: pending.pop(0) if len(pending) > 1 else pending[0])
