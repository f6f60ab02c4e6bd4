"""The system check of the site's templates."""

from __future__ import annotations

import pytest
from django.test import override_settings

from inlive_banner.template_checks import check_templates


@pytest.fixture
def site(tmp_path):
    """A folder of templates, as a site has it."""
    folder = tmp_path / "templates"
    folder.mkdir()
    engine = {"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": [folder], "APP_DIRS": True}
    with override_settings(TEMPLATES=[engine]):
        yield folder


def test_template_with_the_right_tag_has_no_message(site):
    (site / "page.html").write_text('{% inlive_banner name="a" %} <% other %> inlive_banner <%= x %>')

    assert check_templates() == []


@pytest.mark.parametrize(
    ("line", "corrected"),
    [
        ("  <p><% inlive_banner %></p>", "{% load inlive_banner %} <p>{% inlive_banner %}</p>"),
        ('<%inlive_banner name="a"%>', '{% load inlive_banner %} {% inlive_banner name="a" %}'),
        ("<% end_inlive_banner_block %>", "{% load inlive_banner %} {% end_inlive_banner_block %}"),
        ("<% inlive_banner_assets %>", "{% load inlive_banner %} {% inlive_banner_assets %}"),
        ("<% inlive_logs %}", "{% load inlive_banner %} {% inlive_logs %}"),
        (
            "<% inlive_banner %> <% inlive_banner href='/100%/' %>",
            "{% load inlive_banner %} {% inlive_banner %} {% inlive_banner href='/100%/' %}",
        ),
    ],
)
def test_template_with_a_tag_that_django_prints_gets_the_corrected_line(site, line, corrected):
    page = site / "shop" / "page.html"
    page.parent.mkdir()
    page.write_text(f"<h1>é</h1>\n\n{line}\n", encoding="utf-8")

    (message,) = check_templates()

    assert message.id == "inlive_banner.W005"
    assert message.msg.startswith(f"{page}:3 ")
    assert line.strip() in message.msg
    assert message.hint == corrected


def test_template_of_an_installed_package_is_passed_over(tmp_path):
    folder = tmp_path / "site-packages" / "shop" / "templates"
    folder.mkdir(parents=True)
    (folder / "page.html").write_text("<% inlive_banner %>")
    engine = {"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": [folder]}

    with override_settings(TEMPLATES=[engine]):
        assert check_templates() == []


def test_template_that_is_no_text_or_cannot_be_read_is_passed_over(site):
    (site / "image.html").write_bytes(b"\xff\xfe<% inlive_ba")
    (site / "folder.html").mkdir()

    assert check_templates() == []
    assert check_templates(app_configs=None, databases=None) == []


def test_template_found_by_two_engines_is_named_once(site):
    (site / "page.txt").write_text("<% inlive_banner %>")
    engine = {"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": [site]}

    with override_settings(TEMPLATES=[{**engine, "NAME": "one"}, {**engine, "NAME": "two"}]):
        assert len(check_templates()) == 1
