"""A real Kubernetes cluster on this machine, without a container engine.

`python -m dev.cluster up` builds the programs from pinned Go modules once, then runs etcd, the
control plane and CoreDNS as processes of the host, and every node (containerd, kubelet and
kube-proxy) in a network namespace of its own.
"""

from dev.cluster.binaries import bin_folder, build, program
from dev.cluster.lifecycle import (
    Cluster,
    down,
    heal,
    images,
    is_up,
    join,
    leave,
    load,
    partition,
    status,
    stop_node,
    up,
)

__all__ = [
    "Cluster",
    "bin_folder",
    "build",
    "down",
    "heal",
    "images",
    "is_up",
    "join",
    "leave",
    "load",
    "partition",
    "program",
    "status",
    "stop_node",
    "up",
]
