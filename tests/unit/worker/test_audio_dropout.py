from collections.abc import Callable

import numpy as np
import pytest

from streammonitor_worker.detectors.audio_dropout import AudioDropoutDetector, AudioDropoutParams
from streammonitor_worker.detectors.base import Verdict
from streammonitor_worker.frames import SampleArray
from streammonitor_worker.measures.repeats import PACKETS
from streammonitor_worker.measures.sound import SoundMeter
from tests.contract.material import SAMPLE_RATE, buffers, notes, silent, tone
from tests.unit.worker.hearing import drums, hear, incidents, limited, speech


@pytest.mark.parametrize("gap_ms", [5, 12, 20, 45, 100, 400, 1500, 3300])
@pytest.mark.parametrize("floor_db", [-200, -75])
def test_a_gap_is_found_where_it_is(gap_ms: int, floor_db: float) -> None:
    samples = notes(7)
    first = round(2.3456 * SAMPLE_RATE)
    where = slice(first, first + gap_ms * SAMPLE_RATE // 1000)
    noise = np.random.default_rng(3).standard_normal(samples.shape) * 10 ** (floor_db / 20)
    samples[:, where] = noise[:, where]
    ((start_s, end_s),) = incidents(samples, "audioDropout")
    assert start_s == pytest.approx(2.3456, abs=0.006)
    assert end_s == pytest.approx(2.3456 + gap_ms / 1000, abs=0.012)


@pytest.mark.parametrize("fade_s", [0.0, 0.03])
def test_nothing_in_a_soft_room_is_a_gap_whatever_follows_unless_it_was_faded(
    fade_s: float,
) -> None:
    first, end = 2.3456, 2.4456
    at_s = np.arange(5 * SAMPLE_RATE) / SAMPLE_RATE
    dark, bright = notes(5), np.diff(notes(5, seed=1), n=2, axis=1, append=[[0, 0]] * 2)
    samples = 0.15 * np.where(at_s < first, dark, bright * 2 * dark.std() / bright.std())
    samples += 0.0007 * np.random.default_rng(9).standard_normal(samples.shape)
    edges_s = [first - fade_s - 1e-9, first, end, end + fade_s + 1e-9]
    samples *= np.interp(at_s, edges_s, [1, 0, 0, 1])
    found = [start_s for start_s, _ in incidents(samples.astype(np.float32), "audioDropout")]
    assert found == ([pytest.approx(first, abs=0.003)] if fade_s == 0 else [])


def test_gaps_that_follow_each_other_are_one_incident() -> None:
    samples = notes(8)
    for first_s in (2.0, 2.4, 2.9, 3.5):
        first = round(first_s * SAMPLE_RATE)
        samples[:, first : first + 2400] = 0
    ((start_s, end_s),) = incidents(samples, "audioDropout")
    assert (start_s, end_s) == pytest.approx((2.0, 3.55), abs=0.005)


@pytest.mark.parametrize("channel", [0, 1])
def test_a_click_is_found_where_it_is(channel: int) -> None:
    samples = notes(5)
    samples[channel, round(2.137 * SAMPLE_RATE)] += 0.4
    ((start_s, _),) = incidents(samples, "audioDropout")
    assert start_s == pytest.approx(2.137, abs=0.001)


def test_crackle_may_be_even_as_the_pulses_of_a_low_tone_are() -> None:
    samples = notes(5)
    samples[:, round(2.137 * SAMPLE_RATE) + 965 * np.arange(4)] += 0.4
    ((start_s, _),) = incidents(samples, "audioDropout")
    assert start_s == pytest.approx(2.137, abs=0.03)


@pytest.mark.parametrize(("lost", "found"), [(3, 1), (60, 0)])
def test_packets_that_are_missing_are_a_gap_unless_the_stream_jumped(lost: int, found: int) -> None:
    meter, detector = SoundMeter(), AudioDropoutDetector(AudioDropoutParams())
    views = [view for number, view in enumerate(buffers(notes(4))) if not 90 <= number < 90 + lost]
    told = [one for view in views for one in detector.observe(meter.measure(view))]
    bad = [(one.start_s, one.end_s) for one in told if one.verdict is Verdict.BAD]
    span_s = pytest.approx((90 * 1024 / SAMPLE_RATE, (90 + lost) * 1024 / SAMPLE_RATE), abs=0.021)
    assert bad == [span_s] * found


@pytest.mark.parametrize("packet", PACKETS)
def test_a_packet_that_is_played_again_is_found_where_it_is(packet: int) -> None:
    samples = notes(4)
    samples += 0.02 * np.random.default_rng(5).standard_normal(samples.shape).astype(np.float32)
    first = round(2.137 * SAMPLE_RATE)
    for again in range(first, first + 3 * packet, packet):
        samples[:, again : again + packet] = samples[:, first - packet : first]
    ((start_s, end_s),) = incidents(samples, "audioDropout")
    assert start_s == pytest.approx(2.137, abs=0.01)
    assert end_s == pytest.approx((first + 3 * packet) / SAMPLE_RATE, abs=0.01)


def test_a_low_sawtooth_repeats_itself_and_jumps_and_is_no_dropout() -> None:
    turns = np.arange(4 * SAMPLE_RATE) * 64 / SAMPLE_RATE
    fade = np.clip(np.minimum(turns, turns[::-1]) / 96, 0, 1)
    saw = (0.3 * fade * (turns % 1 - 0.5)).astype(np.float32)
    assert incidents(np.stack([saw, saw]), "audioDropout") == []


def test_samples_that_are_missing_click() -> None:
    samples = tone(5)
    jump = round(2.137 * SAMPLE_RATE)
    samples = np.concatenate([samples[:, :jump], samples[:, jump + 1234 :]], axis=1)
    ((start_s, _),) = incidents(samples, "audioDropout")
    assert start_s == pytest.approx(2.137, abs=0.001)


def test_clicks_can_be_left_out() -> None:
    samples = notes(5)
    samples[:, round(2.137 * SAMPLE_RATE)] += 0.4
    assert incidents(samples, "audioDropout", minDuration="30ms") == []


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("source", [notes, speech, drums])
def test_music_speech_and_drums_do_not_drop_out(
    source: Callable[..., SampleArray], seed: int
) -> None:
    assert incidents(source(15, seed=seed), "audioDropout") == []


def test_a_hot_master_does_not_drop_out() -> None:
    assert incidents(limited(drums(6), 12), "audioDropout") == []


@pytest.mark.parametrize("fade_s", [0.05, 0.3, 2.0])
def test_a_fade_is_no_dropout(fade_s: float) -> None:
    music = notes(8)
    edges_s = [3 - fade_s, 3, 3.8, 3.8 + fade_s]
    music *= np.interp(np.arange(music.shape[1]) / SAMPLE_RATE, edges_s, [1, 0, 0, 1])
    assert incidents(music, "audioDropout") == []


def test_long_silence_and_the_ends_of_sound_are_no_dropouts() -> None:
    samples = np.concatenate([silent(1), notes(3), silent(5), notes(3), silent(1)], axis=1)
    assert incidents(samples, "audioDropout") == []


def test_before_any_sound_nothing_can_be_told() -> None:
    found = hear(silent(1), AudioDropoutDetector(AudioDropoutParams()))
    assert {one.verdict for one in found} == {Verdict.UNKNOWN}
