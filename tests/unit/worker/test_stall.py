"""Stalls: raised by the wall clock where media should flow, and explaining what else is wrong."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

import pytest

from streammonitor_worker.analysis import IncidentEvent
from streammonitor_worker.detectors.base import Kind
from streammonitor_worker.frames import Discontinuity, MediaItem, TransportView
from tests.contract.material import flat, hold, pan
from tests.unit.worker.flowing import Flow
from tests.unit.worker.test_analysis import analysis, feed, summary

Detectors = Mapping[str, dict[str, object]]
STALL: Detectors = {"stall": {}}


@pytest.fixture
def stream() -> Flow:
    return Flow()


def _events(items: Iterable[MediaItem], detectors: Detectors) -> list[IncidentEvent]:
    return feed(analysis(dict(detectors)), items)


def _found(items: Iterable[MediaItem], detectors: Detectors | None = None) -> Sequence[object]:
    return summary(_events(items, detectors or STALL))


def test_a_stall_is_raised_while_it_lasts_and_ends_when_media_comes_again(stream: Flow) -> None:
    before, waited = stream.flow(0, 10), stream.wait(8.0)
    events = _events(chain(before, waited, stream.flow(10, 4)), STALL)

    told: Sequence[object] = summary(events)
    assert told == [
        ("started", "stall", pytest.approx(10.0, abs=0.1)),
        ("ended", "stall", pytest.approx(18.0, abs=0.1)),
    ]
    raised = events[0].incident
    assert raised.detected_s == pytest.approx(15.0, abs=0.3)
    assert raised.started_at.timestamp() == pytest.approx(110.0, abs=0.1)
    assert raised.detected_at.timestamp() == pytest.approx(115.0, abs=0.3)
    assert events[-1].incident.measurements["overdueSeconds"] == pytest.approx(8.0, abs=0.1)


def test_a_stall_is_over_where_media_came_of_which_no_packet_was_told(stream: Flow) -> None:
    items = [*stream.flow(0, 10), *stream.wait(8.0)]
    for index in range(8):
        flowing = stream.flow(18 + index * 0.5, 0.5)
        items += [item for item in flowing if not isinstance(item, TransportView)]
        items += stream.wait(0.25)

    assert [kind for kind, _, _ in summary(_events(items, STALL))] == ["started", "ended"]


def test_a_reconnection_that_resumes_in_time_is_no_stall(stream: Flow) -> None:
    items = list(stream.flow(0, 10))
    for _ in range(4):
        items += stream.wait(1.0)
        stream.splice.lost()
        items += stream.wait(3.0)
        stream.splice.connected()
        items += stream.flow(0, 10)

    assert sum(isinstance(item, Discontinuity) for item in items) == 4
    assert _found(items) == []


def test_a_connection_that_brings_nothing_does_not_end_a_stall(stream: Flow) -> None:
    items = list(stream.flow(0, 10))
    for _ in range(5):
        items += stream.wait(2.0)
        stream.splice.lost()
        items += stream.wait(1.0)
        stream.splice.connected()
    items += stream.flow(0, 4)

    assert _found(items) == [
        ("started", "stall", pytest.approx(10.0, abs=0.1)),
        ("ended", "stall", pytest.approx(25.0, abs=0.1)),
    ]


def test_segments_that_come_in_time_are_no_stall_and_a_missing_one_is(stream: Flow) -> None:
    items, media_s = [], 0.0
    for segments in (3, *[1] * 10):
        for _ in range(segments * 150):
            items += stream.place(stream.frame(media_s))
            media_s += 0.04
        items += stream.wait(6.0)
    subject = analysis(dict(STALL))

    assert feed(subject, items) == []
    # It was due six seconds after the last; nothing comes for another six.
    events = feed(subject, stream.wait(6.0))
    told: Sequence[object] = summary(events)
    assert told == [("started", "stall", pytest.approx(media_s, abs=0.1))]


def test_black_and_still_pictures_around_a_stall_are_its_consequences(stream: Flow) -> None:
    """Too short to be told by themselves, and not added up across the stall."""
    dark, still = list(flat(40, 16)), list(hold(next(pan(1)), 50))
    items = stream.flow(0, 2, pan(50))
    items += stream.flow(2, 1.6, dark)
    items += stream.wait(8.0)
    items += stream.flow(3.6, 1.6, dark)
    items += stream.flow(5.2, 3, pan(75))
    items += stream.flow(8.2, 2, still)
    items += stream.wait(8.0)
    items += stream.flow(10.2, 0.8, still)
    items += stream.flow(11, 3, pan(75))
    others: Detectors = {"black": {}, "freeze": {"stillAfter": "500ms"}}

    assert {event.incident.defect for event in _events(items, {**STALL, **others})} == {"stall"}


def test_what_runs_to_explain_only_needs_nothing_decoded() -> None:
    assert analysis({"silence": {}}).kinds_needed == {Kind.AUDIO}
    assert analysis({"silence": {}, "stall": {}}).kinds_needed == {Kind.AUDIO, Kind.TRANSPORT}
    assert analysis(dict(STALL)).kinds_needed == {Kind.TRANSPORT}
