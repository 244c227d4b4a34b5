"""Timestamps as senders really write them, packet by packet."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from streammonitor_worker.deliveries import STREAM, Connected, Container, Delivered
from streammonitor_worker.detectors.base import Measurement, Verdict
from streammonitor_worker.detectors.timing import TimingDetector, TimingParams
from streammonitor_worker.facts import Packet, Track
from streammonitor_worker.frames import TransportView
from tests.contract.material import packets
from tests.unit.worker.flowing import STEP_S, Flow
from tests.unit.worker.test_analysis import analysis, feed, summary

Stamp = Callable[[float], float]


def _stamped(duration_s: float, how: Stamp, *tracks: Track) -> Iterator[TransportView]:
    """Healthy packets whose timestamps are written otherwise."""
    for view in packets(duration_s, tracks=tracks):
        packet = view.fact
        assert isinstance(packet, Packet)
        assert packet.dts_s is not None
        at_s = how(packet.dts_s)
        yield replace(view, fact=replace(packet, dts_s=at_s, pts_s=at_s, exact=True))


def _worst_ppm(views: Iterator[TransportView]) -> tuple[set[Verdict], float]:
    detector = TimingDetector(TimingParams())
    found = [one for view in views for one in detector.observe(view)]
    drifts = [one.values["driftPpm"] for one in found if "driftPpm" in one.values]
    return {one.verdict for one in found}, drifts[-1]


def _in_milliseconds(at_s: float) -> float:
    return round(at_s * 1000) / 1000


def test_jitter_of_a_sender_that_stamps_by_its_clock_is_no_fault() -> None:
    rng = np.random.default_rng(1)

    def jittering(at_s: float) -> float:
        return _in_milliseconds(at_s + rng.uniform(-0.01, 0.01))

    verdicts, _ = _worst_ppm(_stamped(90, jittering, *Track))
    assert Verdict.BAD not in verdicts


@pytest.mark.parametrize("ppm", [60, -60, 500])
def test_a_drift_shows_through_rounded_timestamps(ppm: float) -> None:
    verdicts, found = _worst_ppm(
        _stamped(100, lambda at: _in_milliseconds(at * (1 + ppm / 1e6)), Track.AUDIO)
    )
    assert Verdict.BAD in verdicts
    assert found == pytest.approx(ppm, rel=0.05)


def test_a_step_that_is_within_tolerance_is_no_drift() -> None:
    verdicts, found = _worst_ppm(
        _stamped(100, lambda at: at + (0.02 if at > 50 else 0.0), Track.AUDIO)
    )
    assert verdicts == {Verdict.GOOD}
    assert found == pytest.approx(0, abs=1)


def test_pictures_of_no_constant_rate_may_pause() -> None:
    rng = np.random.default_rng(2)
    detector, time_s = TimingDetector(TimingParams()), 0.0
    found: list[Measurement] = []
    for _ in range(2000):
        packet = Packet(Track.VIDEO, time_s, time_s, 1 / 30, 1000)
        found += detector.observe(TransportView(time_s, time_s, packet))
        time_s += int(rng.integers(1, 4)) / 30 + (0.6 if rng.random() < 0.01 else 0)

    assert {one.verdict for one in found} == {Verdict.GOOD}


def test_what_is_missing_after_a_stall_is_its_consequence() -> None:
    stream = Flow()
    items = [*stream.flow(0, 10), *stream.wait(8.0), *stream.flow(18, 10)]
    lost = [*Flow().flow(0, 10), *Flow().flow(18, 4)]

    assert {defect for _, defect, _ in summary(feed(analysis({"timing": {}}), lost))} == {"timing"}
    both = feed(analysis({"stall": {}, "timing": {}}), items)
    assert {event.incident.defect for event in both} == {"stall"}
    assert both[-1].incident.consequences == ["timing"]
    assert feed(analysis({"timing": {}}), items) == []


def test_a_repeated_timestamp_is_told_from_one_that_is_missing() -> None:
    detector = TimingDetector(TimingParams())
    times = [index * STEP_S for index in range(250)]
    stamps = [*times[:150], times[150] - 2 * STEP_S, *times[151:]]
    found = [
        one
        for time_s, at_s in zip(times, stamps, strict=True)
        for one in detector.observe(
            TransportView(time_s, time_s, Packet(Track.VIDEO, at_s, at_s, STEP_S, 1))
        )
    ]
    bad = [one for one in found if one.verdict is Verdict.BAD]

    assert [one.values["backwardMilliseconds"] for one in bad] == pytest.approx([40.0, 0.0])
    assert [one.values["gapMilliseconds"] for one in bad] == pytest.approx([0.0, 80.0])
    assert [one.start_s for one in bad] == pytest.approx([6.0, 6.04])


def _with_a_jump(flags: int, announced_s: float) -> list[Verdict]:
    """What is found of a clock that steps by two minutes at 20 s, and of what announces it.

    Args:
        flags: Of the adaptation fields of packets that are told of.
        announced_s: When they are: before or after the first packet of the new clock.
    """
    adaptation = bytes([183, flags]).ljust(184, b"\xff")
    clocks = b"".join(bytes([0x47, 1, 0, 0x20]) + adaptation for _ in range(6))
    quiet = b"".join(bytes([0x47, 1, 0, 0x10]) + bytes(184) for _ in range(6))
    detector, told = TimingDetector(TimingParams()), False
    found: list[Measurement] = []
    for view in packets(20):
        packet = view.fact
        assert isinstance(packet, Packet)
        assert packet.dts_s is not None
        if not found:
            for fact in (Connected(), Delivered(STREAM, Container.TS, quiet)):
                found += detector.observe(replace(view, fact=fact))
        if not told and packet.dts_s >= announced_s:
            found += detector.observe(replace(view, fact=Delivered(STREAM, Container.TS, clocks)))
            told = True
        by_s = 120 if packet.dts_s >= 20 else 0
        moved = replace(packet, dts_s=packet.dts_s + by_s, pts_s=packet.dts_s + by_s)
        found += detector.observe(replace(view, fact=moved))
    assert told
    return [one.verdict for one in [*found, *detector.flush()]]


@pytest.mark.parametrize("announced_s", [19.6, 20.2, 21.0])
@pytest.mark.parametrize(("flags", "is_fault"), [(0x90, False), (0x10, True), (0x80, True)])
def test_a_clock_may_start_anew_where_its_reference_says_so(
    flags: int, is_fault: bool, announced_s: float
) -> None:
    assert (Verdict.BAD in _with_a_jump(flags, announced_s)) is is_fault
