import math

import numpy as np
import pytest

from streammonitor_worker.frames import AudioView, Chroma, FrameView, LumaArray, Transfer
from streammonitor_worker.measures.luma import FULL, LIMITED, reduce_luma
from streammonitor_worker.measures.picture import PictureMeasures, PictureMeter
from streammonitor_worker.measures.sound import SoundMeter
from streammonitor_worker.measures.transfer import hdr_signal, sdr_signal
from tests.contract.material import buffers, flat, hold, pan, scene, silent, tinted, tone, views


def last(pictures: list[FrameView]) -> PictureMeasures:
    meter = PictureMeter()
    for view in pictures:
        measures = meter.measure(view)
    return measures


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        (1920, 1080, (270, 480)),
        (1280, 720, (360, 640)),
        (3840, 2160, (270, 480)),
        (720, 576, (288, 360)),
        (640, 360, (360, 640)),
        (1279, 721, (360, 639)),
        (2, 2, (2, 2)),
    ],
)
def test_reduced_size(width: int, height: int, expected: tuple[int, int]) -> None:
    reduced = reduce_luma(np.zeros((height, width), np.uint8), 8)
    assert reduced.shape == expected


def test_a_reduced_picture_is_a_copy() -> None:
    luma = np.zeros((90, 160), np.uint8)
    assert not np.shares_memory(reduce_luma(luma, 8), luma)


@pytest.mark.parametrize("bits", [9, 10, 12, 16])
def test_bit_depth_makes_no_difference(bits: int) -> None:
    picture = scene()[:180, :320]
    deep = np.left_shift(picture, bits - 8, dtype=np.uint16)
    np.testing.assert_array_equal(reduce_luma(deep, bits), reduce_luma(picture, 8))


def test_a_view_with_padded_rows_is_read_by_its_shape() -> None:
    padded = np.full((180, 384), 255, np.uint8)
    padded[:, :320] = 40
    assert np.all(reduce_luma(padded[:, :320], 8) == 40)


@pytest.mark.parametrize(("full", "scale"), [(False, LIMITED), (True, FULL)])
def test_ratios_run_from_black_to_white(full: bool, scale: object) -> None:
    white = last(list(views(flat(1, 255 if full else 235), full_range=full)))
    black = last(list(views(flat(1, 0 if full else 16), full_range=full)))
    assert white.scale == scale
    assert white.mean == pytest.approx(1.0)
    assert black.mean == pytest.approx(0.0)
    assert black.percentile(50) == pytest.approx(0.0)


@pytest.mark.parametrize("transfer", [Transfer.PQ, Transfer.HLG])
@pytest.mark.parametrize("sdr", [-0.05, 0.0, 0.02, 0.1, 0.5, 1.0])
def test_a_ratio_is_the_light_of_sdr_whatever_the_transfer(transfer: Transfer, sdr: float) -> None:
    assert sdr_signal(hdr_signal(sdr, transfer), transfer) == pytest.approx(sdr, abs=1e-9)
    scale = LIMITED._replace(transfer=transfer)
    assert scale.ratio(scale.code(sdr)) == pytest.approx(sdr, abs=1e-9)


@pytest.mark.parametrize(
    ("nits", "transfer", "signal"),
    [
        (0.1, Transfer.PQ, 0.0623),
        (100.0, Transfer.PQ, 0.5081),
        (203.0, Transfer.PQ, 0.5807),
        (203.0, Transfer.HLG, 0.7498),
        (1000.0, Transfer.HLG, 1.0),
    ],
)
def test_signals_of_known_light(nits: float, transfer: Transfer, signal: float) -> None:
    """Levels of ITU-R BT.2408 table 1 and of the formulas of BT.2100."""
    sdr = (nits / 203) ** (1 / 2.4)
    assert hdr_signal(sdr, transfer) == pytest.approx(signal, abs=2e-3)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("bits", [8, 10, 16])
def test_saturation_is_the_distance_from_grey(bits: int, full: bool) -> None:
    span = 255 if full else 224
    picture = np.full((90, 160), 60, np.uint8 if bits == 8 else np.uint16)

    def chroma(drawn: LumaArray) -> Chroma:
        return tinted(drawn, 0.06, -0.08, bit_depth=bits)

    (view,) = views([picture], bit_depth=bits, full_range=full, chroma=chroma)
    assert last([view]).saturation == pytest.approx(0.1 * 256 / span, abs=0.003)
    assert last(list(views([picture], bit_depth=bits))).saturation == 0.0


