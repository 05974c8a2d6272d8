"""Networks as objects: made, refused, found, removed; which addresses they get."""

from __future__ import annotations

import asyncio
import ipaddress
import subprocess

import pytest
from msgspec.structs import replace

from dockwright import faults
from dockwright.errors import Conflict, Forbidden, HostFailure, Invalid, NotFound, Unavailable, Unsupported
from dockwright.network import Join, Network, NetworkRequest, Networks, Subnet
from dockwright.network.drivers.plain import PlainDriver
from dockwright.network.ipam import Pool

from .conftest import AttachRequest, Open, Server, ask, links, network, on, shown

pytestmark = pytest.mark.root


async def test_a_network_has_a_bridge_with_its_gateway_until_it_is_removed(networks: Networks) -> None:
    made = await network(networks, "mine", "10.214.1.0/24")
    assert made.link == f"br-{made.id[:12]}"
    addresses = await asyncio.to_thread(
        subprocess.run, ["ip", "-br", "addr", "show", made.link], check=True, capture_output=True, text=True
    )
    assert "10.214.1.1/24" in addresses.stdout
    assert networks.get("mine") is networks.get(made.id) is networks.get(made.id[:8]) is made
    await networks.remove("mine")
    await networks.settle()
    assert made.link not in links(networks)
    with pytest.raises(NotFound, match="network mine not found"):
        networks.get("mine")


async def test_networks_come_back_with_the_next_daemon(open_networks: Open) -> None:
    first = await open_networks()
    made = await network(first, "mine", "10.214.1.0/24", labels={"a": "b"})
    await first.aclose()
    assert made.link not in links(first)
    second = await open_networks()
    assert second.get("mine") == made
    assert made.link in links(second)


async def test_subnets_are_picked_so_that_none_overlap(open_networks: Open) -> None:
    pool = Pool(ipaddress.IPv4Network("10.214.0.0/22"), 24)
    networks = await open_networks(address_pools=(pool,))
    made = [await network(networks, f"n{number}") for number in range(3)]
    picked = [one.subnets[0].network for one in (networks.get("bridge"), *made)]
    assert sorted(map(str, picked)) == [f"10.214.{n}.0/24" for n in range(4)]
    with pytest.raises(Unavailable, match="all predefined address pools have been fully subnetted"):
        await network(networks, "more")
    await networks.remove("n1")
    await network(networks, "again")


@pytest.mark.parametrize("subnet", ["10.214.1.0/24", "10.214.1.128/25", "10.214.0.0/16"])
async def test_a_subnet_of_another_network_is_refused(networks: Networks, subnet: str) -> None:
    await network(networks, "mine", "10.214.1.0/24")
    before = links(networks)
    with pytest.raises(Forbidden, match="Pool overlaps with other one on this address space"):
        await network(networks, "other", subnet)
    assert links(networks) == before


async def test_a_subnet_of_the_hosts_routes_is_refused(networks: Networks) -> None:
    taken = networks.get("bridge").subnets[0].subnet
    with pytest.raises(Forbidden, match="Pool overlaps"):
        await network(networks, "other", taken)


