from collections.abc import Iterable
from itertools import chain
from types import ModuleType

import cv2
import numpy as np
import pytest

from streammonitor_worker.detectors import AnyDetector, build_registry, detector_of, registry
from streammonitor_worker.detectors.base import Verdict
from streammonitor_worker.detectors.black import BlackDetector, BlackParams
from streammonitor_worker.detectors.freeze import FreezeDetector, FreezeParams
from streammonitor_worker.detectors.silence import SilenceDetector, SilenceParams
from streammonitor_worker.frames import Chroma, FrameView, LumaArray, Transfer
from streammonitor_worker.measures.picture import PictureMeter
from streammonitor_worker.measures.sound import SoundMeter
from streammonitor_worker.measures.transfer import hdr_signal
from tests.contract.material import (
    Luma,
    buffers,
    flat,
    hold,
    pan,
    scene,
    silent,
    tinted,
    tone,
    views,
)

STILL = scene()[:180, :320]


def spans(pictures: Iterable[FrameView], detector: AnyDetector) -> list[tuple[float, float]]:
    """The spans of time that were found bad, joined."""
    meter = PictureMeter()
    found: list[tuple[float, float]] = []
    lasts = False
    for view in pictures:
        for one in detector.observe(meter.measure(view)):
            if one.verdict is Verdict.BAD:
                start_s = found.pop()[0] if lasts else one.start_s
                found.append((start_s, one.end_s))
            lasts = one.verdict is Verdict.BAD or (lasts and one.verdict is Verdict.BETWEEN)
    return [(round(start, 2), round(end, 2)) for start, end in found]


def verdicts(pictures: Iterable[LumaArray], **view: object) -> set[Verdict]:
    meter, detector = PictureMeter(), BlackDetector(BlackParams())
    return {
        one.verdict
        for item in views(pictures, **view)  # type: ignore[arg-type]
        for one in detector.observe(meter.measure(item))
    }


def test_names_are_unique() -> None:
    black = registry["black"]
    with pytest.raises(TypeError, match="two detectors are named 'black'"):
        build_registry([("black", black), ("other", black)])


def test_a_file_is_named_after_its_detector() -> None:
    with pytest.raises(TypeError, match=r"in dark\.py, not black\.py"):
        build_registry([("dark", registry["black"])])


def test_a_file_holds_one_detector() -> None:
    with pytest.raises(TypeError, match="defines 0 detectors"):
        detector_of(ModuleType("empty"))


