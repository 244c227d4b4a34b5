"""Events on disk: order, cursors, crashes, bounds."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from streammonitor_worker.spool import Spool, SpoolReader

Make = Callable[..., Spool]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Make spools; a second one finds what a first one left when its process died."""
    made: list[Spool] = []

    def one(folder: Path = tmp_path, **limits: Any) -> Spool:
        made.append(Spool(folder, **limits))
        return made[-1]

    yield one
    for spool in made:
        spool.close()


def every(line: bytes) -> bool:
    return True


def read(reader: SpoolReader) -> list[bytes]:
    lines = []
    while (record := reader.next()) is not None:
        lines.append(record.line)
    return lines


def numbers(first: int, last: int) -> list[bytes]:
    return [b"%d %s" % (number, b"x" * 80) for number in range(first, last + 1)]


def test_what_is_appended_is_read_in_order_by_every_reader(make: Make) -> None:
    spool = make(segment_bytes=500)
    one, other = spool.reader("one", every), spool.reader("other", every)
    for line in numbers(1, 40):
        spool.append(line)
    assert read(one) == read(other) == numbers(1, 40)
    assert one.next() is None
    spool.append(b"later")
    assert read(one) == [b"later"]


def test_a_new_reader_begins_at_the_end_and_one_that_was_there_after_what_it_took(
    make: Make,
) -> None:
    spool = make()
    reader = spool.reader("one", every)
    for line in numbers(1, 10):
        spool.append(line)
    taken = [reader.next() for _ in range(4)][-1]
    assert taken is not None
    reader.commit(taken.number)
    assert read(reader) == numbers(5, 10)

    again = make()
    assert read(again.reader("one", every)) == numbers(5, 10)
    assert read(again.reader("new", every)) == []


def test_what_came_before_a_new_reader_took_anything_is_there_for_the_next_process(
    make: Make,
) -> None:
    spool = make()
    spool.reader("one", every)
    spool.append(b"first")
    assert read(make().reader("one", every)) == [b"first"]


def test_a_line_that_was_torn_by_a_crash_is_cut_off_and_its_number_used_anew(
    make: Make,
    tmp_path: Path,
) -> None:
    spool = make()
    spool.reader("one", every).commit(0)
    for line in numbers(1, 3):
        spool.append(line)
    (segment,) = tmp_path.glob("*.spool")
    os.truncate(segment, segment.stat().st_size - 5)

    again = make()
    assert again.append(b"next") == 3
    assert read(again.reader("one", every)) == [*numbers(1, 2), b"next"]


def test_a_line_that_cannot_be_read_is_passed_over(make: Make, tmp_path: Path) -> None:
    spool = make()
    spool.reader("one", every).commit(0)
    for line in numbers(1, 3):
        spool.append(line)
    (segment,) = tmp_path.glob("*.spool")
    segment.write_bytes(segment.read_bytes().replace(b"2+2 x", b"????x"))
    assert read(make().reader("one", every)) == [*numbers(1, 1), *numbers(3, 3)]


def test_a_cursor_that_cannot_be_read_costs_repetition_and_no_loss(
    make: Make, tmp_path: Path
) -> None:
    spool = make()
    spool.reader("one", every).commit(0)
    for line in numbers(1, 3):
        spool.append(line)
    (tmp_path / "one.cursor").write_text("?")
    assert read(make().reader("one", every)) == numbers(1, 3)


def test_segments_that_everybody_took_are_removed(make: Make, tmp_path: Path) -> None:
    spool = make(segment_bytes=500)
    one, slow = spool.reader("one", every), spool.reader("slow", every)
    for line in numbers(1, 40):
        spool.append(line)
    read(one)
    one.commit(40)
    spool.trim()
    before = len(list(tmp_path.glob("*.spool")))
    assert read(slow) == numbers(1, 40)
    slow.commit(40)
    spool.trim()
    assert before > len(list(tmp_path.glob("*.spool"))) == 1
    assert make().append(b"next") == 41


def test_a_full_spool_drops_first_what_a_later_event_says_too(make: Make) -> None:
    spool = make(max_bytes=4000, segment_bytes=1000)
    reader = spool.reader("one", every)
    for number, line in enumerate(numbers(1, 60)):
        spool.append(line, expendable=number % 2 == 1)
    assert spool.size <= 4000
    assert reader.lost == 0
    assert set(numbers(1, 60)[::2]) <= set(read(reader))


def test_a_full_spool_counts_what_each_reader_loses(make: Make) -> None:
    spool = make(max_bytes=4000, segment_bytes=1000)
    ahead, behind = spool.reader("ahead", every), spool.reader("behind", every)
    picky = spool.reader("picky", lambda line: line.startswith(b"1"))
    for line in numbers(1, 100):
        spool.append(line)
        assert read(ahead) == [line]
    kept = read(behind)
    assert spool.size <= 4000
    assert ahead.lost == 0
    assert behind.lost > 0
    assert behind.lost + len(kept) == 100
    assert kept == numbers(behind.lost + 1, 100)
    lost = numbers(1, behind.lost)
    assert picky.lost == sum(line.startswith(b"1") for line in lost)


def test_where_nothing_can_be_written_alerts_go_on_and_the_problem_is_said(
    make: Make,
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("in the way")
    spool = make(tmp_path / "file")
    reader = spool.reader("one", every)
    spool.append(b"told all the same")
    assert read(reader) == [b"told all the same"]
    assert spool.problem is not None
    assert "mount a writable volume" in spool.problem


def test_a_volume_that_fills_up_costs_no_event(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = make()
    reader = spool.reader("one", every)
    spool.append(b"first")
    real, full = os.write, [True]

    def write(file: int, raw: bytes) -> int:
        if full.pop() if full else False:
            raise OSError(28, "No space left on device")
        return real(file, raw)

    monkeypatch.setattr(os, "write", write)
    spool.append(b"second")
    spool.append(b"third")
    assert read(reader) == [b"first", b"second", b"third"]
    assert "No space left" in (spool.problem or "")


def test_cursors_of_readers_that_are_no_more_are_removed(make: Make, tmp_path: Path) -> None:
    spool = make()
    spool.reader("gone", every).commit(1)
    spool.reader("here", every).commit(1)
    spool.forget_others({"here"})
    assert [path.name for path in tmp_path.glob("*.cursor")] == ["here.cursor"]
