from streammonitor_worker.detectors.base import Measurement, Verdict
from streammonitor_worker.detectors.freeze import FreezeDetector, FreezeParams
from streammonitor_worker.incidents import IncidentMachine, Subject
from streammonitor_worker.runners import DetectorRunner


def runner() -> DetectorRunner:
    params = FreezeParams()
    machine = IncidentMachine(Subject("", "s", "freeze", "w"), params)
    return DetectorRunner(FreezeDetector(params), machine, reported=True)


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
