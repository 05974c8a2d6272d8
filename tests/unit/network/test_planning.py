"""What a network may be, and which subnets it gets."""

from ipaddress import IPv4Network, ip_network

import pytest

from dockwright.errors import Forbidden, Invalid
from dockwright.network.drivers.settings import interface_name, sysctls
from dockwright.network.ipam import DEFAULT_POOLS, Pool
from dockwright.network.model import Subnet
from dockwright.network.planning import NetworkRequest, check, subnets

BOTH = {4: True, 6: True}


@pytest.mark.parametrize(
    ("subnet", "fault"),
    [
        (Subnet("10.0.0.1/24"), "it should be 10.0.0.0/24"),
        (Subnet("nonsense"), "invalid CIDR block notation"),
        (Subnet("10.0.0.0"), "it should be 10.0.0.0/32"),
        (Subnet(""), "a subnet is needed"),
        (Subnet("10.0.0.0/24", "10.0.1.1"), "does not contain this address"),
        (Subnet("10.0.0.0/24", "x"), "invalid gateway x"),
        (Subnet("10.0.0.0/24", "", "10.0.1.0/25"), "doesn't contain ip-range"),
        (Subnet("10.0.0.0/24", "", "10.0.0.0/16"), "doesn't contain ip-range"),
        (Subnet("10.0.0.0/24", "", "10.0.0.1/25"), "it should be 10.0.0.0/25"),
        (Subnet("10.0.0.0/24", "", "", {"a": "10.0.1.1"}), "invalid auxiliary address a 10.0.1.1"),
        (Subnet("fd00::/64"), "IPv6 is not enabled"),
    ],
)
def test_a_faulty_subnet_is_refused_with_the_reason(subnet: Subnet, fault: str) -> None:
    with pytest.raises(Invalid, match="^invalid network config:\n") as refused:
        check(NetworkRequest("x", subnets=(subnet,)))
    assert fault in str(refused.value)


def test_subnets_of_one_network_do_not_overlap() -> None:
    with pytest.raises(Invalid, match="overlap"):
        check(NetworkRequest("x", subnets=(Subnet("10.0.0.0/24"), Subnet("10.0.0.128/25"))))


def test_each_family_without_a_subnet_gets_one() -> None:
    found = subnets(NetworkRequest("x"), DEFAULT_POOLS, [IPv4Network("172.17.0.0/16")], BOTH)
    assert found[0] == Subnet("172.18.0.0/16", "172.18.0.1", picked=True)
    assert found[1].network.version == 6
    assert found[1].network.subnet_of(ip_network("fd00::/8"))  # type: ignore[arg-type]


def test_pools_of_ipv6_come_before_random_prefixes() -> None:
    pools = (Pool(ip_network("fd00:1::/48"), 64),)
    found = subnets(NetworkRequest("x"), pools, [ip_network("fd00:1::/64")], {6: True})
    assert [one.subnet for one in found] == ["fd00:1:0:1::/64"]


def test_a_subnet_that_is_taken_is_refused() -> None:
    with pytest.raises(Forbidden, match="Pool overlaps"):
        subnets(NetworkRequest("x", subnets=(Subnet("10.0.0.0/24"),)), (), [ip_network("10.0.0.0/8")], {4: True})


def test_the_gateway_is_no_auxiliary_address() -> None:
    request = NetworkRequest("x", subnets=(Subnet("10.0.0.0/24", aux={"a": "10.0.0.1"}), Subnet("10.0.1.0/32")))
    assert [one.gateway for one in subnets(request, (), [], {4: True})] == ["10.0.0.2", "10.0.1.0"]


def test_interfaces_are_numbered_and_named_as_asked() -> None:
    assert interface_name({}, "eth", frozenset(("lo", "eth0", "eth2"))) == "eth1"
    option = "com.docker.network.endpoint.ifname"
    assert interface_name({option: "lan"}, "eth", frozenset(("lo",))) == "lan"
    with pytest.raises(Invalid, match="in use"):
        interface_name({option: "lan"}, "eth", frozenset(("lan",)))


def test_sysctls_of_an_endpoint_are_of_its_interface_only() -> None:
    option = "com.docker.network.endpoint.sysctls"
    found = sysctls({option: "net.ipv4.conf.IFNAME.log_martians=1,net.ipv6.conf.IFNAME.accept_ra=2"}, "eth1")
    assert found == {"net/ipv4/conf/eth1/log_martians": "1", "net/ipv6/conf/eth1/accept_ra": "2"}
    for wrong in ("net.ipv4.conf.eth0.log_martians=1", "net.ipv4.ip_forward=1", "net.ipv4.conf.IFNAME.x/../../y=1"):
        with pytest.raises(Invalid, match="invalid sysctl setting"):
            sysctls({option: wrong}, "eth1")
