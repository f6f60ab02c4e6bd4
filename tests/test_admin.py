"""The record in the admin."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.test import override_settings
from django.urls import reverse

from inlive_banner import admin as our_admin
from inlive_banner.models import DayUnique, Dimension, Gap, Interaction, Pending, Position, Rollup, Span
from inlive_banner.query import Cursor
from inlive_banner.wording import to_the_second
from tests.configured import configured
from tests.rows import KEPT_PAIRS, NOON, make_interaction, save_rollups

LIST = "/admin/inlive_banner/interaction/"
LIVE = "/admin/inlive_banner/interaction/live/"
MODELS = [DayUnique, Gap, Interaction, Position, Rollup, Pending]


@pytest.fixture
def rows(db):
    Position.objects.create(stream_id=15, last_event_id="a1b2c3d4-20")
    Position.objects.create(stream_id=16, last_event_id="a1b2c3d4-20")
    for name in ("sale", "news"):
        for action in ("click", "share"):
            save_rollups(5, name=name, action=action)
    DayUnique.objects.create(stream_id=15, name="sale", action="click", day=NOON.date(), count=4)
    for lost in (1234, None):
        Gap.objects.create(
            stream_id=15, after_event_id="a1b2c3d4-5", resumed_after="a1b2c3d4-9", lost_events=lost, found_at=NOON
        )
    Pending.objects.create(publish_id="pending-1", stream_id=15, message='{"name":"<b>sale"}', user_agent="Firefox")
    return Interaction.objects.bulk_create(
        make_interaction(
            number,
            stream_id=15 + number % 2,
            name="sale" if number % 4 < 2 else "news",
            action="click" if number % 5 else "share",
            label={3: "crawler", 6: "moonlight"}.get(number % 10, ""),
        )
        for number in range(1, 21)
    )


@pytest.fixture
def boss(db, client):
    client.force_login(User.objects.create_superuser("boss"))
    return client


@pytest.fixture
def viewer(db, client):
    user = User.objects.create_user("viewer", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_interaction"))
    client.force_login(user)
    return client


def listed(client, query=""):
    """The numbers of the rows that the list shows."""
    response = client.get(LIST + query)
    assert response.status_code == 200
    return [row.pk for row in response.context["cl"].result_list]


def of(rows, keep):
    return [row.pk for row in reversed(rows) if keep(row)]


@pytest.mark.parametrize("model", MODELS)
def test_nobody_changes_the_record(model, rows, boss):
    name = f"admin:inlive_banner_{model._meta.model_name}"
    pk = model.objects.first().pk

    page = boss.get(reverse(f"{name}_change", args=[pk])).content.decode()
    assert "submit-row" in page
    assert 'type="submit" value="Save"' not in page
    assert "<textarea" not in page
    assert boss.get(reverse(f"{name}_add")).status_code == 403
    assert boss.post(reverse(f"{name}_change", args=[pk]), {}).status_code == 403
    assert boss.post(reverse(f"{name}_delete", args=[pk]), {"post": "yes"}).status_code == 403
    response = boss.post(
        reverse(f"{name}_changelist"), {"action": "delete_selected", "_selected_action": [pk], "post": "yes"}
    )
    assert response.status_code in (200, 302, 403)
    assert model.objects.filter(pk=pk).exists()


@pytest.mark.parametrize("model", MODELS)
def test_list_is_shown(model, rows, boss):
    response = boss.get(reverse(f"admin:inlive_banner_{model._meta.model_name}_changelist"))

    assert response.status_code == 200
    shown = model.objects
    if model is Rollup:
        shown = Rollup.objects.by(Dimension.BANNER, Span.DAY)
    if model is Interaction:
        shown = Interaction.objects.filter(stream_id=15)
    assert response.context["cl"].result_count == shown.count() > 0


def test_list_shows_the_newest_first_to_the_second(rows, boss):
    assert listed(boss) == of(rows, lambda row: row.stream_id == 15)
    assert "Nov. 24, 2026, 12:00:18" in boss.get(LIST).content.decode()


def test_row_shows_both_clocks_to_the_second(rows, boss):
    row = make_interaction(99, visitor_time=None)
    row.save()

    page = boss.get(f"{LIST}{rows[0].pk}/change/").content.decode()
    assert page.count("Nov. 24, 2026, 12:00:01") == 2
    assert boss.get(f"{LIST}{row.pk}/change/").status_code == 200


@override_settings(USE_TZ=False)
def test_time_without_a_zone_is_shown_as_it_is():
    assert to_the_second(NOON.replace(tzinfo=None)) == "Nov. 24, 2026, 12:00:00"


def test_list_says_why_a_row_is_no_persons(rows, boss):
    page = boss.get(LIST).content.decode()

    assert re.findall(r'<td class="field-reason">(.*?)</td>', page)[-3:] == ["moonlight", "-", "-"]


def test_list_says_which_clicks_were_the_first_after_a_view(rows, boss):
    Interaction.objects.filter(pk=rows[-1].pk).update(viewed=True, stream_id=15)

    page = boss.get(LIST).content.decode()

    assert re.findall(r'<td class="field-seen">(.*?)</td>', page)[:2] == ["yes", "-"]


def test_counts_show_label_and_viewed(rows, boss):
    save_rollups(70, name="x", label="own", viewed=63)

    page = boss.get("/admin/inlive_banner/rollup/").content.decode()

    for name, text in (("reason", "own address"), ("count", "70"), ("viewed", "63")):
        assert re.findall(f'<td class="field-{name}">(.*?)</td>', page)[0] == text


def test_counts_of_each_kind_are_listed_by_themselves(rows, boss):
    """Together they would look as if each click had been counted eight times."""
    first = boss.get("/admin/inlive_banner/rollup/").context["cl"]
    (kinds,) = [spec for spec in first.filter_specs if spec.parameter_name == "kind"]
    offered = [choice["query_string"] for choice in kinds.choices(first)]

    assert len(offered) == len(KEPT_PAIRS)
    assert {(row.dimension, row.span) for row in first.result_list} == {("banner", 86_400)}
    for query in offered:
        listed = boss.get(f"/admin/inlive_banner/rollup/{query}").context["cl"]
        assert len({(row.dimension, row.span) for row in listed.result_list}) == 1
        assert sum(row.count for row in listed.result_list) == 20


@pytest.mark.parametrize("kind", ["", "x", "page-60", "banner-1", "banner", "banner-86400-1", "%00"])
def test_counts_of_an_unknown_kind_are_those_by_banner_and_day(rows, boss, kind):
    listed = boss.get(f"/admin/inlive_banner/rollup/?kind={kind}").context["cl"]

    assert {(row.dimension, row.span) for row in listed.result_list} == {("banner", 86_400)}


def test_list_takes_the_same_queries_however_many_rows(rows, boss, django_assert_max_num_queries):
    boss.get(LIST)
    with django_assert_max_num_queries(11):
        boss.get(LIST)


def test_list_has_a_button_to_the_live_page(rows, boss):
    assert f'<a href="{LIVE}">Live</a>' in boss.get(LIST).content.decode()


def test_live_page_is_inside_the_admins_look(rows, boss):
    page = boss.get(LIVE).content.decode()

    assert "<title>Live | Django site admin</title>" in page
    assert '<div class="breadcrumbs">' in page
    assert f'<a href="{LIST}">Interactions</a>' in page
    assert 'id="nav-sidebar"' in page
    assert 'data-inlive-logs="live"' in page
    assert "visitor-20" in page
    assert page.count('src="/static/inlive_banner/logs.js"') == 1


def test_live_page_is_for_people_with_the_permission(rows, viewer):
    assert viewer.get(LIVE).status_code == 200

    User.objects.get().user_permissions.clear()
    with configured(LOGS_PUBLIC=True):
        assert viewer.get(LIVE).status_code == 403


def test_live_page_leads_who_is_not_signed_in_to_the_login_page(rows, client):
    response = client.get(LIVE)

    assert response.status_code == 302
    assert "/admin/login/" in response.headers["Location"]


def test_live_page_picks_a_stream_and_offers_the_others(rows, boss):
    with configured(STREAMS={1600: {}}), override_settings(USE_THOUSAND_SEPARATOR=True):
        page = boss.get(f"{LIVE}?stream=1600").content.decode()
        unknown = boss.get(f"{LIVE}?stream=17")

    assert 'data-inlive-stream="1600"' in page
    assert '<a href="?stream=15">Stream 15</a>' in page
    assert unknown.status_code == 404


def test_live_page_turns_to_older_rows(rows, boss):
    page = boss.get(f"{LIVE}?before={Cursor.of(rows[5])}").content.decode()

    assert 'data-inlive-logs="older"' in page
    assert re.findall(r"visitor-(\d+)", page) == ["4", "2"]


def test_live_page_belongs_to_its_own_admin_site(rows, rf):
    site = admin.AdminSite(name="second")
    site.register(Interaction, our_admin.InteractionAdmin)
    request = rf.get("/second/")
    request.user = User.objects.create_superuser("boss")

    response = site._registry[Interaction].live(request)

    assert request.current_app == "second"
    assert response.context_data["site_title"] == site.site_title


def test_position_shows_how_the_worker_does_and_who_it_is(rows, boss):
    Position.objects.filter(pk=15).update(
        received_at=NOON,
        lag=timedelta(seconds=1.25),
        holder="worker-host:4711",
        connected_since=NOON + timedelta(minutes=5),
    )

    for address in ("/admin/inlive_banner/position/", "/admin/inlive_banner/position/15/change/"):
        page = boss.get(address).content.decode()
        assert "worker-host:4711" in page
        assert "1.2 s" in page
        assert "12:00:00" in page
        assert "12:05:00" in page
        assert 'name="holder"' not in page


def test_position_that_nothing_was_recorded_to_shows_no_time(rows, boss):
    page = boss.get("/admin/inlive_banner/position/").content.decode()

    for field in ("recorded_after", "received", "connected"):
        assert page.count(f'<td class="field-{field}">-</td>') == 2


def test_gap_shows_how_many_events_are_missing_or_that_nobody_knows(rows, boss):
    page = boss.get("/admin/inlive_banner/gap/").content.decode()

    assert re.findall(r'<td class="field-lost">(.*?)</td>', page) == ["unknown", "1,234"]
    assert "12:00:00" in page


def test_pending_publish_is_shown_as_it_will_be_sent(rows, boss):
    page = boss.get("/admin/inlive_banner/pending/").content.decode()

    assert "{&quot;name&quot;:&quot;&lt;b&gt;sale&quot;}" in page
