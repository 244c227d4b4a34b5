"""Keeps every planned worker's Deployment as it should be."""

import hashlib
from typing import Any

from streammonitor_operator.children import WorkerDeployment
from streammonitor_operator.fleet import WorkerView
from streammonitor_operator.kube import DEPLOYMENTS, Manifest, Rejected
from streammonitor_operator.plan import Worker
from streammonitor_operator.quantities import parse_quantity
from streammonitor_operator.specs.deployment import (
    ANNOTATION_MANIFEST,
    build_deployment,
)
from streammonitor_operator.specs.recipe import ANNOTATION_REVISION, secret_names
from streammonitor_operator.steps.concurrently import each
from streammonitor_operator.work import Work


async def deploy(work: Work) -> float | None:
    """Apply the Deployments that are not there, not as wished, or were edited by hand."""
    spec = work.monitor.spec
    if spec is None:
        return None
    streams = {stream.name: stream for stream in spec.streams}
    settled = work.memory.settled
    rollouts = work.memory.rollouts
    fresh: dict[str, str] = {}

    async def one(item: tuple[Worker, WorkerView]) -> None:
        worker, view = item
        if view.map is None:
            return  # its pod would only wait for the assignment that could not be written
        secrets = secret_names(streams[one] for one in worker.streams if one in streams)
        recipe = rollouts.recipe(worker, view, secrets)
        if recipe is None:
            return
        known = settled.get(worker.name)
        if known is not None and known[0] == recipe and known[1] is view.deployment:
            return  # neither the wish nor the Deployment has changed since they were compared
        if view.deployment is None and recipe == rollouts.wanted[worker.group]:
            fresh[worker.name] = worker.group
        manifest = build_deployment(work.monitor.owner, worker.group, worker.name, recipe)
        if not _is_right(work, view, manifest):
            await _apply(work, manifest, first=view.deployment is None)
        settled[worker.name] = (recipe, work.view(worker.name).deployment)

    await each(work, work.planned(), lambda item: item[0].name, one)
    rollouts.refused = {
        fresh[name]: str(error)
        for name, error in work.failures
        if name in fresh and isinstance(error, Rejected) and error.final
    }
    return None


def _is_right(work: Work, view: WorkerView, manifest: Manifest) -> bool:
    if view.deployment is None:
        return False
    live = view.deployment.manifest
    annotations = live["metadata"].get("annotations") or {}
    wanted = manifest["metadata"]["annotations"]
    if annotations.get(ANNOTATION_MANIFEST) != wanted[ANNOTATION_MANIFEST]:
        # Another version of the operator made it, of the same wishes: that restarts no worker.
        same = annotations.get(ANNOTATION_REVISION) == wanted[ANNOTATION_REVISION]
        return same and bool(live["spec"].get("replicas") == 1)
    # Where a webhook changes what we apply, the API's own answer is as right as it gets.
    accepted = work.memory.accepted.get(view.name)
    return covers(live, _comparable(manifest)) or _fingerprint(view.deployment) == accepted


async def _apply(work: Work, manifest: Manifest, *, first: bool) -> None:
    answer = await work.world.kube.apply(DEPLOYMENTS, manifest)
    # What follows from a new one is its pod, and that will be heard of.
    child = work.world.deployments.put(answer, quiet=first)
    work.memory.accepted[child.name] = _fingerprint(child)


def _fingerprint(deployment: WorkerDeployment) -> bytes:
    return hashlib.sha256(deployment.text).digest()


def _comparable(manifest: Manifest) -> Manifest:
    metadata = {k: manifest["metadata"][k] for k in ("labels", "annotations", "ownerReferences")}
    return {"metadata": metadata, "spec": manifest["spec"]}


def covers(live: Any, wanted: Any) -> bool:
    """Whether an object has everything that is wanted of it; more is allowed.

    >>> covers({"a": 1, "b": [{"name": "x", "cpu": "200m"}]}, {"b": [{"name": "x", "cpu": "0.2"}]})
    True
    >>> covers({"replicas": 0}, {"replicas": 1})
    False
    """
    if isinstance(wanted, dict):
        return isinstance(live, dict) and all(
            covers(live[key], value) if key in live else value in ({}, [], "", None, False)
            for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return isinstance(live, list) and _covers_list(live, wanted)
    return bool(live == wanted) or parse_quantity(live) == parse_quantity(wanted) is not None


def _covers_list(live: list[Any], wanted: list[Any]) -> bool:
    if all(isinstance(item, dict) and "name" in item for item in [*live, *wanted]):
        named = {item["name"]: item for item in live}
        return all(item["name"] in named and covers(named[item["name"]], item) for item in wanted)
    return len(live) == len(wanted) and all(map(covers, live, wanted))
