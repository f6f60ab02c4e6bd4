"""What stands around the log's lines, and where it leads."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import parse_qsl

import pytest
from django.http import QueryDict
from django.utils import timezone

from inlive_banner import panel
from inlive_banner.livelog import read_live_log
from inlive_banner.models import Interaction
from inlive_banner.panel import panel_context
from inlive_banner.periods import CUSTOM, PERIOD_WORDS
from inlive_banner.query import Cursor, parse_query
from tests.rows import NOON, make_interaction, save_rollups

pytestmark = pytest.mark.django_db


def panel_of(address=""):
    params = QueryDict(address)
    query = parse_query(params.dict(), 15)
    return panel_context(read_live_log(query, before=Cursor.parse(params.get("before"))), params)


def said(url):
    assert url.startswith("?")
    return parse_qsl(url[1:], keep_blank_values=True)


ADDRESS = "tab=a%26b&period=7d&tab=%C3%A9&stream=15&tz=Asia/Kathmandu&banner=sale&user=u&path=/&action=share&before=9-9"
FOREIGN = [("tab", "a&b"), ("tab", "é"), ("stream", "15"), ("tz", "Asia/Kathmandu")]
"""In the order of their keys' first place; a zone is the reader's, whatever is chosen."""
FILTERS = {"period": "7d", "banner": "sale", "action": "share", "user": "u", "path": "/"}


def links(context):
    """All addresses that the panel has, by what changes with them."""
    yield from ((f"period {link.words}", link.url) for link in context["periods"])
    yield from ((f"who {link.words}", link.url) for link in context["whose"])
    yield from ((f"filter {line['words']}", line["url"]) for line in context["filters"])
    yield from ((key, context[key]) for key in ("newest_url", "clear_url", "everything_url"))


def test_each_address_keeps_what_is_not_ours_and_goes_back_to_the_newest():
    context = panel_of(ADDRESS)

    assert context["kept"] == FOREIGN
    for what, url in links(context):
        assert said(url)[: len(FOREIGN)] == FOREIGN, what
        assert "before" not in dict(said(url)), what
        assert len(dict(said(url))) == len(said(url)) - 1, "only the foreign one is there twice"


def test_each_address_changes_one_thing():
    context = panel_of(ADDRESS)
    changed = {what: dict(said(url)[len(FOREIGN) :]) for what, url in links(context)}

    def without(key):
        return {name: value for name, value in FILTERS.items() if name != key}

    assert changed["newest_url"] == FILTERS
    assert changed["clear_url"] == {}
    assert changed["everything_url"] == changed["who Everything"] == {**FILTERS, "who": "everything"}
    assert changed["who People"] == FILTERS
    assert changed["who Not people"] == {**FILTERS, "who": "others"}
    assert changed["period Today"] == {**FILTERS, "period": "today"}
    assert changed["period All time"] == without("period")
    assert changed["filter Banner"] == without("banner")
    assert changed["filter Action"] == without("action")
    assert changed["filter User"] == without("user")
    assert changed["filter Page"] == without("path")


def test_custom_days_stay_in_addresses_until_another_period_is_chosen():
    context = panel_of("from=2026-11-01&to=2026-11-03&banner=sale")

    days = {"period": "custom", "from": "2026-11-01", "to": "2026-11-03", "banner": "sale"}
    assert dict(said(context["newest_url"])) == days
    assert dict(said(context["everything_url"])) == {**days, "who": "everything"}
    assert {link.words: dict(said(link.url)) for link in context["periods"]}["Today"] == {
        "banner": "sale",
        "period": "today",
    }
    assert said(context["clear_url"]) == []
    assert not [link for link in context["periods"] if link.is_current]


def test_old_word_for_everything_becomes_the_new_one():
    context = panel_of("bots=1")

    assert said(context["newest_url"]) == [("who", "everything")]
    assert [link.words for link in context["whose"] if link.is_current] == ["Everything"]


def test_what_is_chosen_is_current_and_a_custom_period_is_not_offered():
    context = panel_of("period=yesterday&who=others")

    assert [link.words for link in context["periods"]] == [
        words for key, words in PERIOD_WORDS.items() if key != CUSTOM
    ]
    assert [link.words for link in context["periods"] if link.is_current] == ["Yesterday"]
    assert [link.words for link in context["whose"] if link.is_current] == ["Not people"]
    assert context["query_string"] == "period=yesterday&who=others"


def test_filters_that_are_set_are_named_with_their_values():
    assert panel_of()["filters"] == []
    shown = [(line["words"], line["value"]) for line in panel_of("path=%3Cb%3E&user=u")["filters"]]
    assert shown == [("User", "u"), ("Page", "<b>")]


def test_older_page_keeps_the_filters_and_names_its_row():
    rows = Interaction.objects.bulk_create(make_interaction(number, name="a&b") for number in range(60))
    context = panel_of("banner=a%26b&tab=1&before=x")

    assert said(context["older_url"]) == [("tab", "1"), ("banner", "a&b"), ("before", str(Cursor.of(rows[10])))]
    assert panel_of(context["older_url"][1:])["older_url"] == ""


def test_lists_have_shares_of_the_first_and_lead_to_their_own_clicks():
    save_rollups(30, name="sale", page="/é?&")
    save_rollups(15, name="", page="/")

    banners, pages = panel_of("user=&tab=1&before=9-9")["tops"]

    assert (banners["key"], banners["parameter"], pages["key"], pages["parameter"]) == (
        "banners",
        "banner",
        "pages",
        "path",
    )
    assert [(line.value, line.count, line.share) for line in banners["lines"]] == [("sale", 30, 100), ("", 15, 50)]
    assert [said(line.url) if line.url else "" for line in banners["lines"]] == [[("tab", "1"), ("banner", "sale")], ""]
    assert said(pages["lines"][0].url) == [("tab", "1"), ("path", "/é?&")]


@pytest.mark.parametrize("page", ["/" + "x" * 999, " / ", "/é?&=%00+#", "😀" * 1000])
def test_line_of_any_page_leads_to_the_clicks_that_it_counts(page):
    make_interaction(1, page=page).save()
    save_rollups(1, page=page if len(page) <= 400 else f"{page[:399]}…")
    (pages,) = [top for top in panel_of()["tops"] if top["key"] == "pages"]

    params = QueryDict(pages["lines"][0].url[1:])
    log = read_live_log(parse_query(params.dict(), 15))

    assert [line.page for line in log.lines] == [page]
    assert log.figures.totals.clicks == 1


def test_log_without_counts_has_no_chart_and_no_lists():
    context = panel_of()

    assert (context["chart"], context["tops"]) == (None, [])
    assert context["choices"] == {"actions": [], "banners": [], "pages": []}


def test_chart_of_a_day_that_never_was_is_left_out():
    save_rollups(1)

    assert panel_of("from=2011-12-30&tz=Pacific/Apia")["chart"] is None
    assert panel_of("from=2011-12-29&tz=Pacific/Apia")["chart"].total == 0


def test_filters_offer_all_actions_and_what_had_interactions_lately(monkeypatch):
    lately, long_ago = timezone.now() - timedelta(days=20), timezone.now() - timedelta(days=130)
    save_rollups(1, name="b", page="/b", time=lately)
    save_rollups(1, name="a", page="/a", time=lately)
    save_rollups(1, name="seen", page="/seen", action="view", time=lately)
    save_rollups(1, name="ours", page="/ours", label="own", time=lately)
    save_rollups(1, name="old", page="/old", action="share", time=long_ago)
    save_rollups(1, name="", page="", time=lately)
    save_rollups(1, name="other", page="/other", action="other", time=lately, stream_id=16)

    assert panel_of()["choices"] == {
        "actions": ["click", "share", "view"],
        "banners": ["a", "b"],
        "pages": ["/a", "/b"],
    }
    monkeypatch.setattr(panel, "OFFERED", 1)
    assert len(panel_of()["choices"]["banners"]) == 1


def test_times_of_the_past_have_a_chart_from_the_first_day_on():
    save_rollups(3, time=NOON)

    chart = panel_of()["chart"]

    assert chart.total == 3
    assert chart.bars[0].start_ms <= NOON.timestamp() * 1000
