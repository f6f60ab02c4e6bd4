"""The tags for Jinja2: functions to add to the environment's globals.

    from inlive_banner import jinja2 as inlive

    environment.globals.update(inlive.GLOBALS)

Then, in a template: `{{ inlive_banner(name="summer-sale", href="/sale/", text="Summer sale") }}`, or
`{% call inlive_banner_block(name="summer-sale") %}<b>Summer</b> sale{% endcall %}`. The HTML is that of the Django
tags, from the same templates, so what a site overrides there holds here too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.http import HttpRequest
from django.utils.safestring import SafeString, mark_safe
from jinja2 import pass_context
from jinja2.runtime import Context as JinjaContext

from inlive_banner.banner import build_banner
from inlive_banner.conf import settings
from inlive_banner.page import banner_assets, is_staff_page
from inlive_banner.rendering import render_banner

__all__ = ["GLOBALS", "inlive_banner", "inlive_banner_assets", "inlive_banner_block"]

_BROUGHT = "_inlive_banner_assets"
"""The attribute of a request by which its page remembers that it has the assets."""


@pass_context
def inlive_banner(context: JinjaContext, /, **arguments: Any) -> SafeString:
    """Render a banner; the arguments are those of the Django tag.

    Raises `InvalidBannerError` for an argument that can't be used, `ConfigurationError` for missing settings.
    """
    staff = is_staff_page(context.get("request"))
    banner = build_banner(staff=staff, **arguments)
    return render_banner({"banner": banner, **_assets(context, views=banner.views)})


@pass_context
def inlive_banner_block(context: JinjaContext, /, *, caller: Callable[[], str], **arguments: Any) -> SafeString:
    """Render a banner around what its author writes, by Jinja2's `{% call %}`.

    Raises as `inlive_banner`.
    """
    staff = is_staff_page(context.get("request"))
    # What stands in the call is HTML: Jinja2 has escaped the variables in it, as its environment says.
    content = mark_safe(caller())  # noqa: S308
    banner = build_banner(content=content, staff=staff, **arguments)
    return render_banner({"banner": banner, **_assets(context, views=banner.views)})


@pass_context
def inlive_banner_assets(context: JinjaContext, /, *, actions: bool = False) -> SafeString:
    """Render stylesheet and scripts alone; with `actions` also the script for actions of the site's own."""
    carrier = build_banner(staff=is_staff_page(context.get("request"))) if actions else None
    return render_banner({"carrier": carrier, **_assets(context, views=settings.TRACK_VIEWS, actions=actions)})


GLOBALS: Mapping[str, Callable[..., SafeString]] = {
    "inlive_banner": inlive_banner,
    "inlive_banner_assets": inlive_banner_assets,
    "inlive_banner_block": inlive_banner_block,
}
"""All of them, by the names that templates call them by."""


def _assets(context: JinjaContext, **wanted: bool) -> dict[str, Any]:
    """The first on a page brings stylesheet and scripts.

    Jinja2 makes a context of its own for each template, so that the request is all that a page's parts have in common.
    Without one each banner brings them; the browser runs a script once all the same.
    """
    request: HttpRequest | None = context.get("request")
    brought: dict[Any, Any] = {}
    if request is not None:
        brought = getattr(request, _BROUGHT, brought)
        setattr(request, _BROUGHT, brought)
    return banner_assets(brought, context, **wanted)
