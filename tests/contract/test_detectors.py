"""What every detector must do, whatever it detects."""

import pickle
import tracemalloc
from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
import pytest
from annotated_types import Ge, Le

from streammonitor_api.durations import is_duration
from streammonitor_api.spec import BROADCAST, PROFILES
from streammonitor_worker.checks import check_detector
from streammonitor_worker.detectors import AnyDetector, registry
from streammonitor_worker.detectors.base import Detector, Kind, Measurement, Verdict
from streammonitor_worker.frames import AudioView, FrameView
from streammonitor_worker.measures.picture import PictureMeter
from streammonitor_worker.measures.sound import SoundMeter
from tests.contract.material import (
    SAMPLE_RATE,
    blurring,
    buffers,
    damaged,
    flat,
    hold,
    judder,
    notes,
    pan,
    scene,
    tone,
    views,
)

NAMES = sorted(registry)
View = FrameView | AudioView


@pytest.fixture(params=NAMES)
def detector(request: pytest.FixtureRequest) -> AnyDetector:
    kind = registry[request.param]
    return kind(kind.params_type())


def clean(kind: Kind) -> list[View]:
    """Ten seconds without a defect."""
    if kind is Kind.VIDEO:
        return list(views(pan(250)))
    return list(buffers(tone(10.0, -26.0)))


def defective(kind: Kind) -> list[View]:
    """Material that contains each detector's defect, and returns from it."""
    if kind is Kind.VIDEO:
        still = scene()[:180, :320]
        parts = (blurring(150, 225), pan(50), hold(still, 100), flat(75, 16), pan(75, seed=1))
        hurt = (damaged(25, seed=1, first=75), pan(75, seed=1))
        return list(views(chain(*parts, *hurt, judder(150, seed=2), pan(150, seed=3))))
    music = notes(23)
    music[:, 13 * SAMPLE_RATE : 17 * SAMPLE_RATE] = 0
    music[:, 18 * SAMPLE_RATE : 18 * SAMPLE_RATE + 5000] = 0
    music[:, 19 * SAMPLE_RATE : 21 * SAMPLE_RATE] *= 40
    music[1, 21 * SAMPLE_RATE : 22 * SAMPLE_RATE] = 0
    return list(buffers(np.clip(music, -1, 1)))


def measure(detector: AnyDetector, items: list[View]) -> Iterator[Measurement]:
    meter: Any = PictureMeter() if detector.kind is Kind.VIDEO else SoundMeter()
    for item in items:
        yield from detector.observe(meter.measure(item))
    yield from detector.flush()


def test_finds_its_defect(detector: AnyDetector) -> None:
    verdicts = [m.verdict for m in measure(detector, defective(detector.kind))]
    assert Verdict.BAD in verdicts
    assert Verdict.GOOD in verdicts


def test_is_deterministic(detector: AnyDetector) -> None:
    twin = type(detector)(detector.params)
    items = defective(detector.kind)
    assert list(measure(detector, items)) == list(measure(twin, items))


def test_forgets_everything_on_reset(detector: AnyDetector) -> None:
    items = defective(detector.kind)
    first = list(measure(detector, items))
    detector.reset()
    assert list(measure(detector, items)) == first


def test_leaves_its_input_untouched(detector: AnyDetector) -> None:
    items = defective(detector.kind)
    before = [_content(item).copy() for item in items]
    # The arrays are read-only, so that writing to one raises; this proves that none was replaced.
    list(measure(detector, items))
    for item, content in zip(items, before, strict=True):
        np.testing.assert_array_equal(_content(item), content)


def _content(item: View) -> Any:
    return item.luma if isinstance(item, FrameView) else item.samples


def test_is_silent_on_clean_material_from_the_first_view_on(detector: AnyDetector) -> None:
    bad = [m for m in measure(detector, clean(detector.kind)) if m.verdict is Verdict.BAD]
    assert bad == []


