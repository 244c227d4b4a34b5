from datetime import UTC, datetime
from typing import Any

import pytest

from dev.timetable import match
from streammonitor_api.incident import Incident, Severity

EPOCH = 1_800_000_000.0
TIMETABLE: dict[str, Any] = {
    "cycle_s": 30.0,
    "channels": [
        {
            "name": "ch-1",
            "epoch_unix_s": EPOCH,
            "defects": [
                {"defect": "black", "start_s": 5.0, "end_s": 8.0},
                {"defect": "black", "start_s": 20.0, "end_s": 21.0},
            ],
        }
    ],
}


def incident(started_at: float, defect: str = "black") -> Incident:
    return Incident(
        id="1",
        monitor_uid="u",
        stream="channel-1",
        defect=defect,
        episode="1",
        severity=Severity.WARNING,
        started_at=datetime.fromtimestamp(started_at, UTC),
        detected_at=datetime.fromtimestamp(started_at + 2, UTC),
        start_s=100.0,
        detected_s=102.0,
        end_s=103.0,
    )


def test_the_last_occurrence_before_the_incident_is_the_one_it_reports() -> None:
    found = match(incident(EPOCH + 7 * 30 + 5 + 3.5), TIMETABLE)
    assert (found.played_at, found.played_s) == (EPOCH + 215, 3.0)
    assert (found.delay_s, found.found_s, found.raised_after_s) == (3.5, 3.0, 2.0)


def test_an_incident_just_before_an_occurrence_belongs_to_the_one_before() -> None:
    assert match(incident(EPOCH + 30 + 4.9), TIMETABLE).played_at == EPOCH + 20


def test_what_the_channel_does_not_play_matches_nothing() -> None:
    with pytest.raises(LookupError, match="ch-1 plays no silence"):
        match(incident(EPOCH + 60, "silence"), TIMETABLE)
