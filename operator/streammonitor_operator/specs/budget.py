"""The PodDisruptionBudget of a StreamMonitor: its workers are not evicted, they are moved.

One for all workers of a StreamMonitor, not one each: it says of every pod the same, so further ones
would only be further writes, to the API server and by the disruption controller.
"""

from streammonitor_api import names
from streammonitor_operator.kube import BUDGETS, Manifest
from streammonitor_operator.naming import label_value
from streammonitor_operator.specs.identity import Owner


def budget_name(monitor: str) -> str:
    """The name of the budget of a StreamMonitor.

    >>> budget_name("sports")
    'sports-workers'
    """
    return label_value(f"{monitor}-workers")


def build_budget(owner: Owner) -> Manifest:
    """The budget of a StreamMonitor's workers."""
    selected = {
        names.LABEL_NAME: "streammonitor-worker",
        names.LABEL_MONITOR: label_value(owner.name),
    }
    return {
        "apiVersion": BUDGETS.api_version,
        "kind": "PodDisruptionBudget",
        "metadata": {
            "name": budget_name(owner.name),
            "namespace": owner.namespace,
            "labels": {**selected, names.LABEL_MANAGED_BY: "streammonitor"},
            "annotations": {names.ANNOTATION_MONITOR: owner.name},
            "ownerReferences": [owner.reference()],
        },
        "spec": {
            "maxUnavailable": 0,
            # One that never became ready has nothing that others would have to take over.
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": selected},
        },
    }
