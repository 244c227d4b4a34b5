"""Which workers are to be replaced by clones, and whose turn it is. Pure."""

from collections.abc import Iterable

from streammonitor_operator.children import WorkerDeployment
from streammonitor_operator.fleet import WorkerView
from streammonitor_operator.monitors import Monitor
from streammonitor_operator.settings import WorkerSettings
from streammonitor_operator.specs.deployment import ANNOTATION_REVISION, revision, secret_names

SURGE_RATIO = 0.25
"""The share of a group's workers, at least one, that is replaced at a time."""


def turn_to_go(monitor: Monitor, views: Iterable[WorkerView], settings: WorkerSettings) -> set[str]:
    """The workers that are to hand over to clones now.

    Those on a node that is cordoned or drained come before those of an old template.
    """
    groups: dict[str, list[WorkerView]] = {}
    for view in sorted(views, key=lambda one: one.name):
        groups.setdefault(view.group, []).append(view)
    return {
        name
        for members in groups.values()
        for name in _first(members, _replaced(monitor, members, settings))
    }


def _replaced(monitor: Monitor, views: list[WorkerView], settings: WorkerSettings) -> list[str]:
    unsettled = [view.name for view in views if view.unsettled]
    old = outdated(monitor, views, settings)
    return [*unsettled, *(name for name in old if name not in unsettled)]


def outdated(monitor: Monitor, views: Iterable[WorkerView], settings: WorkerSettings) -> list[str]:
    """The workers whose pods are not what the specification asks for now."""
    wanted = revisions(monitor, settings)
    return [
        view.name
        for view in views
        if view.deployment is not None
        and view.group in wanted
        and _revision_of(view.deployment) != wanted[view.group]
    ]


def revisions(monitor: Monitor, settings: WorkerSettings) -> dict[str, str]:
    """What each group's pods are asked to be, by group."""
    if monitor.spec is None:
        return {}
    secrets = secret_names(monitor.spec.streams)
    return {group.name: revision(group, secrets, settings) for group in monitor.spec.groups}


def _revision_of(deployment: WorkerDeployment) -> str:
    annotations = deployment.manifest["metadata"].get("annotations") or {}
    return str(annotations.get(ANNOTATION_REVISION, ""))


def _first(members: list[WorkerView], old: list[str]) -> list[str]:
    """Those that are on their way already come first: they hold nothing, or their clone warms."""
    most = max(1, int(SURGE_RATIO * len(members)))
    return old[:most]
