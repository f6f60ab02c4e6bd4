"""The outbox: what the site publishes without making a visitor wait, kept until the channel has it.

A publish is a row first, and is sent by a thread of this process as soon as the row is committed. What couldn't be
sent stays, and goes with the next one's thread, by `manage.py inlive_publish --pending`, or by the worker. Whoever
sends a row deletes it after the channel's 200; a row that is sent twice counts once, by its publish id.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import NamedTuple

from django.db import Error as DatabaseError
from django.db import connections, router, transaction
from django.db.models import Q
from django.utils import timezone

from inlive_banner.conf import settings
from inlive_banner.envelope import encode_json
from inlive_banner.exceptions import ConfigurationError, PublishRefusedError, PublishUnavailableError
from inlive_banner.models import Pending
from inlive_banner.publishing import Outgoing, send

__all__ = ["BATCH", "MAX_PENDING", "keep", "send_pending"]

logger = logging.getLogger(__name__)

MAX_PENDING = 10_000
"""Rows, about 5 MB; the oldest leave. That many without a channel is an outage that somebody has noticed."""

BATCH = 100
"""Rows that are read at once."""

_MOST_REMEMBERED = 500
_REMEMBERED_SECONDS = 60.0
"""How long a visitor's address is remembered, in memory, for a publish that couldn't be sent at once. What is sent
later goes without one."""
_FIRST_PAUSE_SECONDS = 0.5


def keep(out: Outgoing) -> None:
    """Put a publish into the outbox; it is sent as soon as the transaction around, if any, is committed.

    Doesn't wait for the channel. Where the database takes nothing, the publish is tried once, from memory.
    """
    row = Pending(
        publish_id=out.publish_id,
        stream_id=out.stream_id,
        message=encode_json(out.message).decode(),
        user_agent=out.user_agent[:500],
        purpose=out.purpose[:100],
        staff=out.staff,
    )
    alias = router.db_for_write(Pending)
    try:
        with transaction.atomic(using=alias):  # so that a failure doesn't spoil the transaction around
            row.save(force_insert=True, using=alias)
    except DatabaseError:
        logger.exception("can't keep a publish, so it is sent from memory publish_id=%s", out.publish_id)
        _sender.wake(out, is_kept=False)
        return
    transaction.on_commit(partial(_sender.wake, out), using=alias, robust=True)


def send_pending(limit: int = BATCH, *, fresh: bool = True) -> int:
    """Send what is in the outbox, the oldest first, at most `limit` rows; returns how many the channel has taken.

    Without `fresh` those of the last minute are left to the process that has kept them: it alone remembers whose they
    are, and tries for so long.

    Stops at the first that the channel can't take now: it isn't helped by a crowd. What it refuses for good, and what
    is older than `RETENTION`, is dropped with a line in the log. Blocks, for `PUBLISH_TIMEOUT` per row at most.

    Raises `ConfigurationError` where the channel's address is missing.
    """
    return _send_batch(limit, {}, fresh=fresh).sent


class _Batch(NamedTuple):
    """What became of the oldest rows."""

    sent: int
    is_stuck: bool
    """True where the channel can't take anything now."""
    has_more: bool
    """True where there may be more rows."""


def _send_batch(limit: int, addresses: Mapping[str, str], *, fresh: bool) -> _Batch:
    """Send the oldest rows. `addresses` are those that this process remembers, by publish id; "" for nobody's."""
    sent = 0
    now = timezone.now()
    oldest = now - timedelta(seconds=settings.RETENTION)
    pending = Pending.objects.order_by("pk")
    if not fresh:
        theirs = Q(created_at__gt=now - timedelta(seconds=_REMEMBERED_SECONDS)) & ~Q(publish_id__in=list(addresses))
        pending = pending.exclude(theirs)
    rows = list(pending[:limit])
    for row in rows:
        if row.created_at < oldest:
            _drop(row, "it is older than RETENTION")
        elif row.stream_id not in settings.streams:
            _drop(row, f"stream {row.stream_id} isn't configured any more")
        else:
            try:
                send(_outgoing(row, addresses.get(row.publish_id, "")), timeout_seconds=settings.PUBLISH_TIMEOUT)
            except PublishRefusedError as error:
                _drop(row, str(error))
            except PublishUnavailableError as error:
                _state.failed(error)
                _bound()
                return _Batch(sent, is_stuck=True, has_more=True)
            else:
                _state.succeeded()
                Pending.objects.filter(pk=row.pk).delete()
                sent += 1
    return _Batch(sent, is_stuck=False, has_more=len(rows) == limit)


