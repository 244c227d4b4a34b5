from collections.abc import Callable

import numpy as np
import pytest

from streammonitor_worker.detectors.base import Verdict
from streammonitor_worker.detectors.channel_loss import ChannelLossDetector, ChannelLossParams
from streammonitor_worker.frames import SampleArray
from tests.contract.material import SAMPLE_RATE, notes, silent, tone
from tests.unit.worker.hearing import drums, hear, incidents, speech

Damage = Callable[[SampleArray], SampleArray]


def gone(piece: SampleArray) -> SampleArray:
    return piece * np.array([[1], [0]], np.float32)


def faint(piece: SampleArray) -> SampleArray:
    hiss = np.random.default_rng(1).standard_normal((piece.shape[1],)) * 10 ** (-70 / 20)
    return np.stack([hiss.astype(np.float32), piece[1]])


def left_twice(piece: SampleArray) -> SampleArray:
    return piece[[0, 0]]


def mixed_down(piece: SampleArray) -> SampleArray:
    middle = np.asarray(piece.mean(axis=0), np.float32)
    return np.stack([middle, middle])


def inverted(piece: SampleArray) -> SampleArray:
    return piece * np.array([[1], [-1]], np.float32)


def damaged(samples: SampleArray, damage: Damage, start_s: float, end_s: float) -> SampleArray:
    where = slice(round(start_s * SAMPLE_RATE), round(end_s * SAMPLE_RATE))
    out = samples.copy()
    out[:, where] = damage(samples[:, where])
    return out


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("damage", [gone, faint, left_twice, mixed_down, inverted])
def test_a_lost_channel_is_found_where_it_is(damage: Damage, seed: int) -> None:
    samples = damaged(notes(18, seed=seed), damage, 10.33, 15.71)
    ((start_s, end_s),) = incidents(samples, "channelLoss")
    assert start_s == pytest.approx(10.33, abs=0.05)
    assert end_s == pytest.approx(15.71, abs=0.05)


@pytest.mark.parametrize("damage", [gone, inverted])
def test_a_voice_loses_a_channel_in_spite_of_its_pauses(damage: Damage) -> None:
    samples = damaged(speech(13), damage, 3, 10)
    assert len(incidents(samples, "channelLoss")) == 1


@pytest.mark.parametrize("damage", [gone, inverted])
def test_what_is_lost_from_the_start_is_found(damage: Damage) -> None:
    ((start_s, _),) = incidents(damage(notes(8)), "channelLoss")
    assert start_s == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("source", [notes, speech, drums])
def test_clean_sound_has_all_channels(source: Callable[..., SampleArray], seed: int) -> None:
    assert incidents(source(12, seed=seed), "channelLoss") == []


def test_mono_from_the_start_is_no_defect() -> None:
    assert incidents(mixed_down(notes(12)), "channelLoss") == []


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_voice_in_the_middle_after_music_is_no_defect(seed: int) -> None:
    voice = mixed_down(speech(6, seed=seed))
    voice *= 10 ** (-26 / 20) / np.sqrt(np.mean(voice**2))
    samples = np.concatenate([notes(12, seed=seed), voice], axis=1)
    assert incidents(samples, "channelLoss") == []


def test_music_that_fades_to_the_middle_is_no_defect() -> None:
    music = notes(18)
    width = np.interp(np.arange(music.shape[1]) / SAMPLE_RATE, [11, 12], [1, 0])
    middle = mixed_down(music)
    samples = (middle + (music - middle) * width).astype(np.float32)
    assert incidents(samples, "channelLoss") == []


def test_a_sound_on_one_side_for_two_seconds_is_no_defect() -> None:
    assert incidents(damaged(notes(10), gone, 4, 6), "channelLoss") == []


def test_unrelated_channels_are_no_defect() -> None:
    noise = np.random.default_rng(2).standard_normal((2, 15 * SAMPLE_RATE)) * 0.05
    assert incidents(noise.astype(np.float32), "channelLoss") == []


def test_the_silent_surrounds_of_a_film_are_no_defect() -> None:
    samples = np.concatenate([notes(14), silent(14, channels=4)])
    samples[4:, 4 * SAMPLE_RATE : 6 * SAMPLE_RATE] = notes(2, seed=5)
    assert incidents(samples, "channelLoss") == []


def test_a_centre_that_always_sounded_is_missed() -> None:
    samples = np.concatenate([notes(19), notes(19, seed=7)])
    samples[2, 11 * SAMPLE_RATE : 16 * SAMPLE_RATE] = 0
    ((start_s, end_s),) = incidents(samples, "channelLoss")
    assert start_s == pytest.approx(11, abs=0.05)
    assert end_s == pytest.approx(16, abs=0.05)


def test_what_hums_instead_of_the_programme_is_lost_though_the_programme_pauses() -> None:
    samples = speech(20)
    time_s = np.arange(7 * SAMPLE_RATE) / SAMPLE_RATE
    where = slice(11 * SAMPLE_RATE, 18 * SAMPLE_RATE)
    samples[0, where] = np.sin(2 * np.pi * 50 * time_s) * 10 ** (-58 / 20) * 2**0.5
    ((start_s, _),) = incidents(samples, "channelLoss")
    assert start_s == pytest.approx(11, abs=0.05)


def test_twins_are_found_in_the_noise_of_a_codec() -> None:
    rng = np.random.default_rng(3)
    music = damaged(notes(19, seed=2), left_twice, 11, 17)
    coded = music + rng.standard_normal(music.shape) * np.sqrt(np.mean(music**2)) * 10 ** (-33 / 20)
    ((start_s, _),) = incidents(coded.astype(np.float32), "channelLoss")
    assert start_s == pytest.approx(11, abs=0.05)


def test_a_stereo_widener_inverts_nothing() -> None:
    music = speech(22, seed=4)
    late = round(0.015 * SAMPLE_RATE)
    middle = music.mean(axis=0)
    side = np.concatenate((np.zeros(late), middle[:-late]))
    widened = np.stack([0.65 * middle + side, 0.65 * middle - side])
    where = slice(12 * SAMPLE_RATE, None)
    music[:, where] = widened[:, where]
    assert incidents(music, "channelLoss") == []


@pytest.mark.parametrize("samples", [tone(1, channels=1), silent(1)])
def test_nothing_can_be_told_of_one_channel_or_of_silence(samples: SampleArray) -> None:
    found = hear(samples, ChannelLossDetector(ChannelLossParams()))
    assert {one.verdict for one in found} == {Verdict.UNKNOWN}
