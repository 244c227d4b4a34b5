import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streammonitor_api.incident import EndReason, Severity
from streammonitor_worker.detectors.base import (
    AreaParams,
    DetectorParams,
    Measurement,
    Trace,
    Verdict,
)
from streammonitor_worker.incidents import IncidentEvent, IncidentMachine, Subject
from streammonitor_worker.severity import LEAST_WEIGHT, Course, Scale

STEP_S = 0.25
SUBJECT = Subject("uid", "arena", "blockCorruption", "worker-1")
AREA = Scale((Trace(("area",), "", lambda p: 0.02, lambda p: 0.01),), "area")
PARAMS = AreaParams(min_duration=0.5, clear_duration=1.0, critical_after=4.0, critical_area=0.1)


def bad(index: int, area: float | None = None, verdict: Verdict = Verdict.BAD) -> Measurement:
    values = {} if area is None else {"area": area}
    return Measurement(index * STEP_S, (index + 1) * STEP_S, index * STEP_S, verdict, values=values)


def play(machine: IncidentMachine, areas: list[float], first: int = 0) -> list[IncidentEvent]:
    found: list[IncidentEvent] = []
    for index, area in enumerate(areas, first):
        found += machine.feed(bad(index, area), index * STEP_S)
    return found


def critical_s(areas: list[float], params: DetectorParams = PARAMS) -> float | None:
    """Media time at which an incident of these areas became critical."""
    machine = IncidentMachine(SUBJECT, params, AREA)
    for index, area in enumerate(areas):
        machine.feed(bad(index, area), 0.0)
        if machine.incident is not None and machine.incident.severity is Severity.CRITICAL:
            return (index + 1) * STEP_S
    return None


@pytest.mark.parametrize(
    ("area", "after_s"),
    [(0.1, 4.0), (0.2, 2.0), (0.4, 1.0), (1.0, 0.5), (0.05, 8.0), (0.001, 40.0), (0.0, 4.0)],
)
def test_twice_the_area_is_critical_after_half_the_time(area: float, after_s: float) -> None:
    assert critical_s([area] * 200) == after_s


def test_where_no_area_is_measured_duration_decides() -> None:
    params = DetectorParams(min_duration=0.5, critical_after=4.0)
    assert critical_s([0.001] * 40, params) == 4.0


def test_areas_that_change_add_up() -> None:
    # 2 s of half the critical area count as much as 1 s of the whole.
    assert critical_s([0.05] * 8 + [0.1] * 40) == 5.0


@settings(deadline=None, max_examples=25)
@given(st.lists(st.floats(0.001, 1.0), min_size=4, max_size=24), st.floats(1.0, 4.0))
def test_more_damage_is_never_less_severe(areas: list[float], factor: float) -> None:
    less = critical_s(areas)
    more = critical_s([min(1.0, area * factor) for area in areas])
    assert less is None or (more is not None and more <= less)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.floats(0.001, 1.0), min_size=2, max_size=24))
def test_exposure_lies_between_its_bounds(areas: list[float]) -> None:
    machine = IncidentMachine(SUBJECT, PARAMS, AREA)
    play(machine, areas)
    assert machine.course is not None
    lasted_s = len(areas) * STEP_S
    assert machine.course.exposure_s >= LEAST_WEIGHT * lasted_s - 1e-9
    worst = max(LEAST_WEIGHT, max(areas) / PARAMS.critical_area)
    assert machine.course.exposure_s <= worst * lasted_s + 1e-9


@settings(deadline=None, max_examples=25)
@given(st.lists(st.floats(0.03, 1.0), min_size=2, max_size=24))
def test_an_incident_reports_its_worst_measurement(areas: list[float]) -> None:
    machine = IncidentMachine(SUBJECT, PARAMS, AREA)
    for event in [*play(machine, areas), *machine.finish(EndReason.EOF)]:
        assert event.incident.measurements["area"] in areas
    assert event.incident.measurements["area"] == max(areas)


def test_what_cannot_be_measured_counts_as_what_was_seen_before() -> None:
    course = Course(0.0, 0.0)
    course.follow(bad(0, 0.2), AREA, PARAMS)
    course.follow(bad(1), AREA, PARAMS)
    assert course.exposure_s == pytest.approx(2 * 2 * STEP_S)


def test_an_earlier_start_counts_too() -> None:
    machine = IncidentMachine(SUBJECT, AreaParams(min_duration=5.0), AREA)
    machine.feed(bad(8, 0.2), 0.0)
    machine.feed(Measurement(1.0, 2.5, 0.0, Verdict.BAD, values={"area": 0.2}), 0.0)
    assert machine.course is not None
    assert machine.course.start_s == 1.0
    assert machine.course.exposure_s == pytest.approx(2 * 1.5)


def test_badness_is_in_units_of_the_hysteresis() -> None:
    level = Trace(("dbfs",), "dBFS", lambda p: -60.0, lambda p: -54.0, below=True)
    peak = Trace(("dbtp",), "dBTP", lambda p: -1.0)
    scale = Scale((level, peak))
    assert scale.badness({"dbfs": -72.0}, PARAMS) == pytest.approx(2.0)
    assert scale.badness({"dbfs": -72.0, "dbtp": 3.0}, PARAMS) == pytest.approx(4.0)
    assert scale.badness({"other": 1.0}, PARAMS) is None


def test_several_values_are_added_up() -> None:
    trace = Trace(("repeated", "dropped"), "", lambda p: 0.1)
    assert trace.of({"repeated": 0.1, "dropped": 0.2}) == pytest.approx(0.3)
    assert trace.of({"repeated": 0.1}) is None


def test_whoever_takes_over_keeps_what_was_worst() -> None:
    first = IncidentMachine(SUBJECT, PARAMS, AREA)
    (started, *_) = play(first, [0.9, 0.9])
    second = IncidentMachine(SUBJECT, PARAMS, AREA)
    second.adopt(started.incident)
    play(second, [0.03] * 4)
    assert second.incident is not None
    assert second.incident.measurements == {"area": 0.9}
    play(second, [0.95], first=4)
    assert second.incident.measurements == {"area": 0.95}


def test_what_another_detector_sees_because_of_it_is_told() -> None:
    machine = IncidentMachine(SUBJECT, PARAMS, AREA)
    machine.explain("freeze")
    machine.feed(bad(0, 0.2), 0.0)
    machine.explain("freeze")
    (started, *_) = play(machine, [0.2] * 2, first=1)
    assert started.incident.consequences == ["freeze"]
