"""What the loudness detector makes of minutes of sound: steps, quiet scenes, targets."""

import numpy as np
import pytest

from streammonitor_worker.detectors.base import Verdict
from streammonitor_worker.detectors.loudness import LoudnessDetector, LoudnessParams
from streammonitor_worker.frames import SampleArray
from tests.accuracy.ebu import tone
from tests.contract.material import SAMPLE_RATE, silent
from tests.unit.worker.hearing import hear, incidents


def programme(*levels: tuple[float, float]) -> SampleArray:
    """Speech-like noise at levels in LUFS, about: bursts, a little louder and softer each."""
    rng = np.random.default_rng(8)
    pieces = []
    for level, duration_s in levels:
        gains = 10 ** ((level + rng.uniform(-3, 3, round(duration_s * 4))) / 20)
        gain = np.repeat(gains, SAMPLE_RATE // 4)
        pieces.append((rng.standard_normal((2, len(gain))) * gain * 0.5).astype(np.float32))
    return np.concatenate(pieces, axis=1)


def test_a_programme_that_is_suddenly_louder_is_raised_from_where_it_is() -> None:
    ((start_s, end_s),) = incidents(programme((-26, 60), (-18, 30), (-26, 30)), "loudness")
    assert start_s == pytest.approx(60, abs=0.5)
    assert end_s == pytest.approx(90, abs=3.5)


@pytest.mark.parametrize(("quiet_s", "times"), [(25, 0), (45, 1)])
def test_quiet_is_only_wrong_if_it_lasts(quiet_s: float, times: int) -> None:
    found = incidents(programme((-26, 60), (-36, quiet_s), (-26, 20)), "loudness")
    assert len(found) == times
    for start_s, end_s in found:
        assert start_s == pytest.approx(60, abs=1.0)
        assert end_s == pytest.approx(105, abs=3.5)


def test_what_lasts_as_long_as_the_baseline_becomes_usual() -> None:
    samples = programme((-30, 60), (-20, 150))
    ((start_s, end_s),) = incidents(samples, "loudness", baseline="60s")
    assert start_s == pytest.approx(60, abs=0.5)
    assert end_s < 180


def test_a_range_that_is_usual_is_no_step() -> None:
    swells = programme(*[(-32, 10), (-20, 10)] * 6)
    assert incidents(swells, "loudness") == []


def test_silence_is_left_to_its_own_detector() -> None:
    samples = np.concatenate([programme((-26, 60)), silent(60)], axis=1)
    assert incidents(samples, "loudness") == []


def test_a_programme_off_its_target_is_raised_and_ends() -> None:
    samples = tone((-23, 30), (-35, 70), (-23, 75))
    found = incidents(samples, "loudness", target=-23, window="20s", quietAfter="10m", maxStep=60)
    ((start_s, end_s),) = found
    assert 40 < start_s < 55
    assert 100 < end_s < 120


def test_without_a_target_no_steady_level_is_wrong() -> None:
    for level_db in (-40.0, -6.0):
        found = hear(tone((level_db, 60.0)), LoudnessDetector(LoudnessParams()))
        verdicts = [one.verdict for one in found]
        assert set(verdicts[:450]) == {Verdict.UNKNOWN}
        assert set(verdicts[500:]) == {Verdict.GOOD}
