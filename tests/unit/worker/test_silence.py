import numpy as np
import pytest

from streammonitor_worker.detectors.base import Verdict
from streammonitor_worker.detectors.silence import SilenceDetector, SilenceParams
from streammonitor_worker.frames import SampleArray
from tests.contract.material import SAMPLE_RATE, silent, tone
from tests.unit.worker.hearing import hear, incidents

FAST = {"minDuration": "3s", "clearDuration": "1s"}


def noise(duration_s: float, level_db: float, seed: int = 0) -> SampleArray:
    rng = np.random.default_rng(seed)
    shape = 2, round(duration_s * SAMPLE_RATE)
    return (rng.standard_normal(shape) * 10 ** (level_db / 20)).astype(np.float32)


@pytest.mark.parametrize("floor_db", [-90, -65])
def test_room_tone_after_a_silence_ends_it(floor_db: float) -> None:
    parts = [tone(2), noise(4, floor_db), noise(4, -56), noise(4, floor_db), tone(2)]
    found = incidents(np.concatenate(parts, axis=1), "silence", **FAST)
    assert found == [pytest.approx((2, 6), abs=0.03), pytest.approx((10, 14), abs=0.03)]


def test_a_floor_at_the_threshold_does_not_chatter() -> None:
    samples = np.concatenate([tone(2), noise(8, -60), tone(2)], axis=1)
    assert incidents(samples, "silence", **FAST) == [pytest.approx((2, 10), abs=0.1)]


def test_a_dry_voice_with_pauses_ends_a_silence() -> None:
    words = np.concatenate([tone(0.7), silent(0.4)] * 5, axis=1)
    samples = np.concatenate([tone(2), silent(4), words], axis=1)
    assert incidents(samples, "silence", **FAST) == [pytest.approx((2, 6), abs=0.03)]


@pytest.mark.parametrize(("level_db", "digital"), [(-200, 1.0), (-140, 1.0), (-100, 0.0)])
def test_digital_silence_is_told_from_a_noise_floor(level_db: float, digital: float) -> None:
    found = hear(noise(2, level_db), SilenceDetector(SilenceParams()))
    told = {one.values["digitalSilence"] for one in found if one.verdict is Verdict.BAD}
    assert told == {digital}