@pytest.mark.parametrize(
    ("request_", "error", "words"),
    [
        (NetworkRequest(""), Invalid, "name is empty"),
        (NetworkRequest("bridge"), Forbidden, "operation is not permitted on predefined bridge network"),
        (NetworkRequest("x", driver="host"), Forbidden, 'only one instance of "host" network is allowed'),
        (NetworkRequest("x", driver="null"), Forbidden, 'only one instance of "null" network is allowed'),
        (NetworkRequest("x", driver="overlay"), Forbidden, "This node is not a swarm manager"),
        (NetworkRequest("x", driver="weave"), NotFound, 'plugin "weave" not found'),
        (NetworkRequest("x", scope="swarm"), Forbidden, "not a swarm manager"),
        (NetworkRequest("x", ipv4=False), Invalid, "IPv4 or IPv6 must be enabled"),
        (NetworkRequest("x", ipam_driver="odd"), NotFound, "invalid ipam driver"),
        (NetworkRequest("x", options={"com.docker.network.bridge.nonsense": "1"}), Invalid, "unknown option"),
        (NetworkRequest("x", options={"com.docker.network.bridge.enable_icc": "maybe"}), Invalid, "neither true nor"),
        (NetworkRequest("x", options={"com.docker.network.driver.mtu": "9"}), Invalid, "invalid MTU"),
        (NetworkRequest("x", options={"com.docker.network.bridge.gateway_mode_ipv4": "x"}), Invalid, "gateway mode"),
        (NetworkRequest("x", options={"com.docker.network.bridge.gateway_mode_ipv4": "isolated"}), Invalid, "internal"),
        (NetworkRequest("x", options={"com.docker.network.bridge.name": "far-too-long-a-name"}), Invalid, "no name of"),
    ],
    ids=lambda value: value.driver or value.name if isinstance(value, NetworkRequest) else "",
)
async def test_what_cannot_be_is_refused_in_dockers_words(
    networks: Networks, request_: NetworkRequest, error: type[Exception], words: str
) -> None:
    before = networks.networks()
    with pytest.raises(error, match=words):
        await networks.create(request_)
    assert networks.networks() == before


async def test_a_name_is_taken_once(networks: Networks) -> None:
    await network(networks, "mine")
    with pytest.raises(Conflict, match="network with name mine already exists"):
        await network(networks, "mine")


async def test_many_created_at_once_get_a_subnet_each(networks: Networks) -> None:
    made = await asyncio.gather(*(network(networks, f"n{number}") for number in range(5)))
    assert len({one.subnets[0].subnet for one in made}) == 5


async def test_a_network_with_containers_stays_and_a_predefined_one_too(networks: Networks) -> None:
    await network(networks, "mine")
    await networks.attach("c" * 64, on("web", "mine"))
    with pytest.raises(Forbidden, match=r'network mine has active endpoints \(name:"web" id:"cccccccccccc"\)'):
        await networks.remove("mine")
    for name in ("bridge", "host", "none"):
        with pytest.raises(Forbidden, match=f"{name} is a pre-defined network and cannot be removed"):
            await networks.remove(name)
    assert await networks.prune(lambda one: True) == []
    await networks.detach("c" * 64)
    assert await networks.prune(lambda one: one.name == "other") == []
    assert await networks.prune(lambda one: True) == ["mine"]


async def test_every_part_of_ipam_is_honoured(networks: Networks) -> None:
    subnets = (
        Subnet("10.214.1.0/24", "10.214.1.254", "10.214.1.8/29", {"printer": "10.214.1.8"}),
        Subnet("10.214.2.0/24"),
        Subnet("fd00:214::/64", "fd00:214::5"),
    )
    await networks.create(NetworkRequest("mine", subnets=subnets, ipv6=True))
    places = [(await networks.attach(f"{n}" * 64, on(f"c{n}", "mine"))).places[0] for n in range(8)]
    assert [place.ip for place in places] == [f"10.214.1.{n}" for n in range(9, 16)] + ["10.214.2.2"]
    assert places[0].gateway == "10.214.1.254"
    assert [place.ip6 for place in places[:5]] == [
        "fd00:214::1",
        "fd00:214::2",
        "fd00:214::3",
        "fd00:214::4",
        "fd00:214::6",
    ]
    assert places[0].gateway6 == "fd00:214::5"


async def test_fixed_addresses_are_given_once_and_only_where_the_subnet_was_asked_for(networks: Networks) -> None:
    await network(networks, "mine", "10.214.1.0/24")
    await network(networks, "picked")
    fixed = (Join("mine", ipv4_address="10.214.1.77", mac_address="02:42:00:00:00:77"),)
    place = (await networks.attach("a" * 64, AttachRequest("a", fixed))).places[0]
    assert (place.ip, place.mac) == ("10.214.1.77", "02:42:00:00:00:77")
    with pytest.raises(Conflict, match="Address already in use"):
        await networks.attach("b" * 64, AttachRequest("b", fixed))
    with pytest.raises(Invalid, match="no configured subnet contains IP address"):
        await networks.attach("b" * 64, AttachRequest("b", (Join("mine", ipv4_address="10.9.9.9"),)))
    with pytest.raises(Invalid, match="only when connecting to networks with user configured subnets"):
        await networks.attach("b" * 64, AttachRequest("b", (Join("picked", ipv4_address="10.9.9.9"),)))
    await networks.detach("a" * 64)
    await networks.settle()
    await networks.attach("b" * 64, AttachRequest("b", fixed))


