"""The outbox: kept before it is sent, sent until the channel has it, counted once."""

from __future__ import annotations

import logging
import threading
import time
from datetime import timedelta

import pytest
from django.db import DatabaseError, transaction
from django.utils import timezone

from inlive_banner import outbox
from inlive_banner.exceptions import ConfigurationError
from inlive_banner.models import Pending
from inlive_banner.outbox import keep, send_pending
from inlive_banner.publishing import Outgoing, make_message
from tests.configured import ABSENT, configured
from tests.polling import wait_until
from tests.publish_server import accept, refuse, serving

pytestmark = pytest.mark.django_db(transaction=True)
BOTH = pytest.mark.django_db(transaction=True, databases=["default", "postgres"])

ADDRESS = "203.0.113.9"


@pytest.fixture(autouse=True)
def sender(monkeypatch):
    """This test's own sender, which has ended when the test has."""
    sender = outbox._Sender()
    monkeypatch.setattr(outbox, "_sender", sender)
    monkeypatch.setattr(outbox, "_state", outbox._State())
    monkeypatch.setattr(outbox, "_FIRST_PAUSE_SECONDS", 0.05)
    yield sender
    monkeypatch.setattr(outbox, "_REMEMBERED_SECONDS", 0.0)
    with sender._changed:
        sender._changed.notify_all()
    wait_until(lambda: has_ended(sender), what="the sender to end")


def has_ended(sender):
    return sender._thread is None and not [
        thread for thread in threading.enumerate() if thread.name == "inlive-outbox" and thread.is_alive()
    ]


class Router:
    """Keeps all in one database of several, as sites may."""

    def __init__(self, alias):
        self.alias = alias

    def db_for_read(self, model, **hints):
        return self.alias

    db_for_write = db_for_read


@pytest.fixture
def database(database_alias, settings):
    """The database that the outbox is in, each in turn."""
    settings.DATABASE_ROUTERS = [Router(database_alias)]
    return database_alias


@pytest.fixture
def channel():
    with serving() as server, configured(CHANNEL_INTERNAL_URL=server.url, PUBLISH_TIMEOUT=0.5):
        yield server


def outgoing(number=1, **changes):
    fields = {"stream_id": 15, "message": make_message("sale", "click"), "publish_id": f"publish-{number:03}"}
    return Outgoing(**{**fields, **changes})


def pending(number=1, **changes):
    fields = {"stream_id": 15, "message": '{"name":"sale"}', "publish_id": f"publish-{number:03}"}
    return Pending.objects.create(**{**fields, **changes})


def ids(channel):
    return [received.publish_id for received in channel.received]


def wait_for_empty_outbox():
    wait_until(lambda: not Pending.objects.exists(), what="the outbox to be empty")


@BOTH
def test_kept_publish_is_sent_by_a_thread_and_leaves_the_outbox(channel, database):
    keep(outgoing(address=ADDRESS, user_agent="Mozilla/5.0", purpose="prefetch", staff=True))

    wait_for_empty_outbox()
    (received,) = channel.received
    assert received.body["message"]["name"] == "sale"
    assert received.token.startswith("15~service~staff:")
    assert received.headers["inlive-visitor-address"] == ADDRESS
    assert received.headers["user-agent"] == "Mozilla/5.0"
    assert received.headers["sec-purpose"] == "prefetch"


def test_kept_publish_does_not_wait_for_a_channel_that_hangs(channel):
    channel.otherwise = lambda post: post.hang()
    begun = time.monotonic()

    keep(outgoing())

    assert time.monotonic() - begun < 0.4
    wait_until(lambda: channel.received, what="the post")
    assert Pending.objects.count() == 1


def test_kept_row_holds_no_address(channel):
    channel.otherwise = refuse(503)

    keep(outgoing(address=ADDRESS))

    (row,) = Pending.objects.values_list()
    assert not [value for value in row if ADDRESS in str(value)]


@BOTH
def test_publish_in_a_transaction_is_sent_after_its_commit_and_never_if_it_fails(channel, database):
    with transaction.atomic(using=database):
        keep(outgoing(1))
        assert outbox._sender._thread is None
    with transaction.atomic(using=database):
        keep(outgoing(2))
        transaction.set_rollback(True, using=database)
    keep(outgoing(3))

    wait_for_empty_outbox()
    wait_until(lambda: has_ended(outbox._sender))
    assert ids(channel) == ["publish-001", "publish-003"]


