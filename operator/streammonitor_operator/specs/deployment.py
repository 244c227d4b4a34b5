"""The Deployment of one worker: one replica, so that Kubernetes heals it by itself.

It passes Pod Security `restricted` and carries no API token: a worker parses media that anybody
may have made.
"""

import hashlib
import json
from collections.abc import Sequence

from streammonitor_api import names
from streammonitor_api.spec import Quantity, Template
from streammonitor_operator.kube import DEPLOYMENTS, Manifest
from streammonitor_operator.quantities import parse_quantity
from streammonitor_operator.settings import WorkerSettings
from streammonitor_operator.specs.identity import Owner, labels, metadata
from streammonitor_operator.specs.recipe import Recipe

ANNOTATION_MANIFEST = f"{names.GROUP}/manifest"
"""Digest of what was applied: tells a changed wish from a change by hand."""
GRACE_S = 15
"""How long a worker that was told to stop goes on, waiting to be released."""
TERMINATION_S = 20
"""When Kubernetes kills it: the grace, and time to report what is open."""
_USER = 65532


def build_deployment(owner: Owner, group: str, worker: str, recipe: Recipe) -> Manifest:
    """The Deployment of a worker.

    Args:
        owner: the StreamMonitor.
        group: the name of the worker's group.
        worker: the worker's name.
        recipe: what its pods are asked to be.
    """
    manifest: Manifest = {
        "apiVersion": DEPLOYMENTS.api_version,
        "kind": "Deployment",
        "metadata": metadata(owner, group, worker),
        "spec": {
            "replicas": 1,
            "revisionHistoryLimit": 1,
            "progressDeadlineSeconds": 600,
            "selector": {"matchLabels": {names.LABEL_WORKER: worker}},
            # The old pod monitors until the new one is ready.
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
            },
            "template": _pod_template(owner, group, worker, recipe),
        },
    }
    annotations = manifest["metadata"]["annotations"]
    annotations.update(recipe.annotations())
    annotations[ANNOTATION_MANIFEST] = digest(manifest)
    return manifest


