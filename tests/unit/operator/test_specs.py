"""Builders against plain dicts."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from streammonitor_api.assignment import Assignment
from streammonitor_api.incident import EndReason, Incident, Severity
from streammonitor_api.spec import Stream, Template
from streammonitor_operator.settings import SourceRules, WorkerSettings
from streammonitor_operator.specs.configmap import build_configmap
from streammonitor_operator.specs.deployment import build_deployment
from streammonitor_operator.specs.event import ENDED, STARTED, build_event
from streammonitor_operator.specs.identity import Owner
from streammonitor_operator.specs.recipe import Recipe, read_recipe, secret_names

OWNER = Owner("video", "sports", "uid-1")
SETTINGS = WorkerSettings(image="registry.example/worker:1", pull_secrets=("pull",))
LABELS = {
    "app.kubernetes.io/name": "streammonitor-worker",
    "app.kubernetes.io/managed-by": "streammonitor",
    "streammonitor.io/monitor": "sports",
    "streammonitor.io/group": "all",
    "streammonitor.io/worker": "w",
}
METADATA = {
    "name": "w",
    "namespace": "video",
    "labels": LABELS,
    "annotations": {"streammonitor.io/monitor": "sports"},
    "ownerReferences": [
        {
            "apiVersion": "streammonitor.io/v1alpha1",
            "kind": "StreamMonitor",
            "name": "sports",
            "uid": "uid-1",
            "controller": True,
            "blockOwnerDeletion": False,
        }
    ],
}


def deployment(secrets: list[str], **template: Any) -> dict[str, Any]:
    recipe = Recipe(Template.model_validate(template), tuple(sorted(set(secrets))), SETTINGS)
    return build_deployment(OWNER, "all", "w", recipe)


def test_a_configmap_carries_the_assignment() -> None:
    assignment = Assignment(epoch=3, worker="w", group="all")
    built = build_configmap(OWNER, assignment)
    assert built["metadata"] == METADATA
    assert json.loads(built["data"]["assignment.json"])["epoch"] == 3


def test_a_worker_passes_pod_security_restricted_and_has_no_token() -> None:
    spec = deployment([])["spec"]["template"]["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert spec["securityContext"] == {
        "runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }  # fmt: skip
    [container] = spec["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "privileged": False,
        "readOnlyRootFilesystem": True,
    }


def test_a_worker_is_one_replica_that_is_replaced_without_a_gap() -> None:
    spec = deployment([])["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
    }
    assert spec["selector"] == {"matchLabels": {"streammonitor.io/worker": "w"}}
    pod = spec["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] == 20
    assert pod["containers"][0]["env"] == [
        {"name": "STREAMMONITOR_WORKER", "value": "w"},
        {"name": "STREAMMONITOR_GRACE_S", "value": "15"},
    ]


def test_secrets_are_mounted_optional_each_once() -> None:
    pod = deployment(["b.dotted", "a", "a"])["spec"]["template"]["spec"]
    volumes = [volume for volume in pod["volumes"] if "secret" in volume]
    assert [volume["secret"] for volume in volumes] == [
        {"secretName": "a", "optional": True},
        {"secretName": "b.dotted", "optional": True},
    ]
    mounts = {mount["name"]: mount for mount in pod["containers"][0]["volumeMounts"]}
    assert mounts[volumes[1]["name"]] == {
        "name": volumes[1]["name"],
        "mountPath": "/etc/streammonitor/secrets/b.dotted",
        "readOnly": True,
    }


@pytest.mark.parametrize(
    ("source", "volume"),
    [
        ({"configMap": {"name": "m"}}, {"configMap": {"name": "m", "optional": True}}),
        (
            {"persistentVolumeClaim": {"claimName": "m"}},
            {"persistentVolumeClaim": {"claimName": "m", "readOnly": True}},
        ),
    ],
    ids=["ConfigMap", "claim"],
)
def test_models_are_mounted_read_only(source: dict[str, Any], volume: dict[str, Any]) -> None:
    pod = deployment([], modelVolume=source)["spec"]["template"]["spec"]
    assert pod["volumes"][-1] == {"name": "models", **volume}
    assert pod["containers"][0]["volumeMounts"][-1] == {
        "name": "models",
        "mountPath": "/models",
        "readOnly": True,
    }


def test_without_models_nothing_is_mounted_there() -> None:
    pod = deployment([])["spec"]["template"]["spec"]
    assert "models" not in {volume["name"] for volume in pod["volumes"]}


def test_streams_name_their_secrets() -> None:
    header = {"name": "Authorization", "secretKeyRef": {"name": "origin", "key": "token"}}
    streams = [
        Stream.model_validate({"name": "a", "url": "http://h/", "headersFrom": [header]}),
        Stream.model_validate({"name": "b", "url": "http://h/", "headersFrom": [header]}),
    ]
    assert secret_names(streams) == ["origin"]


def test_the_template_adds_but_cannot_take_over() -> None:
    built = deployment(
        [],
        labels={"team": "x", "streammonitor.io/worker": "stolen"},
        nodeSelector={"disk": "ssd"},
        tolerations=[{"key": "gpu", "operator": "Exists"}],
        resources={"requests": {"cpu": "2"}, "limits": {"cpu": 4}},
    )
    template = built["spec"]["template"]
    assert template["metadata"]["labels"] == LABELS | {"team": "x"}
    assert template["spec"]["nodeSelector"] == {"disk": "ssd"}
    assert template["spec"]["tolerations"] == [{"key": "gpu", "operator": "Exists"}]
    assert template["spec"]["imagePullSecrets"] == [{"name": "pull"}]
    assert template["spec"]["containers"][0]["resources"] == {
        "requests": {"cpu": "2", "memory": "256Mi"},
        "limits": {"memory": "2Gi", "cpu": 4},
    }


def test_pods_get_networks_that_carry_multicast() -> None:
    multus = {"k8s.v1.cni.cncf.io/networks": "media-lan", "streammonitor.io/monitor": "stolen"}
    template = deployment([], annotations=multus, hostNetwork=True)["spec"]["template"]
    kept = {**multus, "streammonitor.io/monitor": "sports"}
    assert template["metadata"]["annotations"] == kept
    assert template["spec"]["hostNetwork"] is True
    assert template["spec"]["dnsPolicy"] == "ClusterFirstWithHostNet"


def test_a_limit_below_the_default_request_lowers_it() -> None:
    spec = deployment([], resources={"limits": {"cpu": "100m"}})["spec"]["template"]["spec"]
    assert spec["containers"][0]["resources"] == {
        "requests": {"cpu": "100m", "memory": "256Mi"},
        "limits": {"memory": "2Gi", "cpu": "100m"},
    }


def test_the_digest_changes_with_the_wish_only() -> None:
    key = "streammonitor.io/manifest"
    one, same = deployment(["a"]), deployment(["a"])
    other = deployment(["b"])
    assert one == same
    assert one["metadata"]["annotations"][key] != other["metadata"]["annotations"][key]


def test_a_worker_can_be_made_again_from_what_it_bears() -> None:
    made = deployment(["b", "a"], nodeSelector={"disk": "fast"}, labels={"team": "x"})
    recipe = read_recipe(made)
    assert recipe is not None
    assert recipe.revision == made["metadata"]["annotations"]["streammonitor.io/revision"]
    assert build_deployment(OWNER, "all", "w", recipe) == made


def test_a_setting_that_nobody_uses_is_no_part_of_the_revision() -> None:
    rules = SourceRules(hosts=("*.example.com",))
    recipe = Recipe(None, (), replace(SETTINGS, sources=rules))
    assert recipe.document["settings"] == {
        "image": "registry.example/worker:1",
        "pull_secrets": ("pull",),
        "sources": {"hosts": ("*.example.com",)},
    }
    assert read_recipe({"metadata": {"annotations": recipe.annotations()}}) == recipe


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"template": {}, "secrets": [], "settings": 1}'])
def test_what_cannot_be_read_is_made_of_nothing(text: str) -> None:
    assert read_recipe({"metadata": {"annotations": {"streammonitor.io/recipe": text}}}) is None


INCIDENT = Incident(
    id="0123456789abcdef", monitor_uid="uid-1", stream="arena-1", defect="freeze", episode="1",
    severity=Severity.CRITICAL, started_at=datetime(2026, 1, 2, 12, 4, 31, tzinfo=UTC),
    detected_at=datetime(2026, 1, 2, 12, 4, 33, tzinfo=UTC), start_s=0, detected_s=2, worker="w",
)  # fmt: skip


@pytest.mark.parametrize(
    ("phase", "kind", "reason", "message"),
    [
        (STARTED, "Warning", "FreezeStarted", "arena-1: freeze since 12:04:31 UTC (critical)"),
        (
            ENDED, "Normal", "FreezeEnded",
            "arena-1: freeze since 12:04:31 UTC ended after 4.0 s (cleared)",
        ),
    ],
)  # fmt: skip
def test_an_event_is_a_sentence(phase: str, kind: str, reason: str, message: str) -> None:
    ended = {
        "ended_at": datetime(2026, 1, 2, 12, 4, 35, tzinfo=UTC), "end_reason": EndReason.CLEARED
    }  # fmt: skip
    incident = INCIDENT.model_copy(update=ended if phase == ENDED else {})
    event = build_event(OWNER, incident, phase, datetime(2026, 1, 2, 12, 4, 36, tzinfo=UTC))
    assert (event["type"], event["reason"], event["message"]) == (kind, reason, message)
    assert event["metadata"]["name"] == f"sports.0123456789abcdef.{phase}"
    assert event["involvedObject"]["uid"] == "uid-1"
    assert event["eventTime"] == "2026-01-02T12:04:36.000000Z"


def test_an_event_about_an_incident_without_a_worker_is_still_accepted() -> None:
    """The API refuses an empty reportingInstance beside an eventTime."""
    incident = INCIDENT.model_copy(update={"worker": ""})
    event = build_event(OWNER, incident, STARTED, datetime(2026, 1, 2, tzinfo=UTC))
    assert event["reportingInstance"] == "streammonitor-operator"