def test_publish_that_failed_is_sent_before_the_next_ones(channel):
    channel.scripts.append(refuse(503))
    channel.otherwise = refuse(503)
    keep(outgoing(1, address=ADDRESS))
    wait_until(lambda: channel.received, what="the first try")
    channel.otherwise = accept

    keep(outgoing(2, address="203.0.113.10"))

    wait_for_empty_outbox()
    accepted = {received.publish_id: received for received in channel.received}
    assert list(accepted) == ["publish-001", "publish-002"]
    assert accepted["publish-001"].headers["inlive-visitor-address"] == ADDRESS


def test_publish_that_failed_is_tried_again_without_another_one(channel):
    channel.scripts += [refuse(503), refuse(503), lambda post: post.answer(502, b"")]

    keep(outgoing(address=ADDRESS))

    wait_for_empty_outbox()
    assert ids(channel) == ["publish-001"] * 4
    assert channel.received[-1].headers["inlive-visitor-address"] == ADDRESS


def test_address_is_forgotten_where_the_channel_stays_away(channel, sender, monkeypatch):
    monkeypatch.setattr(outbox, "_REMEMBERED_SECONDS", 0.2)
    channel.otherwise = refuse(503)
    keep(outgoing(address=ADDRESS))
    wait_until(lambda: has_ended(sender), what="the sender to give up")
    assert not sender._addresses
    channel.otherwise = accept
    channel.received.clear()

    assert send_pending() == 1

    (received,) = channel.received
    assert "inlive-visitor-address" not in received.headers


def test_address_is_forgotten_with_the_last_publish(channel, sender):
    keep(outgoing(address=ADDRESS))

    wait_until(lambda: has_ended(sender), what="the sender to end")
    assert channel.received
    assert not sender._addresses


def test_addresses_are_bounded(channel, sender, monkeypatch):
    monkeypatch.setattr(outbox, "_MOST_REMEMBERED", 2)
    channel.otherwise = refuse(503)
    for number in range(4):
        keep(outgoing(number, address=ADDRESS))

    assert list(sender._addresses) == ["publish-002", "publish-003"]


def test_pending_rows_are_sent_oldest_first_up_to_the_limit(channel):
    for number in range(5):
        pending(number)

    assert send_pending(3) == 3
    assert ids(channel) == ["publish-000", "publish-001", "publish-002"]
    assert send_pending() == 2
    assert send_pending() == 0


def test_pending_rows_stay_from_the_first_that_cannot_be_sent(channel):
    for number in range(3):
        pending(number)
    channel.scripts += [lambda post: post.accept(), refuse(503)]

    assert send_pending() == 1

    assert len(channel.received) == 2
    assert Pending.objects.count() == 2


def test_pending_rows_of_the_last_minute_are_left_to_the_process_that_knows_whose_they_are(channel):
    pending(0)
    pending(1)
    Pending.objects.filter(publish_id="publish-001").update(created_at=timezone.now() - timedelta(seconds=61))

    assert send_pending(fresh=False) == 1
    assert ids(channel) == ["publish-001"]
    assert send_pending() == 1


