"""`{% load inlive_banner %}`: the banner and the live log, for any page.

{% inlive_banner name="summer-sale" href="/sale/" text="Summer sale" %}
{% inlive_banner_block name="summer-sale" href="/sale/" %}<strong>Summer</strong> sale{% end_inlive_banner_block %}
{% inlive_logs %}
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from django import template
from django.http import HttpRequest, QueryDict
from django.template.context import Context
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from inlive_banner.access import may_read_log
from inlive_banner.banner import Banner, build_banner
from inlive_banner.conf import settings, stream_id_of
from inlive_banner.exceptions import InvalidBannerError
from inlive_banner.livelog import read_live_log
from inlive_banner.numbers import localised
from inlive_banner.page import banner_assets, in_cached_fragment, is_staff_page, nonce_of
from inlive_banner.panel import panel_context
from inlive_banner.query import Cursor, parse_query
from inlive_banner.repeating import render_each

register = template.Library()


@register.filter
def inlive_number(value: float | None, digits: int = 0) -> str:
    """The number with its thousands set apart, as the language does it; "" for None."""
    return "" if value is None else localised(value, digits)


_BANNER_TEMPLATE = "inlive_banner/banner_with_assets.html"


@register.inclusion_tag(_BANNER_TEMPLATE, takes_context=True)
def inlive_banner(
    context: Context,
    *,
    name: object = None,
    href: object = None,
    text: object = None,
    image: object = None,
    alt: object = None,
    width: object = None,
    height: object = None,
    srcset: object = None,
    sizes: object = None,
    target: object = None,
    css_class: object = None,
    redirect: object = None,
    views: object = None,
    stream_id: object = None,
) -> dict[str, Any]:
    """Render a banner: a plain link, whose clicks are published. All arguments are optional.

    Raises `TemplateSyntaxError` for an argument that can't be used, `ConfigurationError` for missing settings.
    """
    banner = _build(
        context,
        "inlive_banner",
        name=name,
        href=href,
        text=text,
        image=image,
        alt=alt,
        width=width,
        height=height,
        srcset=srcset,
        sizes=sizes,
        target=target,
        css_class=css_class,
        redirect=redirect,
        views=views,
        stream_id=stream_id,
    )
    return {"banner": banner, **banner_assets(_memory(context), context, views=banner.views)}


@register.simple_block_tag(takes_context=True, end_name="end_inlive_banner_block")
def inlive_banner_block(
    context: Context,
    content: SafeString,
    *,
    name: object = None,
    href: object = None,
    target: object = None,
    css_class: object = None,
    redirect: object = None,
    views: object = None,
    stream_id: object = None,
) -> SafeString:
    """Render a banner whose content is what stands in the block, as the page's author wrote it.

    Raises as `inlive_banner`.
    """
    if not content.strip():
        raise template.TemplateSyntaxError(
            "{% inlive_banner_block %}: there is nothing in the block. Write what the banner shall show before "
            "{% end_inlive_banner_block %}."
        )
    banner = _build(
        context,
        "inlive_banner_block",
        content=content,
        name=name,
        href=href,
        target=target,
        css_class=css_class,
        redirect=redirect,
        views=views,
        stream_id=stream_id,
    )
    page = cast("template.Template", context.template)  # set while a page renders
    values = {"banner": banner, **banner_assets(_memory(context), context, views=banner.views)}
    return page.engine.get_template(_BANNER_TEMPLATE).render(context.new(values))


@register.inclusion_tag(_BANNER_TEMPLATE, takes_context=True)
def inlive_banner_assets(context: Context, *, actions: bool = False) -> dict[str, Any]:
    """Render stylesheet and scripts alone, for a page whose banners come out of a cache; the banners then bring none.

    With `actions` also the script for actions of the site's own. Its tag carries what those are recorded with that
    belong to no banner: the default stream, and the default banner's name.
    """
    assets = banner_assets(_memory(context), context, views=settings.TRACK_VIEWS, actions=actions)
    return {"carrier": _build(context, "inlive_banner_assets") if actions else None, **assets}


@register.inclusion_tag("inlive_banner/logs_with_assets.html", takes_context=True)
def inlive_logs(context: Context, *, stream_id: object = None) -> dict[str, Any]:
    """Render a stream's log, live, for those who may read it; a short notice for all others.

    The page's address says what is shown: `query.PARAMETERS`, and `tz`, the reader's time zone.

    Raises `ConfigurationError` where the stream isn't configured.
    """
    request: HttpRequest | None = context.get("request")
    assets = _logs_assets(context)
    wanted = settings.stream_id if stream_id is None else stream_id_of(f"{stream_id}", "STREAMS")
    if not may_read_log(request, wanted):
        return {"log": None, **assets}
    params = request.GET if request else QueryDict()
    query = parse_query(params.dict(), settings.stream(wanted).stream_id)
    log = read_live_log(query, before=Cursor.parse(params.get("before")))
    return {
        "log": log,
        "is_default_stream": log.stream_id == str(settings.STREAM_ID),
        **panel_context(log, params),
        **assets,
    }


@register.simple_tag(takes_context=True)
def inlive_each(context: Context, name: str, items: Iterable[object], template_name: str) -> SafeString:
    """Render each item by a template, which knows it by `name` and nothing else, and is itself rendered once."""
    page = cast("template.Template", context.template)  # set while a page renders
    form_template = page.engine.get_template(template_name)
    return render_each(items, lambda form: form_template.render(context.new({name: form})))


@register.simple_tag
def inlive_options(values: Iterable[str]) -> SafeString:
    """Render what a field offers."""
    return format_html_join("", '<option value="{}"></option>', ((value,) for value in values))


def _build(context: Context, tag: str, **arguments: Any) -> Banner:
    try:
        return build_banner(staff=is_staff_page(context.get("request")), **arguments)
    except InvalidBannerError as error:
        raise template.TemplateSyntaxError(f"{{% {tag} %}}: {error}") from error


def _memory(context: Context) -> dict[Any, Any]:
    """What the page remembers of its parts.

    It is the bottom frame of the render context, the one that the outermost template's render has pushed. Included and
    inherited templates stand above it or share it, and copies of the context (as `include … only` and inclusion tags
    make) share the frame itself; it ends with the page.
    """
    memory: dict[Any, Any] = context.render_context.dicts[:2][-1]
    return memory


def _logs_assets(context: Context) -> dict[str, Any]:
    """The first log on a page brings its stylesheet and script; in `{% cache %}` each does, as banners do there."""
    if in_cached_fragment():
        return {"assets": "logs", "nonce": ""}
    memory = _memory(context)
    first = "inlive_banner/logs.js" not in memory
    memory["inlive_banner/logs.js"] = True
    return {"assets": "logs" if first else "", "nonce": nonce_of(context) if first else ""}
