"""What is reached across networks and from outside, and what is not."""

from __future__ import annotations

import asyncio
import ipaddress
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockwright.network import Networks, PortRequest

from .conftest import HOST, OUTSIDE, AttachRequest, Join, Open, Server, ask, network, on, reaches, serving

pytestmark = pytest.mark.root
ONE, TWO = "a" * 64, "b" * 64
MODE4 = "com.docker.network.bridge.gateway_mode_ipv4"
MODE6 = "com.docker.network.bridge.gateway_mode_ipv6"
BRIDGED = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")


async def test_two_networks_do_not_reach_each_other_in_either_direction(networks: Networks) -> None:
    await network(networks, "blue", "10.214.1.0/24,fd00:214:1::/64", ipv6=True)
    await network(networks, "green", "10.214.2.0/24,fd00:214:2::/64", ipv6=True)
    one, first = await serving(networks, ONE, "blue")
    two, second = await serving(networks, TWO, "green")
    try:
        for source, target in ((one, two), (two, one)):
            for address in (target.places[0].ip, target.places[0].ip6):
                assert not await reaches(source.netns_path, address, 80), address
    finally:
        first.close()
        second.close()


async def test_an_internal_network_has_no_way_out_and_none_in(networks: Networks, outside: Path) -> None:
    await network(networks, "closed", "10.214.1.0/24", internal=True)
    one, first = await serving(networks, ONE, "closed", ports=(PortRequest(80),))
    two, second = await serving(networks, TWO, "closed")
    far = await asyncio.to_thread(Server, outside, "tcp", 80)
    try:
        assert one.ports == ()
        assert one.places[0].gateway == ""
        assert (await ask(one.netns_path, two.places[0].ip, 80)).endswith(" hello")
        await asyncio.to_thread(
            subprocess.run,
            ["nsenter", f"--net={one.netns_path}", "ip", "route", "add", "default", "via", "10.214.1.1"],
            check=True,
        )
        assert not await reaches(one.netns_path, OUTSIDE, 80)
        assert not await reaches(outside, one.places[0].ip, 80)
    finally:
        for server in (first, second, far):
            server.close()


@pytest.fixture(params=["0", "1"], ids=["frames-stay-below", "frames-pass-the-filter"])
def bridged(request: pytest.FixtureRequest) -> Iterator[bool]:
    """Whether br_netfilter shows frames between two ports of a bridge to the packet filter, meanwhile."""
    if not BRIDGED.exists():
        if request.param == "1":
            pytest.skip("this kernel has no br_netfilter")
        yield False
        return
    before = BRIDGED.read_text()
    BRIDGED.write_text(request.param)
    yield request.param == "1"
    BRIDGED.write_text(before)


async def test_without_icc_neighbours_on_a_network_of_ones_own_do_not_reach_each_other(
    networks: Networks, bridged: bool
) -> None:
    options = {"com.docker.network.bridge.enable_icc": "false"}
    await network(networks, "mute", "10.214.1.0/24,fd00:214:1::/64", ipv6=True, options=options)
    one = await networks.attach(ONE, on("one", "mute"))
    two, server = await serving(networks, TWO, "mute", ports=(PortRequest(80),))
    try:
        for address in (two.places[0].ip, two.places[0].ip6):
            assert not await reaches(one.netns_path, address, 80)
        assert (await ask(Path("/proc/self/ns/net"), two.places[0].ip, 80)).endswith(" hello")
        # What is published is everybody's, by the host's address; br_netfilter would translate it inside the bridge, where
        # ports stay isolated: the safe one of the two.
        port = two.ports[0].host_port
        if bridged:
            assert not await reaches(one.netns_path, "10.214.1.1", port)
        else:
            assert (await ask(one.netns_path, "10.214.1.1", port)).endswith(" hello")
    finally:
        server.close()


async def test_with_icc_neighbours_and_a_containers_own_published_port_are_reached(
    networks: Networks, bridged: bool
) -> None:
    await network(networks, "open", "10.214.1.0/24,fd00:214:1::/64", ipv6=True)
    one = await networks.attach(ONE, on("one", "open"))
    two, server = await serving(networks, TWO, "open", ports=(PortRequest(80),))
    try:
        for address in (two.places[0].ip, two.places[0].ip6):
            assert (await ask(one.netns_path, address, 80)).endswith(" hello")
        for asker in (one, two):
            assert (await ask(asker.netns_path, "10.214.1.1", two.ports[0].host_port)).endswith(" hello")
    finally:
        server.close()


async def test_what_leaves_is_masqueraded_or_not_as_asked(networks: Networks, outside: Path) -> None:
    await network(networks, "masked", "10.214.1.0/24")
    await network(
        networks, "bare", "10.214.2.0/24", options={"com.docker.network.bridge.enable_ip_masquerade": "false"}
    )
    masked = await networks.attach(ONE, on("one", "masked"))
    bare = await networks.attach(TWO, on("two", "bare"))
    far = await asyncio.to_thread(Server, outside, "tcp", 80)
    try:
        assert await ask(masked.netns_path, OUTSIDE, 80) == f"{HOST} hello"
        assert await ask(bare.netns_path, OUTSIDE, 80) == "10.214.2.2 hello"
    finally:
        far.close()


