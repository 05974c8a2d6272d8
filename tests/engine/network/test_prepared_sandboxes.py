"""Namespaces made ahead of time: on the default bridge always, on a network of one's own once somebody joined it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from dockwright.network import Join, Networks, PortRequest

from .conftest import AttachRequest, Open, ask, links, network, on, serving, shown

pytestmark = pytest.mark.root
ONE, TWO, THREE = "a" * 64, "b" * 64, "c" * 64


async def stocked(networks: Networks, name: str, count: int) -> set[str]:
    """The namespaces that are ready on a network, once there are so many."""
    state = networks._bridge._states[networks.get(name).id]
    async with asyncio.timeout(20):
        while state.prepared is None or len(state.prepared) < count:
            await asyncio.sleep(0.01)
    return {bare.sandbox for bare in state.prepared._stock}


async def test_who_joins_a_network_of_ones_own_later_finds_a_namespace_ready(open_networks: Open) -> None:
    networks = await open_networks(prepared=4)
    await network(networks, "mine", "10.214.1.0/24,fd00:214:1::/64", ipv6=True)
    first, server = await serving(networks, ONE, "mine", ports=(PortRequest(80),))
    try:
        ready = await stocked(networks, "mine", 2)
        second = await networks.attach(TWO, on("two", "mine"))
        assert second.netns_path.name in ready
        place = second.places[0]
        assert (place.ip, place.gateway) == ("10.214.1.3", "10.214.1.1")
        shows = shown(second.netns_path, "ip", "addr", "show", "eth0")
        assert place.mac in shows
        assert f"{place.ip6}/64" in shows
        for address in (first.places[0].ip, first.places[0].ip6):
            assert (await ask(second.netns_path, address, 80)).endswith(" hello")
    finally:
        server.close()


async def test_what_is_ready_holds_no_addresses(open_networks: Open) -> None:
    networks = await open_networks(prepared=4)
    await network(networks, "small", "10.214.1.0/29")  # five containers
    await networks.attach(ONE, on("one", "small"))
    await stocked(networks, "small", 2)
    fixed = await networks.attach(TWO, AttachRequest("two", (Join("small", ipv4_address="10.214.1.6"),)))
    assert "10.214.1.6/29" in shown(fixed.netns_path, "ip", "addr", "show", "eth0")
    taken = [await networks.attach(f"{n:064d}", on(f"n{n}", "small")) for n in range(3)]
    assert [one.places[0].ip for one in taken] == ["10.214.1.3", "10.214.1.4", "10.214.1.5"]


async def test_networks_that_nobody_joins_any_more_have_nothing_ready(open_networks: Open, tmp_path: Path) -> None:
    networks = await open_networks(prepared=1)
    names = [f"n{number}" for number in range(9)]
    for number, name in enumerate(names):
        await network(networks, name, f"10.214.{number}.0/24")
        await networks.attach(f"{number:064d}", on(name, name))
        await stocked(networks, name, 1)
    await networks.settle()
    states = networks._bridge._states
    async with asyncio.timeout(20):
        while states[networks.get("n0").id].prepared is not None:
            await asyncio.sleep(0.01)
    assert all(states[networks.get(name).id].prepared is not None for name in names[1:])
    await networks.attach(ONE, on("one", "n0"))
    assert await stocked(networks, "n0", 1)


async def test_a_network_goes_with_what_was_ready_on_it(open_networks: Open, tmp_path: Path) -> None:
    networks = await open_networks(prepared=4)
    await stocked(networks, "bridge", 4)
    before, namespaces = links(networks), set((tmp_path / "exec/netns").iterdir())
    await network(networks, "mine", "10.214.1.0/24")
    await networks.attach(ONE, on("one", "mine"))
    await stocked(networks, "mine", 2)
    await networks.detach(ONE)
    await networks.remove("mine")
    await networks.settle()
    assert links(networks) == before
    assert set((tmp_path / "exec/netns").iterdir()) == namespaces


async def test_what_a_killed_daemon_had_ready_is_collected(open_networks: Open, tmp_path: Path) -> None:
    from .test_lifecycle import abandon

    first = await open_networks(prepared=2)
    await network(first, "mine", "10.214.1.0/24")
    live = await first.attach(ONE, on("one", "mine"))
    await stocked(first, "mine", 2)
    await abandon(first)
    second = await open_networks(live={ONE})
    assert {path.name for path in (tmp_path / "exec/netns").iterdir()} == {live.netns_path.name}
    assert len(links(second)) == 3  # two bridges and one link


async def test_a_container_whose_daemon_died_before_it_had_its_addresses_gets_them(open_networks: Open) -> None:
    from .test_lifecycle import abandon

    first = await open_networks(prepared=2)
    await stocked(first, "bridge", 1)
    live = await first.attach(ONE, on("one", "bridge"))
    shown(live.netns_path, "ip", "addr", "flush", "dev", "eth0")
    await abandon(first)
    await open_networks(live={ONE})
    assert live.places[0].ip in shown(live.netns_path, "ip", "addr", "show", "eth0")
    assert f"via {live.places[0].gateway}" in shown(live.netns_path, "ip", "route", "show", "default")
