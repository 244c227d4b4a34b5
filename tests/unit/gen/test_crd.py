import json
from typing import Any

import pytest

from dev.gen.crd import crd
from streammonitor_api.spec import MAX_IGNORED, PROFILES
from streammonitor_worker.detectors import registry

Schema = dict[str, Any]


@pytest.fixture(scope="module")
def spec() -> Schema:
    schema: Schema = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    properties: Schema = schema["properties"]["spec"]
    return properties


@pytest.fixture(scope="module")
def stream(spec: Schema) -> Schema:
    items: Schema = spec["properties"]["streams"]["items"]
    return items


def test_a_stream_may_set_every_parameter_of_every_detector_in_the_same_bounds(
    spec: Schema, stream: Schema
) -> None:
    of_stream = stream["properties"]["detectors"]["properties"]
    of_monitor = spec["properties"]["detectors"]["properties"]
    assert of_stream.keys() == of_monitor.keys() == registry.keys()
    for name in of_monitor:
        assert bounds(of_stream[name]) == bounds(of_monitor[name])
        assert all(one["description"] for one in of_stream[name]["properties"].values())


def bounds(detector: Schema) -> Schema:
    """What is said of each parameter, without the words."""
    return {
        key: {word: value for word, value in schema.items() if word != "description"}
        for key, schema in detector["properties"].items()
    }


def test_nothing_has_a_default_that_the_apiserver_would_write(spec: Schema) -> None:
    def keys(schema: Any) -> set[str]:
        parts = schema.values() if isinstance(schema, dict) else schema
        nested = [keys(part) for part in parts if isinstance(part, dict | list)]
        return set(schema if isinstance(schema, dict) else ()).union(*nested)

    assert "default" not in keys(spec)


def test_it_fits_the_annotation_of_kubectl_apply() -> None:
    # kubectl keeps what was applied in an annotation, and annotations hold 256 KiB altogether.
    assert len(json.dumps(crd())) < 200_000


def test_profiles_are_those_that_there_are(spec: Schema, stream: Schema) -> None:
    assert spec["properties"]["profile"]["enum"] == list(PROFILES)
    assert stream["properties"]["profile"]["enum"] == list(PROFILES)


def test_every_detector_has_a_rule_that_overrides_are_declared(spec: Schema) -> None:
    messages = " ".join(rule["message"] for rule in spec["x-kubernetes-validations"])
    for name in registry:
        assert f"sets parameters of detector {name}, which spec.detectors does not" in messages


def test_streams_come_from_the_specification_or_from_one_source(spec: Schema) -> None:
    assert "streams" not in spec["required"]
    rules = [rule["rule"] for rule in spec["x-kubernetes-validations"]]
    assert "has(self.streams) || has(self.streamsFrom)" in rules
    source = spec["properties"]["streamsFrom"]
    [one] = source["x-kubernetes-validations"]
    assert one["rule"] == "has(self.configMap) != has(self.http)"


def test_every_rule_about_streams_holds_without_them(spec: Schema) -> None:
    rules = [rule["rule"] for rule in spec["x-kubernetes-validations"]]
    about = [rule for rule in rules if "self.streams." in rule]
    assert len(about) == len(registry) + 1, "of each detector, and of what is sent to a worker"
    assert all("|| !has(self.streams) || !self.streams." in rule for rule in about)


def test_the_durations_of_a_source_are_bounded(spec: Schema) -> None:
    source = spec["properties"]["streamsFrom"]["properties"]
    for schema, bounds in (
        (source["lossHold"], ("0s", "24h")),
        (source["http"]["properties"]["interval"], ("5s", "1h")),
    ):
        [rule] = schema["x-kubernetes-validations"]
        assert all(f"duration('{bound}')" in rule["rule"] for bound in bounds)
        assert schema["maxLength"] == 32


def test_regions_are_bounded_rectangles_inside_the_picture(stream: Schema) -> None:
    ignored = stream["properties"]["ignoreRegions"]
    assert ignored["maxItems"] == MAX_IGNORED
    for region in (stream["properties"]["region"], ignored["items"]):
        assert set(region["required"]) == {"left", "top", "width", "height"}
        rules = [rule["rule"] for rule in region["x-kubernetes-validations"]]
        assert "self.left + self.width <= 1.0 + 0.000001" in rules
        assert "self.top + self.height <= 1.0 + 0.000001" in rules
