"""Which workers are to be replaced by clones, and whose turn it is. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from streammonitor_operator.children import WorkerDeployment
from streammonitor_operator.fleet import WorkerView
from streammonitor_operator.monitors import Monitor
from streammonitor_operator.settings import WorkerSettings
from streammonitor_operator.specs.deployment import ANNOTATION_REVISION, revision, secret_names

SURGE_RATIO = 0.25
"""The share of a group's workers, at least one, that is replaced at a time."""


@dataclass(slots=True)
class Turns:
    """The workers that are to be replaced."""

    now: set[str] = field(default_factory=set)
    """Those that are to hand over now."""
    later: set[str] = field(default_factory=set)
    """Those whose turn comes."""


def turns(monitor: Monitor, views: Iterable[WorkerView], settings: WorkerSettings) -> Turns:
    """Which workers are to hand over to clones.

    Those on a node that is cordoned or drained come before those of an old template.
    """
    known = sorted(views, key=lambda one: one.name)
    old = _outdated(monitor, known, settings)
    groups: dict[str, list[WorkerView]] = {}
    for view in known:
        groups.setdefault(view.group, []).append(view)
    found = Turns()
    for members in groups.values():
        # Those that are on their way come first again: they hold nothing, or their clone warms.
        going = [view.name for view in members if view.unsettled]
        going += [view.name for view in members if view.name in old and not view.unsettled]
        most = max(1, int(SURGE_RATIO * len(members)))
        found.now.update(going[:most])
        found.later.update(going[most:])
    return found


def _outdated(monitor: Monitor, views: Iterable[WorkerView], settings: WorkerSettings) -> set[str]:
    """The workers whose pods are not what the specification asks for now."""
    wanted = revisions(monitor, settings)
    return {
        view.name
        for view in views
        if view.deployment is not None
        and view.group in wanted
        and _revision_of(view.deployment) != wanted[view.group]
    }


def revisions(monitor: Monitor, settings: WorkerSettings) -> dict[str, str]:
    """What each group's pods are asked to be, by group."""
    if monitor.spec is None:
        return {}
    secrets = secret_names(monitor.spec.streams)
    return {group.name: revision(group, secrets, settings) for group in monitor.spec.groups}


def _revision_of(deployment: WorkerDeployment) -> str:
    annotations = deployment.manifest["metadata"].get("annotations") or {}
    return str(annotations.get(ANNOTATION_REVISION, ""))
