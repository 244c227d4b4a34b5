"""Sound and judgements for the tests of sound detectors."""

import numpy as np
import numpy.typing as npt

from streammonitor_api.incident import EndReason
from streammonitor_worker.analysis import StreamAnalysis
from streammonitor_worker.detectors import AnyDetector
from streammonitor_worker.detectors.base import Measurement
from streammonitor_worker.frames import SampleArray
from streammonitor_worker.incidents import EventKind
from streammonitor_worker.measures.sound import SoundMeter
from tests.contract.material import SAMPLE_RATE, buffers

Wave = npt.NDArray[np.float64]


def hear(samples: SampleArray, detector: AnyDetector) -> list[Measurement]:
    """Every measurement of the whole sound."""
    meter = SoundMeter()
    found = [one for view in buffers(samples) for one in detector.observe(meter.measure(view))]
    return [*found, *detector.observe(meter.finish()), *detector.flush()]


def incidents(samples: SampleArray, name: str, **params: object) -> list[tuple[float, float]]:
    """Start and end of every incident, through the state machine."""
    analysis = StreamAnalysis(monitor_uid="", stream="s", worker="w", detectors={name: params})
    events = [event for view in buffers(samples) for event in analysis.feed(view)]
    events += analysis.finish(EndReason.EOF)
    return [
        (event.incident.start_s, event.incident.end_s or 0.0)
        for event in events
        if event.kind is EventKind.ENDED
    ]


def speech(duration_s: float, *, seed: int = 0) -> SampleArray:
    """One voice in the middle of two channels: syllables, stops and pauses, over room noise."""
    rng = np.random.default_rng(seed)
    voice = np.zeros(round(duration_s * SAMPLE_RATE))
    first = 0
    while first < len(voice):
        length_s = rng.uniform(0.08, 0.25)
        time_s = np.arange(round(length_s * SAMPLE_RATE)) / SAMPLE_RATE
        sound = _vowel(time_s, rng) if rng.random() < 0.75 else _hiss(len(time_s), rng)
        sound *= np.clip(np.minimum(time_s / 0.015, (length_s - time_s) / 0.03), 0, 1)
        piece = voice[first : first + len(sound)]
        piece += sound[: len(piece)]
        pause_s = rng.uniform(0, 0.03) if rng.random() < 0.8 else rng.uniform(0.2, 0.9)
        first += len(sound) + round(pause_s * SAMPLE_RATE)
    room = rng.standard_normal((2, len(voice))) * 10 ** (-62 / 20)
    return (0.3 * voice + room).astype(np.float32)


def _vowel(time_s: Wave, rng: np.random.Generator) -> Wave:
    pitch_hz = rng.uniform(90, 180)
    waves = [
        np.sin(2 * np.pi * pitch_hz * harmonic * time_s + harmonic**2)
        / (1 + ((pitch_hz * harmonic - 600) / 300) ** 2 + 0.02 * harmonic)
        for harmonic in range(1, 30)
    ]
    sound: Wave = np.sum(waves, axis=0)
    sound /= np.abs(sound).max()
    return sound


def _hiss(count: int, rng: np.random.Generator) -> Wave:
    return 0.3 * np.diff(rng.standard_normal(count + 1))


def drums(duration_s: float, *, seed: int = 0) -> SampleArray:
    """Kick, snare and hat with digital silence between them."""
    rng = np.random.default_rng(seed)
    out = np.zeros((2, round(duration_s * SAMPLE_RATE)))
    time_s = np.arange(SAMPLE_RATE // 2) / SAMPLE_RATE
    kick = np.sin(2 * np.pi * 55 * time_s + 8 * (1 - np.exp(-30 * time_s)))
    attack = np.minimum(1, time_s / 0.001)
    for beat, first in enumerate(range(0, out.shape[1], SAMPLE_RATE // 4)):
        hiss = rng.standard_normal((2, len(time_s)))
        hat = 0.2 * np.diff(hiss, axis=1, append=0) * np.exp(-80 * time_s)
        hit = (0.6 * kick * np.exp(-12 * time_s), hat, 0.25 * hiss * np.exp(-22 * time_s), hat)
        piece = out[:, first : first + len(time_s)]
        piece += np.broadcast_to(hit[beat % 4] * attack, hiss.shape)[:, : piece.shape[1]]
    out[np.abs(out) < 1e-5] = 0
    return out.astype(np.float32)


def limited(samples: SampleArray, gain_db: float) -> SampleArray:
    """Turned up into a brickwall limiter with 2 ms of look-ahead: a hot master."""
    loud = samples * 10 ** (gain_db / 20)
    reach = SAMPLE_RATE // 500
    gain = np.minimum(1, 1 / np.maximum(np.abs(loud).max(axis=0), 1e-9))
    padded = np.pad(gain, 2 * reach, mode="edge")
    lowest = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).min(axis=1)
    window = np.hanning(2 * reach + 1)
    smooth = np.convolve(lowest, window / window.sum(), "valid")
    hot = loud * smooth
    hot /= np.abs(hot).max()
    out: SampleArray = hot.astype(np.float32)
    return out
