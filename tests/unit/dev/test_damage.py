import io
import json
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from dev.media.damage import (
    Coding,
    Damage,
    Kind,
    damage,
    encode,
    generated,
    lose_ts,
    slices_of,
    write_damaged,
)
from dev.media.visible import damaged_area, decode, runs, seen

SIZE = (192, 112)
CODING = Coding(gop=20, slices=4)


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    return list(generated("texture", SIZE, 30))


def test_undamaged_is_undamaged(tmp_path: Path, pictures: list[np.ndarray]) -> None:
    written = write_damaged(tmp_path / "a.ts", pictures, Damage("none"), coding=CODING)
    assert written.area == (0.0,) * 30
    assert written.spans() == []


@pytest.mark.parametrize("kind", ["flip", "slice", "ts"])
def test_damage_begins_where_it_was_done_and_ends_with_the_next_key_frame(
    tmp_path: Path, pictures: list[np.ndarray], kind: Kind
) -> None:
    one = Damage(kind, first=8, count=4, share=0.8)
    written = write_damaged(tmp_path / "a.ts", pictures, one, coding=CODING)
    assert not any(written.area[:8])
    assert not any(written.area[20:])
    assert max(written.area[8:20]) > 0.02
    assert json.loads(written.to_json())["damage"]["kind"] == kind


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path, pictures: list[np.ndarray]) -> None:
    one = Damage("flip", first=8, seed=3)
    files = [tmp_path / "a.ts", tmp_path / "b.ts"]
    first, second = (write_damaged(file, pictures, one, coding=CODING) for file in files)
    assert first.area == second.area
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_dropped_unit_is_a_missing_picture(pictures: list[np.ndarray]) -> None:
    clean = encode(pictures, CODING)
    kept = [ticks for ticks, _ in decode(damage(clean, [Damage("unit", first=8, count=3)]))]
    every = [ticks for ticks, _ in decode(clean)]
    assert kept == every[:8] + every[11:]


@pytest.mark.parametrize("codec", ["hevc", "mpeg2", "av1"])
def test_other_codecs_can_be_damaged(pictures: list[np.ndarray], codec: str) -> None:
    clean = encode(pictures, replace(CODING, codec=codec))
    found = list(seen(clean, damage(clean, [Damage("slice", first=8, count=4, share=0.8)])))
    assert not any(one.differs for one in found[:6])
    assert any(one.differs for one in found[6:20])
    assert not any(one.differs for one in found[22:])


def test_slices_are_found(pictures: list[np.ndarray]) -> None:
    with av.open(io.BytesIO(encode(pictures[:2], CODING)), "r") as container:
        units = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    assert [len(slices_of(unit)) for unit in units] == [4, 4]


def test_lost_packets_leave_the_counters_of_others_alone(pictures: list[np.ndarray]) -> None:
    stream = encode(pictures, CODING)
    lost = lose_ts(stream, [Damage("ts", first=8, count=3, share=0.9)])
    kept = {stream[at : at + 188] for at in range(0, len(stream), 188)}
    assert len(lost) < len(stream)
    assert all(lost[at : at + 188] in kept for at in range(0, len(lost), 188))


def test_baked_damage_has_no_flag_left_but_the_same_truth(
    tmp_path: Path, pictures: list[np.ndarray]
) -> None:
    one = Damage("slice", first=8, count=4, share=0.8)
    plain = write_damaged(tmp_path / "a.ts", pictures, one, coding=CODING)
    baked = write_damaged(tmp_path / "b.ts", pictures, one, coding=CODING, baked=CODING)
    assert baked.area == plain.area
    assert baked.baked


@pytest.mark.parametrize(("lines", "tiles"), [(slice(0, 16), 2), (slice(96, 100), 4)])
def test_area_counts_tiles_of_luma_or_chroma(lines: slice, tiles: int) -> None:
    clean = np.full((144, 64), 100, np.uint8)
    shown = clean.copy()
    shown[lines, :32] = 120
    assert damaged_area(clean, shown) == pytest.approx(tiles / 24)


def test_a_picture_that_is_late_is_not_damaged(pictures: list[np.ndarray]) -> None:
    late = [pictures[max(0, index - 2)] for index in range(10)]
    coding = replace(CODING, crf=0)
    found = list(seen(encode(pictures[:10], coding), encode(late, coding)))
    assert [one.area for one in found] == [0.0] * 10
    assert [one.differs for one in found] == [False] + [True] * 9


def test_runs() -> None:
    assert runs([True, False, True, True, True], 2) == [range(2, 5)]
    assert runs([]) == []
