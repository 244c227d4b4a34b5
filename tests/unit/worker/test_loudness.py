import numpy as np
import pytest

from streammonitor_worker.detectors.base import Verdict
from streammonitor_worker.detectors.loudness import LoudnessDetector, LoudnessParams
from streammonitor_worker.frames import SampleArray
from streammonitor_worker.measures.k_weighting import KFilter
from streammonitor_worker.measures.loudness import LoudnessMeter
from streammonitor_worker.measures.sound import SoundMeter
from tests.contract.material import SAMPLE_RATE, buffers, silent
from tests.unit.worker.hearing import hear, incidents

Parts = list[tuple[float, float]]


def sine(level_db: float, duration_s: float, channels: int = 2) -> SampleArray:
    """1 kHz with this peak level in dBFS, as EBU Tech 3341 writes its signals."""
    time_s = np.arange(round(duration_s * SAMPLE_RATE)) / SAMPLE_RATE
    wave = np.sin(2 * np.pi * 1000 * time_s) * 10 ** (level_db / 20)
    return np.tile(wave.astype(np.float32), (channels, 1))


def parts(*levels: tuple[float, float]) -> SampleArray:
    return np.concatenate([sine(level_db, duration_s) for level_db, duration_s in levels], axis=1)


def measure(samples: SampleArray) -> LoudnessMeter:
    meter, loudness = SoundMeter(), LoudnessMeter(1800)
    for view in buffers(samples, size=4800):
        for hop in meter.measure(view).hops:
            loudness.take(hop)
    return loudness


def test_the_meter_reads_what_the_signal_has() -> None:
    """All of EBU's test signals are in tests/accuracy."""
    meter = measure(sine(-23, 4))
    assert meter.momentary_lufs == pytest.approx(-23, abs=0.1)
    assert meter.short_term_lufs == pytest.approx(-23, abs=0.1)
    assert meter.integrated_lufs() == pytest.approx(-23, abs=0.1)
    assert meter.peak_dbtp == pytest.approx(-23, abs=0.2)


@pytest.mark.parametrize("sample_rate", [8000, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("size", [64, 882, 4800, 77])
def test_the_filter_is_exact_whatever_the_buffers(sample_rate: int, size: int) -> None:
    samples = np.random.default_rng(4).standard_normal((2, 5000)).astype(np.float32)
    whole = KFilter(sample_rate, 2).filter(samples)
    filtering = KFilter(sample_rate, 2)
    pieces = [filtering.filter(samples[:, at : at + size]) for at in range(0, 5000, size)]
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), whole, atol=1e-9)


def test_the_filter_has_the_coefficients_of_the_standard() -> None:
    """Sample by sample with the table of BS.1770-5 for 48 kHz."""
    stages = [
        (
            [1.53512485958697, -2.69169618940638, 1.19839281085285],
            [-1.69065929318241, 0.73248077421585],
        ),
        ([1.0, -2.0, 1.0], [-1.99004745483398, 0.99007225036621]),
    ]
    samples = np.random.default_rng(5).standard_normal(2000)
    expected = samples
    for b, a in stages:
        out = np.zeros_like(expected)
        for index, _ in enumerate(expected):
            for lag in range(min(3, index + 1)):
                out[index] += b[lag] * expected[index - lag]
            for lag in range(1, min(3, index + 1)):
                out[index] -= a[lag - 1] * out[index - lag]
        expected = out
    found = KFilter(48_000, 1).filter(samples.astype(np.float32)[None])[0]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_on_target_is_good_and_too_little_is_unknown() -> None:
    found = hear(sine(-23, 20), LoudnessDetector(LoudnessParams(target=-23)))
    verdicts = [one.verdict for one in found]
    assert set(verdicts[:90]) == {Verdict.UNKNOWN}
    assert set(verdicts[110:]) == {Verdict.GOOD}


def test_true_peaks_over_the_limit_are_found_at_once() -> None:
    assert incidents(sine(0, 12), "loudness", maxTruePeak=-1, minDuration="5s") != []
    (first, *_) = hear(sine(0, 1), LoudnessDetector(LoudnessParams(max_true_peak=-1)))
    assert first.verdict is Verdict.BAD
    assert incidents(sine(0, 12), "loudness", minDuration="5s") == []


def test_silence_is_unknown() -> None:
    found = hear(silent(15), LoudnessDetector(LoudnessParams()))
    assert {one.verdict for one in found} == {Verdict.UNKNOWN}
