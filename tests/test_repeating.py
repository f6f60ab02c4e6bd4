"""Many items of one form as HTML: the log's lines, and whatever else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.template import Context, Engine, Template
from django.template.loader import render_to_string
from django.utils import timezone, translation

from inlive_banner.livelog import LogLine
from inlive_banner.repeating import render_each

HOSTILE = """<b a="b" c='d'>&amp; \ue000name\ue001 {{ name }}"""


def line(**overrides: Any) -> LogLine:
    values = {
        "publish_id": "p1",
        "user_id": "user",
        "action": "share",
        "name": "sale",
        "page": "/shop/",
        "label": "own",
    }
    time = datetime(2026, 11, 26, 12, 30, 5, 678000, tzinfo=UTC)
    return LogLine(**{**values, "time": time, **overrides})


def render(*lines: LogLine) -> str:
    return render_each(lines, lambda form: render_to_string("inlive_banner/log_line.html", {"line": form}))


def test_lines_are_what_the_template_makes_of_each() -> None:
    lines = (line(), line(publish_id="p2", user_id="another", action="click", page="", label=""))

    assert render(*lines) == "".join(render_to_string("inlive_banner/log_line.html", {"line": one}) for one in lines)


def test_no_value_reaches_the_page_as_anything_but_text() -> None:
    fields = ("publish_id", "user_id", "action", "name", "page", "label")
    hostile = line(**dict.fromkeys(fields, HOSTILE))

    assert render(hostile) == render_to_string("inlive_banner/log_line.html", {"line": hostile})
    assert "<b a=" not in render(hostile)


def test_words_and_times_are_those_of_the_readers_language_and_zone() -> None:
    with translation.override("de"), timezone.override("Asia/Kathmandu"):
        html = render(line(action="click"))

    assert "klickte auf" in html
    assert "26. November 2026, 18:15:05 +0545</time>" in html
    assert 'datetime="2026-11-26T12:30:05.678Z"' in html


def test_no_lines_are_nothing() -> None:
    assert render() == ""


def test_tag_takes_a_sites_own_template() -> None:
    own = {
        "inlive_banner/log_line.html": "<p>{% if line %}{{ line.name }} at {{ line.page }}, {{ line.name }}{% endif %}"
    }
    engine = Engine(
        loaders=[("django.template.loaders.locmem.Loader", own)],
        libraries={"inlive_banner": "inlive_banner.templatetags.inlive_banner"},
    )
    page = Template(
        "{% load inlive_banner %}{% inlive_each 'line' lines 'inlive_banner/log_line.html' %}", engine=engine
    )

    html = page.render(Context({"lines": [line(name="a&b"), line(name="c")], "secret": "not for the line"}))

    assert html == "<p>a&amp;b at /shop/, a&amp;b<p>c at /shop/, c"