def test_measures_in_time_order_and_covers_the_time(detector: AnyDetector) -> None:
    items = clean(detector.kind)
    found = list(measure(detector, items))
    ends = [m.end_s for m in found]
    assert ends == sorted(ends)
    assert all(m.start_s <= m.end_s for m in found)
    assert sum(m.end_s - m.start_s for m in found) == pytest.approx(10.0, abs=0.05)


def test_confidence_and_values_are_plain_bounded_numbers(detector: AnyDetector) -> None:
    for measurement in measure(detector, defective(detector.kind)):
        assert 0.0 <= measurement.confidence <= 1.0
        assert all(type(value) is float for value in measurement.values.values())
        assert all(np.isfinite(value) for value in measurement.values.values())


def test_survives_another_size_or_layout(detector: AnyDetector) -> None:
    if detector.kind is Kind.VIDEO:
        shapes = [(320, 180), (96, 64), (1279, 721), (64, 48), (8, 300), (720, 576)]
        items: list[View] = []
        for position, (width, height) in enumerate(shapes):
            items += views(pan(4, width, height), start_s=position)
    else:
        items = [*buffers(tone(0.2)), *buffers(tone(0.2, channels=6), start_s=0.2)]
        items += [*buffers(tone(0.2, channels=1), start_s=0.4, size=7)]
    found = list(measure(detector, items))
    assert all(m.verdict is not Verdict.BAD for m in found)


@pytest.mark.parametrize("gap_s", [0.5, 7.0])
def test_survives_a_gap_in_time(detector: AnyDetector, gap_s: float) -> None:
    first = clean(detector.kind)[:50]
    if detector.kind is Kind.VIDEO:
        second: list[View] = list(views(pan(50, seed=1), start_s=2.0 + gap_s))
    else:
        second = list(buffers(tone(1.0), start_s=2.0 + gap_s))
    verdicts = {m.verdict for m in measure(detector, first + second)}
    assert Verdict.BAD not in verdicts


def test_survives_a_mono_view_of_one_sample_or_one_pixel(detector: AnyDetector) -> None:
    if detector.kind is Kind.VIDEO:
        items: list[View] = list(views(flat(3, 128, 1, 1)))
    else:
        items = list(buffers(tone(0.1, channels=1), size=1))
    list(measure(detector, items))


def test_memory_is_bounded(detector: AnyDetector) -> None:
    still = defective(detector.kind)[100:101] * 50
    meter: Any = PictureMeter() if detector.kind is Kind.VIDEO else SoundMeter()

    def feed(times: int) -> None:
        for _ in range(times):
            for item in still:
                for _measurement in detector.observe(meter.measure(item)):
                    pass

    feed(2)
    tracemalloc.start()
    try:
        feed(2)
        before = tracemalloc.get_traced_memory()[0]
        feed(10)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 100_000


def test_can_be_pickled(detector: AnyDetector) -> None:
    assert type(pickle.loads(pickle.dumps(detector))) is type(detector)  # noqa: S301


@pytest.mark.parametrize("name", NAMES)
def test_says_what_it_is(name: str) -> None:
    detector = registry[name]
    assert detector.name == name
    assert detector.summary.endswith(".")
    assert detector.cost > 0
    assert set(detector.causes) <= set(registry) - {name}
    assert detector.__doc__ is not None
    assert detector.__doc__ != Detector.__doc__
    for part in ("Input:", "Values:", "Source:", "Blind spots:"):
        assert part in detector.__doc__


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_is_documented_and_bounded(name: str) -> None:
    params = registry[name].params_type
    for field, info in params.model_fields.items():
        assert info.description, field
        low = next((m.ge for m in info.metadata if isinstance(m, Ge)), None)
        high = next((m.le for m in info.metadata if isinstance(m, Le)), None)
        assert low is not None, field
        assert high is not None, field
        assert low <= info.default <= high, field


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
def test_parameters_survive_the_wire(name: str) -> None:
    params = registry[name].params_type()
    assert registry[name].params_type.model_validate(params.to_json_object()) == params
