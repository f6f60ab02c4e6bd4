from __future__ import annotations

import msgspec
import pytest

from inlive_banner.envelope import EventId
from inlive_banner.tail import progress as progress_module
from inlive_banner.tail.events import Event, parse_events
from inlive_banner.tail.progress import Progress, SourceGapError
from inlive_banner.tail.records import Init, Record
from tests.tail.making import EPOCH, encode_init, make_event

OTHER_EPOCH = "fedcba9876543210"


def make_init(position: str = f"{EPOCH}-0", **message: object) -> Event:
    (event,) = parse_events([encode_init(position, **message)])
    return event


def take_all(progress: Progress, *events: Event) -> list[EventId | None]:
    return [record.event_id for event in events if (record := progress.take(event))]


def test_progress_takes_init_and_then_what_follows_the_position() -> None:
    progress = Progress(EventId(EPOCH, 3))

    assert take_all(progress, make_init(), make_event(4), make_event(5)) == [EventId(EPOCH, 4), EventId(EPOCH, 5)]
    assert progress.last == EventId(EPOCH, 5)
    assert progress.init == Init(position=EventId(EPOCH, 0), token="t")


def test_progress_without_an_init_takes_the_first_event_all_the_same() -> None:
    progress = Progress(EventId(EPOCH, 3))

    assert take_all(progress, make_event(4)) == [EventId(EPOCH, 4)]
    assert progress.init == Init()


def test_progress_takes_what_is_delivered_again() -> None:
    progress = Progress(EventId(EPOCH, 3))

    take_all(progress, make_init(), make_event(4), make_event(2), make_event(5))

    assert progress.last == EventId(EPOCH, 5)


def test_progress_from_the_oldest_takes_any_first_number() -> None:
    assert take_all(Progress(None), make_init(), make_event(1000)) == [EventId(EPOCH, 1000)]


def test_progress_takes_any_first_number_of_another_epoch() -> None:
    progress = Progress(EventId(EPOCH, 3))

    assert take_all(progress, make_init(), make_event(51, epoch=OTHER_EPOCH)) == [EventId(OTHER_EPOCH, 51)]


def test_progress_at_a_hole_raises_and_stays_before_it() -> None:
    progress = Progress(EventId(EPOCH, 3))

    with pytest.raises(SourceGapError, match="2 are missing") as gap:
        take_all(progress, make_init(), make_event(4), make_event(7))

    assert gap.value.after == progress.last == EventId(EPOCH, 4)


def test_progress_goes_over_an_accepted_hole_and_not_over_the_next() -> None:
    progress = Progress(EventId(EPOCH, 3), accepted_gap_after=EventId(EPOCH, 3))

    assert take_all(progress, make_init(), make_event(7)) == [EventId(EPOCH, 7)]
    with pytest.raises(SourceGapError):
        progress.take(make_event(9))


def test_progress_goes_over_a_hole_that_the_channel_announces() -> None:
    progress = Progress(EventId(EPOCH, 3))

    assert take_all(progress, make_init(recovered=False), make_event(7)) == [EventId(EPOCH, 7)]


def test_progress_goes_on_from_where_the_channel_says_that_it_can() -> None:
    progress = Progress(EventId(EPOCH, 9))

    take_all(progress, make_init(f"{EPOCH}-3", recovered=False), make_event(4))

    assert progress.last == EventId(EPOCH, 4)
    with pytest.raises(SourceGapError):
        progress.take(make_event(6))


def test_progress_leaves_its_place_where_an_event_has_no_id() -> None:
    progress = Progress(EventId(EPOCH, 3))

    assert progress.take(make_init()) is None
    assert progress.take(make_event(id="")) is not None
    assert progress.take(Event("garbage")) == Record(None, malformed=True)
    assert progress.last == EventId(EPOCH, 3)


@pytest.mark.parametrize(
    ("position", "init", "events", "at_head"),
    [
        (None, None, [], False),
        (None, make_init(head=f"{EPOCH}-2"), [], False),
        (None, make_init(head=f"{EPOCH}-2"), [1], False),
        (None, make_init(head=f"{EPOCH}-2"), [1, 2], True),
        (None, make_init(head=f"{EPOCH}-2"), [1, 2, 3], True),
        (2, make_init(f"{EPOCH}-2", head=f"{EPOCH}-2"), [], True),
        (None, make_init(head=f"{EPOCH}-0"), [], True),
        (None, make_init(), [], True),
        (None, make_init(""), [], False),
        (9, make_init(f"{OTHER_EPOCH}-0", head=f"{OTHER_EPOCH}-2"), [], False),
    ],
    ids=[
        "before init",
        "nothing taken",
        "not all taken",
        "all taken",
        "more taken",
        "all recorded before",
        "empty log",
        "no head named",
        "no history yet",
        "new epoch with less",
    ],
)
def test_progress_is_at_head_once_the_newest_that_init_named_is_taken(
    position: int | None, init: Event | None, events: list[int], at_head: bool
) -> None:
    progress = Progress(None if position is None else EventId(EPOCH, position))
    take_all(progress, *([init] if init else []), *map(make_event, events))

    assert progress.is_at_head() is at_head


def make_plain(seq: int) -> Event:
    """A click of a server without our additions."""
    return make_event(seq, id="", publish_id="", received_at=0, interaction="", author_id=f"author-{seq}")


def make_history(*seqs: int) -> Event:
    envelopes = [msgspec.Raw(make_plain(seq).data.encode()) for seq in seqs]
    return make_event(id="", type="request", message=envelopes)


def publish_ids(progress: Progress, event: Event) -> list[str]:
    records = [progress.take(part) for part in progress.parts_of(event)]
    return [record.row.publish_id for record in records if record and record.row]


def test_progress_tells_repeats_apart_in_a_history_of_any_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_module, "_KNOWN_REPEATS", 2)
    progress = Progress(None)
    progress.take(make_init(""))

    found = publish_ids(progress, make_history(1, 2, 3, 4, 1, 2))

    assert len(set(found)) == 6
    assert publish_ids(progress, make_history(1, 2, 3, 4, 1, 2)) == found


def test_progress_remembers_a_bounded_number_of_live_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_module, "_KNOWN_REPEATS", 2)
    progress = Progress(None)
    progress.take(make_init(""))

    first = [publish_ids(progress, make_plain(seq)) for seq in (1, 1, 2, 3)]

    assert first[0] != first[1]
    assert publish_ids(progress, make_plain(1)) == first[0], "forgotten, and so taken for the first again"
