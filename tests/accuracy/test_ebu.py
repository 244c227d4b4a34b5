"""Our loudness meter on EBU's test signals, and beside ffmpeg's ebur128."""

import numpy as np
import pytest

from dev.origin.origin import SAMPLE_RATE, Floats
from streammonitor_worker.measures.k_weighting import channel_weights
from tests.accuracy.ebu import (
    INTEGRATED,
    RANGE,
    TRUE_PEAK,
    Metered,
    Reading,
    readings,
    surround,
    tone,
)
from tests.accuracy.filters import metadata_of_sound
from tests.accuracy.mixes import SOUNDS

# A quarter of an hour of sound is metered: a minute or two on a busy machine.
pytestmark = pytest.mark.timeout(400)

CASES = [f"3341-{n}" for n in (*range(1, 7), *range(9, 24))] + [f"3342-{n}" for n in range(1, 5)]


@pytest.fixture(scope="module")
def found() -> list[Reading]:
    return readings()


def test_every_case_that_can_be_synthesised_is_read(found: list[Reading]) -> None:
    assert sorted({one.case for one in found}) == sorted(CASES)


@pytest.mark.parametrize("case", CASES)
def test_the_meter_is_within_the_tolerance_of_ebu(case: str, found: list[Reading]) -> None:
    own = [one for one in found if one.case == case]
    assert own
    for one in own:
        assert one.within, one


def test_loudness_and_range_are_closer_than_asked(found: list[Reading]) -> None:
    for one in found:
        if one.figure != TRUE_PEAK:
            assert one.measured == pytest.approx(one.expected, abs=0.1), one


def test_low_frequency_effects_do_not_count() -> None:
    (without,) = Metered(surround(-28, -28, -24, -200, -30, -30), 0).figure(INTEGRATED)
    (loud,) = Metered(surround(-28, -28, -24, -6, -30, -30), 0).figure(INTEGRATED)
    assert without == pytest.approx(loud, abs=0.001) == pytest.approx(-23.0, abs=0.1)
    assert channel_weights(6).tolist() == [1, 1, 1, 0, 1.41, 1.41]


@pytest.mark.parametrize("name", sorted(SOUNDS))
def test_ours_and_ebur128_agree(name: str) -> None:
    samples = SOUNDS[name](3).samples(np.arange(SAMPLE_RATE * 20))
    _agree(samples, "stereo")


def test_ours_and_ebur128_agree_on_surround() -> None:
    one = tone((-30.0, 12.0), channels=1)
    rng = np.random.default_rng(6)
    samples = np.concatenate([one * gain for gain in (1.0, 0.5, 2.0, 3.0, 0.8, 1.2)])
    samples += rng.standard_normal(samples.shape, dtype=np.float32) * np.float32(0.01)
    _agree(samples, "5.1")


def _agree(samples: Floats, layout: str) -> None:
    ours = Metered(samples, 3.0)
    theirs = metadata_of_sound(samples, layout, "ebur128", "metadata=1:peak=true")
    key = "lavfi.r128."
    for figure, name, tolerance in ((INTEGRATED, "I", 0.1), (RANGE, "LRA", 0.2)):
        (measured,) = ours.figure(figure)
        assert measured == pytest.approx(float(theirs[-1][key + name]), abs=tolerance), figure
    for figure, name in (("momentary", "M"), ("short-term", "S")):
        # One line of theirs is one hop of ours.
        expected = [float(line[key + name]) for line in theirs][30:]
        assert ours.every(figure)[30 : 30 + len(expected)] == pytest.approx(expected, abs=0.1)
    channels = [float(v) for k, v in theirs[-1].items() if k.startswith(key + "true_peaks_ch")]
    peak_db = 20 * np.log10(max(channels))
    # Their interpolating filter is another one: the tolerance is EBU's, for both.
    assert max(ours.every(TRUE_PEAK)) == pytest.approx(peak_db, abs=0.4)
