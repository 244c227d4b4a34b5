import json
import tomllib
from ipaddress import IPv4Network
from pathlib import Path

import pytest
import yaml

from dev.cluster import addresses, binaries, configs, controlplane, dns, mounts, pki
from dev.cluster.addresses import Node

FOLDER = Path("/state/node2")


def test_containerd_keeps_everything_in_the_nodes_folder() -> None:
    parsed = tomllib.loads(configs.containerd(FOLDER))
    cri = parsed["plugins"]["io.containerd.grpc.v1.cri"]
    runc = cri["containerd"]["runtimes"]["runc"]["options"]
    kept = [parsed["root"], parsed["state"], parsed["grpc"]["address"], runc["Root"]]
    assert all(Path(path).is_relative_to(FOLDER) for path in kept)
    assert cri["sandbox_image"] == configs.PAUSE_IMAGE
    assert cri["netns_mounts_under_state_dir"]


def test_pods_get_addresses_of_their_node_only() -> None:
    network, ports = json.loads(configs.pod_network(Node(2), FOLDER))["plugins"]
    subnet = network["ipam"]["ranges"][0][0]["subnet"]
    assert IPv4Network(subnet) == Node(2).pods
    assert ports["type"] == "portmap"


def test_kubelets_of_one_machine_do_not_share_folders_or_cgroups() -> None:
    def settings(number: int) -> dict[str, object]:
        paths = (Path("/ca.crt"), Path("/tls.crt"), Path("/tls.key"))
        text = configs.kubelet(Node(number), Path(f"/state/node{number}"), *paths)
        return dict(json.loads(text))

    one, two = settings(1), settings(2)
    for own in ("cgroupRoot", "containerRuntimeEndpoint", "podLogsDir", "volumePluginDir"):
        assert one[own] != two[own], own
    assert two["failCgroupV1"] is False
    assert two["clusterDNS"] == [str(addresses.DNS_SERVICE)]


def test_kube_proxy_leaves_the_machines_connection_tracking_alone() -> None:
    settings = json.loads(configs.proxy(Node(1), Path("/proxy.kubeconfig")))
    assert settings["conntrack"]["maxPerCore"] == 0
    assert settings["clusterCIDR"] == str(addresses.PODS)


def test_etcd_listens_on_loopback_only() -> None:
    listen = [flag for flag in controlplane.etcd_command(Path("/state")) if "listen" in flag]
    assert listen
    assert all("//127.0.0.1:" in flag for flag in listen)


@pytest.mark.parametrize("forward", [True, False])
def test_dns_forwards_only_where_there_is_somebody_to_ask(forward: bool) -> None:
    text = dns.corefile(Path("/dns.kubeconfig"), forward)
    assert ("forward . /etc/resolv.conf" in text) == forward
    assert text.count("{") == text.count("}")


def test_dns_uses_only_plugins_that_are_built_in() -> None:
    lines = dns.corefile(Path("/dns.kubeconfig"), True).splitlines()[1:-1]
    used = {line.split()[0] for line in lines if line[:4].isspace() and not line[4:5].isspace()}
    built = binaries.RECIPES["coredns"].main
    assert all(f'plugin/{name}"' in built for name in used - {"}"})


def test_the_dns_service_leads_to_the_host() -> None:
    service, endpoints = (
        next(item for item in dns.manifests() if item["kind"] == kind)
        for kind in ("Service", "EndpointSlice")
    )
    assert service["spec"]["clusterIP"] == str(addresses.DNS_SERVICE)
    assert endpoints["endpoints"][0]["addresses"] == [str(addresses.HOST)]
    assert [port["name"] for port in endpoints["ports"]] == [
        port["name"] for port in service["spec"]["ports"]
    ]


def test_a_kubeconfig_names_the_context_and_needs_no_other_file() -> None:
    parsed = yaml.safe_load(pki.kubeconfig_text("Y2E=", "Y2VydA==", "a2V5"))
    assert parsed["current-context"] == "streammonitor-dev"
    assert parsed["clusters"][0]["cluster"]["server"] == addresses.API_URL
    assert "file" not in json.dumps(parsed)


def test_certificates_name_every_address_they_are_used_at() -> None:
    assert f"IP:{addresses.HOST}" in pki.extension_lines(pki.API_SERVER)
    assert f"IP:{addresses.API_SERVICE}" in pki.extension_lines(pki.API_SERVER)
    assert f"IP:{Node(3).address}" in pki.extension_lines(pki.kubelet(Node(3)))
    assert "subjectAltName" not in pki.extension_lines(pki.ADMIN)


def test_mounts_are_undone_in_an_order_that_works() -> None:
    table = (
        "1 0 8:1 / / rw - ext4 d rw\n"
        "2 1 0:5 / /state/a rw - tmpfs t rw\n"
        "3 2 0:6 / /state/a/b\\040c rw - tmpfs t rw\n"
        "4 1 0:7 / /state-of-others rw - tmpfs t rw\n"
    )
    assert mounts.targets_below(Path("/state"), table) == ["/state/a/b c", "/state/a"]
