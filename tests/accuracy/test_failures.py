"""What went wrong is listed, but not without end, and what rang elsewhere is counted."""

from streammonitor_worker.detectors.base import Kind
from tests.accuracy.cases import Case, Role
from tests.accuracy.edits import Truth
from tests.accuracy.encode import Encoding
from tests.accuracy.failures import MOST, each, elsewhere
from tests.accuracy.inject import Manifest
from tests.accuracy.run import OURS, RIVAL, Outcome, tally
from tests.accuracy.score import Alarm


def outcome(defect: str, truths: tuple[Truth, ...], alarms: dict[str, list[Alarm]]) -> Outcome:
    case = Case(Role.DEFECT, defect, Kind.VIDEO, "city", 1, 60.0, encoding=Encoding())
    manifest = Manifest("city 1", "", 0, Encoding(), (2, 2), "25", 1500, 0, truths)
    return Outcome(case, manifest, 60.0, {OURS: alarms, RIVAL: {}}, dict.fromkeys(alarms, 0.0))


def test_a_long_list_says_how_many_are_left_out() -> None:
    many = [Alarm(float(at), at + 0.5) for at in range(MOST + 7)]
    tallies = {("black", OURS): tally("black", OURS, [outcome("black", (), {"black": many})])}
    text = each(tallies, lambda one: one.false, "There was none.")
    assert text.count("| black |") == MOST
    assert "7 more of black are not listed." in text
    assert each(tallies, lambda one: one.misses, "There was none.") == "There was none."


def test_alarms_elsewhere_are_counted_by_what_was_there() -> None:
    truth = Truth("black", "level 16", False, 10.0, 14.0, 250, 350)
    alarms = [Alarm(10.0, 14.0), Alarm(30.0, 31.0), Alarm(40.0, 41.0)]
    found = tally("freeze", OURS, [outcome("black", (truth,), {"freeze": alarms})])
    text = elsewhere({("freeze", OURS): found}, "There was none.")
    assert "| freeze | between events | 2 |" in text
    assert "| freeze | black: level 16 | 1 |" in text
    assert (len(found.false), len(found.crossed)) == (0, 3)


def test_an_alarm_in_a_neutral_span_is_not_counted() -> None:
    truths = (
        Truth("black", "level 16", False, 10.0, 14.0, 250, 350),
        Truth("black", "level 16", False, 14.0, 20.0, 350, 500, neutral=True),
    )
    alarms = {"black": [Alarm(10.0, 14.0), Alarm(16.0, 18.0)]}
    found = tally("black", OURS, [outcome("black", truths, alarms)])
    assert (len(found.hits), len(found.misses), len(found.false)) == (1, 0, 0)