def test_dark_ratio_counts_pixels_at_or_below_the_threshold() -> None:
    picture = np.full((180, 320), 200, np.uint8)
    picture[:45] = 37
    measures = last(list(views([picture])))
    assert measures.dark_ratio(0.1) == pytest.approx(0.25)
    assert measures.dark_ratio(0.05) == 0.0


def test_bars_are_left_out_once_they_were_dark_for_a_while() -> None:
    boxed = np.full((180, 320), 16, np.uint8)
    boxed[24:156] = scene()[:132, :320]
    measures = last(list(views(hold(boxed, 150))))
    assert measures.active == (0, 24, 320, 156)
    assert measures.dark_ratio(0.1) < 0.1


def test_the_active_picture_grows_at_once_and_outlives_black() -> None:
    boxed = np.full((180, 320), 16, np.uint8)
    boxed[24:156] = 120
    black = np.full((180, 320), 16, np.uint8)
    whole = np.full((180, 320), 120, np.uint8)
    pictures = list(views([*hold(boxed, 150), *hold(black, 300)]))
    assert last(pictures).active == (0, 24, 320, 156)
    pictures = list(views([*hold(boxed, 150), whole]))
    assert last(pictures).active == (0, 0, 320, 180)


def test_an_exact_repeat_has_no_change_at_all() -> None:
    assert last(list(views(hold(scene()[:180, :320], 2)))).step == 0.0


def test_the_first_picture_has_none_before_it() -> None:
    assert last(list(views(pan(1)))).step is None


def test_a_change_of_size_has_no_picture_before_it() -> None:
    assert last([*views(pan(1)), *views(pan(1, 160, 90))]).step is None


def test_a_small_thing_that_moves_is_not_drowned_by_the_rest() -> None:
    first = np.full((360, 640), 100, np.uint8)
    second = first.copy()
    second[100:108, 100:108] = 160
    step = last(list(views([first, second]))).step
    assert step is not None
    assert step > 0.05
    assert np.abs(second.astype(float) - first).mean() < 0.1


@pytest.mark.parametrize("level_db", [-6.0, -40.0, -60.0])
def test_level_of_a_tone(level_db: float) -> None:
    measures = SoundMeter().measure(
        AudioView(time_s=1.0, arrived_at=0, samples=tone(1.0, level_db), sample_rate=48_000)
    )
    assert measures.blocks == 50
    assert measures.start_s == 1.0
    assert np.allclose(measures.rms_dbfs, level_db, atol=0.5)
    assert np.allclose(measures.peak_dbfs, level_db + 3.01, atol=0.5)


def test_digital_silence_is_told_from_very_quiet() -> None:
    nothing = SoundMeter().measure(next(buffers(silent(0.1), size=4800)))
    quiet = SoundMeter().measure(next(buffers(tone(0.1, -110.0), size=4800)))
    assert nothing.digital_silence.all()
    assert nothing.rms_dbfs.max() == -200.0
    assert not quiet.digital_silence.any()
    assert quiet.rms_dbfs.max() == pytest.approx(-110.0, abs=1.0)


@pytest.mark.parametrize("size", [1, 7, 960, 1024, 1152, 5000])
def test_blocks_do_not_depend_on_the_size_of_buffers(size: int) -> None:
    samples = np.concatenate([tone(0.1), silent(0.06), tone(0.1)], axis=1)
    meter, levels, starts = SoundMeter(), [], []
    for view in buffers(samples, start_s=3.0, size=size):
        measures = meter.measure(view)
        levels += measures.rms_dbfs.max(axis=0).tolist()
        starts += [measures.start_s + index * measures.block_s for index in range(measures.blocks)]
    assert starts == pytest.approx([3.0 + index * 0.02 for index in range(13)])
    assert [level < -60 for level in levels] == [False] * 5 + [True] * 3 + [False] * 5


def test_samples_before_a_reset_are_not_joined_to_those_after() -> None:
    meter = SoundMeter()
    meter.measure(next(buffers(tone(0.03), size=1440)))
    meter.reset()
    measures = meter.measure(next(buffers(silent(0.02), start_s=9.0, size=960)))
    assert measures.start_s == 9.0
    assert measures.rms_dbfs.max() == -200.0


def test_broken_samples_stay_visible() -> None:
    samples = silent(0.02)
    samples[0, 5] = math.nan
    assert np.isnan(SoundMeter().measure(next(buffers(samples, size=960))).rms_dbfs[0, 0])
