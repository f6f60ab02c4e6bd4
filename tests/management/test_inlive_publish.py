from __future__ import annotations

import json

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError

from inlive_banner.models import Pending
from tests.configured import ABSENT, configured
from tests.publish_server import refuse, serving


@pytest.fixture
def channel():
    with serving() as server, configured(CHANNEL_INTERNAL_URL=server.url, PUBLISH_TIMEOUT=0.3):
        yield server


def exit_code_of(*arguments):
    with pytest.raises(CommandError) as caught:
        call_command("inlive_publish", *arguments)
    return caught.value.returncode, str(caught.value)


def test_command_publishes_what_it_is_told(channel, capsys):
    channel.scripts.append(lambda post: post.accept(id="a1b2c3d4-7"))

    call_command("inlive_publish", "--name=sale", "--action=share", "--user=u-1", "--page=/x/", "--stream=15")

    message = channel.received[0].body["message"]
    assert (message["name"], message["action"], message["user_id"], message["page"]) == ("sale", "share", "u-1", "/x/")
    printed = capsys.readouterr().out
    assert printed == (
        f"published {channel.received[0].publish_id}, event a1b2c3d4-7, received 2025-11-25T12:00:00.250+00:00\n"
    )


def test_command_publishes_as_often_as_it_is_told_and_says_each_in_json(channel, capsys):
    call_command("inlive_publish", "--name=sale", "--count=3", "--format=json")

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["publish_id"] for line in lines] == [received.publish_id for received in channel.received]
    assert len({line["publish_id"] for line in lines}) == 3
    assert lines[0].keys() == {"publish_id", "event_id", "received_at"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--name= "], "name is empty"),
        (["--name=sale", "--action="], "action is ''"),
        (["--name=sale", "--stream=99"], "Stream 99 isn't configured"),
        (["--name=sale", "--stream=x"], "stream id 'x'"),
    ],
)
def test_command_with_bad_arguments_ends_with_2(channel, arguments, words):
    code, message = exit_code_of(*arguments)

    assert code == 2
    assert words in message
    assert channel.received == []


@pytest.mark.parametrize(
    "arguments", [[], ["--name=x", "--pending"], ["--name=x", "--count=0"], ["--name=x", "--count=many"]]
)
def test_command_with_arguments_that_do_not_fit_is_a_usage_error(channel, arguments):
    with pytest.raises(CommandError):
        call_command("inlive_publish", *arguments)

    assert channel.received == []


def test_command_without_settings_ends_with_2():
    with configured(CHANNEL_INTERNAL_URL=ABSENT):
        assert exit_code_of("--name=sale")[0] == 2


def test_command_that_is_refused_ends_with_3(channel):
    channel.otherwise = refuse(403, "The reason.")

    code, message = exit_code_of("--name=sale")

    assert code == 3
    assert "The reason." in message


def test_command_without_a_channel_ends_with_1(channel):
    channel.otherwise = refuse(503)

    assert exit_code_of("--name=sale")[0] == 1


# What is pending


def pending(count):
    for number in range(count):
        Pending.objects.create(stream_id=15, message='{"name":"sale"}', publish_id=f"publish-{number:04}")


@pytest.mark.django_db
def test_command_sends_all_that_is_pending(channel, capsys):
    pending(230)

    call_command("inlive_publish", "--pending")

    assert capsys.readouterr().out == "230 sent, 0 left\n"
    assert len(channel.received) == 230


@pytest.mark.django_db
def test_command_passes_over_what_is_refused(channel, capsys):
    pending(150)
    channel.scripts += [refuse(400)] * 120

    with configured(CHANNEL_INTERNAL_URL=channel.url, PUBLISH_TIMEOUT=20):  # 150 at once, beside other tests
        call_command("inlive_publish", "--pending", "--format=json")

    assert json.loads(capsys.readouterr().out) == {"sent": 30, "left": 0}


@pytest.mark.django_db
def test_command_that_cannot_send_all_says_how_many_are_left_and_ends_with_1(channel, capsys):
    pending(3)
    channel.scripts.append(lambda post: post.accept())
    channel.otherwise = refuse(503)

    code, message = exit_code_of("--pending")

    assert code == 1
    assert "2 stay" in message
    assert capsys.readouterr().out == "1 sent, 2 left\n"


@pytest.mark.django_db
def test_command_with_nothing_pending_needs_no_channel(capsys):
    call_command("inlive_publish", "--pending")

    assert capsys.readouterr().out == "0 sent, 0 left\n"


@pytest.mark.django_db
def test_command_without_a_database_ends_with_1(monkeypatch):
    def fail(*args):
        raise DatabaseError("no such table")

    monkeypatch.setattr(Pending.objects, "count", fail)

    assert exit_code_of("--pending") == (1, "no such table")
