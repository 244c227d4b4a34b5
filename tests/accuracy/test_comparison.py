"""A stream beside its reference: what one is late against the other."""

from collections.abc import Callable, Iterator

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from streammonitor_api.incident import EndReason, Severity
from streammonitor_worker.analysis import IncidentEvent, StreamAnalysis
from streammonitor_worker.comparison import Comparison
from streammonitor_worker.comparison.lags import find
from streammonitor_worker.facts import Compared, Outcome
from streammonitor_worker.frames import AudioView, FrameView
from streammonitor_worker.measures.picture import PictureMeter

RATE = 10
SAMPLE_RATE = 12_800
BUFFER = SAMPLE_RATE // RATE

Show = Callable[[float], npt.NDArray[np.uint8]]
Play = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float32]]


def programme(seed: int) -> Show:
    """Pictures whose parts go brighter and darker, each in its own time; they never repeat."""
    points = np.random.default_rng(seed).uniform(40, 210, (400, 5, 8)).astype(np.float32)

    def show(time_s: float) -> npt.NDArray[np.uint8]:
        before, share = int(time_s / 0.4), time_s / 0.4 % 1
        grid = points[before] * (1 - share) + points[before + 1] * share
        picture: npt.NDArray[np.uint8] = cv2.resize(grid, (64, 36)).astype(np.uint8)
        return picture

    return show


