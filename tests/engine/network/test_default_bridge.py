"""The default bridge as the daemon is told to make it: IPv6, and who is let in."""

from __future__ import annotations

import asyncio
import ipaddress
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockwright.errors import Invalid
from dockwright.network import NetworkRequest, PortRequest, parse_bip6, parse_pool

from .conftest import HOST, OUTSIDE, Open, Server, ask, network, on, reaches, serving, shown

pytestmark = pytest.mark.root
ONE, TWO = "a" * 64, "b" * 64
MTU = "com.docker.network.driver.mtu"
HERE = Path("/proc/self/ns/net")


async def test_a_default_bridge_with_ipv6_reaches_neighbours_the_outside_and_is_reached(
    open_networks: Open, outside: Path
) -> None:
    networks = await open_networks(ipv6=True, fixed_cidr_v6=ipaddress.IPv6Network("fd00:213:6::/64"), prepared=2)
    web, server = await serving(networks, ONE, "bridge", ports=(PortRequest(80),))
    other = await networks.attach(TWO, on("other", "bridge"))
    far = await asyncio.to_thread(Server, outside, "tcp", 80)
    try:
        place = web.places[0]
        assert (place.gateway6, place.prefix_len6) == ("fd00:213:6::1", 64)
        assert place.ip6.startswith("fd00:213:6::")
        assert "via fd00:213:6::1 dev eth0" in shown(web.netns_path, "ip", "-6", "route", "show", "default")
        assert (await ask(other.netns_path, place.ip6, 80)).endswith(" hello")
        assert await ask(other.netns_path, "fd00:51::2", 80) == "fd00:51::1 hello"  # masqueraded
        (port,) = {port.host_port for port in web.ports}
        assert await ask(outside, "fd00:51::1", port) == "fd00:51::2 hello"  # translated: the source is kept
        assert (await ask(HERE, "::1", port)).endswith(" hello")
        assert not await reaches(outside, place.ip6, 80)
    finally:
        server.close()
        far.close()


async def test_the_bridges_own_ipv6_address_range_and_gateway_are_as_asked(open_networks: Open) -> None:
    networks = await open_networks(
        ipv6=True,
        bip6=parse_bip6("fd00:213:7::5/64"),
        fixed_cidr_v6=ipaddress.IPv6Network("fd00:213:7::8000/113"),
        default_gateway_v6=ipaddress.IPv6Address("fd00:213:7::9"),
    )
    bridge = networks.get("bridge")
    assert bridge.ipv6
    assert "fd00:213:7::5/64" in shown(HERE, "ip", "-6", "addr", "show", bridge.link)
    place = (await networks.attach(ONE, on("one", "bridge"))).places[0]
    assert (place.ip6, place.gateway6) == ("fd00:213:7::8000", "fd00:213:7::9")


async def test_ipv6_addresses_are_of_use_at_once(open_networks: Open) -> None:
    networks = await open_networks(prepared=2)
    made = await network(networks, "six", "fd00:214:1::/64", ipv4=False, ipv6=True)
    one = await networks.attach(ONE, on("one", "six"))
    await networks.attach(TWO, on("two", "six"))
    for netns, link in ((HERE, made.link), (one.netns_path, "eth0")):
        shows = shown(netns, "ip", "-6", "addr", "show", link)
        assert "fe80::" in shows
        assert "tentative" not in shows


async def test_a_generated_subnet_is_unique_local_and_the_same_after_a_restart(open_networks: Open) -> None:
    networks = await open_networks(ipv6=True)
    first = networks.get("bridge").of_version(6)[0].subnet
    assert ipaddress.ip_network(first).subnet_of(ipaddress.ip_network("fd00::/8"))
    await networks.aclose()
    networks = await open_networks(ipv6=True)
    assert networks.get("bridge").of_version(6)[0].subnet == first


async def test_a_subnet_is_cut_from_an_ipv6_pool(open_networks: Open) -> None:
    pools = (parse_pool("base=10.213.0.0/16,size=24"), parse_pool("base=fd00:213::/56,size=64"))
    networks = await open_networks(ipv6=True, address_pools=pools)
    assert [subnet.subnet for subnet in networks.get("bridge").subnets] == ["10.213.0.0/24", "fd00:213::/64"]


