import numpy as np
import pytest

from streammonitor_worker.detectors.base import Verdict
from streammonitor_worker.detectors.clipping import ClippingDetector, ClippingParams
from tests.contract.material import SAMPLE_RATE, notes
from tests.unit.worker.hearing import drums, hear, incidents, limited, speech


def sine(frequency_hz: float, gain: float, duration_s: float = 2.0) -> np.ndarray:
    time_s = np.arange(round(duration_s * SAMPLE_RATE)) / SAMPLE_RATE
    return np.clip(gain * np.sin(2 * np.pi * frequency_hz * time_s + 0.3), -1, 1)[None]


def rates(samples: np.ndarray) -> list[float]:
    found = hear(samples.astype(np.float32), ClippingDetector(ClippingParams()))
    return [one.values["topsPerSecond"] for one in found]


@pytest.mark.parametrize(
    ("frequency_hz", "gain"),
    [(30, 1.2), (100, 1.2), (100, 4), (440, 1.2), (440, 4), (997, 1.2), (997, 2), (3000, 2)],
)
@pytest.mark.parametrize("turned_down", [1.0, 0.3])
def test_a_clipped_sine_is_clipped_at_every_frequency(
    frequency_hz: float, gain: float, turned_down: float
) -> None:
    assert max(rates(sine(frequency_hz, gain) * turned_down)) > 40


@pytest.mark.parametrize("frequency_hz", [20, 55, 440, 997, 4000, 12_000, 23_000])
def test_a_sine_at_full_scale_is_not_clipped(frequency_hz: float) -> None:
    assert max(rates(sine(frequency_hz, 1.0))) == 0
    quantised = np.round(sine(frequency_hz, 1.0) * 32767) / 32768
    assert max(rates(quantised)) == 0


@pytest.mark.parametrize("gain_db", [0, 6, 12, 18])
@pytest.mark.parametrize("source", [notes, speech, drums])
def test_a_hot_master_without_flat_tops_is_not_clipped(source: object, gain_db: float) -> None:
    samples = source(4)  # type: ignore[operator]
    hot = limited(samples / np.abs(samples).max(), gain_db)
    assert np.abs(hot).max() == pytest.approx(1.0)
    assert incidents(hot, "clipping") == []


@pytest.mark.parametrize("source", [notes, speech])
@pytest.mark.parametrize("channels", [slice(None), slice(1, 2)])
def test_clipping_is_found_where_it_is(source: object, channels: slice) -> None:
    samples = source(12)  # type: ignore[operator]
    samples[channels, 3 * SAMPLE_RATE : 8 * SAMPLE_RATE] *= 20
    cut = np.flatnonzero(np.abs(samples).max(axis=0) > 1) / SAMPLE_RATE
    ((start_s, end_s),) = incidents(np.clip(samples, -1, 1), "clipping", clearDuration="1s")
    assert start_s == pytest.approx(cut[0], abs=0.05)
    assert end_s == pytest.approx(cut[-1], abs=0.05)


def in_codec_noise(samples: np.ndarray) -> np.ndarray:
    """What a lossy codec makes of it, in short: noise 18 dB below the sound."""
    rng = np.random.default_rng(6)
    std = np.sqrt(np.mean(samples**2)) * 10 ** (-18 / 20)
    coded: np.ndarray = (samples + std * rng.standard_normal(samples.shape)).astype(np.float32)
    return coded


def test_what_a_codec_leads_beyond_full_scale_was_cut_before() -> None:
    noise = np.random.default_rng(5).standard_normal((2, 8 * SAMPLE_RATE)) * 0.05
    noise[:, 3 * SAMPLE_RATE : 6 * SAMPLE_RATE] *= 40
    ((start_s, end_s),) = incidents(in_codec_noise(np.clip(noise, -1, 1)), "clipping")
    assert start_s == pytest.approx(3, abs=0.05)
    assert end_s == pytest.approx(6, abs=0.05)


@pytest.mark.parametrize("source", [notes, speech])
def test_a_hot_master_that_a_codec_leads_beyond_full_scale_is_not_clipped(source: object) -> None:
    samples = source(5)  # type: ignore[operator]
    assert incidents(in_codec_noise(limited(samples / np.abs(samples).max(), 3)), "clipping") == []


def square(hz: float) -> np.ndarray:
    time_s = np.arange(4 * SAMPLE_RATE) / SAMPLE_RATE
    return np.where(hz * time_s % 1 < 0.5, 0.7, -0.7).astype(np.float32)[None]


@pytest.mark.parametrize("hz", [110, 440])
def test_a_square_wave_is_not_clipped(hz: float) -> None:
    assert incidents(square(hz), "clipping") == []


def test_integers_that_overflow_are_found() -> None:
    samples = notes(9)
    samples[:, 3 * SAMPLE_RATE : 7 * SAMPLE_RATE] *= 20
    over = np.flatnonzero(np.abs(samples).max(axis=0) > 1) / SAMPLE_RATE
    ((start_s, end_s),) = incidents((samples + 1) % 2 - 1, "clipping")
    assert start_s == pytest.approx(over[0], abs=0.05)
    assert end_s == pytest.approx(over[-1], abs=0.05)


def test_one_clipped_peak_a_second_is_no_clipping() -> None:
    samples = notes(8)
    samples /= 2 * np.abs(samples).max()
    samples[:, ::SAMPLE_RATE] = 1.0
    assert incidents(samples, "clipping") == []


def test_broken_samples_are_unknown() -> None:
    samples = sine(440, 2.0).astype(np.float32)
    samples[0, 100] = np.nan
    first, *_ = hear(samples, ClippingDetector(ClippingParams()))
    assert first.verdict is Verdict.UNKNOWN
