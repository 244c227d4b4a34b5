"""Nodes that pods are to leave: cordoned ones, and those with a taint that drives pods away."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from streammonitor_operator.children import Child
from streammonitor_operator.kube import Manifest


class Taint(NamedTuple):
    """What keeps pods away from a node unless they tolerate it."""

    key: str
    value: str
    effect: str


_CORDON = Taint("node.kubernetes.io/unschedulable", "", "NoSchedule")
_DRAINING = frozenset({
    "ToBeDeletedByClusterAutoscaler", "karpenter.sh/disrupted", "karpenter.sh/disruption",
})  # fmt: skip
"""How autoscalers mark a node before they evict what runs on it."""
_FAILURES = frozenset({"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"})
"""Says nothing of the pods: those that still answer go on, and others are failed over anyhow."""


@dataclass(frozen=True, slots=True)
class Node:
    """As much of a node as tells whether pods should leave it."""

    name: str
    version: int
    taints: tuple[Taint, ...] = ()
    """Those that drive pods away."""

    @property
    def namespace(self) -> str:
        """Nodes have none."""
        return ""

    @property
    def monitor(self) -> str:
        """They belong to no StreamMonitor."""
        return ""

    def differs(self, older: Child) -> bool:
        """A node's heartbeats are not interesting."""
        return not isinstance(older, Node) or self.taints != older.taints

    def repels(self, tolerations: Iterable[Mapping[str, Any]]) -> bool:
        """Whether a pod should leave.

        One that tolerates all that is wrong with the node stays: the next would be put on it again.
        """
        tolerated = list(tolerations)
        return any(not any(_covers(one, taint) for one in tolerated) for taint in self.taints)


def read_node(manifest: Manifest) -> Node:
    """Read a node."""
    spec, metadata = manifest.get("spec") or {}, manifest["metadata"]
    found = {
        Taint(one["key"], one.get("value", ""), one["effect"])
        for one in spec.get("taints") or []
        if one["key"] in _DRAINING or (one["effect"] == "NoExecute" and one["key"] not in _FAILURES)
    }
    if spec.get("unschedulable"):
        found.add(_CORDON)
    return Node(metadata["name"], int(metadata["resourceVersion"]), tuple(sorted(found)))


def _covers(toleration: Mapping[str, Any], taint: Taint) -> bool:
    """Whether a toleration covers a taint, as Kubernetes defines it."""
    if toleration.get("effect") not in (None, "", taint.effect):
        return False
    if toleration.get("key") not in (None, "", taint.key):
        return False
    exists = toleration.get("operator") == "Exists"
    return exists or (bool(toleration.get("key")) and toleration.get("value", "") == taint.value)
