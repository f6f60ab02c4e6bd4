from __future__ import annotations

import json
import logging

import pytest
from django.core.management import CommandError, call_command

from inlive_banner.conf import settings as banner_settings
from inlive_banner.models import Interaction, Position
from tests.configured import configured
from tests.tail.fake_channel import Connection, FakeChannel, serving
from tests.tail.making import EPOCH, encode_event, encode_init

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


def test_command_once_prints_one_line_of_what_it_did(channel: FakeChannel, capsys: pytest.CaptureFixture[str]) -> None:
    channel.publish(3)

    run(channel, "--once")

    assert capsys.readouterr().out == (
        "stream 15: 3 recorded, 0 views counted, 0 stored before, 0 passed over, 0 malformed, 0 lost; "
        f"position {EPOCH}-3\n"
    )


def test_command_with_json_prints_each_committed_batch(
    channel: FakeChannel, capsys: pytest.CaptureFixture[str]
) -> None:
    channel.publish(3)

    run(channel, "--once", "--format=json")

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert sum(line["inserted"] for line in lines) == 3
    assert lines[-1]["position"] == f"{EPOCH}-3"


def test_command_as_a_dry_run_reports_from_the_stored_position_and_writes_nothing(
    channel: FakeChannel, capsys: pytest.CaptureFixture[str]
) -> None:
    channel.publish(2)
    run(channel, "--once")
    before = list(Position.objects.values())
    channel.publish(5)
    capsys.readouterr()

    run(channel, "--dry-run")

    assert channel.connections[1].last_event_id == f"{EPOCH}-2"
    assert Interaction.objects.count() == 2
    assert list(Position.objects.values()) == before
    printed = capsys.readouterr().out
    assert "would record 5," in printed
    assert f"position would be {EPOCH}-7; nothing was written" in printed


@pytest.mark.parametrize("size", ["0", "-1", "10001", "many", "1.5", "9" * 5000], ids=lambda size: size[:6])
def test_command_given_a_batch_size_that_isnt_one_is_a_usage_error(channel: FakeChannel, size: str) -> None:
    with pytest.raises(CommandError, match="isn't a whole number from 1 to 10000"):
        run(channel, "--once", f"--batch-size={size}")

    assert channel.connections == []


def test_command_commits_after_as_many_events_as_it_is_told(
    channel: FakeChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    command = "inlive_banner.management.commands.tail_inlive_clicks"
    monkeypatch.setattr(f"{command}.Worker", lambda *args, batch_size, **options: sizes.append(batch_size))
    monkeypatch.setattr(f"{command}.run_workers", lambda workers, **_options: None)

    run(channel, "--once", "--batch-size=7")

    assert sizes == [7]


def test_command_whose_reader_has_gone_says_so_in_one_line(
    channel: FakeChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: object, report: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("inlive_banner.tail.reporter.Reporter.batch", broken)
    channel.publish()

    with pytest.raises(CommandError, match="read the output has gone") as error:
        run(channel, "--once")

    assert error.value.returncode == 1
    assert Interaction.objects.count() == 1


def test_command_warns_where_it_is_behind_by_half_the_retention(
    channel: FakeChannel, caplog: pytest.LogCaptureFixture
) -> None:
    def deliver(connection: Connection) -> None:
        connection.begin()
        old = encode_event(1, received_at=1_000_000_000_000)
        connection.send(encode_init(head=f"{EPOCH}-1") + old)
        connection.stall()

    channel.scripts.append(deliver)

    run(channel, "--once", RETENTION=3600)

    assert caplog.text.count("behind by more than half") == 1


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
    def interrupted(workers, **_options: object) -> None:
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
    assert "INFO" not in printed.out


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
