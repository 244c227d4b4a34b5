import pytest

from streammonitor_worker.detectors.base import Measurement, Verdict
from streammonitor_worker.detectors.freeze import FreezeDetector, FreezeParams
from streammonitor_worker.detectors.stutter import StutterDetector, StutterParams
from streammonitor_worker.incidents import IncidentMachine, Subject
from streammonitor_worker.runners import DetectorRunner


def runner() -> DetectorRunner:
    params = FreezeParams()
    machine = IncidentMachine(Subject("", "s", "freeze", "w"), params)
    return DetectorRunner(FreezeDetector(params), machine, reported=True)


def stuttering() -> DetectorRunner:
    params = StutterParams()
    machine = IncidentMachine(Subject("", "s", "stutter", "w"), params)
    return DetectorRunner(StutterDetector(params), machine, reported=True)


def found(verdict: Verdict, start_s: float, end_s: float) -> tuple[Measurement, float]:
    return Measurement(start_s, end_s, 0.0, verdict), 0.0


def test_a_defect_that_ended_explains_what_reaches_back_over_it() -> None:
    subject = runner()
    subject.take(Measurement(2.0, 5.0, 0.0, Verdict.BAD), 0.0)
    subject.take(Measurement(5.0, 6.0, 0.0, Verdict.GOOD), 0.0)
    assert not subject.sees_defect
    assert subject.saw_defect(4.9)
    assert not subject.saw_defect(5.0)


def test_what_was_never_defective_explains_nothing() -> None:
    subject = runner()
    subject.take(Measurement(0.0, 6.0, 0.0, Verdict.GOOD), 0.0)
    assert not subject.saw_defect(0.0)


def test_a_suspicion_outlives_that_of_its_cause() -> None:
    cause, subject = runner(), stuttering()
    cause.take(*found(Verdict.GOOD, 0.0, 5.0))
    assert subject.take(*found(Verdict.BAD, 4.0, 4.9), [cause]) == []
    cause.take(*found(Verdict.BAD, 5.0, 6.0))
    assert subject.take(*found(Verdict.BAD, 4.9, 6.0), [cause]) == []
    cause.take(*found(Verdict.GOOD, 6.0, 6.1))
    (started,) = subject.take(*found(Verdict.BAD, 6.0, 6.1), [cause])
    assert started.incident.start_s == 4.0
    assert subject.figures.unknown_s == pytest.approx(1.1)


def test_what_begins_while_a_cause_is_suspected_keeps_its_start() -> None:
    cause, subject = runner(), stuttering()
    cause.take(*found(Verdict.BAD, 5.0, 6.0))
    subject.take(*found(Verdict.BAD, 4.5, 6.0), [cause])
    cause.take(*found(Verdict.GOOD, 6.0, 6.1))
    (started,) = subject.take(*found(Verdict.BAD, 6.0, 6.1), [cause])
    assert started.incident.start_s == 4.5


def test_a_cause_that_is_raised_ends_the_suspicion_of_its_consequence() -> None:
    cause, subject = runner(), stuttering()
    cause.take(*found(Verdict.BAD, 5.0, 7.9))
    assert subject.take(*found(Verdict.BAD, 5.0, 7.9), [cause]) == []
    (raised,) = cause.take(*found(Verdict.BAD, 7.9, 8.0))
    assert subject.take(*found(Verdict.BAD, 7.9, 8.0), [cause]) == []
    assert raised.incident.consequences == ["stutter"]
    cause.take(*found(Verdict.GOOD, 8.0, 9.0))
    assert subject.take(*found(Verdict.BAD, 7.8, 9.0), [cause]) == []
    assert [one.incident.start_s for one in subject.take(*found(Verdict.BAD, 9.0, 10.5))] == [9.0]
