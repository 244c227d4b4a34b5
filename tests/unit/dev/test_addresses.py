from itertools import combinations

import pytest

from dev.cluster import addresses
from dev.cluster.addresses import Node, node_of_namespace
from dev.host import Failure


def test_nodes_share_neither_addresses_nor_names() -> None:
    nodes = [Node(number) for number in range(1, addresses.MOST_NODES + 1)]
    for of in ("name", "address", "pods", "namespace", "link", "pods_cgroup", "system_cgroup"):
        assert len({getattr(node, of) for node in nodes}) == len(nodes), of


def test_every_node_is_inside_its_range_and_is_not_the_host() -> None:
    for number in (1, 2, addresses.MOST_NODES):
        node = Node(number)
        assert str(node.pods) == f"10.251.{number}.0/24"
        assert node.pods.subnet_of(addresses.PODS)
        assert node.address in addresses.NODES
        assert node.address != addresses.HOST


def test_ranges_do_not_overlap() -> None:
    ranges = (addresses.PODS, addresses.SERVICES, addresses.NODES)
    assert not any(one.overlaps(other) for one, other in combinations(ranges, 2))


def test_link_names_fit_the_kernel() -> None:
    assert len(Node(addresses.MOST_NODES).link) <= 15


@pytest.mark.parametrize("number", [-1, 0, addresses.MOST_NODES + 1, 254])
def test_refuses_numbers_without_an_address(number: int) -> None:
    with pytest.raises(Failure, match="1 to 100"):
        Node(number)


def test_finds_the_node_of_a_namespace_and_nothing_in_those_of_others() -> None:
    assert node_of_namespace(Node(7).namespace) == Node(7)
    for name in ("node7", "smon-node0", "smon-node101", "smon-node7x", "cni-smon-node7"):
        assert node_of_namespace(name) is None
