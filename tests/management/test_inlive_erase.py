from __future__ import annotations

import io
import json
import os
import signal

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError

from inlive_banner.management.commands import inlive_erase
from inlive_banner.models import Interaction, Pending, Rollup
from inlive_banner.tail.sink import Sink
from tests.configured import ABSENT, configured
from tests.tail.making import make_record

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def rows():
    Sink(15).record([make_record(1, user_id="anna", visitor="v1"), make_record(2, user_id="ben", visitor="v1")])
    Sink(16).record([make_record(3, user_id="anna")])
    message = json.dumps({"type": "banner", "action": "click", "user_id": "anna", "time": 1})
    Pending.objects.create(stream_id=15, message=message, publish_id="publish-1")


def left():
    return list(Interaction.objects.order_by("pk").values_list("user_id", "stream_id"))


ALL = [("anna", 15), ("ben", 15), ("anna", 16)]


def exit_code_of(*arguments):
    with pytest.raises(CommandError) as caught:
        call_command("inlive_erase", *arguments)
    return caught.value.returncode, str(caught.value)


def answer(monkeypatch, text):
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_command_erases_a_user_everywhere_and_says_what_and_what_remains(capsys):
    call_command("inlive_erase", "--user=anna", "--yes")

    assert left() == [("ben", 15)]
    assert Rollup.objects.get(stream_id=15, dimension="all", span=0).count == 1
    assert not Pending.objects.exists()
    printed = capsys.readouterr()
    assert printed.out == (
        "stream 15: 1 interaction erased\nstream 16: 1 interaction erased\n1 pending publish erased\n"
    )
    assert "The channel's log still has what came in the last 7 days (RETENTION)" in printed.err
    assert "erase again then" in printed.err


def test_command_erases_a_visitor(capsys):
    call_command("inlive_erase", "--visitor=v1", "--yes", "--verbosity=0")

    assert left() == [("anna", 16)]
    assert Pending.objects.exists()
    printed = capsys.readouterr()
    assert printed.out == "stream 15: 2 interactions erased\nstream 16: 0 interactions erased\n"
    assert printed.err == ""


def test_command_erases_in_the_streams_that_it_is_told():
    call_command("inlive_erase", "--user=anna", "--stream=16", "--yes")

    assert left() == ALL[:2]
    assert Pending.objects.exists()


def test_command_as_a_dry_run_says_what_there_is_and_erases_nothing(capsys):
    call_command("inlive_erase", "--user=anna", "--dry-run")

    assert left() == ALL
    assert Pending.objects.exists()
    assert capsys.readouterr().out == (
        "stream 15: 1 interaction would be erased\nstream 16: 1 interaction would be erased\n"
        "1 pending publish would be erased\n"
    )


def test_command_asks_before_it_erases(monkeypatch, capsys):
    answer(monkeypatch, "yes\n")

    call_command("inlive_erase", "--user=anna")

    assert left() == [("ben", 15)]
    printed = capsys.readouterr().out
    assert printed.index("would be erased") < printed.index("can't be undone") < printed.index("interaction erased")


@pytest.mark.parametrize(
    ("text", "words"), [("no\n", "Nothing was erased"), ("\n", "Nothing was erased"), ("", "Nobody answers here")]
)
def test_command_that_isnt_answered_with_yes_ends_with_3_and_erases_nothing(monkeypatch, text, words):
    answer(monkeypatch, text)

    code, message = exit_code_of("--user=anna")

    assert code == 3
    assert words in message
    assert left() == ALL
    assert Pending.objects.exists()


@pytest.mark.parametrize("arguments", [[], ["--user="], ["--visitor="], ["--user=a", "--visitor=b"]])
def test_command_without_exactly_one_id_is_a_usage_error(arguments):
    with pytest.raises(CommandError):
        call_command("inlive_erase", *arguments, "--yes")

    assert left() == ALL


def test_command_with_a_stream_that_there_never_was_ends_with_2():
    assert exit_code_of("--user=anna", "--stream=15", "--stream=99", "--yes")[0] == 2
    assert left() == ALL


def test_command_without_settings_ends_with_2():
    with configured(STREAM_ID=ABSENT):
        assert exit_code_of("--user=anna", "--yes")[0] == 2


def test_command_whose_database_fails_ends_with_1(monkeypatch):
    def fail(*args):
        raise DatabaseError("database is locked")

    monkeypatch.setattr(inlive_erase, "erase", fail)

    assert exit_code_of("--user=anna", "--yes") == (1, "database is locked")


def test_command_that_is_told_to_stop_ends_after_its_batch_with_0(monkeypatch, capsys):
    erase = inlive_erase.erase

    def stopped(*args):
        for step in erase(*args):
            if step.found:
                os.kill(os.getpid(), signal.SIGTERM)
            yield step

    monkeypatch.setattr(inlive_erase, "erase", stopped)

    call_command("inlive_erase", "--user=anna", "--yes")

    assert left() == ALL[1:]
    assert "Stopped. There may be more" in capsys.readouterr().err


def test_command_that_is_told_twice_ends_at_once_with_1(monkeypatch):
    def killed(*args):
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        yield

    monkeypatch.setattr(inlive_erase, "erase", killed)

    code, message = exit_code_of("--user=anna", "--yes")

    assert code == 1
    assert message.startswith("Ended at once.")