async def test_ipv6_that_is_switched_off_again_leaves_the_bridge(open_networks: Open) -> None:
    networks = await open_networks(ipv6=True, fixed_cidr_v6=ipaddress.IPv6Network("fd00:213:6::/64"))
    link = networks.get("bridge").link
    assert "fd00:213:6::1/64" in shown(HERE, "ip", "-6", "addr", "show", link)
    again = await open_networks()  # the former one was killed, as it were: its bridge is there
    assert not again.get("bridge").ipv6
    assert "fd00:213:6::1" not in shown(HERE, "ip", "-6", "addr", "show", link)
    assert (await again.attach(ONE, on("one", "bridge"))).places[0].ip6 == ""


async def test_new_networks_have_the_daemons_options_unless_they_say_otherwise(open_networks: Open) -> None:
    options = {"bridge": {MTU: "1300", "com.docker.network.enable_ipv6": "true"}}
    networks = await open_networks(default_options=options)
    made = await network(networks, "silent")
    assert (made.mtu, made.ipv6) == (1300, True)
    assert len(made.of_version(6)) == 1
    said = await networks.create(NetworkRequest("said", ipv6=False, options={MTU: "1400"}))
    assert (said.mtu, said.ipv6) == (1400, False)
    assert networks.get("bridge").mtu != 1300  # it is not new: --mtu is its option
    with pytest.raises(Invalid, match="IPv6 needs 1280 at least"):
        await networks.create(NetworkRequest("small", options={MTU: "1279"}))
    with pytest.raises(Invalid, match="neither true nor false"):
        await networks.create(NetworkRequest("odd", options={"com.docker.network.enable_ipv6": "perhaps"}))


async def test_with_direct_routing_published_ports_are_reached_at_the_containers_address_too(
    open_networks: Open, outside: Path
) -> None:
    networks = await open_networks(direct_routing=True)
    await network(networks, "blue", "10.214.1.0/24,fd00:214:1::/64", ipv6=True)
    web, server = await serving(networks, ONE, "blue", ports=(PortRequest(80),))
    hidden = await asyncio.to_thread(Server, web.netns_path, "tcp", 81)
    try:
        for address, source in ((web.places[0].ip, OUTSIDE), (web.places[0].ip6, "fd00:51::2")):
            assert await ask(outside, address, 80) == f"{source} hello"
            assert not await reaches(outside, address, 81)
        assert await ask(outside, HOST, web.ports[0].host_port) == f"{OUTSIDE} hello"
    finally:
        server.close()
        hidden.close()


async def test_direct_routing_and_routed_ports_obey_the_sources_that_may_use_published_ports(
    open_networks: Open, outside: Path
) -> None:
    networks = await open_networks(direct_routing=True, publish_from=(ipaddress.ip_network("203.0.113.0/24"),))
    await network(networks, "blue", "10.214.1.0/24")
    await network(networks, "green", "10.214.2.0/24")
    web, server = await serving(networks, ONE, "blue", ports=(PortRequest(80),))
    neighbour = await networks.attach(TWO, on("two", "green"))
    try:
        assert not await reaches(outside, web.places[0].ip, 80)
        assert (await ask(neighbour.netns_path, web.places[0].ip, 80)).endswith(" hello")
    finally:
        server.close()


@pytest.fixture
def marked(outside: Path) -> Iterator[None]:
    """What comes from the second host carries the mark 0x50."""
    table = f"inet {outside.name}_mark"
    rules = (
        f"table {table} {{ chain marking {{ type filter hook prerouting priority mangle; policy accept; "
        f'iifname "{outside.name}" meta mark set 0x50; }}; }}'
    )
    subprocess.run(["nft", rules], check=True)
    yield
    subprocess.run(["nft", f"delete table {table}"], check=True)


@pytest.mark.usefixtures("marked")
@pytest.mark.parametrize(("mark", "reached"), [("0x50", True), ("0x10/0x10", True), ("0x51", False)])
async def test_what_carries_the_mark_enters_every_bridge(
    open_networks: Open, outside: Path, mark: str, reached: bool
) -> None:
    networks = await open_networks(accept_mark=mark)
    web, server = await serving(networks, ONE, "bridge")
    try:
        assert (await reaches(outside, web.places[0].ip, 80)) is reached
    finally:
        server.close()