async def test_in_mode_nat_the_outside_reaches_published_ports_alone(networks: Networks, outside: Path) -> None:
    await network(networks, "blue", "10.214.1.0/24,fd00:214:1::/64", ipv6=True)
    web, server = await serving(networks, ONE, "blue", ports=(PortRequest(80),))
    try:
        port = web.ports[0].host_port
        assert await ask(outside, HOST, port) == f"{OUTSIDE} hello"
        assert await ask(outside, "fd00:51::1", port) == "fd00:51::2 hello"
        assert not await reaches(outside, web.places[0].ip, 80)
        assert not await reaches(outside, web.places[0].ip6, 80)
    finally:
        server.close()


async def test_in_mode_routed_published_ports_are_reached_at_the_containers_address(
    networks: Networks, outside: Path
) -> None:
    options = {MODE4: "routed", MODE6: "routed"}
    await network(networks, "open", "10.214.1.0/24,fd00:214:1::/64", ipv6=True, options=options)
    web, server = await serving(networks, ONE, "open", ports=(PortRequest(80),))
    hidden = await asyncio.to_thread(Server, web.netns_path, "tcp", 81)
    try:
        assert {port.host_port for port in web.ports} == {0}
        for address, source in ((web.places[0].ip, OUTSIDE), (web.places[0].ip6, "fd00:51::2")):
            assert await ask(outside, address, 80) == f"{source} hello"
            assert not await reaches(outside, address, 81)
    finally:
        server.close()
        hidden.close()


async def test_in_mode_nat_unprotected_every_port_is_reached(networks: Networks, outside: Path) -> None:
    await network(networks, "open", "10.214.1.0/24", options={MODE4: "nat-unprotected"})
    web, server = await serving(networks, ONE, "open")
    try:
        assert await ask(outside, web.places[0].ip, 80) == f"{OUTSIDE} hello"
    finally:
        server.close()


async def test_an_isolated_gateway_is_no_address_at_all(networks: Networks) -> None:
    made = await network(networks, "alone", "10.214.1.0/24", internal=True, options={MODE4: "isolated"})
    said = await asyncio.to_thread(
        subprocess.run, ["ip", "-4", "addr", "show", made.link], check=True, capture_output=True, text=True
    )
    assert said.stdout == ""


async def test_a_trusted_interface_reaches_containers_directly(networks: Networks, outside: Path) -> None:
    options = {"com.docker.network.bridge.trusted_host_interfaces": outside.name}
    await network(networks, "blue", "10.214.1.0/24", options=options)
    web, server = await serving(networks, ONE, "blue")
    try:
        assert await ask(outside, web.places[0].ip, 80) == f"{OUTSIDE} hello"
    finally:
        server.close()


async def test_ports_are_published_on_the_networks_own_address(networks: Networks) -> None:
    options = {"com.docker.network.bridge.host_binding_ipv4": "127.0.0.1"}
    await network(networks, "blue", "10.214.1.0/24", options=options)
    web = await networks.attach(ONE, on("web", "blue", ports=(PortRequest(80),)))
    assert [port.host_ip for port in web.ports] == ["127.0.0.1"]


async def test_only_the_sources_named_reach_published_ports(open_networks: Open, outside: Path) -> None:
    for source, reached in (("203.0.113.0/24", False), ("198.51.100.0/24", True)):
        networks = await open_networks(publish_from=(ipaddress.ip_network(source),))
        await network(networks, "blue", "10.214.1.0/24")
        other = await networks.attach(TWO, on("two", "blue"))
        web, server = await serving(networks, ONE, "blue", ports=(PortRequest(80),))
        try:
            port = web.ports[0].host_port
            assert (await reaches(outside, HOST, port)) is reached
            assert not await reaches(outside, "fd00:51::1", port)  # no IPv6 source is named
            assert (await ask(other.netns_path, "10.214.1.1", port)).endswith(" hello")
            for host in ("127.0.0.1", "::1", HOST):
                assert (await ask(Path("/proc/self/ns/net"), host, port)).endswith(" hello"), host
        finally:
            server.close()
        for container in (ONE, TWO):
            await networks.detach(container)
        await networks.prune(lambda one: True)
        await networks.aclose()


async def test_ten_thousand_connections_pass_a_published_port(networks: Networks) -> None:
    web, server = await serving(networks, ONE, "bridge", ports=(PortRequest(80),))
    port = web.ports[0].host_port

    async def once(number: int) -> bool:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"%d" % number)
        writer.write_eof()
        answer = await reader.read()
        writer.close()
        return answer.endswith(b" %d" % number)

    try:
        for start in range(0, 10_000, 100):
            assert all(await asyncio.gather(*(once(number) for number in range(start, start + 100))))
    finally:
        server.close()


async def test_a_thousand_ports_are_elements_of_one_map(networks: Networks, bridge_name: str) -> None:
    from .test_lifecycle import elements_of

    ports = tuple(PortRequest(port, "tcp", "", port, port) for port in range(21000, 22000))
    web = await networks.attach(ONE, AttachRequest("web", (Join("bridge"),), ports))
    assert len(web.ports) == 2000  # both address families
    assert await elements_of(bridge_name) == 1000
    await networks.detach(ONE)
    assert await elements_of(bridge_name) == 0