async def test_ipv6_alone_gets_a_unique_local_prefix_and_no_ipv4(networks: Networks) -> None:
    made = await networks.create(NetworkRequest("six", ipv4=False, ipv6=True))
    (subnet,) = made.subnets
    assert ipaddress.IPv6Network(subnet.subnet).subnet_of(ipaddress.IPv6Network("fd00::/8"))
    attachment = await networks.attach("a" * 64, on("a", "six"))
    assert (attachment.places[0].ip, attachment.places[0].prefix_len6) == ("", 64)
    assert attachment.places[0].ip6 in shown(attachment.netns_path, "ip", "-6", "-br", "addr", "show", "eth0")
    assert "default via" in shown(attachment.netns_path, "ip", "-6", "route")
    assert shown(attachment.netns_path, "ip", "-4", "route") == ""


async def test_options_of_the_bridge_reach_the_kernel(networks: Networks, bridge_name: str) -> None:
    options = {
        "com.docker.network.bridge.name": bridge_name + "x",
        "com.docker.network.driver.mtu": "1234",
        "com.docker.network.container_iface_prefix": "lan",
        "com.docker.network.bridge.inhibit_ipv4": "true",
    }
    made = await networks.create(NetworkRequest("mine", subnets=(Subnet("10.214.1.0/24"),), options=options))
    assert made.link == bridge_name + "x"
    attachment = await networks.attach("a" * 64, on("a", "mine"))
    assert "mtu 1234" in shown(attachment.netns_path, "ip", "link", "show", "lan0")
    addresses = subprocess.run(["ip", "-4", "addr", "show", made.link], check=True, capture_output=True, text=True)
    assert "10.214.1.1" not in addresses.stdout
    with pytest.raises(Conflict, match="already used by another network"):
        await networks.create(NetworkRequest("other", options={"com.docker.network.bridge.name": made.link}))


async def test_options_of_an_endpoint_reach_the_kernel(networks: Networks) -> None:
    await network(networks, "mine")
    options = {
        "com.docker.network.endpoint.ifname": "uplink",
        "com.docker.network.endpoint.sysctls": "net.ipv4.conf.IFNAME.log_martians=1,net.ipv4.conf.IFNAME.forwarding=0",
    }
    join = Join("mine", options=options, link_local=("169.254.7.8/16",))
    attachment = await networks.attach("a" * 64, AttachRequest("a", (join,)))
    assert shown(attachment.netns_path, "sysctl", "-n", "net.ipv4.conf.uplink.log_martians") == "1"
    assert "169.254.7.8/16" in shown(attachment.netns_path, "ip", "addr", "show", "uplink")
    for wrong in (
        {"com.docker.network.endpoint.sysctls": "kernel.panic=1"},
        {"com.docker.network.endpoint.sysctls": "net.ipv4.conf.IFNAME.nosuch=1"},
        {"com.docker.network.endpoint.nosuch": "1"},
    ):
        with pytest.raises(Invalid):
            await networks.attach("b" * 64, AttachRequest("b", (Join("mine", options=wrong),)))
        assert networks.attachment("b" * 64) is None


async def test_a_configuration_network_gives_others_what_it_says(networks: Networks) -> None:
    config = NetworkRequest("config", subnets=(Subnet("10.214.1.0/24"),), config_only=True, labels={"a": "b"})
    await networks.create(config)
    with pytest.raises(Forbidden, match="config-only"):
        await networks.attach("a" * 64, on("a", "config"))
    made = await networks.create(NetworkRequest("real", config_from="config"))
    assert made.subnets[0].subnet == "10.214.1.0/24"
    assert made.labels == {"a": "b"}
    with pytest.raises(Forbidden, match="in use"):
        await networks.remove("config")
    with pytest.raises(NotFound):
        await networks.create(NetworkRequest("other", config_from="nosuch"))


