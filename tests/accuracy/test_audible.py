"""What counts as heard is what louder sound in the same band does not mask."""

import numpy as np
import pytest

from dev.origin.origin import SAMPLE_RATE, Floats
from tests.accuracy.audible import ADDED_DB, DISTURBED_DB, added_db, disturbance_db

AT = SAMPLE_RATE // 4


def _tone() -> Floats:
    time_s = np.arange(SAMPLE_RATE // 2) / SAMPLE_RATE
    wave = 0.2 * np.sin(2 * np.pi * 440 * time_s)
    return np.stack([wave, wave]).astype(np.float32)


def _noise() -> Floats:
    rng = np.random.default_rng(1)
    return (0.1 * rng.standard_normal((2, SAMPLE_RATE // 2))).astype(np.float32)


@pytest.mark.parametrize(("height", "heard"), [(0.3, True), (0.0005, False)])
def test_a_click_in_a_tone_is_heard_unless_it_is_tiny(height: float, heard: bool) -> None:
    clean = _tone()
    damaged = clean.copy()
    damaged[:, AT] += height
    assert (disturbance_db(damaged, clean) >= DISTURBED_DB) == heard


@pytest.mark.parametrize(("height", "heard"), [(1.0, True), (0.1, False)])
def test_noise_masks_a_click_that_is_no_higher_than_itself(height: float, heard: bool) -> None:
    clean = _noise()
    damaged = clean.copy()
    damaged[:, AT] += height
    assert (disturbance_db(damaged, clean) >= DISTURBED_DB) == heard


def test_five_milliseconds_of_nothing_are_heard_in_noise() -> None:
    clean = _noise()
    damaged = clean.copy()
    damaged[:, AT : AT + 240] = 0
    assert disturbance_db(damaged, clean) >= DISTURBED_DB


def test_a_splice_is_heard_in_a_tone_and_not_in_noise() -> None:
    for sound, heard in ((_tone(), True), (_noise(), False)):
        spliced = np.concatenate((sound[:, :AT], sound[:, AT + 1234 :]), axis=1)
        assert (added_db(spliced, AT) >= ADDED_DB) == heard
