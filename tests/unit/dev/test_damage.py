import json
from pathlib import Path

import numpy as np
import pytest

from dev.media.damage import (
    Coding,
    Damage,
    Kind,
    damage_units,
    damaged_area,
    decode,
    encode,
    generated,
    lose_ts,
    mux,
    seen_areas,
    slices_of,
    write_damaged,
)

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
    damage = Damage(kind, first=8, count=4, share=0.8)
    written = write_damaged(tmp_path / "a.ts", pictures, damage, coding=CODING)
    assert not any(written.area[:8])
    assert not any(written.area[20:])
    assert max(written.area[8:20]) > 0.02
    assert json.loads(written.to_json())["damage"]["kind"] == kind


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path, pictures: list[np.ndarray]) -> None:
    damage = Damage("flip", first=8, seed=3)
    files = [tmp_path / "a.ts", tmp_path / "b.ts"]
    first, second = (write_damaged(file, pictures, damage, coding=CODING) for file in files)
    assert first.area == second.area
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_dropped_unit_is_a_missing_picture(pictures: list[np.ndarray]) -> None:
    units = encode(pictures, CODING)
    kept = damage_units(units, Damage("unit", first=8, count=3))
    assert [unit.pts for unit in kept] == [*range(8), *range(11, 30)]
    assert len(decode(mux(kept, CODING, SIZE))) == 27


def test_slices_are_found(pictures: list[np.ndarray]) -> None:
    units = encode(pictures[:2], CODING)
    assert [len(slices_of(unit.data)) for unit in units] == [4, 4]


def test_lost_packets_leave_the_counters_of_others_alone(pictures: list[np.ndarray]) -> None:
    stream = mux(encode(pictures, CODING), CODING, SIZE)
    lost = lose_ts(stream, Damage("ts", first=8, count=3, share=0.9))
    kept = {stream[at : at + 188] for at in range(0, len(stream), 188)}
    assert len(lost) < len(stream)
    assert all(lost[at : at + 188] in kept for at in range(0, len(lost), 188))


def test_baked_damage_has_no_flag_left_but_the_same_truth(
    tmp_path: Path, pictures: list[np.ndarray]
) -> None:
    damage = Damage("slice", first=8, count=4, share=0.8)
    plain = write_damaged(tmp_path / "a.ts", pictures, damage, coding=CODING)
    baked = write_damaged(tmp_path / "b.ts", pictures, damage, coding=CODING, baked=CODING)
    assert baked.area == plain.area
    assert baked.baked


def test_area_counts_tiles() -> None:
    clean = np.full((96, 64), 100, np.uint8)
    seen = clean.copy()
    seen[:16, :32] = 120
    assert damaged_area(clean, seen) == pytest.approx(2 / 16)


def test_a_picture_that_is_late_is_not_damaged(pictures: list[np.ndarray]) -> None:
    seen = [pictures[max(0, index - 2)] for index in range(10)]
    assert list(seen_areas(pictures[:10], seen)) == [0.0] * 10
