"""Checks of the charts, the samples and what they render to, with helm and kubeconform.

kubeconform would download its schemas. They are made here instead, from the OpenAPI document of the
very Kubernetes release that the local cluster runs, and from our own CRD.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from dev.cluster import binaries
from dev.host import REPOSITORY, Failure, cache_folder, run, say

CHARTS = ("charts/streammonitor-crds", "charts/streammonitor")
Schema = dict[str, Any]


def failures() -> list[str]:
    """Check everything; return the names of the checks that failed."""
    binaries.build(["helm", "kubeconform"])
    schemas = _schemas()
    failed = []
    for chart in CHARTS:
        folder = REPOSITORY / chart
        failed += _check(f"helm lint {chart}", [_helm(), "lint", "--strict", "--quiet", folder])
        rendered = run([_helm(), "template", "release", folder, "--namespace", "checked"])
        failed += _check(f"kubeconform {chart}", _kubeconform(schemas), rendered)
    failed += _check("kubeconform with monitoring", _with_monitoring(schemas), monitored())
    for sample in sorted((REPOSITORY / "docs/samples").glob("*.yaml")):
        failed += _check(f"kubeconform {sample.name}", _kubeconform(schemas), sample.read_text())
    return failed


def monitored() -> str:
    """The chart with everything that Prometheus and Grafana can be told."""
    binaries.build(["helm"])
    parts = ("podMonitor", "serviceMonitor", "prometheusRule", "dashboards")
    switched_on = [f"--set=monitoring.{part}.enabled=true" for part in parts]
    more = "--set=monitoring.prometheusRule.incidents=true"
    folder = REPOSITORY / "charts/streammonitor"
    return run([_helm(), "template", "release", folder, "-n", "checked", *switched_on, more])


def _with_monitoring(schemas: Path) -> list[str | Path]:
    """The Prometheus Operator's kinds are passed over: their schemas are not to be had here."""
    foreign = "PodMonitor,ServiceMonitor,PrometheusRule"
    return [*_kubeconform(schemas), "-skip", foreign]


def _helm() -> Path:
    return binaries.program("helm")


def _kubeconform(schemas: Path) -> list[str | Path]:
    location = f"{schemas}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"
    return [binaries.program("kubeconform"), "-strict", "-schema-location", location]


def _check(name: str, command: list[str | Path], stdin: str | None = None) -> list[str]:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    say(f"check: {name}: {'ok' if done.returncode == 0 else 'FAILED'}")
    if done.returncode:
        say(done.stdout + done.stderr)
    return [name] if done.returncode else []


def _schemas() -> Path:
    """The folder of JSON schemas, one file a kind, named as kubeconform looks for them."""
    folder = cache_folder() / "schemas" / binaries.KUBERNETES
    if not (folder / "deployment-apps-v1.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        definitions = _definitions()
        for definition in definitions.values():
            for kind in definition.get("x-kubernetes-group-version-kind", []):
                _write(folder, kind, _self_contained(definition, definitions))
    crd = yaml.safe_load((REPOSITORY / "crds/streammonitors.yaml").read_text())["spec"]
    for version in crd["versions"]:
        kind = {"group": crd["group"], "kind": crd["names"]["kind"], "version": version["name"]}
        _write(folder, kind, _closed(version["schema"]["openAPIV3Schema"]))
    return folder


def _definitions() -> dict[str, Schema]:
    said = run(
        ["go", "mod", "download", "-json", f"k8s.io/kubernetes@v{binaries.KUBERNETES}"], timeout=600
    )
    document = Path(json.loads(said)["Dir"]) / "api/openapi-spec/swagger.json"
    if not document.is_file():
        raise Failure(f"Kubernetes {binaries.KUBERNETES} has no {document.name} in its module.")
    definitions: dict[str, Schema] = json.loads(document.read_text())["definitions"]
    for name in (
        "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
        "io.k8s.apimachinery.pkg.api.resource.Quantity",
    ):
        definitions[name] = {"type": ["string", "number"]}
    return {name: _closed(definition) for name, definition in definitions.items()}


def _write(folder: Path, kind: dict[str, str], schema: Schema) -> None:
    group = kind["group"].split(".")[0]
    name = "-".join(filter(None, (kind["kind"], group, kind["version"]))).lower()
    (folder / f"{name}.json").write_text(json.dumps(schema))


def _self_contained(definition: Schema, definitions: dict[str, Schema]) -> Schema:
    """The definition with every other that it leads to, so that one file is enough."""
    reached: dict[str, Schema] = {}
    waiting = list(_references(definition))
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached[name] = definitions[name]
            waiting += _references(definitions[name])
    return {**definition, "definitions": reached}


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"].removeprefix("#/definitions/")
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _references(item)


def _closed(schema: Any) -> Any:
    """Refuse properties that are not declared: a misspelt field must fail."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    open_ended = (
        "additionalProperties" in schema or "x-kubernetes-preserve-unknown-fields" in schema
    )
    bare_metadata = schema.get("type") == "object" and len(schema) == 1
    if isinstance(schema.get("properties"), dict) and not open_ended and not bare_metadata:
        closed["additionalProperties"] = False
    return closed


if __name__ == "__main__":
    sys.exit(len(failures()))
