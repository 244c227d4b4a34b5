"""When nobody is told: recurring windows and single ones."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from streammonitor_api.alerts import Mute, Recurring
from streammonitor_api.incident import Incident
from streammonitor_worker.alerts.events import concerns


def mute_faults(mutes: Iterable[Mute]) -> list[str]:
    """What cannot be understood of some mutes, a sentence each; they mute nothing."""
    return [fault for mute in mutes if (fault := _fault(mute)) is not None]


def muting(mutes: Iterable[Mute], incident: Incident, at: datetime) -> str | None:
    """The name of a mute that covers an incident at a moment; None if nobody muted it.

    Args:
        mutes: What there is.
        incident: What happened.
        at: The moment, with a time zone.
    """
    for mute in mutes:
        covered = concerns(incident.stream, incident.defect, mute.streams, mute.defects)
        if covered and _fault(mute) is None and _lasts(mute, at):
            return mute.name
    return None


def _lasts(mute: Mute, at: datetime) -> bool:
    if mute.once is not None:
        return mute.once.start <= at < mute.once.end
    recurring = mute.recurring
    if recurring is None:
        return False
    local = at.astimezone(_zone(recurring))
    # The iterator is exclusive: what begins now has begun.
    before = CronSim(recurring.schedule, local + timedelta(seconds=1), reverse=True)
    began = next(before, None)
    # Aware times of one zone are compared by their wall clocks, which a change of the clock
    # would make wrong by an hour; time stamps are not.
    return began is not None and at.timestamp() - began.timestamp() < recurring.duration


def _fault(mute: Mute) -> str | None:
    recurring = mute.recurring
    if recurring is None:
        return None
    try:
        CronSim(recurring.schedule, datetime(2027, 1, 1, tzinfo=_zone(recurring)))
    except CronSimError:
        return (
            f"mute {mute.name!r}: schedule is {recurring.schedule!r}: write minute, hour, day of "
            f'month, month and day of week, as in "0 3 * * MON"'
        )
    except (ZoneInfoNotFoundError, ValueError):
        return (
            f"mute {mute.name!r}: timeZone is {recurring.time_zone!r}: use a name as in "
            f"Europe/Berlin"
        )
    return None


def _zone(recurring: Recurring) -> ZoneInfo:
    return ZoneInfo(recurring.time_zone or "UTC")
