"""Ends the open incidents that have no one who could end them."""

from streammonitor_api.incident import EndReason, Incident
from streammonitor_operator.drafts import refuses
from streammonitor_operator.work import Work


async def settle(work: Work) -> float | None:
    """End incidents whose stream or detector is gone, and those that no worker would take over."""
    spec = work.monitor.spec
    if spec is None:
        return None
    held = {
        incident.id
        for view in work.workers.values()
        for pod in view.pods
        if pod.said is not None
        for incident in pod.said.incidents
        if incident.end_reason is not EndReason.INTERRUPTED
    }
    views = [view for _, view in work.planned()]
    homes = {(one.group, stream) for one in work.plan.workers for stream in one.streams}
    group_of = {detector: group.name for group in spec.groups for detector in group.detectors}

    def unwanted(incident: Incident) -> bool:
        home = (group_of.get(incident.defect, ""), incident.stream)
        return incident.id not in held and home not in homes

    def refused(incident: Incident) -> bool:
        return incident.id not in held and any(refuses(view, incident.id) for view in views)

    reason = EndReason.SUSPENDED if work.suspended else EndReason.REMOVED
    work.memory.ledger.close(unwanted, reason, work.time)
    work.memory.ledger.close(refused, EndReason.INTERRUPTED, work.time)
    return None
