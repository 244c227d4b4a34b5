"""Who speaks for a stream, and when: nothing is lost and nothing told twice."""

from collections import Counter
from collections.abc import Callable, Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streammonitor_api.assignment import Turn
from streammonitor_api.incident import Incident
from streammonitor_api.push import push_of
from streammonitor_api.worker_status import VideoFormat
from streammonitor_worker.analysis import EventKind, IncidentEvent, StreamAnalysis
from streammonitor_worker.frames import FormatChange, FrameView
from streammonitor_worker.voice import BALANCE_S, LEADING_S, LED_AWAY_S, SILENT_S, Voice

RATE = 10
STEP_S = 1 / RATE
TIMESTAMP_S = 5000.0
"""Of picture 0."""
WALL_S = 1_700_000_000.0
DARK, LIT = np.full((36, 64), 16, np.uint8), np.full((36, 64), 120, np.uint8)
FORMAT = FormatChange(VideoFormat(codec="h264", width=64, height=36, frame_rate=RATE), None)


class Follower:
    """One worker's look at a stream that began before it came."""

    def __init__(self, name: str, first: int = 0, *, shared: bool = True) -> None:
        self.analysis = StreamAnalysis(
            monitor_uid="u",
            stream="s",
            worker=name,
            detectors={"black": {"minDuration": "500ms", "clearDuration": "300ms"}},
            evidence=False,
        )
        self.voice = Voice(self.analysis)
        self.first = self.next = first
        self.shared = shared
        self.now = 0.0
        self.events: list[IncidentEvent] = []
        self.analysis.feed(FORMAT)

    def see(self, pictures: Iterable[bool]) -> None:
        """Take the next pictures; True: black."""
        for dark in pictures:
            media_s = (self.next - self.first) * STEP_S
            view = FrameView(
                time_s=media_s,
                duration_s=STEP_S,
                # Each worker hears of a picture at another time.
                arrived_at=WALL_S + self.next * STEP_S + 0.01 * self.first,
                luma=DARK if dark else LIT,
                source_s=TIMESTAMP_S + self.next * STEP_S if self.shared else None,
            )
            self.voice.place(view, timed=True)
            self.events += self.analysis.feed(view)
            self.events += self.voice.step(self.now)[0]
            self.next += 1
            self.now += STEP_S

    def hold(self, turn: Turn | None = None, incidents: Iterable[Incident] = ()) -> None:
        self.events += self.voice.hold(turn, list(incidents))

    def says(self, what: str) -> float | None:
        found = self.voice.status(warm=self.analysis.warm)[what]
        assert found is None or isinstance(found, float)
        return found

    @property
    def open(self) -> list[Incident]:
        ended = {event.incident.id for event in self.events if not event.incident.active}
        return [
            event.incident
            for event in self.events
            if event.kind is EventKind.STARTED and event.incident.id not in ended
        ]


def told(*followers: Follower) -> Counter[tuple[str, str, float | None]]:
    """What sinks hear: what happened to which incident, and where it ended for a viewer."""
    found: Counter[tuple[str, str, float | None]] = Counter()
    for event in (event for one in followers for event in one.events):
        incident = event.incident
        lasted_s = None if incident.end_s is None else round(incident.end_s - incident.start_s, 3)
        if event.kind is not EventKind.UPDATED:
            found[event.kind.value, incident.id, lasted_s] += 1
    return found


def pictures(runs: list[int]) -> list[bool]:
    """Runs of lit and black pictures, in turns."""
    return [bool(index % 2) for index, length in enumerate(runs) for _ in range(length)]


