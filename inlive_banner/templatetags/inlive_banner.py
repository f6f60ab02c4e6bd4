"""`{% load inlive_banner %}`: the banner and the live log, for any page.

{% inlive_banner name="summer-sale" href="/sale/" text="Summer sale" %}
{% inlive_logs %}
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django import template
from django.http import HttpRequest, QueryDict
from django.template.context import Context

from inlive_banner.access import may_read_log
from inlive_banner.banner import build_banner
from inlive_banner.conf import settings, stream_id_of
from inlive_banner.exceptions import InvalidBannerError
from inlive_banner.livelog import parse_before, read_live_log

register = template.Library()


@register.inclusion_tag("inlive_banner/banner_with_assets.html", takes_context=True)
def inlive_banner(
    context: Context,
    *,
    name: object = None,
    href: object = None,
    text: object = None,
    image: object = None,
    alt: object = None,
    target: object = None,
    css_class: object = None,
    stream_id: object = None,
) -> dict[str, Any]:
    """Render a banner: a plain link, whose clicks are published. All arguments are optional.

    Raises `TemplateSyntaxError` for an argument that can't be used, `ConfigurationError` for missing settings.
    """
    try:
        banner = build_banner(
            name=name,
            href=href,
            text=text,
            image=image,
            alt=alt,
            target=target,
            css_class=css_class,
            stream_id=stream_id,
        )
    except InvalidBannerError as error:
        raise template.TemplateSyntaxError(f"{{% inlive_banner %}}: {error}") from error
    return {"banner": banner, **_assets(context, "banner")}


@register.inclusion_tag("inlive_banner/logs_with_assets.html", takes_context=True)
def inlive_logs(context: Context, *, stream_id: object = None) -> dict[str, Any]:
    """Render a stream's log, live, for those who may read it; a short notice for all others.

    `?bots=1` in the page's address shows and counts what isn't people's too, `?before=` turns to older rows.

    Raises `ConfigurationError` where the stream isn't configured.
    """
    request: HttpRequest | None = context.get("request")
    assets = _assets(context, "logs")
    if not may_read_log(request):
        return {"log": None, **assets}
    wanted = settings.stream_id if stream_id is None else stream_id_of(f"{stream_id}", "STREAMS")
    query = request.GET if request else QueryDict()
    before, everything = parse_before(query.get("before")), query.get("bots") == "1"
    log = read_live_log(settings.stream(wanted).stream_id, before=before, everything=everything)
    kept = [(key, value) for key, values in query.lists() if key != "before" for value in values]
    others = [(key, value) for key, value in kept if key != "bots"]
    switched = [*others, *([] if everything else [("bots", "1")]), *([("before", before)] if before else [])]
    return {
        "log": log,
        "is_default_stream": log.stream_id == str(settings.STREAM_ID),
        "older_url": f"?{urlencode([*kept, ('before', log.older_than)])}" if log.older_than else "",
        "newest_url": f"?{urlencode(kept)}",
        "other_view_url": f"?{urlencode(switched)}",
        **assets,
    }


def _assets(context: Context, kind: str) -> dict[str, Any]:
    """Say whether this tag brings the stylesheet and script along: the first of its kind on a page does.

    The page's memory is the bottom frame of the render context, the one that the outermost template's render
    has pushed. Included and inherited templates stand above it or share it, and copies of the context (as
    `include … only` and inclusion tags make) share the frame itself; it ends with the page.
    """
    page: dict[Any, Any] = context.render_context.dicts[:2][-1]
    key = f"inlive_banner:{kind}"
    first = key not in page
    page[key] = True
    return {"assets": kind if first else "", "nonce": _nonce(context) if first else ""}


def _nonce(context: Context) -> str:
    """The page's CSP nonce: Django 6's `csp_nonce`, or django-csp's `request.csp_nonce`; "" where none.

    Both are lazy, are made when their text is asked for, and are false until then, so only None means none.
    """
    nonce = context.get("csp_nonce")
    if nonce is None:
        nonce = getattr(context.get("request"), "csp_nonce", None)
    return "" if nonce is None else str(nonce)