async def test_macvlan_puts_containers_onto_the_parent(networks: Networks, bridge_name: str) -> None:
    options = {"parent": bridge_name, "macvlan_mode": "bridge"}
    await networks.attach("c" * 64, on("c", "bridge"))  # a bridge without a port carries nothing
    await networks.create(NetworkRequest("direct", "macvlan", (Subnet("10.214.1.0/24"),), options=options))
    one = await networks.attach("a" * 64, on("a", "direct"))
    two = await networks.attach("b" * 64, on("b", "direct"))
    server = Server(two.netns_path, "tcp", 80)
    try:
        assert await ask(one.netns_path, two.places[0].ip, 80) == f"{one.places[0].ip} hello"
    finally:
        server.close()
    with pytest.raises(NotFound, match="parent interface nosuch was not found"):
        await networks.create(NetworkRequest("other", "macvlan", options={"parent": "nosuch"}))
    with pytest.raises(Invalid, match="macvlan mode"):
        await networks.create(NetworkRequest("other", "macvlan", options={"macvlan_mode": "odd"}))


class Overlay(PlainDriver):
    """A kind of network that somebody else brings: here with nothing but a namespace."""

    def plan(self, network: Network) -> Network:
        return replace(network, link="ov-" + network.id[:8], mtu=1450)


async def test_a_cluster_brings_its_own_kind_of_network(networks: Networks) -> None:
    with pytest.raises(Forbidden, match="not a swarm manager"):
        await networks.create(NetworkRequest("far", "overlay"))
    networks.add_driver(Overlay("overlay", networks._namespaces, networks._teardown))
    made = await networks.create(NetworkRequest("far", "overlay", (Subnet("10.214.1.0/24"),)))
    assert (made.driver, made.mtu, made.link) == ("overlay", 1450, "ov-" + made.id[:8])
    place = (await networks.attach("a" * 64, on("one", "far"))).places[0]
    assert place.driver == "overlay"
    await networks.detach("a" * 64)
    await networks.remove("far")


async def test_what_the_kernel_lacks_is_named_and_nothing_is_made(networks: Networks, bridge_name: str) -> None:
    before = links(networks)
    request = NetworkRequest("direct", "ipvlan", options={"parent": bridge_name})
    try:
        await networks.create(request)
    except Unsupported:
        with pytest.raises(Unsupported, match="this kernel has no ipvlan links: the module ipvlan is missing"):
            await networks.create(request)
        assert [one for one in networks.networks() if one.name == "direct"] == []
        assert links(networks) == before


@pytest.mark.parametrize("step", ["network.create", "network.bridge", "network.table"])
async def test_a_network_that_cannot_be_made_leaves_nothing_and_can_be_made_then(networks: Networks, step: str) -> None:
    before = links(networks)
    with faults.armed(step), pytest.raises(HostFailure):
        await network(networks, "mine", "10.214.1.0/24")
    await networks.settle()
    assert links(networks) == before
    await network(networks, "mine", "10.214.1.0/24")


@pytest.mark.parametrize("step", ["network.remove", "network.untable"])
async def test_what_a_failed_removal_leaves_the_next_daemon_collects(open_networks: Open, step: str) -> None:
    networks = await open_networks()
    made = await network(networks, "mine", "10.214.1.0/24")
    with faults.armed(step), pytest.raises(HostFailure):
        await networks.remove("mine")
    assert "mine" not in {one.name for one in networks.networks()}
    assert made.link in links(networks)
    await networks.aclose()
    following = await open_networks()
    kept = step == "network.remove"  # it failed before anything was done
    assert (made.link in links(following), "mine" in {one.name for one in following.networks()}) == (kept, kept)
