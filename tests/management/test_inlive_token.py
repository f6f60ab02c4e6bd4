from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.db import DatabaseError

from inlive_banner.api_tokens import read_token
from inlive_banner.management.commands import inlive_token
from tests.configured import configured


@pytest.fixture(autouse=True)
def program(db):
    user = User.objects.create_user("program")
    user.user_permissions.add(Permission.objects.get(codename="view_interaction"))
    with configured(STREAMS={16: {}, 17: {"VIEW_PERMISSION": "auth.view_group"}}):
        yield user


def test_token_alone_goes_to_stdout(program, capsys):
    call_command("inlive_token", "program")

    printed = capsys.readouterr()
    reader = read_token(printed.out.removesuffix("\n"))
    assert reader.user == program
    assert reader.streams is None
    assert "all streams that this user may read" in printed.err
    assert "'program'" in printed.err
    assert f"until {datetime.now(UTC) + timedelta(days=90):%Y-%m-%d}" in printed.err


def test_token_may_be_for_some_streams_and_days(capsys, monkeypatch):
    made = {}
    real = inlive_token.make_token
    monkeypatch.setattr(
        inlive_token, "make_token", lambda user, **options: made.update(options) or real(user, **options)
    )

    call_command("inlive_token", "program", "--stream", "16", "--stream=15", "--days=7")

    printed = capsys.readouterr()
    assert read_token(printed.out.strip()).streams == (16, 15)
    assert "stream 16, 15" in printed.err
    assert made["max_age_days"] == 7


def test_quiet_command_prints_the_token_only(capsys):
    call_command("inlive_token", "program", "-v", "0")

    printed = capsys.readouterr()
    assert read_token(printed.out.strip())
    assert printed.err == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nobody"], "no user 'nobody'"),
        (["program", "--stream=17"], "may not read stream 17. .*auth.view_group"),
        (["program", "--stream=99"], "Stream 99 .*known: 15, 16, 17"),
        (["program", "--days=0"], "1 to 3650"),
    ],
)
def test_token_that_cannot_be_made_says_why_and_ends_with_2(capsys, arguments, words):
    with pytest.raises(CommandError, match=words) as caught:
        call_command("inlive_token", *arguments)

    assert caught.value.returncode == 2
    assert capsys.readouterr().out == ""


def test_token_of_a_user_without_the_permission_names_it(program):
    program.user_permissions.clear()

    with pytest.raises(CommandError, match="inlive_banner.view_interaction") as caught:
        call_command("inlive_token", "program")

    assert caught.value.returncode == 2


def test_database_that_cannot_be_read_ends_with_1(monkeypatch):
    def fail(*arguments):
        raise DatabaseError("no such table: auth_user")

    monkeypatch.setattr(type(User.objects), "get_by_natural_key", fail)

    with pytest.raises(CommandError, match="no such table") as caught:
        call_command("inlive_token", "program")

    assert caught.value.returncode == 1
