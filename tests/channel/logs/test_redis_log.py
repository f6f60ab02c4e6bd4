"""The log that several nodes share, on a real engine that is restarted, killed, emptied and filled up."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

import pytest

from inlive_banner.channel.logs import Draft, Entry, Log, make_log, redis_log
from inlive_banner.channel.logs.base import Appended
from inlive_banner.channel.logs.redis_engine import Engine, end_tasks
from inlive_banner.channel.logs.redis_scripts import APPEND
from inlive_banner.exceptions import ConfigurationError, LogBusyError, LogUnavailableError
from tests.channel.driver import run
from tests.channel.logs.conftest import FOREVER_SECONDS, make_draft
from tests.engine import Cluster, Server, running_cluster, running_server
from tests.tls import tls_in_front_of

ALL = {"limit": 10**6, "max_bytes": 10**9}


class Node:
    """A log object as one node has it, and what it was told."""

    def __init__(self, url: str, **options: object) -> None:
        settings = {"max_bytes": 10**9, "retention_seconds": FOREVER_SECONDS, **options}
        self.log: Log = make_log(url, **settings)
        self.told: list[Entry] = []
        self.resets = 0

    def on_commit(self, stream_id: int, entries: Sequence[Entry]) -> None:
        assert stream_id == 15
        self.told += entries

    def on_reset(self, stream_id: int) -> None:
        self.resets += 1

    @property
    def seqs(self) -> list[int]:
        return [entry.event_id.seq for entry in self.told]


@contextlib.asynccontextmanager
async def opened(*nodes: Node) -> AsyncIterator[None]:
    for node in nodes:
        await node.log.open((15,), node.on_commit, node.on_reset)
        assert await node.log.attend(15)
        assert not await node.log.attend(15)
        node.resets = 0
    try:
        yield
    finally:
        for node in nodes:
            await node.log.close()


async def make_deaf(log: Log, stream_id: int = 15) -> None:
    """It takes no more wake-ups, as one whose connection is dead and doesn't know."""
    await end_tasks([log._streams[stream_id]._listener])