class TestBlack:
    @pytest.mark.parametrize("level", [16, 20, 30])
    def test_black_of_several_levels(self, level: int) -> None:
        assert verdicts(flat(3, level)) == {Verdict.BAD}

    @pytest.mark.parametrize("level", [45, 128, 235])
    def test_another_grey_is_not_black(self, level: int) -> None:
        assert verdicts(flat(3, level)) == {Verdict.GOOD}

    @pytest.mark.parametrize("bits", [10, 12, 16])
    def test_deep_black(self, bits: int) -> None:
        pictures = [np.full((180, 320), 16 << (bits - 8), np.uint16)]
        meter = PictureMeter()
        (view,) = views(pictures, bit_depth=bits)
        (found,) = BlackDetector(BlackParams()).observe(meter.measure(view))
        assert found.verdict is Verdict.BAD

    def test_a_logo_is_left_out_of_the_map(self) -> None:
        picture = np.full((180, 320), 16, np.uint8)
        picture[16:32, 288:304] = 200
        meter, detector = PictureMeter(), BlackDetector(BlackParams())
        (view,) = views([picture])
        (found,) = detector.observe(meter.measure(view))
        assert found.verdict is Verdict.BAD
        assert found.tiles is not None
        assert np.argwhere(~found.tiles).tolist() == [[1, 18]]

    def test_range_decides_what_is_dark(self) -> None:
        assert verdicts(flat(1, 35)) == {Verdict.BAD}
        assert verdicts(flat(1, 35), full_range=True) == {Verdict.GOOD}
        assert verdicts(flat(1, 0), full_range=True) == {Verdict.BAD}

    def test_noise_on_black_is_black(self) -> None:
        noise = np.random.default_rng(1).normal(18, 2, (2, 1080, 1920))
        assert verdicts(np.clip(noise, 16, 30).astype(np.uint8)) == {Verdict.BAD}

    def test_a_logo_in_a_corner_leaves_black_black(self) -> None:
        picture = np.full((180, 320), 16, np.uint8)
        picture[10:28, 285:310] = 200
        assert verdicts([picture]) == {Verdict.BAD}

    def test_credits_on_black_are_not_black(self) -> None:
        picture = np.full((720, 1280), 16, np.uint8)
        cv2.putText(picture, "a film by", (560, 360), cv2.FONT_HERSHEY_SIMPLEX, 1.0, 235, 2)
        assert verdicts([picture]) == {Verdict.GOOD}

    @pytest.mark.parametrize("transfer", [Transfer.PQ, Transfer.HLG])
    def test_hdr_is_dark_where_sdr_of_the_same_light_is(self, transfer: Transfer) -> None:
        for sdr, verdict in ((0.09, Verdict.BAD), (0.11, Verdict.GOOD)):
            code = round(64 + 876 * hdr_signal(sdr, transfer))
            picture = np.full((90, 160), code, np.uint16)
            assert verdicts([picture], bit_depth=10, transfer=transfer) == {verdict}

    @pytest.mark.parametrize("bits", [8, 10])
    @pytest.mark.parametrize(("u", "v"), [(0.12, -0.05), (-0.03, 0.08), (-0.06, -0.06)])
    def test_a_tint_is_a_picture_however_dark(self, u: float, v: float, bits: int) -> None:
        dark = np.full((90, 160), 18 << (bits - 8), np.uint8 if bits == 8 else np.uint16)

        def tint(picture: LumaArray) -> Chroma:
            return tinted(picture, u, v, bit_depth=bits)

        assert verdicts([dark], chroma=tint, bit_depth=bits) == {Verdict.GOOD}
        assert verdicts([dark], bit_depth=bits) == {Verdict.BAD}

    def test_noise_in_the_colours_of_black_is_black(self) -> None:
        rng = np.random.default_rng(2)

        def noisy(picture: LumaArray) -> Chroma:
            planes = (rng.normal(128, 3, (180, 320)).round().astype(np.uint8) for _ in range(2))
            return Chroma(*planes)

        assert verdicts(flat(2, 16, 640, 360), chroma=noisy) == {Verdict.BAD}

    def test_a_picture_without_chroma_is_grey(self) -> None:
        assert verdicts(flat(1, 16), chroma=lambda _: None) == {Verdict.BAD}

    def test_coarse_noise_is_black_and_a_scene_of_its_spread_is_not(self) -> None:
        rng = np.random.default_rng(3)
        noise = np.clip(rng.normal(22, 3, (360, 640)), 0, 255).astype(np.uint8)
        scenery = cv2.GaussianBlur(rng.normal(0, 1, (360, 640)), (0, 0), 12)
        dim = (22 + 3 * scenery / scenery.std()).astype(np.uint8)
        assert verdicts([noise]) == {Verdict.BAD}
        assert verdicts([dim]) == {Verdict.GOOD}

    def test_lights_in_the_night_are_a_picture(self) -> None:
        picture = np.full((360, 640), 17, np.uint8)
        places = np.random.default_rng(4).integers((90, 160), (270, 480), (24, 2)).tolist()
        for y, x in places:
            picture[y : y + 3, x : x + 3] = 140
        assert verdicts([picture]) == {Verdict.GOOD}

    def test_a_dim_scene_is_not_black(self) -> None:
        dim = (16 + STILL.astype(np.float32) * 0.08).astype(np.uint8)
        assert dim.max() <= 37
        assert Verdict.BAD not in verdicts([dim])

    def test_letterbox_is_not_black_and_black_inside_it_is(self) -> None:
        boxed = np.full((180, 320), 16, np.uint8)
        boxed[60:120] = STILL[:60]
        assert Verdict.BAD not in verdicts(hold(boxed, 300))
        found = spans(views(chain(hold(boxed, 200), flat(50, 16))), BlackDetector(BlackParams()))
        assert found == [(8.0, 10.0)]

    def test_a_lit_strip_between_tall_bars_is_not_black(self) -> None:
        boxed = np.full((180, 320), 16, np.uint8)
        boxed[86:94] = 120
        assert verdicts(hold(boxed, 200)) == {Verdict.GOOD}

    @pytest.mark.parametrize("fade_frames", [12, 25, 50])
    def test_a_fade_is_black_from_where_nothing_is_left(self, fade_frames: int) -> None:
        weights = [1 - index / fade_frames for index in range(fade_frames)]
        fade = [(16 + (STILL - 16.0) * weight).astype(np.uint8) for weight in weights]
        pictures = chain(hold(STILL, 10), fade, flat(50, 16))
        ((start, end),) = spans(views(pictures), BlackDetector(BlackParams()))
        assert start == pytest.approx((10 + fade_frames) / 25, abs=0.041)
        assert end == pytest.approx((60 + fade_frames) / 25)


