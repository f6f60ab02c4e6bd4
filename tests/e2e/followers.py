"""Subscribers and publishers that go on through broken connections, as browsers do; made to run in threads."""

from __future__ import annotations

import threading
from http.client import HTTPException
from itertools import count

import requests

from tests.e2e.channel_server import Answer, ChannelServer, Publisher
from tests.e2e.processes import listens
from tests.e2e.sse_parser import Event
from tests.polling import wait_until

__all__ = ["LAST", "Follower", "Storm"]

LAST = "the last one"
"""The message after which a follower has seen everything."""


class Follower:
    """Reads a stream over as many connections as it takes, each from where the one before has ended."""

    def __init__(self, server: ChannelServer, position: str) -> None:
        self._server = server
        self.position = position
        self.seen: list[Event] = []
        self.done = False
        self.connections = 0

    def read(self, *, at_most: int = 10**9, by_query: bool = False, reset: bool = False) -> None:
        """Read over one connection: to the last event, to `at_most` events, or until it breaks (`ConnectionError`)."""
        if by_query:
            stream = self._server.subscribe(query=f"?last_event_id={self.position}")
        else:
            # The query is older, as with a browser, which keeps the URL of its first connection.
            stream = self._server.subscribe(query="?last_event_id=0", last_event_id=self.position)
        with stream:
            if stream.status == requests.codes.unavailable:
                raise ConnectionRefusedError(stream.refusal["message"])
            init = stream.next("init")
            assert init.message["recovered"] is True
            assert init.id == self.position
            self.connections += 1
            for _ in range(at_most):
                event = stream.next("broadcast", within=30)
                self.seen.append(event)
                self.position = event.id
                if event.message == LAST:
                    self.done = True
                    break
            if reset:
                stream.reset()

    def read_through(self) -> None:
        """Read to the last event, and connect again whenever the connection breaks."""
        while not self.done:
            try:
                self.read()
            except ConnectionError:
                wait_until(lambda: listens(self._server.port), what="the next process")

    def check(self, acknowledged: dict[str, str]) -> None:
        """See that it has seen each acknowledged publish (publish id -> event id) once, by its event id, in order."""
        assert {event.envelope["publish_id"]: event.id for event in self.seen} == acknowledged
        numbers = [int(event.id.rpartition("-")[2]) for event in self.seen]
        assert numbers == list(range(numbers[0], numbers[0] + len(acknowledged)))


class Storm:
    """Publishes without a pause, and each publish again until it is answered."""

    def __init__(self, server: ChannelServer, token: str) -> None:
        self._server = server
        self._token = token
        self._stop = threading.Event()
        self.acknowledged: dict[str, str] = {}
        """Publish id -> event id."""
        self.unanswered = 0
        """How often a connection broke before the answer, or the answer was that the server is ending."""

    def stop(self) -> None:
        """Have the publishers end, when what each of them has begun is answered."""
        self._stop.set()

    def publish_through(self, name: str) -> None:
        """One publisher, until `stop`."""
        publisher = self._server.publisher(self._token)
        for number in count():
            if self._stop.is_set():
                break
            answer = None
            while answer is None:
                answer = self._try(publisher, f"{name}-{number:06}")
            assert answer.code == 200
            self.acknowledged[f"{name}-{number:06}"] = answer.data["id"]
        publisher.close()

    def _try(self, publisher: Publisher, publish_id: str) -> Answer | None:
        try:
            answer = publisher.publish("storm", publish_id=publish_id)
            if answer.code != requests.codes.unavailable:
                return answer
        except (ConnectionError, HTTPException):
            publisher.close()
        self.unanswered += 1
        wait_until(lambda: listens(self._server.port), what="the next process")
        return None