def digest(manifest: Manifest) -> str:
    """A short fingerprint of a manifest."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:16]


def _pod_template(owner: Owner, group: str, worker: str, recipe: Recipe) -> Manifest:
    template, secrets, settings = recipe.template or Template(), recipe.secrets, recipe.settings
    spec: Manifest = {
        "automountServiceAccountToken": False,
        # A namespace with thousands of Services would fill the worker's environment.
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": TERMINATION_S,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(worker, secrets, template, settings)],
        "volumes": [*_volumes(worker, secrets), *_model_volumes(template)],
    }
    if settings.pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in settings.pull_secrets]
    if template.host_network:
        spec["hostNetwork"] = True
        spec["dnsPolicy"] = "ClusterFirstWithHostNet"
    if template.node_selector:
        spec["nodeSelector"] = template.node_selector
    if template.tolerations:
        spec["tolerations"] = [one.to_json_object() for one in template.tolerations]
    return {
        "metadata": {
            # Ours last: they select the pods.
            "labels": {**(template.labels or {}), **labels(owner, group, worker)},
            "annotations": {**(template.annotations or {}), names.ANNOTATION_MONITOR: owner.name},
        },
        "spec": spec,
    }


def _container(
    worker: str, secrets: Sequence[str], template: Template, settings: WorkerSettings
) -> Manifest:
    return {
        "name": "worker",
        "image": settings.image,
        "imagePullPolicy": settings.pull_policy,
        "args": ["worker"],
        "env": [
            {"name": "STREAMMONITOR_WORKER", "value": worker},
            {"name": "STREAMMONITOR_GRACE_S", "value": str(GRACE_S)},
            *_rules(settings),
        ],
        "ports": [{"name": "http", "containerPort": names.WORKER_PORT, "protocol": "TCP"}],
        "resources": resources_of(template, settings),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "privileged": False,
            "readOnlyRootFilesystem": True,
        },
        "startupProbe": _probe("/healthz", period_s=1, failures=60),
        "livenessProbe": _probe("/healthz", period_s=10, failures=3),
        "readinessProbe": _probe("/readyz", period_s=2, failures=3),
        "volumeMounts": [
            {"name": "assignment", "mountPath": names.ASSIGNMENT_FOLDER, "readOnly": True},
            {"name": "state", "mountPath": names.STATE_FOLDER},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the pod's own
            *(
                {"name": _volume(n), "mountPath": f"{names.SECRETS_FOLDER}/{secret}",
                 "readOnly": True}
                for n, secret in enumerate(secrets)
            ),
            *(
                {"name": volume["name"], "mountPath": names.MODELS_FOLDER, "readOnly": True}
                for volume in _model_volumes(template)
            ),
        ],
    }  # fmt: skip


def _rules(settings: WorkerSettings) -> list[Manifest]:
    """Where a worker may read from, and where it may send alerts."""
    sources, sinks = settings.sources, settings.sinks
    given = {
        "ALLOWED_SCHEMES": sources.schemes,
        "ALLOWED_HOSTS": sources.hosts,
        "DENIED_NETWORKS": sources.denied_networks,
        "ALLOWED_NETWORKS": sources.allowed_networks,
        "SINK_ALLOWED_HOSTS": sinks.hosts,
        "SINK_DENIED_NETWORKS": sinks.denied_networks,
        "SINK_ALLOWED_NETWORKS": sinks.allowed_networks,
    }
    return [
        {"name": f"STREAMMONITOR_{name}", "value": ",".join(values)}
        for name, values in given.items()
        if values
    ]


def _probe(path: str, *, period_s: int, failures: int) -> Manifest:
    return {
        "httpGet": {"path": path, "port": "http"},
        "periodSeconds": period_s,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }


def _volumes(worker: str, secrets: Sequence[str]) -> list[Manifest]:
    return [
        {"name": "assignment", "configMap": {"name": worker}},
        {"name": "state", "emptyDir": {"sizeLimit": "64Mi"}},
        {"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}},
        # Optional: a Secret that is missing is the problem of one stream, not of the pod.
        *(
            {"name": _volume(n), "secret": {"secretName": secret, "optional": True}}
            for n, secret in enumerate(secrets)
        ),
    ]


def _model_volumes(template: Template) -> list[Manifest]:
    """The volume with the group's models, if it has one."""
    volume = template.model_volume
    if volume is None:
        return []
    if volume.config_map is not None:
        # Optional: a ConfigMap that is missing is the problem of one detector, not of the pod.
        return [{"name": "models", "configMap": {"name": volume.config_map.name, "optional": True}}]
    claim = volume.persistent_volume_claim
    name = claim.claim_name if claim is not None else ""
    return [{"name": "models", "persistentVolumeClaim": {"claimName": name, "readOnly": True}}]


def _volume(number: int) -> str:
    # A Secret's name may have 253 characters and dots, a volume's only 63 and none.
    return f"secret-{number}"


def _least(request: Quantity, limit: Quantity | None) -> Quantity:
    """What is reserved by default: no more than what may be used, else the API refuses it."""
    asked, most = parse_quantity(request), parse_quantity(limit)
    return limit if limit is not None and asked and most and most < asked else request


def resources_of(template: Template, settings: WorkerSettings) -> Manifest:
    """What a worker reserves, and what it may use at most."""
    wanted = template.resources
    requests: Manifest = {"cpu": settings.cpu_request, "memory": settings.memory_request}
    limits: Manifest = {"memory": settings.memory_limit}
    if wanted is not None:
        limits |= wanted.limits or {}
        requests = {key: _least(value, limits.get(key)) for key, value in requests.items()}
        requests |= wanted.requests or {}
    return {"requests": requests, "limits": limits}
