from __future__ import annotations

import logging

import pytest
from django.core.management import CommandError, call_command

from inlive_banner.conf import settings as banner_settings
from inlive_banner.models import Interaction
from tests.configured import configured
from tests.tail.fake_channel import Connection, FakeChannel, serving

pytestmark = pytest.mark.django_db(transaction=True)


def run(channel: FakeChannel, *arguments: str, **settings: object) -> None:
    with configured(CHANNEL_INTERNAL_URL=channel.url, **settings):
        call_command("tail_inlive_clicks", *arguments)


def test_command_once_records_the_default_stream(channel: FakeChannel) -> None:
    channel.publish(3)

    run(channel, "--once")

    assert Interaction.objects.count() == 3
    (request,) = channel.connections
    assert request.path == "/subscribe/15"


def test_command_reads_with_a_silent_ticket_of_the_stream(channel: FakeChannel) -> None:
    run(channel, "--once")

    ticket = channel.connections[0].headers["Authorization"].removeprefix("Bearer ")
    assert banner_settings.signer.read_ticket(15, ticket).silent


def test_command_without_streams_records_all_configured(channel: FakeChannel) -> None:
    run(channel, "--once", STREAMS={16: {}, 17: {}})

    assert {request.path for request in channel.connections} == {"/subscribe/15", "/subscribe/16", "/subscribe/17"}


def test_command_given_streams_records_these(channel: FakeChannel) -> None:
    run(channel, "--once", "--stream=17", "--stream=16", "--stream=17", STREAMS={16: {}, 17: {}})

    assert sorted(request.path for request in channel.connections) == ["/subscribe/16", "/subscribe/17"]


def test_command_given_an_unknown_stream_is_a_usage_error(channel: FakeChannel) -> None:
    with pytest.raises(CommandError, match="Stream 99 isn't configured") as error:
        run(channel, "--once", "--stream=99")

    assert error.value.returncode == 2
    assert channel.connections == []


def test_command_without_an_address_is_a_usage_error() -> None:
    with (
        configured(CHANNEL_INTERNAL_URL="", CHANNEL_URL="/channel"),
        pytest.raises(CommandError, match="CHANNEL_INTERNAL_URL") as error,
    ):
        call_command("tail_inlive_clicks", "--once")

    assert error.value.returncode == 2


def test_command_refused_by_the_channel_has_a_code_of_its_own(channel: FakeChannel) -> None:
    channel.scripts.append(lambda connection: connection.answer(404, b'{"message": "Unknown stream."}'))

    with pytest.raises(CommandError, match=r"Unknown stream\.") as error:
        run(channel, "--once")

    assert error.value.returncode == 3


def test_command_that_fails_at_run_time_exits_with_one(channel: FakeChannel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inlive_banner.tail.worker._ONCE_ATTEMPTS", 0)
    channel.scripts.append(lambda connection: connection.answer(503, b'{"message": "Shutting down."}'))

    with pytest.raises(CommandError, match=r"Shutting down\.") as error:
        run(channel, "--once")

    assert error.value.returncode == 1


def test_command_ended_by_a_second_signal_says_so_in_one_line(
    channel: FakeChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(workers: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("inlive_banner.management.commands.tail_inlive_clicks.run_workers", interrupted)

    with pytest.raises(CommandError, match="read again at the next start") as error:
        run(channel, "--once")

    assert error.value.returncode == 1


@pytest.mark.parametrize(
    ("verbosity", "level"), [("0", logging.ERROR), ("1", logging.INFO), ("2", logging.DEBUG), ("3", logging.DEBUG)]
)
def test_command_maps_verbosity_to_the_logs_level_while_it_runs(verbosity: str, level: int) -> None:
    package_logger = logging.getLogger("inlive_banner")
    before = package_logger.level, list(package_logger.handlers)
    seen: list[int] = []

    def look(connection: Connection) -> None:
        seen.append(package_logger.level)
        connection.follow()

    with serving() as channel:
        channel.scripts.append(look)
        run(channel, "--once", f"-v{verbosity}")

    assert seen == [level]
    assert (package_logger.level, list(package_logger.handlers)) == before


def test_command_shows_its_notices_on_stderr_where_the_site_logs_nowhere(
    channel: FakeChannel, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("inlive_banner"), "propagate", False)

    run(channel, "--once")

    printed = capsys.readouterr()
    assert "INFO stream=15 following from 0" in printed.err
    assert printed.out == ""


def test_command_help_documents_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        call_command("tail_inlive_clicks", "--help")

    assert exit_.value.code == 0
    printed = capsys.readouterr().out
    assert all(f"\n  {code}  " in printed for code in range(4))


@pytest.fixture
def channel():
    with serving() as channel:
        yield channel
