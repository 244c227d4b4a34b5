"""The ConfigMap that carries a worker's assignment."""

import json

from streammonitor_api import names
from streammonitor_api.assignment import Assignment
from streammonitor_operator.kube import CONFIG_MAPS, Manifest
from streammonitor_operator.specs.identity import Owner, metadata


def build_configmap(owner: Owner, assignment: Assignment) -> Manifest:
    """The ConfigMap of an assignment; it bears the worker's name."""
    text = json.dumps(assignment.to_json_object(), separators=(",", ":"), ensure_ascii=False)
    return {
        "apiVersion": CONFIG_MAPS.api_version,
        "kind": "ConfigMap",
        "metadata": metadata(owner, assignment.group, assignment.worker),
        "data": {names.ASSIGNMENT_KEY: text},
    }
