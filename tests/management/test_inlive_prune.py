from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import redirect_stderr
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError
from django.utils import timezone

from inlive_banner.management.commands import inlive_prune
from inlive_banner.models import Interaction, Position
from tests.configured import ABSENT, configured
from tests.rows import make_interaction
from tests.terminal import Terminal

pytestmark = pytest.mark.django_db(transaction=True)

DAY = 24 * 3600


def save(*ages_days, stream_id=15):
    first = Interaction.objects.count()
    Interaction.objects.bulk_create(
        make_interaction(number, stream_id=stream_id, received_at=timezone.now() - timedelta(days=age))
        for number, age in enumerate(ages_days, first)
    )


def left(stream_id=15):
    return Interaction.objects.filter(stream_id=stream_id).count()


def run(*arguments, **settings):
    with configured(**settings):
        call_command("inlive_prune", *arguments)


def exit_code_of(*arguments, **settings):
    with pytest.raises(CommandError) as caught:
        run(*arguments, **settings)
    return caught.value.returncode, str(caught.value)


def test_command_deletes_what_is_older_than_the_setting(capsys):
    save(1, 29, 31, 400)

    run(ROWS_RETENTION=30 * DAY)

    assert left() == 2
    printed = capsys.readouterr()
    assert printed.out.startswith("stream 15: 2 rows received before 20")
    assert printed.out.endswith("+00:00 deleted\n")
    assert printed.err == ""


def test_command_keeps_everything_where_no_setting_says_otherwise(capsys):
    save(4000)

    run()

    assert left() == 1
    assert capsys.readouterr().out == "stream 15: rows are kept for ever\n"


def test_command_takes_each_stream_by_its_own_setting(capsys):
    for stream_id in (15, 16, 17):
        save(20, 40, 60, stream_id=stream_id)
    Position.objects.create(stream_id=17)  # recorded once, and not in the settings any more

    run(ROWS_RETENTION=50 * DAY, STREAMS={15: {"ROWS_RETENTION": 30 * DAY}, 16: {"ROWS_RETENTION": 0}})

    assert (left(15), left(16), left(17)) == (1, 3, 2)
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_command_takes_the_streams_that_it_is_told():
    for stream_id in (15, 16, 17):
        save(40, stream_id=stream_id)

    run("--stream=16", "--stream=17", ROWS_RETENTION=30 * DAY, STREAMS={16: {}, 17: {}})

    assert (left(15), left(16), left(17)) == (1, 0, 0)


def test_command_takes_the_age_that_it_is_told():
    save(9, 11)

    run("--older-than=10", ROWS_RETENTION=30 * DAY)

    assert left() == 1


def test_command_as_a_dry_run_counts_and_deletes_nothing(capsys):
    save(1, 31, 32)

    run("--dry-run", "--older-than=30")

    assert left() == 3
    printed = capsys.readouterr().out
    assert printed.startswith("stream 15: 2 rows received before ")
    assert printed.endswith("would be deleted; nothing was deleted\n")


@pytest.mark.parametrize(
    ("arguments", "settings", "words"),
    [
        (["--older-than=6"], {}, "The age is 6 days, and must be 7 days at least"),
        (["--older-than=13"], {"RETENTION": 14 * DAY}, "must be 14 days at least"),
        ([], {"ROWS_RETENTION": DAY}, "ROWS_RETENTION of stream 15 is 1 day"),
        (["--stream=99"], {}, "Stream 99 is neither configured nor recorded"),
        ([], {"STREAM_ID": ABSENT}, "STREAM_ID"),
    ],
)
def test_command_with_bad_arguments_or_settings_ends_with_2_and_deletes_nothing(arguments, settings, words):
    save(400)

    code, message = exit_code_of(*arguments, **settings)

    assert code == 2
    assert words in message
    assert left() == 1


def test_command_looks_at_each_streams_setting_before_it_deletes_anything():
    save(400)

    assert exit_code_of(ROWS_RETENTION=30 * DAY, STREAMS={16: {"ROWS_RETENTION": 1}})[0] == 2

    assert left() == 1


@pytest.mark.parametrize(
    "argument",
    ["--older-than=0", "--older-than=-1", "--older-than=x", "--older-than=36501", "--batch-size=0", "--batch-size=x"],
)
def test_command_given_a_number_that_isnt_one_is_a_usage_error(argument):
    with pytest.raises(CommandError, match="isn't a whole number"):
        run(argument)


def test_command_that_is_told_to_stop_ends_after_its_batch_with_0(capsys, monkeypatch):
    save(*range(31, 41))
    prune_rows = inlive_prune.prune_rows

    def stopped(*args, **options):
        for number, count in enumerate(prune_rows(*args, **options)):
            if number == 1:
                os.kill(os.getpid(), signal.SIGTERM)
            yield count

    monkeypatch.setattr(inlive_prune, "prune_rows", stopped)
    save(40, stream_id=16)

    run("--older-than=30", "--batch-size=3", STREAMS={16: {}})

    assert (left(), left(16)) == (4, 1)
    assert capsys.readouterr().out.endswith("deleted; stopped, and the next start goes on\n")


def test_command_that_is_told_twice_ends_at_once_with_1(monkeypatch):
    def killed(*args, **options):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        yield 0

    monkeypatch.setattr(inlive_prune, "prune_rows", killed)
    handlers = [signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGINT)]

    code, message = exit_code_of("--older-than=30")

    assert code == 1
    assert message.startswith("Ended at once.")
    assert [signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGINT)] == handlers


def test_command_whose_database_fails_ends_with_1(monkeypatch):
    def fail(*args, **options):
        raise DatabaseError("database is locked")

    monkeypatch.setattr(inlive_prune, "prune_rows", fail)

    assert exit_code_of("--older-than=30") == (1, "database is locked")


@pytest.fixture
def terminal(monkeypatch):
    for name in ("NO_COLOR", "COLUMNS", "LINES", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with Terminal() as terminal:
        yield terminal


@pytest.mark.parametrize("shown", [True, False])
def test_command_at_a_terminal_shows_how_it_gets_on_and_leaves_nothing_there(terminal, shown):
    save(*range(31, 41))

    with terminal.open() as stderr, redirect_stderr(stderr):
        run("--older-than=30", "--batch-size=4", f"--verbosity={int(shown)}")

    assert left() == 0
    terminal.close()
    assert ("stream 15" in terminal.raw and "8 of 10" in terminal.raw) == shown
    assert terminal.lines == []
    assert terminal.cursor_is_shown


def test_command_says_its_exit_codes():
    helped = subprocess.run(
        [sys.executable, "manage.py", "inlive_prune", "--help"], capture_output=True, text=True, check=True
    )

    assert "exit codes:" in helped.stdout
