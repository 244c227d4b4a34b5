"""The CustomResourceDefinition of StreamMonitor, from the api models and the detectors."""

from typing import Any

from dev.gen.structural import Schema, duration_rule, overrides, parameters, structural
from streammonitor_api import names
from streammonitor_api.alerts import (
    ENDS_BEFORE,
    MUTE_S,
    ONE_KIND,
    ONE_TIME,
    ONE_URL,
    RESEND_S,
    WAIT_S,
    WINDOW_S,
)
from streammonitor_api.durations import format_duration
from streammonitor_api.push import ONE_GROUP
from streammonitor_api.regions import ROUNDING
from streammonitor_api.results import EVERY_S, RETENTION_S
from streammonitor_api.rollout import CANARY_S, DEADLINE_S
from streammonitor_api.source import ONE_PROGRAM
from streammonitor_api.spec import (
    NO_OBJECT_STORE,
    NO_PROGRAMS,
    NO_STREAMS,
    OBJECT_STORES,
    ONE_MODEL_SOURCE,
    PROGRAM_SCHEMES,
    URL_SCHEMES,
    StreamMonitorSpec,
)
from streammonitor_api.status import StreamMonitorStatus
from streammonitor_api.streams_from import INTERVAL_S, LOSS_HOLD_S, ONE_STREAMS_SOURCE
from streammonitor_worker.detectors import registry

_COLUMNS = [
    ("Streams", "integer", ".status.streams.total", 0),
    ("Receiving", "integer", ".status.streams.receiving", 0),
    ("Workers", "integer", ".status.workers.ready", 0),
    ("Incidents", "integer", ".status.incidents.active", 0),
    ("Last Defect", "string", ".status.lastIncident.defect", 0),
    ("Ready", "string", '.status.conditions[?(@.type=="Ready")].status', 0),
    ("Reason", "string", '.status.conditions[?(@.type=="Ready")].reason', 1),
    ("Age", "date", ".metadata.creationTimestamp", 0),
]