@settings(max_examples=30, deadline=None)
@given(
    runs=st.lists(st.integers(1, 12), min_size=8, max_size=12),
    joins=st.integers(0, 30),
    asked=st.integers(0, 25),
    delay=st.integers(-12, 25),
)
def test_a_stream_changes_hands_without_a_loss_or_a_double(
    runs: list[int], joins: int, asked: int, delay: int
) -> None:
    """Whatever the moment, and however far ahead or behind the one that takes over is."""
    seen = [*[False] * 3, *pictures(runs), *[False] * 30]
    alone, old, new = Follower("alone"), Follower("old"), Follower("new", joins)
    alone.see(seen)
    old.see(seen[: joins + 1])
    new.voice.follow(Turn(stream="s", clock_s=old.says("clock_s")))
    new.see(seen[joins : joins + 2])
    old.see(seen[joins + 1 : joins + 2 + asked])
    old.hold(Turn(stream="s", until_s=new.says("warm_from_s")))
    while old.says("held_until_s") is None and old.next < len(seen):
        old.see(seen[old.next : old.next + 1])
    moment_s = old.says("held_until_s")
    assert moment_s is not None, "the end of what is seen leaves nothing in the balance"
    new.see(seen[new.next : max(new.next, old.next + delay)])
    new.hold(Turn(stream="s", from_s=moment_s), old.open)
    old.see(seen[old.next :])
    new.see(seen[new.next :])
    assert told(old, new) == told(alone)
    assert frames(old) + frames(new) == len(seen), "each picture was somebody's, and only one's"
    assert new.says("held_from_s") == moment_s


def frames(follower: Follower) -> int:
    found = follower.voice.status(warm=True)["held_frames"]
    assert isinstance(found, int)
    return found


@pytest.fixture
def handed_over() -> Callable[[], Follower]:
    """A worker that has fallen silent, in the middle of nothing."""

    def make() -> Follower:
        old = Follower("old")
        old.see([False] * 20)
        old.hold(Turn(stream="s", until_s=old.says("position_s")))
        old.see([False] * 2)
        assert old.says("held_until_s") is not None
        return old

    return make


def test_who_fell_silent_and_is_given_the_stream_back_tells_what_it_found_meanwhile(
    handed_over: Callable[[], Follower],
) -> None:
    old = handed_over()
    old.see([True] * 10 + [False] * 10)
    assert old.events == []
    old.hold(None)
    assert [event.kind for event in old.events] == [EventKind.STARTED, EventKind.ENDED]
    assert frames(old) == 42


def test_who_took_a_stream_over_and_is_given_it_back_goes_on_where_it_fell_silent() -> None:
    old = Follower("old")
    old.voice.follow(Turn(stream="s"))
    old.see([False] * 20)
    began_s = old.says("position_s")
    old.hold(Turn(stream="s", from_s=began_s))
    old.see([False] * 20)
    old.hold(Turn(stream="s", from_s=began_s, until_s=old.says("position_s")))
    old.see([False] * 2)
    assert old.says("held_until_s") is not None
    old.see([True] * 10 + [False] * 10)
    old.hold(Turn(stream="s", from_s=began_s))
    assert [event.kind for event in old.events] == [EventKind.STARTED, EventKind.ENDED]
    assert frames(old) == 42
    assert old.says("held_from_s") == began_s


def test_who_fell_silent_speaks_again_when_nobody_takes_over(
    handed_over: Callable[[], Follower],
) -> None:
    old = handed_over()
    old.see([True] * 10 + [False] * round((SILENT_S - 2) * RATE))
    assert old.events == []
    old.see([False] * 20)
    assert [event.kind for event in old.events] == [EventKind.STARTED, EventKind.ENDED]
    assert old.says("held_until_s") is None
    old.see([False] * 12 * RATE)
    assert old.says("held_until_s") is not None, "it tries again"


def test_the_same_assignment_again_does_not_wake_who_fell_silent(
    handed_over: Callable[[], Follower],
) -> None:
    old = handed_over()
    moment_s = old.says("held_until_s")
    old.hold(Turn(stream="s", until_s=1.0))
    assert old.says("held_until_s") == moment_s


def test_what_hangs_in_the_balance_for_long_is_handed_over_all_the_same() -> None:
    old = Follower("old")
    old.see([False] * 20 + [True] * 3)
    old.analysis.set_parameters({"black": {"minDuration": "1h"}})
    old.hold(Turn(stream="s", until_s=old.says("position_s")))
    old.see([True] * round((BALANCE_S - 1) * RATE))
    assert old.says("held_until_s") is None
    old.see([True] * 2 * RATE)
    assert old.says("held_until_s") is not None