async def come_true(condition: Callable[[], object], *, seconds: float = 15) -> None:
    """Wait until it is so; `condition` is called again and again."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  (what it asks of sets no event)
            await asyncio.sleep(0.01)


@pytest.fixture
def url(engine: Server) -> str:
    """A place of its own on the engine that the tests share."""
    return f"{engine.url}?prefix={uuid.uuid4().hex}"


@pytest.fixture
def own() -> Iterator[Server]:
    """An engine that the test may end."""
    with running_server() as server:
        yield server


def drafts(start: int, end: int) -> list[Draft]:
    return [make_draft(f"publish-{n}", received_at=n, body=b'{"n":%d}' % n) for n in range(start, end)]


def test_nodes_fan_out_all_broadcasts_in_one_order(url):
    """However they append at once, and a publish id that two of them take is stored once."""

    async def main() -> None:
        nodes = [Node(url) for _ in range(3)]
        async with opened(*nodes):
            appends = [
                node.log.append(draft)
                for place, node in enumerate(nodes)
                for draft in [*drafts(100 * place, 100 * place + 50), make_draft("publish-same")]
            ]
            places = await asyncio.gather(*appends)
            assert sum(not place.duplicate for place in places) == 151
            await come_true(lambda: all(len(node.told) == 151 for node in nodes))
            assert nodes[0].told == nodes[1].told == nodes[2].told
            assert nodes[0].seqs == list(range(1, 152))

    run(main())


def test_node_that_begins_to_attend_reads_nothing_of_what_was_before(url):
    """However much that is: who wants it reads it from the log."""

    async def main() -> None:
        one, late = Node(url), Node(url)
        async with opened(one):
            for draft in drafts(0, 20):
                await one.log.append(draft)
            async with opened(late):
                assert late.log.bounds(15).head == 20
                await one.log.append(make_draft("newest"))
                await come_true(lambda: late.seqs)
                assert late.seqs == [21]
                late.log.leave(15)
                await one.log.append(make_draft("later"))
                await late.log._streams[15].follow()  # as it looks for itself now and then
                assert late.log.bounds(15).head == 21
                await late.log.attend(15)
                assert late.log.bounds(15).head == 22
                assert late.seqs == [21]

    run(main())


def test_node_is_woken_and_does_not_wait_for_its_own_look(url, monkeypatch):
    monkeypatch.setattr(redis_log, "CHECK_SECONDS", 10**6)

    async def main() -> None:
        one, other = Node(url), Node(url)
        async with opened(one, other):
            await asyncio.sleep(0)
            number = 0
            while not other.told:  # until its subscription stands
                await one.log.append(make_draft(f"publish-{number}"))
                number += 1
                await asyncio.sleep(0.02)
            await come_true(lambda: other.told == one.told)

    run(main())


def test_lost_wake_ups_cost_seconds_and_no_event(url, monkeypatch):
    monkeypatch.setattr(redis_log, "CHECK_SECONDS", 0.05)

    async def main() -> None:
        one, other = Node(url), Node(url)
        async with opened(one, other):
            await make_deaf(other.log)
            for draft in drafts(0, 20):
                await one.log.append(draft)
            await come_true(lambda: other.seqs == list(range(1, 21)))

    run(main())


def test_subscription_that_was_cut_is_made_again(engine, url, monkeypatch):
    monkeypatch.setattr(redis_log, "CHECK_SECONDS", 10**6)

    async def main() -> None:
        one, other = Node(url), Node(url)
        async with opened(one, other):
            await one.log.append(make_draft("publish-before"))
            engine.client.client_kill_filter(_type="pubsub")
            number = 0
            while other.told != one.told or number < 5:
                await one.log.append(make_draft(f"publish-{number}"))
                number += 1
                await asyncio.sleep(0.05)
            assert other.seqs == list(range(1, number + 2))

    run(main())


def test_position_that_another_node_gave_is_known(url, monkeypatch):
    monkeypatch.setattr(redis_log, "CHECK_SECONDS", 10**6)

    async def main() -> None:
        one, other = Node(url), Node(url)
        async with opened(one, other):
            await make_deaf(other.log)
            place = [await one.log.append(draft) for draft in drafts(0, 3)][-1]
            assert other.log.bounds(15).head == 0

            await other.log.refresh(15, str(place.event_id))

            assert other.log.bounds(15).start_after(str(place.event_id)) == (3, True)
            assert other.seqs == [1, 2, 3]
            for text in ("0", "", "nonsense", str(place.event_id)):
                await other.log.refresh(15, text)
            assert other.seqs == [1, 2, 3]

    run(main())


def test_engine_that_was_restarted_has_everything_and_positions_hold(own):
    async def main() -> None:
        node = Node(own.url)
        async with opened(node):
            before = [await node.log.append(draft) for draft in drafts(0, 5)]
            own.kill()
            waiting = asyncio.ensure_future(node.log.append(make_draft("publish-after")))
            own.start()
            after = await waiting
            assert (after.event_id.seq, after.duplicate) == (6, False)
            assert after.event_id.epoch != before[0].event_id.epoch, "another life of the engine may have lost some"
            repeated = await node.log.append(drafts(0, 5)[2])
            assert (repeated.event_id, repeated.duplicate) == (before[2].event_id, True)
            bounds = node.log.bounds(15)
            for place in before:
                assert bounds.start_after(str(place.event_id)) == (place.event_id.seq, True)
            assert node.seqs == [1, 2, 3, 4, 5, 6]
            assert node.resets == 0
            assert [entry.event_id for entry in await node.log.read_after(15, 0, **ALL)] == [
                *(place.event_id for place in before),
                after.event_id,
            ]

    run(main())


def test_engine_killed_at_any_moment_keeps_what_was_acknowledged(own):
    async def main() -> None:
        node = Node(own.url)
        acknowledged: dict[str, int] = {}
        unanswered = set()

        async def publish(number: int) -> None:
            for place in range(100):
                publish_id = f"publish-{number}-{place}"
                try:
                    found = await node.log.append(make_draft(publish_id, body=publish_id.encode()))
                    acknowledged[publish_id] = found.event_id.seq
                except LogUnavailableError:
                    unanswered.add(publish_id)

        async with opened(node):
            publishing = asyncio.gather(*map(publish, range(8)))
            for so_many in (150, 400):
                await come_true(lambda so_many=so_many: len(acknowledged) >= so_many)
                own.kill()
                own.start()
            await publishing
            stored = {entry.body.decode(): entry.event_id.seq for entry in await node.log.read_after(15, 0, **ALL)}
            assert len(acknowledged) + len(unanswered) == 800
            assert acknowledged.items() <= stored.items()
            assert set(stored) <= set(acknowledged) | unanswered
            assert sorted(stored.values()) == list(range(1, len(stored) + 1)) == node.seqs

    run(main())


@pytest.mark.parametrize("how", ["emptied", "its log deleted", "failed over to a replica that was behind"])
def test_log_that_was_lost_begins_anew_and_its_clients_too(own, how, monkeypatch):
    monkeypatch.setattr(redis_log, "CHECK_SECONDS", 0.05)

    async def main() -> None:
        node, other = Node(own.url), Node(own.url)
        async with opened(node, other):
            kept = [await node.log.append(draft) for draft in drafts(0, 4)]
            behind = {key: own.client.dump(f"inlive:{{15}}:{key}") for key in ("log", "meta")}
            lost = [await node.log.append(draft) for draft in drafts(4, 8)]
            await come_true(lambda: len(other.told) == 8)
            if how == "emptied":
                own.client.flushall()
            elif how == "its log deleted":
                own.client.delete("inlive:{15}:log")
            else:
                with own.client.pipeline() as at_once:
                    for key, held in behind.items():
                        at_once.restore(f"inlive:{{15}}:{key}", 0, held, replace=True)
                    at_once.hset("inlive:{15}:meta", "run", "the one before")
                    at_once.execute()

            await come_true(lambda: node.log.bounds(15).epochs[-1][1] != lost[-1].event_id.epoch)
            new = await node.log.append(make_draft("publish-new"))
            await come_true(lambda: other.log.bounds(15).head == new.event_id.seq)

            assert (node.resets, other.resets) == ((0, 0) if how == "its log deleted" else (1, 1))
            assert new.event_id not in {place.event_id for place in (*kept, *lost)}
            assert new.event_id.seq == {"emptied": 1, "its log deleted": 9}.get(how, 5)
            for log in (node.log, other.log):
                assert not log.bounds(15).start_after(str(lost[0].event_id)).recovered
                start = log.bounds(15).start_after(str(lost[-1].event_id))
                entries = await log.read_after(15, start.seq, **ALL)
                assert entries[-1].event_id == new.event_id

    run(main())


def test_replica_that_takes_over_goes_on_in_a_new_epoch_and_its_clients_too():
    """Here it had everything. What it lacks is lost, as from a log that came back older."""

    async def append_when_it_can(log: Log, draft: Draft) -> Appended:
        async with asyncio.timeout(40):
            while True:
                try:
                    return await log.append(draft)
                except LogUnavailableError:
                    await asyncio.sleep(0.2)

    async def main(cluster: Cluster) -> None:
        one, other = Node(cluster.url), Node(cluster.url)
        async with opened(one, other):
            before = [await one.log.append(draft) for draft in drafts(0, 20)]
            owner = cluster.owner_of("inlive:{15}:log")
            cluster.add_replica(owner)
            owner.kill()

            after = [await append_when_it_can(other.log, draft) for draft in drafts(19, 25)]

            assert after[0] == before[-1]._replace(duplicate=True)
            assert [place.event_id.seq for place in after[1:]] == [21, 22, 23, 24, 25]
            assert {place.event_id.epoch for place in after[1:]} != {before[-1].event_id.epoch}
            for node in (one, other):
                await come_true(lambda node=node: node.seqs == list(range(1, 26)))
                assert node.resets == 0
                assert node.log.bounds(15).start_after(str(before[-1].event_id)) == (20, True)

    with running_cluster() as cluster:
        run(main(cluster))


def test_append_whose_answer_was_lost_is_told_of_before_it_returns(url, monkeypatch):
    """What the attempt without an answer has stored, the next one takes for a repeat."""
    monkeypatch.setattr(redis_log, "CHECK_SECONDS", 10**6)
    run_script = Engine.run
    lost = []

    async def run_and_lose_one_answer(self, script, *arguments):
        answer = await run_script(self, script, *arguments)
        if script == APPEND and not lost:
            lost.append(answer)
            raise LogUnavailableError("The connection is lost.")
        return answer

    monkeypatch.setattr(Engine, "run", run_and_lose_one_answer)

    async def main() -> None:
        async with opened(node := Node(url)):
            await make_deaf(node.log)
            place = await node.log.append(make_draft())
            assert lost
            assert (place.event_id.seq, node.seqs) == (1, [1])

    run(main())


def test_script_that_the_engine_has_forgotten_is_sent_again(engine, url):
    async def main() -> None:
        node = Node(url)
        async with opened(node):
            await node.log.append(make_draft("publish-1"))
            engine.client.script_flush()
            assert (await node.log.append(make_draft("publish-2"))).event_id.seq == 2

    run(main())


def test_full_log_refuses_what_is_new_and_answers_what_it_has(url, caplog):
    async def main() -> None:
        node = Node(url, max_bytes=1000)
        async with opened(node):
            first = await node.log.append(make_draft("publish-1", body=b"x" * 500))
            with pytest.raises(LogBusyError, match="size limit of 1000 bytes"):
                await node.log.append(make_draft("publish-2", body=b"x" * 500))
            assert (await node.log.append(make_draft("publish-1"))).event_id == first.event_id
            assert (await node.log.append(make_draft("publish-3"))).event_id.seq == 2
            assert node.seqs == [1, 2]

    with caplog.at_level(logging.WARNING):
        run(main())
    assert [record.message for record in caplog.records if "publishes are" in record.message] == [
        "publishes are refused until this is over: The channel's log is at its size limit of 1000 bytes.",
        "publishes are taken again",
    ]


def test_engine_whose_memory_is_full_refuses_and_recovers(own, monkeypatch):
    monkeypatch.setattr(redis_log, "RETRY_FOR_SECONDS", 0.3)

    async def main() -> None:
        node = Node(own.url)
        async with opened(node):
            await node.log.append(make_draft("publish-1"))
            own.client.config_set("maxmemory", "1mb")
            with pytest.raises(LogUnavailableError, match="Memory"):
                await node.log.append(make_draft("publish-2"))
            own.client.config_set("maxmemory", "0")
            assert (await node.log.append(make_draft("publish-2"))).event_id.seq == 2

    run(main())


def test_old_broadcasts_leave_with_their_publish_ids_and_give_room(url, monkeypatch):
    monkeypatch.setattr(redis_log, "TRIM_SECONDS", 0.05)
    monkeypatch.setattr(redis_log, "TRIM_ENTRIES", 3)

    async def main() -> None:
        node = Node(url)
        async with opened(node):
            for draft in drafts(0, 10):
                await node.log.append(draft)
            recent = await node.log.append(make_draft("publish-recent", received_at=10**15))
            node.log._retention_seconds = 60
            await come_true(lambda: node.log.bounds(15).oldest == 11)

            assert [entry.event_id for entry in await node.log.read_after(15, 0, **ALL)] == [recent.event_id]
            assert node.log.bounds(15).start_after("0") == (10, True)
            assert (await node.log.append(make_draft("publish-recent"))).duplicate
            again = await node.log.append(drafts(3, 4)[0])
            assert (again.event_id.seq, again.duplicate) == (12, False)
            keys = await node.log._engine._client.hlen(node.log._streams[15].keys[2])
            assert keys <= 2

    run(main())


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"maxmemory-policy": "allkeys-lru"}, "noeviction"),
        ({"maxmemory-policy": "volatile-ttl", "maxmemory": "100mb"}, "noeviction"),
    ],
)
def test_engine_that_throws_away_is_refused(settings, error):
    with running_server(**settings) as server, pytest.raises(ConfigurationError, match=error):
        run(opened(Node(server.url)).__aenter__())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, ""),
        ({"appendfsync": "everysec"}, "appendfsync everysec"),
        ({"appendonly": "no"}, "appendonly yes"),
    ],
)
def test_engine_that_may_lose_what_it_acknowledged_is_warned_of(settings, words, caplog):
    async def main(url: str) -> None:
        async with opened(Node(url)):
            pass

    with running_server(**settings) as server, caplog.at_level(logging.WARNING):
        run(main(server.url))
    warned = [record.message for record in caplog.records]
    assert len(warned) == bool(words)
    assert words in "".join(warned)


def test_engine_that_tells_nobody_its_settings_is_taken_with_a_warning(own, caplog):
    """As managed ones are."""
    own.client.execute_command("ACL", "SETUSER", "site", "on", ">word", "~*", "&*", "+@all", "-config")

    async def main() -> None:
        async with opened(node := Node(f"redis://site:word@127.0.0.1:{own.port}")):
            await node.log.append(make_draft())

    with caplog.at_level(logging.WARNING):
        run(main())
    assert ["can't ask the engine" in record.message for record in caplog.records] == [True]


def test_engine_that_is_not_there_is_said_to_be():
    with running_server() as server:
        url = server.url
    with pytest.raises(LogUnavailableError, match="can't be reached"):
        run(opened(Node(url)).__aenter__())


@pytest.mark.parametrize("url", ["redis://", "redis:///0", "valkey://?prefix=a", "redis://host?prefix={x}"])
def test_address_that_is_none_is_refused(url):
    with pytest.raises(ConfigurationError, match="isn't an engine's address"):
        make_log(url, max_bytes=1, retention_seconds=1)


def test_engine_behind_tls_is_trusted_by_its_certificate_only(engine: Server, tmp_path: Path):
    async def main(port: int, certificate: Path) -> None:
        url = f"rediss://127.0.0.1:{port}?prefix={uuid.uuid4().hex}"
        one, other = (Node(f"{url}&ssl_ca_certs={certificate}") for _ in range(2))
        async with opened(one, other):
            for draft in drafts(0, 3):
                await one.log.append(draft)
            await come_true(lambda: other.seqs == [1, 2, 3])
        with pytest.raises(LogUnavailableError, match="CERTIFICATE_VERIFY_FAILED"):
            await Node(url).log.open((15,), lambda *_: None)

    with tls_in_front_of(engine.port, tmp_path) as (port, certificate):
        run(main(port, certificate))


def test_password_is_not_in_the_words_of_an_error(engine):
    with pytest.raises(LogUnavailableError) as caught:
        run(opened(Node(f"redis://somebody:secret-word@127.0.0.1:{engine.port}")).__aenter__())
    assert "secret-word" not in str(caught.value)


def test_client_that_is_not_installed_is_asked_for():
    code = (
        "import sys; sys.modules['redis'] = None\n"
        "from inlive_banner.channel.logs import make_log\n"
        "make_log('redis://localhost', max_bytes=1, retention_seconds=1)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert 'pip install "django-inlive-banner[redis]"' in done.stderr


def test_new_epoch_is_begun_where_it_is_asked_for(url):
    async def main() -> None:
        async with opened(first := Node(url)):
            place = await first.log.append(make_draft())
        async with opened(second := Node(url, new_epoch=True)):
            new = await second.log.append(make_draft("publish-2"))
            assert (new.event_id.seq, new.event_id.epoch != place.event_id.epoch) == (2, True)
            assert second.log.bounds(15).start_after(str(place.event_id)) == (1, True)

    run(main())


def test_nothing_is_kept_for_ever_of_a_day_that_is_over(engine, url):
    async def main() -> None:
        async with opened(node := Node(url)):
            await node.log.daily_secret(20_000)
            keys = engine.client.keys(f"{url.split('=')[1]}:secret:*")
            assert [0 < engine.client.ttl(key) <= 60 for key in keys] == [True]

    run(main())