def crd() -> dict[str, Any]:
    """The manifest."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{names.PLURAL}.{names.GROUP}"},
        "spec": {
            "group": names.GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": names.KIND,
                "listKind": f"{names.KIND}List",
                "plural": names.PLURAL,
                "singular": names.KIND.lower(),
                "shortNames": ["smon"],
                "categories": ["video"],
            },
            "versions": [
                {
                    "name": names.VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [_column(*column) for column in _COLUMNS],
                    "schema": {"openAPIV3Schema": _schema()},
                }
            ],
        },
    }


def _column(name: str, kind: str, path: str, priority: int) -> dict[str, Any]:
    column: dict[str, Any] = {"name": name, "type": kind, "jsonPath": path}
    return {**column, "priority": priority} if priority else column


def _schema() -> Schema:
    spec = structural(StreamMonitorSpec)
    _add_detectors(spec)
    _add_rules(spec)
    return {
        "type": "object",
        "description": "A StreamMonitor watches live streams for defects with a fleet of workers.",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": structural(StreamMonitorStatus),
        },
    }


def _add_detectors(spec: Schema) -> None:
    detectors = spec["properties"]["detectors"]
    del detectors["additionalProperties"]
    detectors["minProperties"] = 1
    detectors["properties"] = {
        name: parameters(detector.params_type) | {"description": detector.summary}
        for name, detector in sorted(registry.items())
    }
    stream = spec["properties"]["streams"]["items"]["properties"]
    del stream["detectors"]["additionalProperties"]
    stream["detectors"]["properties"] = {
        name: overrides(detector.params_type)
        | {"description": f"Parameters as in spec.detectors.{name}."}
        for name, detector in sorted(registry.items())
    }
    group = spec["properties"]["workers"]["items"]["properties"]
    group["detectors"]["items"] = {"type": "string", "enum": sorted(registry)}


def _add_rules(spec: Schema) -> None:
    stream = spec["properties"]["streams"]["items"]
    stream["x-kubernetes-validations"] = [_scheme_rule(), _program_rule(), _store_rule()]
    group = spec["properties"]["workers"]["items"]
    group["properties"]["scaling"]["x-kubernetes-validations"] = [_order_rule()]
    rollout = group["properties"]["rollout"]["properties"]
    for name, bounds_s in (("canary", CANARY_S), ("deadline", DEADLINE_S)):
        rule = _terse(name, *bounds_s)
        # Bounded, as the cost of a rule is reckoned by the longest string that may come.
        rollout[name] |= {"maxLength": 32, "x-kubernetes-validations": [rule]}
    volume = group["properties"]["template"]["properties"]["modelVolume"]
    volume["x-kubernetes-validations"] = [_one_source_rule()]
    spec["x-kubernetes-validations"] = [
        rule for name in sorted(registry) for rule in [*_home_rules(name), _override_rule(name)]
    ]
    spec["x-kubernetes-validations"] += [_volume_rule(), _some_streams_rule(), _push_rule()]
    _add_source_rules(spec["properties"]["streamsFrom"])
    _add_alert_rules(spec["properties"]["alerts"]["properties"])
    _bound(spec["properties"]["results"]["properties"], "every", EVERY_S)
    _bound(spec["properties"]["results"]["properties"], "retention", RETENTION_S)
    stream["properties"]["program"]["x-kubernetes-validations"] = [
        {"rule": "has(self.number) != has(self.service)", "message": ONE_PROGRAM}
    ]
    regions = stream["properties"]
    regions["region"]["x-kubernetes-validations"] = _inside_rules()
    ignored = regions["ignoreRegions"]["items"]
    ignored["x-kubernetes-validations"] = [*_inside_rules(), _not_everything_rule()]


def _scheme_rule() -> Schema:
    allowed = ", ".join(URL_SCHEMES)
    return {
        "rule": f"self.url.matches('^({'|'.join(URL_SCHEMES)})://[^/]+')",
        "messageExpression": (
            f"'stream ' + self.name + ': url begins with ' + self.url.split('://')[0] + "
            f"', which cannot be monitored: write SCHEME://HOST/... with one of {allowed}'"
        ),
    }


def _program_rule() -> Schema:
    return {
        "rule": f"!has(self.program) || self.url.matches('^({'|'.join(PROGRAM_SCHEMES)})://')",
        "message": NO_PROGRAMS,
    }


def _store_rule() -> Schema:
    return {
        "rule": f"!has(self.objectStore) || self.url.matches('^({'|'.join(OBJECT_STORES)})://')",
        "message": NO_OBJECT_STORE,
    }


def _order_rule() -> Schema:
    return {
        "rule": "!has(self.min) || !has(self.max) || self.min <= self.max",
        # A fixed sentence: one with the numbers costs more than the apiserver allows.
        "message": "scaling.min is more than scaling.max: lower min or raise max",
    }


def _home_rules(name: str) -> list[Schema]:
    """Each declared detector is in exactly one group, and a group names declared ones only.

    The sentences are fixed: naming the group costs more than the apiserver allows a rule.
    """
    declared, named = f"has(self.detectors.{name})", f"w, '{name}' in w.detectors"
    return [
        {
            "rule": f"!has(self.workers) || {declared} || !self.workers.exists({named})",
            "message": (
                f"a group of spec.workers names detector {name}, which spec.detectors does not "
                f"declare: add {name} to spec.detectors or take it out of the group"
            ),
        },
        {
            "rule": f"!has(self.workers) || !{declared} || self.workers.exists_one({named})",
            "message": (
                f"detector {name} is in none or in several of spec.workers: name it in the "
                f"detectors of exactly one group"
            ),
        },
    ]


def _one_source_rule() -> Schema:
    return {
        "rule": "has(self.persistentVolumeClaim) != has(self.configMap)",
        "message": ONE_MODEL_SOURCE,
    }


def _volume_rule() -> Schema:
    """Without a group of its own choosing, the detector has no volume to read a model from."""
    return {
        "rule": (
            "!has(self.detectors.model) || has(self.workers) && self.workers.exists(w, 'model' in "
            "w.detectors && has(w.template) && has(w.template.modelVolume))"
        ),
        "message": (
            "detector model has no volume to read its file from: name it in the detectors of one "
            "of spec.workers and set template.modelVolume there"
        ),
    }


def _some_streams_rule() -> Schema:
    return {"rule": "has(self.streams) || has(self.streamsFrom)", "message": NO_STREAMS}


def _push_rule() -> Schema:
    """The usual ways to write it; the operator knows the others too."""
    pushed = "s.url.matches('^((rtmp|srt|udp)://@?:|srt://.*mode=listener)')"
    return {
        "rule": f"!has(self.workers) || self.workers.size() == 1 || !has(self.streams) || "
        f"!self.streams.exists(s, {pushed})",
        "message": ONE_GROUP,
    }


def _add_source_rules(source: Schema) -> None:
    """Exactly one source, and the bounds of the durations."""
    source["x-kubernetes-validations"] = [
        {"rule": "has(self.configMap) != has(self.http)", "message": ONE_STREAMS_SOURCE}
    ]
    hold, http = source["properties"]["lossHold"], source["properties"]["http"]
    hold["x-kubernetes-validations"] = [duration_rule("lossHold", *LOSS_HOLD_S)]
    interval = http["properties"]["interval"]
    interval["x-kubernetes-validations"] = [duration_rule("interval", *INTERVAL_S)]


def _add_alert_rules(alerts: Schema) -> None:
    """Of each sink one kind, of each mute one time, and the bounds of their durations."""
    sink, mute = alerts["sinks"]["items"], alerts["mutes"]["items"]
    for item in (sink, mute):
        item["properties"]["defects"]["items"] = {"type": "string", "enum": sorted(registry)}
    kinds = ", ".join(f"has(self.{kind})" for kind in ("alertmanager", "webhook", "apprise", "log"))
    _forbid(sink, f"[{kinds}].exists_one(one, one)", ONE_KIND)
    sinks = sink["properties"]
    webhook, apprise = sinks["webhook"]["properties"], sinks["apprise"]["properties"]
    _forbid(sinks["webhook"], "has(self.url) != has(self.urlFrom)", ONE_URL)
    _bound(sinks["alertmanager"]["properties"], "resendEvery", RESEND_S)
    for group in (webhook["batch"]["properties"], apprise["group"]["properties"]):
        _bound(group, "wait", WAIT_S)
        _bound(group, "window", WINDOW_S)
    _forbid(mute, "has(self.recurring) != has(self.once)", ONE_TIME)
    _bound(mute["properties"]["recurring"]["properties"], "duration", MUTE_S)
    _forbid(mute["properties"]["once"], "self.start < self.end", ENDS_BEFORE)


def _forbid(schema: Schema, rule: str, message: str) -> None:
    schema["x-kubernetes-validations"] = [{"rule": rule, "message": message}]


def _bound(properties: Schema, name: str, bounds_s: tuple[float, float]) -> None:
    properties[name]["x-kubernetes-validations"] = [_terse(name, *bounds_s)]


def _terse(name: str, low_s: float, high_s: float) -> Schema:
    """The bounds of a duration in each of many groups: to repeat what was found is too dear."""
    rule = duration_rule(name, low_s, high_s)["rule"]
    low, high = format_duration(low_s), format_duration(high_s)
    return {"rule": rule, "message": f"{name}: use a duration from {low} to {high}, as in 1m30s"}


def _override_rule(name: str) -> Schema:
    """A stream sets parameters of declared detectors only."""
    return {
        "rule": (
            f"has(self.detectors.{name}) || !has(self.streams) || "
            f"!self.streams.exists(s, has(s.detectors) && has(s.detectors.{name}))"
        ),
        "message": (
            f"a stream of spec.streams sets parameters of detector {name}, which spec.detectors "
            f"does not declare: add {name} to spec.detectors or take it out of the stream"
        ),
    }


def _inside_rules() -> list[Schema]:
    """A region lies inside the picture. What several leave of it together is too dear for a rule.

    That none is empty is also in the schema, whose minimum the apiserver rounds down to 0 where it
    is given an integer. The tolerance is that of adding ratios in binary.
    """
    return [
        {
            "rule": "self.width > 0.0 && self.height > 0.0",
            "message": "the region is empty (width and height must be more than 0): make it larger",
        },
        *(_inside_rule(*edge) for edge in (("left", "width"), ("top", "height"))),
    ]


def _inside_rule(start: str, side: str) -> Schema:
    return {
        "rule": f"self.{start} + self.{side} <= 1.0 + {ROUNDING:f}",
        "message": (
            f"the region reaches beyond the picture ({start} + {side} is more than 1): make it "
            f"smaller"
        ),
    }


def _not_everything_rule() -> Schema:
    return {
        "rule": "self.width < 1.0 || self.height < 1.0",
        "message": (
            "the region covers the whole picture: make it smaller, or take the picture detectors "
            "off the stream"
        ),
    }
