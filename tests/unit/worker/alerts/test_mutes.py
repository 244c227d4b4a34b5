"""Windows in which nobody is told."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from streammonitor_api.alerts import Mute
from streammonitor_worker.alerts.mutes import mute_faults, muting
from tests.unit.worker.alerts.incidents import incident


def mute(**more: Any) -> Mute:
    return Mute.model_validate({"name": "m", **more})


def nightly(schedule: str, duration: str, zone: str | None = None) -> Mute:
    return mute(recurring={"schedule": schedule, "duration": duration, "timeZone": zone})


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "muted"),
    [
        ("2026-11-21T02:59:59", False),
        ("2026-11-21T03:00:00", True),
        ("2026-11-21T04:59:59", True),
        ("2026-11-21T05:00:00", False),
    ],
)
def test_a_recurring_window_begins_with_its_schedule_and_ends_after_its_duration(
    moment: str, muted: bool
) -> None:
    found = muting([nightly("0 3 * * *", "2h")], incident(), at(moment))
    assert (found == "m") is muted


def test_a_window_may_reach_beyond_midnight() -> None:
    assert muting([nightly("0 23 * * SAT", "3h")], incident(), at("2026-11-22T01:30:00"))
    assert not muting([nightly("0 23 * * SAT", "3h")], incident(), at("2026-11-23T01:30:00"))


@pytest.mark.parametrize(
    ("moment", "muted"),
    [
        # Berlin is an hour ahead of UTC in winter, two in summer.
        ("2026-01-15T03:30:00", True),
        ("2026-07-15T03:30:00", False),
        ("2026-07-15T01:30:00", True),
        # On 2026-10-25 clocks go back at 03:00: what begins at 02:30 lasts two real hours.
        ("2026-10-25T00:45:00", True),
        ("2026-10-25T02:15:00", True),
        ("2026-10-25T02:45:00", False),
    ],
)
def test_a_schedule_keeps_to_its_time_zone_also_when_clocks_change(
    moment: str, muted: bool
) -> None:
    schedule = "30 2 * * *" if "10-25" in moment else "0 3 * * *"
    window = nightly(schedule, "2h", "Europe/Berlin")
    assert bool(muting([window], incident(), at(moment))) is muted


def test_a_single_window_covers_what_it_names() -> None:
    start = at("2026-11-21T20:00:00")
    once = {"start": start, "end": start + timedelta(hours=2)}
    window = mute(once=once, streams=["arena-*"], defects=["silence"])
    assert muting([window], incident("arena-1", "silence"), start) == "m"
    assert muting([window], incident("arena-1", "black"), start) is None
    assert muting([window], incident("b", "silence"), start) is None
    assert muting([window], incident("arena-1", "silence"), start + timedelta(hours=2)) is None


@pytest.mark.parametrize(
    ("schedule", "zone", "named"),
    [("0 25 * * *", None, "schedule"), ("0 3 * * *", "Europe/Brelin", "timeZone"),
     ("0 3 * * *", "../etc/passwd", "timeZone")],
)  # fmt: skip
def test_what_cannot_be_understood_is_named_and_mutes_nothing(
    schedule: str, zone: str | None, named: str
) -> None:
    window = nightly(schedule, "24h", zone)
    (fault,) = mute_faults([window])
    assert named in fault
    assert muting([window], incident(), at("2026-11-21T04:00:00")) is None
