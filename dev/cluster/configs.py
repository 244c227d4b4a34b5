"""The configuration files of a node's programs."""

import json
from pathlib import Path
from typing import Any

from dev.cluster.addresses import DNS_SERVICE, PODS, Node

PAUSE_IMAGE = "localhost/streammonitor/pause:1"
CNI_PROGRAMS = Path("/usr/lib/cni")
_SYSTEMD_RESOLVERS = Path("/run/systemd/resolve/resolv.conf")


def containerd(folder: Path) -> str:
    """Configure containerd to keep everything below the node's folder."""
    return f"""version = 2
root = "{folder}/containerd"
state = "{folder}/run"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs"]
[grpc]
  address = "{folder}/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "{folder}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  netns_mounts_under_state_dir = true
  # Without CAP_SYS_RESOURCE a score cannot be lowered, and no container would start.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{CNI_PROGRAMS}"
    conf_dir = "{folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        Root = "{folder}/runc"
        SystemdCgroup = false
"""


def pod_network(node: Node, folder: Path) -> str:
    """The pod network of a node.

    `ptp`, not `bridge`: every packet between pods is routed, so that Services work between pods
    of one node also where the kernel has no br_netfilter.
    """
    addresses = {
        "type": "host-local",
        "dataDir": str(folder / "addresses"),
        "ranges": [[{"subnet": str(node.pods)}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    plugins: list[dict[str, Any]] = [
        {"type": "ptp", "ipMasq": False, "ipam": addresses},
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ]
    return _text({"cniVersion": "0.4.0", "name": "pods", "plugins": plugins})


def kubelet(node: Node, folder: Path, authority: Path, certificate: Path, key: Path) -> str:
    """The kubelet's configuration."""
    none = "0%"
    return _text(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(authority)},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": str(certificate),
            "tlsPrivateKeyFile": str(key),
            "containerRuntimeEndpoint": f"unix://{folder}/containerd.sock",
            # Not systemd's driver: the machine may have no systemd. Kubelets from 1.31 refuse
            # cgroup v1 unless told otherwise; with v2 the setting means nothing (unverified).
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{node.pods_cgroup}",
            "failCgroupV1": False,
            "enforceNodeAllocatable": [],
            "failSwapOn": False,
            # The machine's disk is shared with its owner; and an image that was loaded cannot be
            # pulled again, so none may be collected.
            "evictionHard": dict.fromkeys(
                ("imagefs.available", "nodefs.available", "nodefs.inodesFree"), none
            ),
            "imageGCHighThresholdPercent": 100,
            "clusterDNS": [str(DNS_SERVICE)],
            "clusterDomain": "cluster.local",
            "resolvConf": str(resolvers()),
            "podLogsDir": str(folder / "logs"),
            "volumePluginDir": str(folder / "volume-plugins"),
            "maxPods": 240,
            "oomScoreAdj": 0,
        }
    )


def resolvers() -> Path:
    """The machine's resolvers; a loopback address in them would mean the pod itself."""
    if _SYSTEMD_RESOLVERS.exists():
        return _SYSTEMD_RESOLVERS
    return Path("/etc/resolv.conf")


def proxy(node: Node, kubeconfig: Path) -> str:
    """kube-proxy's configuration."""
    return _text(
        {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "clientConnection": {"kubeconfig": str(kubeconfig)},
            "hostnameOverride": node.name,
            "mode": "iptables",
            "clusterCIDR": str(PODS),
            "iptables": {"localhostNodePorts": False},
            "nodePortAddresses": ["primary"],
            # The limits of connection tracking are the machine's, not ours to change.
            "conntrack": {
                "maxPerCore": 0,
                "min": 0,
                "tcpEstablishedTimeout": "0s",
                "tcpCloseWaitTimeout": "0s",
            },
            "oomScoreAdj": 0,
        }
    )


def _text(content: dict[str, Any]) -> str:
    """JSON, which every reader of YAML reads."""
    return json.dumps(content, indent=1) + "\n"
