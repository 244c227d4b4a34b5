from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
import pytest

from dev.media.damage import Coding, Damage, Kind, generated, write_damaged
from streammonitor_worker.analyze import analyze
from streammonitor_worker.detectors.base import Measurement, Verdict
from streammonitor_worker.detectors.block_corruption import (
    BlockCorruptionDetector,
    BlockCorruptionParams,
)
from streammonitor_worker.frames import Chroma, FrameView
from streammonitor_worker.measures.blocks import MOST, BlockBorders, unwritten_blocks
from streammonitor_worker.measures.picture import PictureMeter
from tests.contract.material import Luma, damaged, hold, pan, scene, views


def judge(items: Iterable[FrameView]) -> list[Measurement]:
    meter, detector = PictureMeter(), BlockCorruptionDetector(BlockCorruptionParams())
    return [one for view in items for one in detector.observe(meter.measure(view))]


def bad(items: Iterable[FrameView]) -> list[float]:
    return [round(one.start_s, 2) for one in judge(items) if one.verdict is Verdict.BAD]


def flagged(items: Iterable[FrameView], numbers: set[int]) -> Iterator[FrameView]:
    for index, view in enumerate(items):
        yield replace(view, corrupt=index in numbers)


class TestFlags:
    def test_a_flag_taints_up_to_the_next_key_frame(self) -> None:
        found = bad(flagged(views(pan(100)), {60}))
        assert found == [round(index / 25, 2) for index in range(60, 75)]

    def test_a_damaged_key_frame_heals_nothing(self) -> None:
        found = bad(flagged(views(pan(120)), {60, 75}))
        assert found == [round(index / 25, 2) for index in range(60, 100)]

    def test_without_a_key_frame_certainty_fades(self) -> None:
        found = judge(flagged(views(pan(300), keys_every=1000), {50}))
        verdicts = [one.verdict for one in found]
        assert verdicts[50:100] == [Verdict.BAD] * 50
        assert verdicts[110] is Verdict.BETWEEN
        assert verdicts[-1] is Verdict.GOOD
        assert found[50].confidence > found[90].confidence
        assert found[60].values["flagged"] == 1.0

    def test_whoever_joins_in_the_middle_cannot_tell(self) -> None:
        items = list(flagged(views(pan(100)), set(range(5))))[1:]
        assert {one.verdict for one in judge(items[:24])} == {Verdict.UNKNOWN}
        assert bad(items) == []


class TestGaps:
    def test_a_gap_alone_is_no_damage(self) -> None:
        items = list(views(pan(150)))
        assert bad(items[:60] + items[63:]) == []

    def test_a_key_frame_that_puts_the_picture_right_proves_damage(self) -> None:
        whole = list(views(pan(100)))
        wrong = list(views(chain(pan(60), pan(40, seed=1))))
        items = whole[:30] + wrong[33:35] + wrong[60:75] + whole[75:]
        items = [replace(view, time_s=index / 25) for index, view in enumerate(items[:32])] + [
            replace(view, time_s=(index + 35) / 25, key_frame=index == 15)
            for index, view in enumerate(items[32:])
        ]
        found = [one for one in judge(items) if one.verdict is Verdict.BAD]
        assert found
        assert found[0].values["gap"] == 1.0
        assert found[0].values["flagged"] == 0.0


