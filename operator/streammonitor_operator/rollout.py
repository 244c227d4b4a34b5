"""Which workers are of an old template, and whose turn it is to be replaced. Pure."""

from collections.abc import Iterable

from streammonitor_operator.fleet import WorkerView
from streammonitor_operator.monitors import Monitor
from streammonitor_operator.settings import WorkerSettings
from streammonitor_operator.specs.deployment import (
    ANNOTATION_MANIFEST,
    build_deployment,
    secret_names,
)

SURGE_RATIO = 0.25
"""The share of a group's workers, at least one, that is replaced at a time."""


def turn_to_go(monitor: Monitor, views: Iterable[WorkerView], settings: WorkerSettings) -> set[str]:
    """The workers of an old template that are to hand over to clones now."""
    groups: dict[str, list[WorkerView]] = {}
    for view in sorted(views, key=lambda one: one.name):
        groups.setdefault(view.group, []).append(view)
    return {
        name
        for members in groups.values()
        for name in _first(members, outdated(monitor, members, settings))
    }


def outdated(monitor: Monitor, views: Iterable[WorkerView], settings: WorkerSettings) -> list[str]:
    """The workers whose Deployment is not what the specification would make of it now."""
    if monitor.spec is None:
        return []
    groups = {group.name: group for group in monitor.spec.groups}
    secrets = secret_names(monitor.spec.streams)
    found = []
    for view in views:
        if view.deployment is None or view.group not in groups:
            continue
        made = build_deployment(monitor.owner, groups[view.group], view.name, secrets, settings)
        live = view.deployment.manifest["metadata"].get("annotations") or {}
        wanted = made["metadata"]["annotations"][ANNOTATION_MANIFEST]
        if live.get(ANNOTATION_MANIFEST, wanted) != wanted:
            found.append(view.name)
    return found


def _first(members: list[WorkerView], old: list[str]) -> list[str]:
    """Those that are on their way already come first: they hold nothing, or their clone warms."""
    most = max(1, int(SURGE_RATIO * len(members)))
    return old[:most]
