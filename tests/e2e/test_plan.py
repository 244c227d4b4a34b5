"""What `streammonitor plan` says of a live cluster, and what the operator then does."""

import json
import sys
from pathlib import Path
from typing import Any

from dev.host import run
from dev.kube import eventually
from tests.e2e.monitor import Monitor, channel


def _spec(*numbers: int) -> dict[str, Any]:
    scaling = {"maxStreamsPerWorker": 1}
    group = {"name": "all", "detectors": ["silence"], "scaling": scaling}
    streams = [channel(number) for number in numbers]
    return {"streams": streams, "detectors": {"silence": {}}, "workers": [group]}


def _plan(monitor: Monitor, file: Path) -> dict[str, Any]:
    command = ("-m", "streammonitor_worker", "plan", "-f", file, "-n", monitor.namespace)
    where = {"KUBECONFIG": str(monitor.access.kubeconfig)}
    planned: dict[str, Any] = json.loads(
        run([sys.executable, *command, "-o", "json"], environment=where)
    )
    return planned


def test_the_operator_does_as_was_planned(monitor: Monitor, tmp_path: Path) -> None:
    monitor.apply(**_spec(0, 1))
    monitor.wait("Ready")
    file = tmp_path / "monitor.json"  # JSON is YAML
    file.write_text(json.dumps(monitor.manifest(**_spec(1, 2, 3))))
    planned = _plan(monitor, file)
    assert {move["stream"]: move["why"] for move in planned["moves"]} == {
        "channel-0": "taken out",
        "channel-2": "new",
        "channel-3": "new",
    }

    monitor.apply(**_spec(1, 2, 3))
    monitor.wait("Ready")
    wanted = {one["name"] for one in planned["workers"] if one["action"] != "remove"}

    def done() -> bool:
        return {one["metadata"]["name"] for one in monitor.objects("deployments")} == wanted

    eventually("the workers that were planned", done, timeout_s=60)
    after = _plan(monitor, file)
    assert after["moves"] == []
    assert {one["action"] for one in after["workers"]} == {"keep"}
