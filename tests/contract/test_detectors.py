"""What every detector must do, whatever it detects. What each is shown is in `defects/`."""

import pickle
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from heapq import merge
from typing import Any

import numpy as np
import pytest

from dev.gen.limits import limits
from dev.gen.reference import parts_of
from dev.gen.structural import structural
from streammonitor_api.durations import is_duration
from streammonitor_api.spec import BROADCAST, PROFILES
from streammonitor_worker.checks import check_detector
from streammonitor_worker.detectors import AnyDetector, registry
from streammonitor_worker.detectors.base import Detector, Kind, Measurement, Verdict
from streammonitor_worker.facts import Packet, Seam, Track, Waiting
from streammonitor_worker.frames import FrameView, Transfer, TransportView
from streammonitor_worker.measures.picture import PictureMeter
from streammonitor_worker.measures.sound import SoundMeter
from tests.contract.defects import detector_of, shown
from tests.contract.material import (
    EPOCH_S,
    RATE,
    View,
    buffers,
    compared,
    deep,
    delivered,
    packets,
    pan,
    tone,
    views,
)

NAMES = sorted(registry)
CLEAN_S = 6.0


@pytest.fixture(params=NAMES)
def detector(request: pytest.FixtureRequest) -> AnyDetector:
    return detector_of(request.param)


@cache
def clean(kind: Kind) -> list[View]:
    """CLEAN_S without a defect."""
    if kind is Kind.VIDEO:
        return list(views(pan(150)))
    if kind is Kind.TRANSPORT:
        beside = compared(0, round(2 * CLEAN_S), 0.0)
        return list(merge(delivered(CLEAN_S), beside, key=lambda view: view.time_s))
    return list(buffers(tone(CLEAN_S, -26.0)))


class Unmeasured:
    """What a detector of transport gets is not measured by anybody before."""

    def measure(self, view: TransportView) -> TransportView:
        return view


METERS = {Kind.VIDEO: PictureMeter, Kind.AUDIO: SoundMeter, Kind.TRANSPORT: Unmeasured}


def measure(detector: AnyDetector, items: Iterable[View]) -> Iterator[Measurement]:
    meter: Any = METERS[detector.kind]()
    for item in items:
        yield from detector.observe(meter.measure(item))
    if isinstance(meter, SoundMeter):
        yield from detector.observe(meter.finish())
    yield from detector.flush()


@cache
def found_in_defective(name: str) -> list[Measurement]:
    """What a new detector finds in what it is shown."""
    return list(measure(detector_of(name), shown(name).views))


@pytest.mark.parametrize("name", NAMES)
def test_finds_its_defect(name: str) -> None:
    verdicts = {m.verdict for m in found_in_defective(name)}
    assert {Verdict.BAD, Verdict.GOOD} <= verdicts


def test_is_deterministic_leaves_its_input_untouched_and_forgets_on_reset(
    detector: AnyDetector,
) -> None:
    first, items = found_in_defective(detector.name), shown(detector.name).views
    before = [_content(item).copy() for item in items]
    assert list(measure(detector, items)) == first
    list(measure(detector, _odd(detector.kind)))
    detector.reset()
    assert list(measure(detector, items)) == first
    # The arrays are read-only, so that writing to one raises; this proves that none was replaced.
    for item, content in zip(items, before, strict=True):
        np.testing.assert_array_equal(_content(item), content)


def _content(item: View) -> Any:
    if isinstance(item, TransportView):
        return np.array(str(item))
    return item.luma if isinstance(item, FrameView) else item.samples


def test_is_silent_on_clean_material_from_the_first_view_on_and_covers_its_time(
    detector: AnyDetector,
) -> None:
    found = list(measure(detector, clean(detector.kind)))
    assert Verdict.BAD not in {m.verdict for m in found}
    ends = [m.end_s for m in found]
    assert ends == sorted(ends)
    assert all(m.start_s <= m.end_s for m in found)
    assert sum(m.end_s - m.start_s for m in found) == pytest.approx(CLEAN_S, abs=0.05)
    assert detector.trouble() is None


