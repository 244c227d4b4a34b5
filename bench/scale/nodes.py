"""Nodes that exist on paper: KWOK says of every pod on them that it runs."""

import json
from importlib.resources import files
from pathlib import Path

from dev.cluster.binaries import KWOK, build_alone
from dev.cluster.loopback import Loopback

POD_RANGE = "127.64.0.0/10"
"""Addresses that this machine answers on, every one of them."""
PODS_PER_NODE = 250


def start_nodes(plane: Loopback, number: int) -> None:
    """Have so many nodes, ready."""
    stages = plane.folder / "stages.yaml"
    stages.write_text(files("bench.scale").joinpath("stages.yaml").read_text())
    items = [_node(one) for one in range(number)]
    plane.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List",
                                                        "items": items}))  # fmt: skip
    kwok: Path = build_alone(KWOK)
    plane.start(
        "kwok",
        [kwok, f"--kubeconfig={plane.kubeconfig}", "--manage-all-nodes", f"--cidr={POD_RANGE}",
         f"--config={stages}", "--node-ip=127.0.0.1"],
    )  # fmt: skip


def _node(number: int) -> dict[str, object]:
    room = {"cpu": "1000", "memory": "1Ti", "pods": str(PODS_PER_NODE)}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": f"kwok-{number}", "labels": {"kubernetes.io/os": "linux"}},
        "status": {"allocatable": room, "capacity": room},
    }