class TestPixels:
    def test_blocks_from_elsewhere(self) -> None:
        found = bad(views(chain(pan(60), damaged(20, first=60), pan(60))))
        assert found[0] == pytest.approx(2.4, abs=0.13)
        assert found[-1] < 4.0

    def test_the_map_shows_where(self) -> None:
        meter, detector = PictureMeter(), BlockCorruptionDetector(BlockCorruptionParams())
        for view in views(chain(pan(60), damaged(10, first=60))):
            list(detector.observe(meter.measure(view)))
        assert detector.damaged is not None
        rows, columns = np.nonzero(detector.damaged)
        assert 2 <= rows.mean() <= 8
        assert 4 <= columns.mean() <= 14

    def test_one_picture_is_not_enough(self) -> None:
        found = bad(views(chain(pan(60), damaged(1, first=60), pan(60))))
        assert len(found) / 25 < BlockCorruptionParams().min_duration

    @pytest.mark.parametrize("side", [8, 16, 20])
    @pytest.mark.parametrize("seed", [0, 1])
    def test_a_mosaic_of_cells_is_none(self, side: int, seed: int) -> None:
        def mosaic(picture: Luma) -> Luma:
            shown = picture.copy()
            height, width = shown[32:160].shape
            small = cv2.resize(
                shown[32:160], (width // side, height // side), interpolation=cv2.INTER_AREA
            )
            shown[32:160] = cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)
            return shown

        assert bad(views(chain(pan(50), map(mosaic, pan(60, seed=seed))))) == []

    def test_cuts_fades_noise_and_checkers_are_none(self) -> None:
        rng = np.random.default_rng(1)
        cuts = chain.from_iterable(pan(6, seed=index) for index in range(15))
        still = scene()[:180, :320]
        fade = ((still * (index / 40)).astype(np.uint8) for index in range(40))
        noise = (
            np.clip(still + rng.normal(0, 8, still.shape), 0, 255).astype(np.uint8)
            for _ in range(40)
        )
        tiles = np.kron(np.indices((12, 20)).sum(0) % 2, np.ones((16, 16))) * 150 + 50
        checkers = np.asarray(tiles[:180, :320], np.uint8)
        parts = (cuts, fade, noise, hold(checkers, 30), pan(40))
        assert bad(views(chain(*parts))) == []

    def test_after_a_flash_nothing_is_known_of_borders(self) -> None:
        lit = [np.clip(picture * 0.5 + 90, 0, 255).astype(np.uint8) for picture in pan(45)]
        shown = judge(views([*pan(40), *lit[40:]]))
        assert [one.verdict for one in shown[36:45]] == [Verdict.GOOD] * 4 + [Verdict.BETWEEN] * 5

    def test_borders_that_come_without_a_jump_are_the_encoders(self) -> None:
        (whole,), (blocky,) = pan(1), damaged(1)
        for pictures, sudden in ((40, False), (1, True)):
            parts = [index / pictures for index in range(1, pictures + 1)]
            shown = (np.round(whole * (1 - part) + blocky * part) for part in parts)
            coming = (picture.astype(np.uint8) for picture in shown)
            found = bad(views(chain(hold(whole, 30), coming, hold(blocky, 30))))
            assert bool(found) == sudden

    @pytest.mark.parametrize("bits", [10, 16])
    def test_bit_depth_makes_no_difference(self, bits: int) -> None:
        borders = BlockBorders()
        for picture in damaged(3):
            shifted = np.left_shift(picture, bits - 8, dtype=np.uint16)
            expected = borders.measure(picture, 8)
            assert expected is not None
            np.testing.assert_array_equal(borders.measure(shifted, bits), expected)

    def test_borders_count_where_they_crowd_in_both_directions(self) -> None:
        rng = np.random.default_rng(0)
        blocks = np.kron(rng.integers(0, 2, (12, 20)) * 120 + 60, np.ones((16, 16)))
        noisy = np.asarray(blocks + rng.integers(0, 24, blocks.shape), np.uint8)
        crowded = BlockBorders().measure(noisy, 8)
        beside = BlockBorders().measure(np.roll(noisy, (8, 8), (0, 1)), 8)
        bars = np.broadcast_to(noisy[:1], noisy.shape).astype(np.uint8)
        pillars = BlockBorders().measure(bars, 8)
        assert crowded is not None
        assert beside is not None
        assert pillars is not None
        assert crowded[4:8, 4:16].min() > 0.6 * MOST
        assert beside.max() <= 0
        assert pillars.max() == 0

    def test_memory_that_was_never_written_is_green(self) -> None:
        (view,) = views([np.full((192, 320), 20, np.uint8)])
        u, v = (np.full((96, 160), 128, np.uint8) for _ in range(2))
        u[16:32, 32:64] = v[16:32, 32:72] = 4
        found = unwritten_blocks(replace(view, chroma=Chroma(u, v)))
        assert found is not None
        assert np.argwhere(found).tolist() == [[r, c] for r in (2, 3) for c in (4, 5, 6, 7)]
        assert unwritten_blocks(replace(view, chroma=Chroma(v, np.full_like(v, 128)))) is None
        assert unwritten_blocks(view) is None

    def test_too_small_a_picture_cannot_be_judged(self) -> None:
        assert BlockBorders().measure(np.zeros((64, 320), np.uint8), 8) is None


@pytest.mark.parametrize("kind", ["flip", "slice", "ts"])
def test_damage_of_a_stream_is_found_where_it_is(tmp_path: Path, kind: Kind) -> None:
    written = write_damaged(
        tmp_path / "a.ts",
        generated("texture", (320, 192), 80),
        Damage(kind, first=30, count=4, share=0.8),
        coding=Coding(gop=25),
    )
    ((start_s, _), *_) = written.spans()
    (report,) = analyze([str(written.path)], {"blockCorruption": {}})
    (incident,) = report.incidents
    assert incident.start_s == pytest.approx(start_s, abs=0.13)
    assert incident.end_s == pytest.approx(2.0, abs=0.05)
    if kind == "slice":
        assert incident.measurements["damagedAreaRatio"] == pytest.approx(0.8, abs=0.1)


@pytest.mark.parametrize("picture", ["texture", "zoom", "night", "studio"])
@pytest.mark.parametrize("crf", [26, 40])
def test_clean_streams_raise_nothing(tmp_path: Path, picture: str, crf: int) -> None:
    written = write_damaged(
        tmp_path / "a.ts",
        generated(picture, (320, 192), 75),
        Damage("none"),
        coding=Coding(crf=crf),
    )
    (report,) = analyze([str(written.path)], {"blockCorruption": {}})
    assert report.incidents == []
