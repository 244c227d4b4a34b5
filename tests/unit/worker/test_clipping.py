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


@pytest.mark.parametrize("gain", [1.05, 1.5, 4.0])
@pytest.mark.parametrize("frequency_hz", [30, 100, 440, 997, 1500, 3000])
def test_a_clipped_sine_is_clipped_at_every_frequency(frequency_hz: float, gain: float) -> None:
    if frequency_hz > 1000 and gain < 1.5:
        pytest.skip("at so few samples a period, 0.4 dB of clipping leaves one sample a top")
    assert max(rates(sine(frequency_hz, gain))) > 40


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
    found = hear(hot, ClippingDetector(ClippingParams()))
    assert Verdict.BAD not in {one.verdict for one in found}


@pytest.mark.parametrize("source", [notes, speech])
@pytest.mark.parametrize("channels", [slice(None), slice(1, 2)])
def test_clipping_is_found_where_it_is(source: object, channels: slice) -> None:
    samples = source(12)  # type: ignore[operator]
    samples[channels, 3 * SAMPLE_RATE : 8 * SAMPLE_RATE] *= 20
    cut = np.flatnonzero(np.abs(samples).max(axis=0) > 1) / SAMPLE_RATE
    ((start_s, end_s),) = incidents(np.clip(samples, -1, 1), "clipping", clearDuration="1s")
    assert start_s == pytest.approx(cut[0], abs=0.05)
    assert end_s == pytest.approx(cut[-1], abs=0.05)


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
