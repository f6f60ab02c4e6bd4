"""The worker and a server that speaks part 1 of the protocol only (wire protocol, part 3)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from inlive_banner.exceptions import SourceRefusedError
from inlive_banner.models import Interaction, Position
from inlive_banner.tail.backoff import Backoff
from inlive_banner.tail.sink import Sink
from inlive_banner.tail.source import Source
from inlive_banner.tail.worker import Worker
from tests.plain_channel import PlainChannel, serving
from tests.polling import wait_until
from tests.rows import assert_rollups_count
from tests.tail.test_worker import running

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "postgres"])


@pytest.fixture
def plain_channel() -> Iterator[PlainChannel]:
    with serving() as channel:
        yield channel


def make_worker(channel: PlainChannel, *, once: bool = False, **options: Any) -> Worker:
    source = Source(
        channel_url=channel.url,
        stream_id=15,
        make_ticket=lambda: "ticket",
        keep_alive_seconds=30,
        widget_key="demo-widget-key",
    )
    backoff = lambda: Backoff(first_seconds=0.001, longest_seconds=0.01)  # noqa: E731
    return Worker(source, Sink(15), once=once, make_backoff=backoff, **options)


def click(user_id: str, time: int = 1) -> dict[str, object]:
    return {"name": "demo-banner", "type": "banner", "action": "click", "user_id": user_id, "time": time}


def stored() -> list[str]:
    return list(Interaction.objects.order_by("pk").values_list("user_id", flat=True))


def wait_for(*users: str) -> None:
    wait_until(lambda: len(stored()) >= len(users), what=f"{len(users)} rows")
    assert stored() == list(users)


def test_worker_reads_the_history_and_goes_on_live(plain_channel: PlainChannel) -> None:
    plain_channel.publish(click("a"))
    plain_channel.publish("chat")
    plain_channel.publish(click("b"))

    with running(make_worker(plain_channel)):
        wait_for("a", "b")
        plain_channel.publish(click("c"))
        wait_for("a", "b", "c")

    assert plain_channel.requests == 1
    assert_rollups_count(Interaction.objects.all())
    assert Position.objects.get().last_event_id == "0"


def test_worker_whose_connection_ends_records_what_came_meanwhile_and_nothing_twice(
    plain_channel: PlainChannel,
) -> None:
    with running(make_worker(plain_channel)):
        wait_until(lambda: plain_channel.outboxes)
        plain_channel.publish(click("a"))
        wait_for("a")
        plain_channel.publish(click("b"), live=False)
        plain_channel.cut()
        wait_for("a", "b")

    assert_rollups_count(Interaction.objects.all())


def test_worker_keeps_clicks_of_one_person_in_one_millisecond_apart(plain_channel: PlainChannel) -> None:
    for _ in range(3):
        plain_channel.publish(click("a"))

    with running(make_worker(plain_channel)):
        wait_for("a", "a", "a")
        plain_channel.cut()
        wait_until(lambda: plain_channel.requests == 2)
        plain_channel.publish(click("b"))
        wait_for("a", "a", "a", "b")


def test_worker_given_the_same_live_and_in_the_history_records_it_once(plain_channel: PlainChannel) -> None:
    plain_channel.before_history = [click("a"), click("a"), click("b")]

    make_worker(plain_channel, once=True).run()

    assert stored() == ["a", "a", "b"]


def test_worker_told_later_of_a_repeat_that_it_took_for_the_same_records_it_then(plain_channel: PlainChannel) -> None:
    """Live, the second of two that are alike can't be told from one that the history had: the next history shows it."""
    plain_channel.publish(click("a"))

    with running(make_worker(plain_channel)):
        wait_for("a")
        plain_channel.publish(click("a"))
        plain_channel.publish(click("b"))
        wait_for("a", "b")
        plain_channel.cut()
        wait_for("a", "b", "a")


def test_worker_once_ends_with_the_history(plain_channel: PlainChannel) -> None:
    for number in range(1200):
        plain_channel.publish(click("a", number))

    sizes: list[int] = []
    make_worker(plain_channel, once=True, batch_size=100, on_report=lambda report: sizes.append(report.inserted)).run()

    assert sizes == [100] * 12
    assert len(stored()) == 1200


def test_worker_reads_a_history_that_is_longer_than_any_event(plain_channel: PlainChannel) -> None:
    for number in range(40):
        plain_channel.publish({**click("a", number), "page": "/" + "x" * 40_000})

    make_worker(plain_channel, once=True).run()

    assert len(stored()) == 40


def test_worker_given_a_bad_message_in_the_history_counts_it_and_goes_on(
    plain_channel: PlainChannel, caplog: pytest.LogCaptureFixture
) -> None:
    plain_channel.publish({**click("a"), "time": "noon"})
    plain_channel.publish(click("b"))

    make_worker(plain_channel, once=True).run()

    assert stored() == ["b"]
    assert Position.objects.get().malformed_events == 1
    assert "its time isn't a number, as in 'noon'" in caplog.text


def test_worker_whose_history_isnt_to_be_had_now_tries_again(plain_channel: PlainChannel) -> None:
    plain_channel.publish(click("a"))
    plain_channel.history_status = 503

    with running(make_worker(plain_channel)):
        wait_until(lambda: plain_channel.requests >= 2)
        plain_channel.history_status = 200
        wait_for("a")


def test_worker_that_may_not_have_the_history_raises(plain_channel: PlainChannel) -> None:
    plain_channel.history_status = 403

    with pytest.raises(SourceRefusedError, match=r"/publish/15 answered 403: OK"):
        make_worker(plain_channel).run()


def test_worker_says_once_that_the_server_gives_no_ids(
    plain_channel: PlainChannel, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with running(make_worker(plain_channel)):
        wait_until(lambda: plain_channel.requests == 1)
        plain_channel.cut()
        wait_until(lambda: plain_channel.requests == 2)

    assert caplog.text.count("gives no event ids") == 1