LAST = list(pan(50))[-1]
"""The picture at which a pan of two seconds stops."""


def freezes(pictures: Iterable[Luma], **params: float) -> list[tuple[float, float]]:
    return spans(views(pictures), FreezeDetector(FreezeParams(**params)))


def clocked(picture: Luma, index: int, *, top: int = 150) -> Luma:
    """The picture under a plate whose lettering changes twice a second."""
    drawn = picture.copy()
    drawn[top : top + 24, 230:310] = 30
    text = f"{index // 12 % 10}"
    cv2.putText(drawn, text * 4, (234, top + 20), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 225, 2)
    return drawn


class TestFreeze:
    def test_exact_repeats(self) -> None:
        assert freezes(chain(pan(50), hold(LAST, 100), pan(50, seed=1))) == [(1.96, 6.0)]

    def test_a_short_still_is_not_even_suspicious(self) -> None:
        assert freezes(chain(pan(50), hold(LAST, 11), pan(50, seed=1))) == []

    def test_key_frames_may_pop(self) -> None:
        rng = np.random.default_rng(3)
        coded = [
            np.clip(LAST + 6.0 * cv2.GaussianBlur(rng.normal(0, 1, LAST.shape), (0, 0), 1), 0, 255)
            for _ in range(4)
        ]
        frozen = [coded[index // 25].astype(np.uint8) for index in range(100)]
        assert freezes(chain(pan(50), frozen, pan(50, seed=1))) == [(1.96, 6.0)]

    def test_a_still_that_a_cut_brought_is_none_until_it_has_stood_for_long(self) -> None:
        card = scene(seed=1)[:180, :320]
        pictures = [*pan(50), *hold(card, 150), *pan(50)]
        assert freezes(pictures) == []
        assert freezes(pictures, stillAfter=5.0) == [(2.0, 8.0)]

    def test_what_stands_from_the_first_picture_on_is_a_still(self) -> None:
        assert freezes(hold(STILL, 150)) == []
        assert freezes(hold(STILL, 150), stillAfter=4.0) == [(0.0, 6.0)]

    def test_a_still_outlives_a_glitch(self) -> None:
        card = scene(seed=1)[:180, :320]
        glitch = card.copy()
        glitch[60:90, 100:140] = 255 - glitch[60:90, 100:140]
        pictures = [*pan(50), *hold(card, 40), glitch, *hold(card, 110)]
        assert freezes(pictures) == []

    def test_a_freeze_right_after_a_cut_is_one_if_something_had_moved(self) -> None:
        moving = list(pan(60, seed=3))
        pictures = [*pan(50), *moving[40:50], *hold(moving[49], 100), *pan(50)]
        assert freezes(pictures) == [(2.36, 6.4)]

    def test_a_freeze_that_goes_on_after_a_gap_is_still_one(self) -> None:
        meter, detector = PictureMeter(), FreezeDetector(FreezeParams())
        found = []
        for start_s, pictures in ((0.0, [*pan(50), *hold(LAST, 75)]), (9.0, hold(LAST, 75))):
            meter.reset()
            detector.reset()
            for view in views(pictures, start_s=start_s):
                found += list(detector.observe(meter.measure(view)))
        assert found[-1].verdict is Verdict.BAD
        assert (
            min(one.start_s for one in found if one.start_s >= 9 and one.verdict is Verdict.BAD)
            == 9
        )

    def test_a_clock_does_not_hide_a_freeze(self) -> None:
        shown = [*pan(50), *hold(LAST, 100), *pan(50, seed=1)]
        pictures = [clocked(picture, index) for index, picture in enumerate(shown)]
        assert freezes(pictures) == [(1.96, 6.0)]
        assert freezes(pictures, overlayRatio=0.0) == []

    def test_the_overlay_is_told(self) -> None:
        shown = [*pan(50), *hold(LAST, 100)]
        meter, detector = PictureMeter(), FreezeDetector(FreezeParams())
        for view in views(clocked(picture, index) for index, picture in enumerate(shown)):
            *_, last = [None, *detector.observe(meter.measure(view))]
        assert last is not None
        assert 0.005 < last.values["overlayRatio"] < 0.06
        assert last.tiles is not None
        assert 1 - last.tiles.mean() == pytest.approx(last.values["overlayRatio"], abs=0.02)
        assert last.values["still"] == 0.0

    def test_what_stirs_in_the_middle_is_motion(self) -> None:
        shown = [*pan(50), *hold(LAST, 100)]
        assert freezes(clocked(one, index, top=80) for index, one in enumerate(shown)) == []

    def test_a_slate_under_a_clock_is_no_freeze_ever(self) -> None:
        slate = np.full((180, 320), 60, np.uint8)
        shown = [*pan(50), *hold(slate, 150)]
        pictures = [clocked(picture, index) for index, picture in enumerate(shown)]
        assert freezes(pictures, stillAfter=2.0) == []

    def test_a_scene_that_always_stood_under_a_clock_is_no_freeze(self) -> None:
        assert freezes(clocked(STILL, index) for index in range(150)) == []

    def test_a_scene_that_moves_along_its_edge_only_can_freeze(self) -> None:
        def traffic(index: int) -> Luma:
            drawn = STILL.copy()
            for lane in range(4):
                left = (6 * index + 80 * lane) % 300
                drawn[156:168, left : left + 20] = 235
            return drawn

        moving = [traffic(index) for index in range(100)]
        ((start, end),) = freezes([*moving, *hold(moving[-1], 100), *pan(25)])
        assert start == pytest.approx(99 / 25, abs=0.041)
        assert end == 8.0

    @pytest.mark.parametrize("gain", [0.05, 0.15])
    def test_what_moves_under_a_dim_light_moves(self, gain: float) -> None:
        dimmed = [(16 + (one - 16.0) * gain).astype(np.uint8) for one in pan(150, seed=2)]
        assert freezes(chain(pan(50), dimmed)) == []

    @pytest.mark.parametrize("percent_per_second", [0.5, 2.0])
    def test_a_slow_zoom_is_not_a_freeze(self, percent_per_second: float) -> None:
        def zoom(index: int) -> Luma:
            scale = 1 + percent_per_second / 100 * index / 25
            matrix = cv2.getRotationMatrix2D((160, 90), 0, scale)
            return cv2.warpAffine(STILL, matrix, (320, 180), flags=cv2.INTER_CUBIC)  # type: ignore[return-value]

        found = spans(views(map(zoom, range(250))), FreezeDetector(FreezeParams()))
        assert all(end - start < 3.0 for start, end in found)

    def test_slow_motion_before_and_after_does_not_count(self) -> None:
        soft = cv2.GaussianBlur(scene(1200), (0, 0), 8).astype(np.uint8)
        slow = [soft[:180, index : 320 + index] for index in range(100)]
        steps = PictureMeter()
        changes = [steps.measure(view).step or 0.0 for view in views(slow)]
        assert max(changes) < FreezeParams().threshold
        pictures = views(chain(slow[:50], hold(slow[50], 100), slow[51:]))
        ((start, end),) = spans(pictures, FreezeDetector(FreezeParams()))
        assert start == pytest.approx(2.0, abs=0.041)
        # Motion that returns slowly, and with a key frame, takes a few pictures to be told from it.
        assert end == pytest.approx(6.0, abs=0.2)

    def test_a_slide_show_is_not_a_freeze(self) -> None:
        slides = [scene(seed=seed)[:180, :320] for seed in range(5)]
        pictures = list(chain.from_iterable(hold(slide, 50) for slide in slides))
        assert freezes(pictures) == []
        assert freezes(pictures, stillAfter=1.0) == [(2.0 * n, 2.0 * n + 2) for n in range(5)]

    def test_a_zoom_that_is_coded_as_repeats_is_not_a_freeze(self) -> None:
        soft = cv2.GaussianBlur(scene(), (0, 0), 8).astype(np.uint8)
        steps = [soft[index : 180 + index, :320] for index in range(0, 20, 2)]
        pictures = views(chain.from_iterable(hold(step, 25) for step in steps))
        found = spans(pictures, FreezeDetector(FreezeParams()))
        assert all(end - start < 3.0 for start, end in found)

    def test_a_small_thing_that_moves_is_motion(self) -> None:
        def picture(index: int) -> Luma:
            drawn = STILL.copy()
            left = 20 + index
            drawn[80:88, left : left + 12] = 235
            return drawn

        assert spans(views(map(picture, range(200))), FreezeDetector(FreezeParams())) == []

    def test_what_an_encoder_still_refines_counts_as_frozen(self) -> None:
        rng = np.random.default_rng(5)
        blur = cv2.GaussianBlur(rng.normal(0, 1, STILL.shape), (0, 0), 2)
        coarse = [np.clip(LAST + blur * size, 0, 255).astype(np.uint8) for size in (12, 6, 3)]
        pictures = views(chain(pan(50), coarse, hold(LAST, 97), pan(50, seed=1)), keys_every=40)
        ((start, end),) = spans(pictures, FreezeDetector(FreezeParams()))
        assert start == pytest.approx(1.96, abs=0.041)
        assert end == 6.0


class TestSilence:
    @staticmethod
    def judge(samples: np.ndarray, **params: float) -> list[Verdict]:
        meter, detector = SoundMeter(), SilenceDetector(SilenceParams(**params))
        return [
            one.verdict
            for view in buffers(samples)
            for one in detector.observe(meter.measure(view))
        ]

    @pytest.mark.parametrize(
        ("level_db", "verdict"),
        [(-20, Verdict.GOOD), (-53, Verdict.GOOD), (-57, Verdict.BETWEEN), (-61, Verdict.BAD)],
    )
    def test_levels(self, level_db: float, verdict: Verdict) -> None:
        assert set(self.judge(tone(1.5, level_db))[-20:]) == {verdict}

    def test_the_threshold_is_yours(self) -> None:
        assert set(self.judge(tone(1.5, -45), threshold=-40.0)[-20:]) == {Verdict.BAD}

    def test_one_channel_that_sounds_is_enough(self) -> None:
        samples = np.concatenate([silent(0.5, channels=5), tone(0.5, channels=1)])
        assert set(self.judge(samples)) == {Verdict.GOOD}

    @pytest.mark.parametrize("broken", [np.nan, np.inf])
    def test_broken_samples_are_unknown(self, broken: float) -> None:
        samples = silent(0.04)
        samples[0, 10] = broken
        assert self.judge(samples) == [Verdict.UNKNOWN, Verdict.BETWEEN]