def test_without_timestamps_to_share_who_holds_speaks_from_now_on() -> None:
    new = Follower("new", shared=False)
    new.voice.follow(None)
    new.see([False] * 5 + [True] * 10)
    new.hold(None)
    assert new.says("clock_s") is None
    assert new.events == []
    new.see([True])
    assert [event.kind for event in new.events] == [EventKind.STARTED]


def test_a_stream_that_begins_where_another_worker_died_repeats_nothing() -> None:
    seen = [False] * 5 + [True] * 10 + [False] * 20
    alone, dead, new = Follower("alone"), Follower("dead"), Follower("new", 2)
    alone.see(seen)
    dead.see(seen[:25])
    turn = Turn(stream="s", clock_s=dead.says("clock_s"), from_s=dead.says("position_s"))
    new.hold(turn, dead.open)
    new.see(seen[2:])
    assert told(dead, new) == told(alone)


def test_what_died_before_it_was_told_is_told_under_the_same_id() -> None:
    seen = [False] * 5 + [True] * 10 + [False] * 20
    alone, dead, new = Follower("alone"), Follower("dead"), Follower("new", 2)
    alone.see(seen)
    dead.see(seen[:8])
    new.hold(Turn(stream="s", clock_s=dead.says("clock_s"), from_s=dead.says("position_s")))
    new.see(seen[2:])
    assert told(new) == told(alone)


def test_who_doubts_its_assignment_tells_later_of_all_it_found_meanwhile() -> None:
    doubter = Follower("w")
    doubter.voice.follow(None, [])
    doubter.see([False] * 5 + [True] * 10 + [False] * 10)
    assert doubter.events == []
    doubter.hold(None)
    assert [event.kind for event in doubter.events] == [EventKind.STARTED, EventKind.ENDED]
    assert frames(doubter) == 25


def asked(url: str) -> Follower:
    """A worker that has seen 20 pictures of what is sent to it, and is asked to hand it over."""
    one = Follower("one")
    one.voice.connect(push_of(url))
    one.hold()
    one.see([False] * 20)
    one.hold(Turn(stream="s", until_s=0.0))
    return one


def pictures_held(one: Follower) -> int | None:
    first_s, until_s = one.says("held_from_s"), one.says("held_until_s")
    return None if first_s is None or until_s is None else round((until_s - first_s) / STEP_S)


def test_a_connection_that_another_is_to_have_is_let_go_at_once() -> None:
    one = asked("srt://:9000?mode=listener")
    assert one.voice.yield_now(one.now)
    assert pictures_held(one) == 20


def test_datagrams_that_another_is_to_have_are_told_of_until_they_stay_away() -> None:
    one = asked("udp://:5000")
    assert not one.voice.yield_now(one.now)
    one.see([False] * 5)
    assert not one.voice.led_away(one.now)
    assert pictures_held(one) is None
    assert one.voice.led_away(one.now + LED_AWAY_S)
    assert pictures_held(one) == 25


def test_datagrams_that_nobody_leads_away_are_let_go() -> None:
    one = asked("udp://:5000")
    assert not one.voice.yield_now(one.now)
    one.see([False] * round(LEADING_S * RATE))
    assert one.voice.led_away(one.now + STEP_S)
    assert pictures_held(one) == 20 + LEADING_S * RATE


def test_datagrams_that_another_is_not_to_have_any_more_are_kept() -> None:
    one = asked("udp://:5000")
    assert not one.voice.yield_now(one.now)
    one.hold()
    assert not one.voice.led_away(one.now + 2 * LEADING_S)
    assert pictures_held(one) is None


def test_a_worker_that_departs_says_until_when_it_spoke_for_what_was_sent_to_it() -> None:
    alone, one_of_many = Follower("alone"), Follower("one of many")
    alone.voice.connect(push_of("rtmp://:1935/live/key"))
    for one in (alone, one_of_many):
        one.hold()
        one.see([False] * 20)
        one.voice.depart()
    assert pictures_held(alone) == 20
    assert pictures_held(one_of_many) is None, "whoever takes over has seen it too"