def talk(seed: int) -> Play:
    """Noise in syllables of uneven length and level."""
    random = np.random.default_rng(seed)
    ends = np.cumsum(random.uniform(0.05, 0.4, 1000))
    levels = random.uniform(0.0, 0.3, 1000) * (random.random(1000) < 0.7)
    noise = random.standard_normal(SAMPLE_RATE * 5)

    def play(times_s: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
        level = levels[np.searchsorted(ends, times_s)] * (times_s >= 0)
        carrier = noise[np.round(times_s * SAMPLE_RATE).astype(int) % len(noise)]
        samples: npt.NDArray[np.float32] = (level * carrier).astype(np.float32)
        return samples

    return play


def moment(
    index: int, show: Show | None, play: Play | None, picture_s: float, sound_s: float
) -> Iterator[FrameView | AudioView]:
    """One frame's time of a feed that shows and plays what is so much later in the programme."""
    time_s = index / RATE
    if show is not None:
        luma = show(time_s + picture_s)
        luma.setflags(write=False)
        yield FrameView(time_s, 1 / RATE, time_s, luma)
    if play is not None:
        times = time_s + sound_s + np.arange(BUFFER) / SAMPLE_RATE
        yield AudioView(time_s, time_s, play(times)[np.newaxis], SAMPLE_RATE)


def compared(
    main: tuple[Show | None, Play | None],
    *,
    until_s: float,
    reference: tuple[Show | None, Play | None] | None = None,
    picture_s: float = 0.0,
    sound_s: float = 0.0,
) -> list[Compared]:
    """What comes of comparing two feeds; the reference is as much earlier in the programme."""
    comparison, meter, found = Comparison(), PictureMeter(), []
    for index in range(round(until_s * RATE)):
        for item in moment(index, *(reference or main), 0.0, 0.0):
            comparison.refer(item)
        for item in moment(index, *main, picture_s, sound_s):
            if isinstance(item, FrameView):
                comparison.show(meter.measure(item))
            else:
                comparison.play(item)
        if (told := comparison.tell(index / RATE)) is not None:
            found.append(told)
    return found


@pytest.mark.parametrize(
    ("picture_s", "sound_s"),
    [(1.0, 1.08), (4.0, 3.7), (-3.0, -3.185)],
)
def test_both_tracks_are_found_where_they_are(picture_s: float, sound_s: float) -> None:
    # A feed that is behind its reference has yet to show what begins before the programme does.
    start_s = 4.0
    main, play = programme(1), talk(2)
    later: tuple[Show, Play] = (lambda at: main(at + start_s), lambda at: play(at + start_s))

    last = compared(later, until_s=14.0, picture_s=picture_s, sound_s=sound_s)[-1]

    assert last.outcome is Outcome.ALIKE
    assert last.picture_lag_s == pytest.approx(-picture_s, abs=0.02)
    assert last.sound_lag_s == pytest.approx(-sound_s, abs=0.01)


def test_another_language_leaves_the_pictures() -> None:
    show = programme(3)
    last = compared((show, talk(4)), reference=(show, talk(5)), until_s=12.0, picture_s=1.0)[-1]

    assert last.outcome is Outcome.ALIKE
    assert last.picture_lag_s == pytest.approx(-1.0, abs=0.02)
    assert last.sound_lag_s is None


def test_other_pictures_and_sound_are_a_mismatch_and_no_error() -> None:
    feeds = (programme(6), talk(7)), (programme(8), talk(9))
    told = compared(feeds[0], reference=feeds[1], until_s=20.0)

    assert {one.outcome for one in told} == {Outcome.UNKNOWN, Outcome.MISMATCH}
    assert told[-1].outcome is Outcome.MISMATCH


def test_what_stands_and_is_silent_says_nothing() -> None:
    grey = np.full((36, 64), 120, np.uint8)
    still: tuple[Show, Play] = (lambda _: grey.copy(), lambda at: np.zeros(len(at), np.float32))

    assert {one.outcome for one in compared(still, until_s=12.0)} == {Outcome.UNKNOWN}


def test_what_comes_again_and_again_is_not_placed() -> None:
    show, play = programme(10), talk(11)
    looped: tuple[Show, Play] = (lambda at: show(at % 2.0), lambda at: play(at % 2.0))

    assert {one.outcome for one in compared(looped, until_s=12.0)} <= {
        Outcome.UNKNOWN,
        Outcome.MISMATCH,
    }


def test_a_reference_that_is_gone_is_said() -> None:
    comparison = Comparison()
    comparison.lose("connection refused")

    told = comparison.tell(0.0)

    assert told == Compared(Outcome.NO_REFERENCE, detail="connection refused")


def test_a_reference_that_is_opened_again_is_compared_again() -> None:
    show, play = programme(17), talk(18)
    comparison, meter, told = Comparison(), PictureMeter(), None
    for index in range(24 * RATE):
        if index == 12 * RATE:
            comparison.lose("connection reset")
        # Its media time begins anew, in the middle of the programme.
        since_s = 12.0 if index >= 12 * RATE else 0.0
        for item in moment(index - round(since_s * RATE), show, play, since_s, since_s):
            comparison.refer(item)
        for item in moment(index, show, play, 0.0, 0.0):
            if isinstance(item, FrameView):
                comparison.show(meter.measure(item))
            else:
                comparison.play(item)
        told = comparison.tell(index / RATE) or told

    assert told is not None
    assert told.outcome is Outcome.ALIKE
    assert told.picture_lag_s == pytest.approx(12.0, abs=0.02)
    assert told.sound_lag_s == pytest.approx(12.0, abs=0.01)


def analysed(skew_s: Callable[[float], float], until_s: float) -> list[IncidentEvent]:
    """The incidents of a feed whose sound is as much earlier than its pictures."""
    show, play, comparison = programme(12), talk(13), Comparison()
    analysis = StreamAnalysis(monitor_uid="", stream="s", worker="w", detectors={"avSync": {}})
    analysis.compare_with(comparison)
    events = []
    for index in range(round(until_s * RATE)):
        for item in moment(index, show, play, 0.0, 0.0):
            comparison.refer(item)
        for item in moment(index, show, play, 0.0, skew_s(index / RATE)):
            events += analysis.feed(item)
    return events + analysis.finish(EndReason.EOF)


@pytest.mark.parametrize(
    ("skew_s", "severity"),
    [(0.3, Severity.CRITICAL), (-0.15, Severity.WARNING)],
)
def test_a_step_is_raised_within_ten_seconds(skew_s: float, severity: Severity) -> None:
    events = analysed(lambda at: skew_s if at >= 10 else 0.0, 20.0)

    started = events[0].incident
    assert (started.defect, started.severity) == ("avSync", severity)
    assert started.measurements["skewMilliseconds"] == pytest.approx(skew_s * 1000, abs=20)
    assert 8.0 <= started.start_s <= 14.0
    assert 10.0 < started.detected_at.timestamp() <= 20.0


@pytest.mark.parametrize("skew_s", [0.03, -0.1])
def test_what_nobody_notices_is_no_incident(skew_s: float) -> None:
    assert not analysed(lambda _: skew_s, 14.0)


def test_without_a_reference_nothing_can_be_told() -> None:
    analysis = StreamAnalysis(monitor_uid="", stream="s", worker="w", detectors={"avSync": {}})
    for index in range(RATE):
        for item in moment(index, programme(14), talk(15), 0.0, 0.0):
            assert not analysis.feed(item)

    assert analysis.blind_spots()["avSync"][0] == "NoReference"


def test_find_tells_the_best_place_and_the_next_best() -> None:
    series = np.random.default_rng(16).standard_normal((300, 3)).astype(np.float32)
    match = find(series[120:180], series, apart=5)

    assert match is not None
    assert match.offset == pytest.approx(120, abs=0.05)
    assert match.score == pytest.approx(1.0, abs=1e-6)
    assert match.rival < 0.5


def test_nothing_is_found_in_what_is_shorter_or_of_what_is_flat() -> None:
    series = np.ones((50, 2), np.float32)

    assert find(series, series[:20], apart=1) is None
    assert find(series[:20] * 0, series, apart=1) is None
