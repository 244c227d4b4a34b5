"""What workers remember of a stream, put together."""

from typing import Any

from streammonitor_operator.wall.past import past

AT = 1_767_225_600
"""2026-01-01T00:00:00Z."""


ALL = 2**60 - 1
HALF = 2**30 - 1


def minute(at: str, group: str, score: float | None, seconds: int = ALL) -> dict[str, Any]:
    known = {} if score is None else {"score": score, "watched": seconds, "analysed": seconds}
    return {"stream": "a", "group": group, "worker": "w", "minute": f"2026-01-01T{at}Z", **known}


def test_a_minute_is_as_good_as_in_the_group_where_it_is_worst() -> None:
    first = [minute("00:00:00", "g", 100), minute("00:01:00", "g", 100)]
    other = [minute("00:01:00", "h", 50), minute("00:02:00", "h", None)]
    found = past([{"worker": "w", "minutes": first}, {"worker": "x", "minutes": other}])
    assert found["minutes"] == [(AT, 100), (AT + 60, 50), (AT + 120, None)]


def test_of_a_hand_over_each_worker_knows_a_part() -> None:
    first, other = minute("00:00:00", "g", 100, HALF), minute("00:00:00", "g", 100, ALL - HALF)
    found = past([{"worker": "w", "minutes": [first]}, {"worker": "x", "minutes": [other]}])
    assert found["minutes"] == [(AT, 100)]


def test_incidents_are_told_once_and_what_cannot_be_read_not_at_all() -> None:
    incident = {
        "id": "1", "monitorUid": "u", "stream": "a", "defect": "black", "episode": "1",
        "severity": "warning", "startedAt": "2026-01-01T00:00:00Z", "startS": 0, "detectedS": 1,
        "detectedAt": "2026-01-01T00:00:01Z", "endedAt": "2026-01-01T00:00:05Z",
        "endReason": "cleared",
    }  # fmt: skip
    kept = {"worker": "w", "incidents": [incident]}
    found = past([kept, kept, {"minutes": "?"}])
    assert [one["id"] for one in found["incidents"]] == ["1"]
    assert found["incidents"][0]["endedAt"] == "2026-01-01T00:00:05.000Z"
