"""One-off mutes of a StreamMonitor."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from streammonitor_api.alerts import Mute
from streammonitor_kubectl.cluster import KIND, Cluster, KubectlError, Object

Listed = list[dict[str, Any]]


def one_off(
    name: str,
    begin: datetime,
    length_s: float,
    streams: Sequence[str] = (),
    defects: Sequence[str] = (),
) -> Mute:
    """A mute from one moment to another.

    Raises:
        ValueError: The API would refuse it.
    """
    start = begin.replace(microsecond=0)
    end = start + timedelta(seconds=length_s)
    document: dict[str, Any] = {"name": name, "once": {"start": start, "end": end}}
    if streams:
        document["streams"] = list(streams)
    if defects:
        document["defects"] = list(defects)
    return Mute.model_validate(document)


def muted(listed: Listed, mute: Mute, now: datetime) -> Listed:
    """The list with a mute in it: one of its name is replaced, single ones that are over go."""
    kept = [one for one in listed if one["name"] != mute.name and not _is_over(one, now)]
    return [*kept, mute.to_json_object()]


def unmuted(listed: Listed, name: str) -> Listed:
    """The list without a mute.

    Raises:
        LookupError: There is none of that name.
    """
    kept = [one for one in listed if one["name"] != name]
    if len(kept) == len(listed):
        names = ", ".join(str(one["name"]) for one in listed) or "none"
        raise LookupError(f"there is no mute {name!r}: there are {names}")
    return kept


def mutes_of(monitor: Object) -> Listed:
    """The mutes of a StreamMonitor."""
    listed: Listed = ((monitor["spec"].get("alerts") or {}).get("mutes")) or []
    return listed


def write(cluster: Cluster, monitor: Object, mutes: Listed) -> bool:
    """Write the mutes; False if somebody changed the StreamMonitor since it was read.

    Raises:
        KubectlError: The API refuses.
    """
    metadata = monitor["metadata"]
    change = {
        # A merge patch replaces lists: what others added meanwhile must not be lost.
        "metadata": {"resourceVersion": metadata["resourceVersion"]},
        "spec": {"alerts": {"mutes": mutes or None}},
    }
    try:
        cluster.patch(KIND, metadata["name"], change, metadata["namespace"])
    except KubectlError as error:
        if "the object has been modified" in str(error):
            return False
        raise
    return True


def _is_over(mute: dict[str, Any], now: datetime) -> bool:
    end = (mute.get("once") or {}).get("end")
    return end is not None and datetime.fromisoformat(end.replace("Z", "+00:00")) < now
