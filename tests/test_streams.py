"""Which streams there are."""

from __future__ import annotations

import threading

import pytest
from django.db import connections, transaction

from inlive_banner.exceptions import ConfigurationError
from inlive_banner.models import Position
from inlive_banner.streams import chosen_streams, held_stream, wait_for_batch
from tests.configured import ABSENT, configured
from tests.polling import wait_until

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "postgres"])


def test_streams_are_those_of_the_settings_and_those_recorded_before():
    for stream_id in (99, 15, 16):
        Position.objects.create(stream_id=stream_id)

    with configured(STREAMS={17: {}}):
        assert chosen_streams(None) == [15, 17, 16, 99]


def test_streams_asked_for_are_taken_once_each():
    Position.objects.create(stream_id=99)

    assert chosen_streams([99, 15, 99]) == [99, 15]


def test_stream_that_there_never_was_is_refused_with_those_that_there_are():
    with pytest.raises(ConfigurationError, match=r"Stream 98 is neither configured nor recorded \(known: 15\)"):
        chosen_streams([15, 98])


def test_streams_without_settings_are_refused():
    with configured(STREAM_ID=ABSENT), pytest.raises(ConfigurationError):
        chosen_streams(None)


@pytest.mark.parametrize("wait", ["held", "batch"])
def test_stream_is_waited_for_while_somebody_holds_it(database_alias, wait):
    Position.objects.using(database_alias).create(stream_id=15)
    entered = threading.Event()
    trying = threading.Event()

    def hold():
        try:
            trying.set()
            if wait == "held":
                with held_stream(15, using=database_alias):
                    entered.set()
            else:
                wait_for_batch(15, using=database_alias)
                entered.set()
        finally:
            connections[database_alias].close()

    waiting = threading.Thread(target=hold, daemon=True)
    with transaction.atomic(using=database_alias):
        Position.objects.using(database_alias).filter(stream_id=15).update(lost_events=1)
        waiting.start()
        assert trying.wait(10)
        assert not entered.wait(0.3)
    wait_until(entered.is_set, what="the stream")
    waiting.join(timeout=10)
