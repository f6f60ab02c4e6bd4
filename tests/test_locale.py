"""The app's words in its languages: all of them, with what they are filled with, and with the plurals that count."""

from __future__ import annotations

import ast
import io
import re
from gettext import GNUTranslations
from pathlib import Path

import pytest
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from django.utils.translation import ngettext, override
from django.utils.translation.template import templatize

import inlive_banner

PACKAGE = Path(inlive_banner.__file__).parent
LANGUAGES = {"en": 2, "id": 1, "de": 2, "ar": 6}
"""A language -> how many plural forms it has."""
KEYWORDS = {"_": None, "gettext": None, "gettext_lazy": None, "ngettext": (1, 2), "ngettext_lazy": (1, 2)}
PLACEHOLDER = re.compile(r"%\((\w+)\)[a-z]|{(\w+)}|(%%)|(<[^>]+>)")
ONE_NUMBER = {"ar": {0, 1, 2}}
"""Plural forms that hold for one number only, which they may say in words."""


def catalog(language):
    """Without the header."""
    with (PACKAGE / "locale" / language / "LC_MESSAGES" / "django.po").open("rb") as file:
        return read_po(file, locale=language)


def messages(language):
    return [message for message in catalog(language) if message.id]


def forms(text):
    """A message's singular and plural, or a translation's forms."""
    return [text] if isinstance(text, str) else list(text)


def used():
    """What the sources ask for: singulars, and (singular, plural)."""
    found = set()
    for path in PACKAGE.rglob("*"):
        if path.suffix == ".py":
            source = path.read_text()
        elif path.suffix == ".html":
            # Python it is only in parts, and not indented as such.
            source = re.sub(r"(?m)^ +", "", templatize(path.read_text()))
        else:
            continue
        for _, message, _, _ in extract("python", io.BytesIO(source.encode()), keywords=KEYWORDS):
            found.add(message)
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_catalog_has_what_the_sources_use_and_nothing_else(language):
    asked = used()

    assert len(asked) > 200
    assert {message.id for message in messages(language)} == asked
    assert not catalog(language).obsolete


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_message_is_translated_in_each_form(language):
    for message in messages(language):
        translated = forms(message.string)
        assert all(translated), message.id
        assert not message.fuzzy, message.id
        assert len(translated) == (LANGUAGES[language] if message.pluralizable else 1), message.id


@pytest.mark.parametrize("language", LANGUAGES)
def test_translations_are_filled_with_the_same_and_have_the_same_markup(language):
    for message in messages(language):
        wanted = sorted(PLACEHOLDER.findall(forms(message.id)[-1]))
        for number, form in enumerate(forms(message.string)):
            found = sorted(PLACEHOLDER.findall(form))
            if message.pluralizable and number in ONE_NUMBER.get(language, ()):
                found = sorted(
                    [*found, *(name for name in wanted if {"count", "number"} & {*name} and name not in found)]
                )
            assert found == wanted, (message.id, form)


@pytest.mark.parametrize("language", LANGUAGES)
def test_blanks_and_ends_of_sentences_stay(language):
    """What follows a sentence is put behind it; Arabic and Indonesian end theirs as English does."""
    for message in messages(language):
        for form in forms(message.string):
            original = forms(message.id)[0]
            assert form.startswith(" ") == original.startswith(" "), message.id
            assert form.endswith(" ") == original.endswith(" "), message.id
            assert form.strip().endswith((".", ":")) == original.strip().endswith((".", ":")), message.id


@pytest.mark.parametrize("language", LANGUAGES)
def test_compiled_catalog_is_that_of_the_text(language):
    """Made anew by `make messages`."""
    compiled = io.BytesIO()
    write_mo(compiled, catalog(language))
    compiled.seek(0)
    with (PACKAGE / "locale" / language / "LC_MESSAGES" / "django.mo").open("rb") as file:
        shipped = GNUTranslations(file)

    own, wanted = shipped._catalog, GNUTranslations(compiled)._catalog
    assert {**own, "": ""} == {**wanted, "": ""}  # without the headers, which name the tool
    assert {shipped.plural(number) for number in range(250)} == {*range(LANGUAGES[language])}


LEFT_OUT = "%(number)s click of crawlers, staff and the like isn't counted."
LEFT_OUT_PLURAL = "%(number)s clicks of crawlers, staff and the like aren't counted."


@pytest.mark.parametrize(
    ("language", "number", "words"),
    [
        ("en", 1, "1 click of"),
        ("en", 0, "0 clicks of"),
        ("de", 1, "1 Klick von"),
        ("de", 2, "2 Klicks von"),
        ("id", 1, "1 klik dari"),
        ("id", 5, "5 klik dari"),
        ("ar", 1, "نقرة واحدة"),
        ("ar", 2, "نقرتان"),
        ("ar", 3, "3 نقرات"),
        ("ar", 10, "10 نقرات"),
        ("ar", 11, "11 نقرة"),
        ("ar", 99, "99 نقرة"),
        ("ar", 100, "100 نقرة"),
        ("ar", 103, "103 نقرات"),
    ],
)
def test_number_takes_the_plural_of_its_language(language, number, words):
    with override(language):
        assert (ngettext(LEFT_OUT, LEFT_OUT_PLURAL, number) % {"number": number}).startswith(words)


def test_no_words_are_looked_up_inside_of_an_f_string():
    """The tools that collect them don't look there."""
    for path in PACKAGE.rglob("*.py"):
        for string in ast.walk(ast.parse(path.read_text())):
            if isinstance(string, ast.JoinedStr):
                called = {ast.unparse(node.func) for node in ast.walk(string) if isinstance(node, ast.Call)}
                assert not called & KEYWORDS.keys(), path
