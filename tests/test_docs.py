"""The README says what the code does: each setting, check and command is in it, and nothing that isn't there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.template import engines

from inlive_banner.banner import ARGUMENTS
from inlive_banner.conf import BannerSettings

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_settings_table_names_each_setting() -> None:
    settings = {name for name in vars(BannerSettings) if name.isupper()}

    assert names_in_table("Settings") == settings


def test_checks_table_names_each_check() -> None:
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "inlive_banner").glob("*checks.py")]
    checks = set(re.findall(r"inlive_banner\.[EW]\d{3}", "".join(sources)))

    assert names_in_table("Checks") == checks


def test_tags_table_names_each_argument() -> None:
    assert names_in_table("Tags") == {*ARGUMENTS, "stream_id"}


def test_page_authors_table_names_each_argument() -> None:
    pages = (ROOT / "docs" / "pages.md").read_text(encoding="utf-8")

    assert names_in_table("The banner", pages) == {*ARGUMENTS, "stream_id"}


@pytest.mark.parametrize(
    "example", re.findall(r"```django\n(.*?)```", (ROOT / "docs" / "pages.md").read_text(encoding="utf-8"), re.DOTALL)
)
def test_page_authors_example_is_a_banner(example: str) -> None:
    html = engines["django"].from_string("{% load inlive_banner %}" + example).render()

    assert 'data-inlive-banner="summer-sale"' in html


def test_commands_table_names_each_command() -> None:
    folder = ROOT / "inlive_banner" / "management" / "commands"
    commands = {path.stem for path in folder.glob("*.py") if not path.stem.startswith("_")}

    assert {name.split()[1] for name in names_in_table("Commands")} == commands


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\bmake ([a-z]+)\b", README))))
def test_make_target_of_the_readme_is_in_the_makefile(target: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")

    assert re.search(rf"^{target}:", makefile, re.MULTILINE)


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\((?!https?:)([^)#]+)\)", README))))
def test_file_that_the_readme_links_to_is_there(target: str) -> None:
    assert (ROOT / target).exists()


@pytest.mark.parametrize("path", [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))])
def test_document_has_one_sentence_per_line(path: Path) -> None:
    """So that a change of one sentence is a change of one line."""
    prose = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    lines = [line for line in prose.splitlines() if not line.startswith("|")]

    crowded = [line for line in lines if re.search(r"[a-z)`][.?!] [A-Z`]", line)]

    assert not crowded


def names_in_table(heading: str, document: str = README) -> set[str]:
    """What stands in backquotes in the first column of a section's table."""
    section = re.search(rf"^## {heading}$(.*?)(?=^## |\Z)", document, re.MULTILINE | re.DOTALL)
    assert section, f"the document has no section {heading!r}"
    first_cells = re.findall(r"^\| ([^|]+) \|", section[1], re.MULTILINE)
    return {name for cell in first_cells for name in re.findall(r"`([^`]+)`", cell)}