def _outgoing(row: Pending, address: str) -> Outgoing:
    return Outgoing(
        stream_id=row.stream_id,
        message=json.loads(row.message),
        publish_id=row.publish_id,
        address=address,
        user_agent=row.user_agent,
        purpose=row.purpose,
        staff=row.staff,
    )


def _drop(row: Pending, why: str) -> None:
    logger.warning("dropped a publish that can't be sent publish_id=%s: %s", row.publish_id, why)
    Pending.objects.filter(pk=row.pk).delete()


def _bound() -> None:
    """Let the oldest leave where there are more than `MAX_PENDING`."""
    newest_to_leave = (
        Pending.objects.order_by("-pk").values_list("pk", flat=True)[MAX_PENDING : MAX_PENDING + 1].first()
    )
    if newest_to_leave is not None:
        count, _ = Pending.objects.filter(pk__lte=newest_to_leave).delete()
        logger.warning("dropped the oldest publishes, because more than %s can't be sent count=%s", MAX_PENDING, count)


class _State:
    """Whether the channel takes what this process sends; says it once, when that changes."""

    def __init__(self) -> None:
        self._is_failing = False

    def failed(self, error: PublishUnavailableError) -> None:
        if not self._is_failing:
            logger.warning("publishes stay in the outbox for now: %s", error)
        self._is_failing = True

    def succeeded(self) -> None:
        if self._is_failing:
            logger.info("the channel takes publishes again")
        self._is_failing = False


class _Sender:
    """This process's thread that empties the outbox.

    It runs while there is something to do and, where the channel is away, for a minute more: a restart shall cost
    nobody's click its visitor. Then it ends, and the addresses that it has remembered are forgotten.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_wanted = False
        self._unkept: deque[Outgoing] = deque(maxlen=_MOST_REMEMBERED)
        self._addresses: OrderedDict[str, tuple[str, float]] = OrderedDict()
        """What this process has kept: publish id -> the visitor's address, and when that is forgotten, monotonic."""

    def wake(self, out: Outgoing, *, is_kept: bool = True) -> None:
        """Have a publish sent soon. Doesn't wait."""
        with self._changed:
            self._is_wanted = True
            if not is_kept:
                self._unkept.append(out)
            else:
                self._addresses[out.publish_id] = (out.address, time.monotonic() + _REMEMBERED_SECONDS)
                while len(self._addresses) > _MOST_REMEMBERED:
                    self._addresses.popitem(last=False)
            self._changed.notify()
            # A process that was forked has the object and not the thread.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="inlive-outbox", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        pause, idle_since = _FIRST_PAUSE_SECONDS, time.monotonic()
        try:
            while self._begin():
                is_stuck = self._work()
                if not is_stuck:
                    pause, idle_since = _FIRST_PAUSE_SECONDS, time.monotonic()
                if is_stuck and time.monotonic() - idle_since < _REMEMBERED_SECONDS:
                    self._rest(pause)
                    pause *= 2
        finally:
            connections.close_all()  # this thread's own

    def _begin(self) -> bool:
        """True where there is something to do. Else nobody is remembered, and the thread has to end."""
        with self._changed:
            now = time.monotonic()
            while self._addresses and next(iter(self._addresses.values()))[1] <= now:
                self._addresses.popitem(last=False)
            is_wanted, self._is_wanted = self._is_wanted, False
            if not is_wanted:
                self._addresses.clear()
                self._thread = None
            return is_wanted

    def _rest(self, seconds: float) -> None:
        """Wait for a while, or until there is more to send; then it is to be tried again."""
        with self._changed:
            if not self._is_wanted:
                self._changed.wait(seconds)
            self._is_wanted = True

    def _work(self) -> bool:
        """Send all that can be sent; True where the channel or the database is away."""
        try:
            self._send_unkept()
            while not (batch := _send_batch(BATCH, self._remembered(), fresh=False)).is_stuck and batch.has_more:
                pass
        except DatabaseError:
            logger.exception("can't read the outbox now")
            return True
        except ConfigurationError:
            logger.exception("publishes stay in the outbox")
            return False
        return batch.is_stuck

    def _send_unkept(self) -> None:
        while self._unkept:
            out = self._unkept.popleft()
            try:
                send(out, timeout_seconds=settings.PUBLISH_TIMEOUT)
            except (PublishRefusedError, PublishUnavailableError) as error:
                logger.warning("lost a publish that couldn't be kept publish_id=%s: %s", out.publish_id, error)

    def _remembered(self) -> dict[str, str]:
        with self._changed:
            return {publish_id: address for publish_id, (address, _) in self._addresses.items()}


_state = _State()
_sender = _Sender()
