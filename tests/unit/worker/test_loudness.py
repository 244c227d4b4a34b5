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


@pytest.mark.parametrize("level_db", [-23.0, -33.0])
def test_tech_3341_cases_1_and_2(level_db: float) -> None:
    meter = measure(sine(level_db, 20))
    assert meter.momentary_lufs == pytest.approx(level_db, abs=0.1)
    assert meter.short_term_lufs == pytest.approx(level_db, abs=0.1)
    assert meter.integrated_lufs() == pytest.approx(level_db, abs=0.1)


@pytest.mark.parametrize(
    "levels",
    [
        pytest.param([(-36, 10), (-23, 60), (-36, 10)], id="case-3"),
        pytest.param([(-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)], id="case-4"),
        pytest.param([(-26, 20), (-20, 20.1), (-26, 20)], id="case-5"),
    ],
)
def test_tech_3341_gating(levels: Parts) -> None:
    assert measure(parts(*levels)).integrated_lufs() == pytest.approx(-23, abs=0.1)


def test_tech_3341_case_6_weighs_5_1() -> None:
    levels = [-28, -28, -24, -200, -30, -30]
    samples = np.concatenate([sine(level, 20, channels=1) for level in levels])
    assert measure(samples).integrated_lufs() == pytest.approx(-23, abs=0.1)
    samples[3] = sine(-10, 20, channels=1)
    assert measure(samples).integrated_lufs() == pytest.approx(-23, abs=0.1)


def test_tech_3341_case_9_short_term() -> None:
    samples = np.tile(parts((-20, 1.34), (-30, 1.66)), (1, 5))
    meter, loudness = SoundMeter(), LoudnessMeter(60)
    seen = []
    for view in buffers(samples, size=4800):
        for hop in meter.measure(view).hops:
            loudness.take(hop)
            seen.append(loudness.short_term_lufs)
    assert seen[30:] == pytest.approx([-23.0] * len(seen[30:]), abs=0.1)


@pytest.mark.parametrize("phase_deg", [0, 45, 60, 67.5])
@pytest.mark.parametrize(("divisor", "amplitude", "expected"), [(4, 0.5, -6.0), (6, 0.5, -6.0)])
def test_tech_3341_true_peak(
    divisor: int, amplitude: float, expected: float, phase_deg: float
) -> None:
    index = np.arange(SAMPLE_RATE)
    wave = amplitude * np.sin(2 * np.pi * index / divisor + np.deg2rad(phase_deg))
    # The signal fades in, so that its beginning is no transient of its own.
    wave *= np.clip(index / 4800, 0, 1)
    found = measure(np.tile(wave.astype(np.float32), (2, 1))).peak_dbtp
    assert expected - 0.4 <= found <= expected + 0.2


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        pytest.param([(-20, 20), (-30, 20)], 10, id="case-1"),
        pytest.param([(-20, 20), (-15, 20)], 5, id="case-2"),
        pytest.param([(-40, 20), (-20, 20)], 20, id="case-3"),
        pytest.param([(-50, 20), (-35, 20), (-20, 20), (-35, 20), (-50, 20)], 15, id="case-4"),
    ],
)
def test_tech_3342_range(levels: Parts, expected: float) -> None:
    assert measure(parts(*levels)).range_lu() == pytest.approx(expected, abs=1)


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


def test_a_quiet_programme_is_raised_and_ends() -> None:
    samples = parts((-23, 30), (-35, 70), (-23, 75))
    ((start_s, end_s),) = incidents(samples, "loudness", window="20s")
    assert 40 < start_s < 55
    assert 100 < end_s < 120


def test_on_target_is_good_and_too_little_is_unknown() -> None:
    found = hear(sine(-23, 20), LoudnessDetector(LoudnessParams()))
    verdicts = [one.verdict for one in found]
    assert set(verdicts[:90]) == {Verdict.UNKNOWN}
    assert set(verdicts[110:]) == {Verdict.GOOD}


def test_true_peaks_over_the_limit_are_found_at_once() -> None:
    assert incidents(sine(0, 15), "loudness", target=-5, tolerance=10, minDuration="5s") != []
    (first, *_) = hear(sine(0, 1), LoudnessDetector(LoudnessParams()))
    assert first.verdict is Verdict.BAD


def test_silence_is_unknown() -> None:
    found = hear(silent(15), LoudnessDetector(LoudnessParams()))
    assert {one.verdict for one in found} == {Verdict.UNKNOWN}