@pytest.mark.parametrize("name", NAMES)
def test_confidence_and_values_are_plain_bounded_numbers(name: str) -> None:
    for measurement in found_in_defective(name):
        assert 0.0 <= measurement.confidence <= 1.0
        assert all(type(value) is float for value in measurement.values.values())
        assert all(np.isfinite(value) for value in measurement.values.values())


@pytest.mark.parametrize("name", NAMES)
def test_what_is_bad_lies_beyond_a_threshold_that_it_states(name: str) -> None:
    params = detector_of(name).params
    found = [one for one in found_in_defective(name) if one.verdict is Verdict.BAD]
    excess = [trace.excess(one.values, params) for one in found for trace in registry[name].traces]
    assert max(beyond for beyond in excess if beyond is not None) >= 0.0


@pytest.mark.parametrize("name", NAMES)
def test_every_value_is_documented(name: str) -> None:
    documented = parts_of(registry[name])["Values"]
    values = {key for measurement in found_in_defective(name) for key in measurement.values}
    assert [key for key in sorted(values) if f"`{key}`" not in documented] == []


def _pictures() -> Iterator[View]:
    """Sizes from one pixel on, odd ones and extreme ones; then other depths, ranges and lights."""
    shapes = [(320, 180), (1, 1), (3, 5), (1279, 721), (17, 33), (8, 300), (300, 2), (360, 288)]
    for position, (width, height) in enumerate(shapes):
        # Bright: one dark pixel would be a black picture.
        pictures = (picture // 2 + 80 for picture in pan(4, width, height))
        yield from views(pictures, start_s=position)
    for position, (bits, transfer) in enumerate(zip((10, 12, 16), Transfer, strict=True), 8):
        # Through BT.2100's curves, dark becomes darkness and bright dazzles.
        middle = (deep(picture // 3 + 90, bits) for picture in pan(4, 322, 182))
        yield from views(
            middle, start_s=position, bit_depth=bits, full_range=bits == 12, transfer=transfer
        )
    yield from views(pan(4), start_s=11, chroma=lambda luma: None)


def _sounds() -> Iterator[View]:
    """Mono, stereo, 5.1 and 7.1, buffers from one sample on, several rates."""
    layouts = [(2, 1024, 48_000), (6, 1024, 48_000), (1, 7, 48_000), (8, 960, 44_100),
               (1, 1, 8_000), (2, 1152, 32_000), (2, 4096, 96_000)]  # fmt: skip
    for position, (channels, size, rate) in enumerate(layouts):
        duration_s = 0.4 if size > 100 else 0.02
        samples = tone(duration_s, channels=channels, rate=rate)
        yield from buffers(samples, start_s=position * 0.4, size=size, rate=rate)


def _facts() -> Iterator[View]:
    """Nothing is wrong: sound alone, no timestamps at all, a wrap, seams, a pause as usual."""
    yield from packets(1.0, tracks=[Track.AUDIO])
    for index in range(25):
        nameless = Packet(Track.VIDEO, None, None, 0.0, 1)
        yield TransportView(1 + index / RATE, EPOCH_S + 1 + index / RATE, nameless)
    yield TransportView(2.0, EPOCH_S + 2, Seam("a test"))
    for view in packets(2.0, start_s=2.0, clock_s=2**33 / 90_000 - 1):
        packet = view.fact
        assert isinstance(packet, Packet)
        pts_s, dts_s = ((at or 0.0) % (2**33 / 90_000) for at in (packet.pts_s, packet.dts_s))
        yield replace(view, fact=replace(packet, pts_s=pts_s, dts_s=dts_s))
    yield TransportView(4.0, EPOCH_S + 9, Waiting(5.0, 6.0, 0.0))
    yield TransportView(4.0, EPOCH_S + 10, Seam("a test"))
    yield from packets(1.0, start_s=4.0, clock_s=0.0)


def _odd(kind: Kind) -> Iterator[View]:
    return {Kind.VIDEO: _pictures, Kind.AUDIO: _sounds, Kind.TRANSPORT: _facts}[kind]()


def test_survives_another_size_depth_rate_or_layout(detector: AnyDetector) -> None:
    verdicts = {m.verdict for m in measure(detector, _odd(detector.kind))}
    assert Verdict.BAD not in verdicts


@pytest.mark.parametrize("gap_s", [0.5, 7.0])
def test_survives_a_gap_in_time(detector: AnyDetector, gap_s: float) -> None:
    first = clean(detector.kind)[:50]
    start_s = 2.0 + gap_s
    if detector.kind is Kind.VIDEO:
        second: list[View] = list(views(pan(50, seed=1), start_s=start_s))
    elif detector.kind is Kind.TRANSPORT:
        seam = TransportView(start_s, EPOCH_S + start_s, Seam("a test"))
        second = [seam, *packets(1.0, start_s=start_s, clock_s=1000.0)]
    else:
        second = list(buffers(tone(1.0), start_s=start_s))
    verdicts = {m.verdict for m in measure(detector, first + second)}
    assert Verdict.BAD not in verdicts


def test_memory_is_bounded(detector: AnyDetector) -> None:
    """What it holds on to is what pickling it writes."""
    meter: Any = METERS[detector.kind]()
    items, held = shown(detector.name).views[-10:], []
    for _ in range(3):
        for _ in range(30):
            for item in items:
                list(detector.observe(meter.measure(item)))
        held.append(len(pickle.dumps((detector, meter))))
    assert held[2] - held[1] < 4_000, held


def test_can_be_pickled(detector: AnyDetector) -> None:
    assert type(pickle.loads(pickle.dumps(detector))) is type(detector)  # noqa: S301


@pytest.mark.parametrize("name", NAMES)
def test_says_what_it_is(name: str) -> None:
    detector = registry[name]
    assert detector.name == name
    assert detector.summary.endswith(".")
    assert detector.cost > 0
    assert detector.traces
    assert set(detector.causes) <= set(registry) - {name}
    assert detector.__doc__ != Detector.__doc__
    assert parts_of(detector)[""]


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_is_documented_and_bounded(name: str) -> None:
    params = registry[name].params_type
    schemas = structural(params)["properties"]
    for field, info in params.model_fields.items():
        assert info.description, field
        assert not info.is_required(), field
        assert limits(info, schemas[info.alias or field])


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_has_a_unit(name: str) -> None:
    params = registry[name].params_type
    numbers = {
        info.alias or field
        for field, info in params.model_fields.items()
        if info.annotation in (int, float) and not is_duration(info)
    }
    assert set(params.units) == numbers


@pytest.mark.parametrize("name", NAMES)
def test_every_profile_sets_parameters_that_there_are_within_their_bounds(name: str) -> None:
    params = registry[name].params_type
    # `broadcast` is what is built in: listing it would state the defaults twice.
    assert set(params.profiles) == set(PROFILES) - {BROADCAST}
    for profile, values in params.profiles.items():
        refusals = check_detector(name, values)
        assert (refusals.fatal, refusals.ignored) == ([], []), profile


@pytest.mark.parametrize("name", NAMES)
def test_a_stricter_profile_raises_no_later_and_no_less_often(name: str) -> None:
    strict, built_in, relaxed = (
        registry[name].params_type.model_validate(registry[name].params_type.profiles.get(p, {}))
        for p in PROFILES
    )
    assert strict != built_in != relaxed
    for field in ("min_duration", "critical_after"):
        ladder = [getattr(params, field) for params in (strict, built_in, relaxed)]
        assert ladder == sorted(ladder), field


@pytest.mark.parametrize("name", NAMES)
def test_defaults_are_valid_and_parameters_survive_the_wire(name: str) -> None:
    params = registry[name].params_type()
    assert registry[name].params_type.model_validate(params.to_json_object()) == params