def test_row_that_was_sent_and_not_deleted_is_sent_again_with_its_id(channel, monkeypatch):
    """As where the process was killed in between: the channel knows the id."""
    pending()

    def killed(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(outbox._State, "succeeded", killed)
        with pytest.raises(KeyboardInterrupt):
            send_pending()

    assert send_pending() == 1
    assert ids(channel) == ["publish-001"] * 2


@pytest.mark.parametrize("status", [400, 403, 404, 413])
def test_row_that_is_refused_for_good_leaves_with_one_line(channel, caplog, status):
    pending(1)
    pending(2)
    channel.scripts.append(refuse(status, "The reason."))

    assert send_pending() == 1

    assert ids(channel) == ["publish-001", "publish-002"]
    assert not Pending.objects.exists()
    (line,) = [record.getMessage() for record in caplog.records]
    assert "publish-001" in line
    assert "The reason." in line


@pytest.mark.parametrize("status", [401, 408, 429, 500, 503])
def test_row_whose_refusal_time_can_mend_stays(channel, status):
    pending()
    channel.otherwise = refuse(status)

    assert send_pending() == 0
    assert Pending.objects.count() == 1


def test_row_that_is_older_than_the_retention_leaves(channel, caplog):
    """The channel wouldn't know its id any more if it had it."""
    old, young = pending(1), pending(2)
    age = timedelta(days=7, seconds=60)
    Pending.objects.filter(pk=old.pk).update(created_at=timezone.now() - age)
    Pending.objects.filter(pk=young.pk).update(created_at=timezone.now() - age + timedelta(minutes=2))

    assert send_pending() == 1

    assert ids(channel) == ["publish-002"]
    assert "publish-001: it is older than RETENTION" in caplog.text


def test_row_of_a_stream_that_is_gone_leaves(channel, caplog):
    pending(1, stream_id=16)
    pending(2)

    assert send_pending() == 1
    assert "stream 16 isn't configured any more" in caplog.text


def test_outbox_is_bounded_while_the_channel_is_away(channel, caplog, monkeypatch):
    monkeypatch.setattr(outbox, "MAX_PENDING", 3)
    channel.otherwise = refuse(503)
    for number in range(5):
        pending(number)

    send_pending()

    assert list(Pending.objects.order_by("pk").values_list("publish_id", flat=True)) == [
        "publish-002",
        "publish-003",
        "publish-004",
    ]
    assert "count=2" in caplog.text


def test_channel_that_is_away_is_reported_once_and_once_when_it_is_back(channel, caplog):
    caplog.set_level(logging.INFO, "inlive_banner.outbox")
    channel.scripts += [refuse(503), refuse(503)]
    pending()

    for _ in range(4):
        send_pending()

    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_publish_that_the_database_does_not_take_is_sent_from_memory(channel, monkeypatch, caplog):
    def fail(*args, **kwargs):
        raise DatabaseError("read-only")

    monkeypatch.setattr(Pending, "save", fail)

    with transaction.atomic():
        keep(outgoing(address=ADDRESS))
        assert not Pending.objects.exists()  # the transaction around can still be used

    wait_until(lambda: channel.received, what="the post")
    assert channel.received[0].headers["inlive-visitor-address"] == ADDRESS


def test_publish_that_nobody_takes_is_lost_with_a_line(channel, sender, monkeypatch, caplog):
    def fail(*args, **kwargs):
        raise DatabaseError("read-only")

    monkeypatch.setattr(Pending, "save", fail)
    channel.otherwise = refuse(503, "The reason.")

    keep(outgoing())

    wait_until(lambda: has_ended(sender), what="the sender to end")
    assert "lost a publish that couldn't be kept publish_id=publish-001" in caplog.text
    assert "The reason." in caplog.text


def test_sender_of_a_forked_process_begins_anew(channel, sender):
    """The fork has copied the object, and not the thread."""
    of_the_parent = threading.Thread(target=list, daemon=True)
    of_the_parent.start()
    of_the_parent.join()
    sender._thread = of_the_parent

    keep(outgoing())

    wait_for_empty_outbox()


@BOTH
def test_publish_whose_row_is_refused_leaves_the_transaction_around_usable(channel, database):
    pending(1)

    with transaction.atomic(using=database):
        keep(outgoing(1))
        assert Pending.objects.count() == 1

    wait_until(lambda: set(ids(channel)) == {"publish-001"}, what="the post, from memory")


def test_sender_lives_through_a_database_that_fails(channel, monkeypatch, caplog):
    """What it couldn't read once, it reads the next time."""
    failures = iter([DatabaseError("locked")])
    order_by = Pending.objects.order_by

    def fail_once(*fields):
        if error := next(failures, None):
            raise error
        return order_by(*fields)

    monkeypatch.setattr(Pending.objects, "order_by", fail_once)

    keep(outgoing())

    wait_until(lambda: channel.received, what="the post")


def test_outbox_without_a_channels_address_says_which_setting_is_missing():
    pending()

    with configured(CHANNEL_INTERNAL_URL=ABSENT), pytest.raises(ConfigurationError, match="CHANNEL_INTERNAL_URL"):
        send_pending()


def test_sender_without_a_channels_address_logs_it_and_ends(sender, caplog):
    with configured(CHANNEL_INTERNAL_URL=ABSENT):
        keep(outgoing())
        wait_until(lambda: has_ended(sender), what="the sender to end")

    assert "CHANNEL_INTERNAL_URL" in caplog.text
    assert Pending.objects.count() == 1


def test_sender_of_many_publishes_is_one_thread(channel, sender):
    for number in range(250):
        keep(outgoing(number))
        assert len([thread for thread in threading.enumerate() if thread.name == "inlive-outbox"]) <= 1

    wait_for_empty_outbox()
    assert len(set(ids(channel))) == 250
