"""What is counted of incidents."""

from streammonitor_api.incident import EndReason
from streammonitor_worker.figures import Figures
from tests.unit.worker.alerts.incidents import ended, incident, over, started, updated, worse


def test_incidents_are_counted_when_they_begin_and_end_by_severity() -> None:
    figures = Figures()
    one = incident("a", "freeze")
    bad = worse(one)
    for event in (started(one), updated(bad), over(ended(bad))):
        figures.note(event)
    assert figures.started == {("freeze", "warning"): 1}
    assert figures.ended == {("freeze", "critical"): 1}


def test_what_is_interrupted_has_not_ended() -> None:
    figures = Figures()
    figures.note(over(ended(incident(), end_reason=EndReason.INTERRUPTED)))
    assert figures.ended == {}
