"""What every `NetworkDriver` does, whatever its kind."""

from __future__ import annotations

import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dockwright import workers
from dockwright.errors import HostFailure, Invalid, Unsupported
from dockwright.network.driver import NetworkDriver, Seat
from dockwright.network.drivers.bridge import BridgeDriver
from dockwright.network.drivers.direct import DirectDriver
from dockwright.network.drivers.plain import PlainDriver
from dockwright.network.drivers.sandbox import make_sandbox
from dockwright.network.firewall import Firewall
from dockwright.network.model import Endpoint, Join, Network, Subnet, new_id
from dockwright.network.namespaces import Namespaces
from dockwright.network.nft import Nft
from dockwright.network.options import NetworkOptions
from dockwright.network.teardown import Remains, Teardown
from dockwright.tasks import Background

from .conftest import inside

pytestmark = pytest.mark.root

LO_IS_UP = "import socket; socket.create_server(('127.0.0.1', 0)).close(); print('up')"
LINKS = "import socket; print(sorted(name for _, name in socket.if_nameindex()))"


def seat(name: str, join: Join | None = None, sandbox: str = "", *taken: str) -> Seat:
    return Seat(name * 64, name, join or Join(), sandbox, frozenset(taken))


class Host:
    """What drivers share; a second driver on it is the next daemon."""

    def __init__(self, folder: Path, kind: str, bridge: str) -> None:
        self.kind = kind
        self.bridge = bridge
        self.background = Background("conformance")
        self.namespaces = Namespaces(folder)
        self.teardown = Teardown(self.namespaces, self.background)
        self.nft = Nft()
        self.options = NetworkOptions(bridge=bridge)
        subnet = Subnet("10.213.77.0/24", "10.213.77.1")
        options = {"parent": bridge} if kind in ("macvlan", "ipvlan") else {}
        self.network = Network(new_id(), "net", kind, time.time_ns(), (subnet,), link=bridge, options=options)

    def driver(self) -> NetworkDriver:
        if self.kind == "null":
            return PlainDriver("null", self.namespaces, self.teardown)
        if self.kind in ("macvlan", "ipvlan"):
            return DirectDriver(self.kind, self.namespaces, self.teardown)
        firewall = Firewall(self.nft, self.bridge)
        return BridgeDriver(self.options, self.namespaces, firewall, self.teardown, self.background)

    async def end(self, driver: NetworkDriver, *endpoints: Endpoint) -> None:
        """What the manager does for a container that has ended."""
        for endpoint in endpoints:
            await driver.detach(self.network, endpoint)
            self.teardown.add(Remains(sandbox=endpoint.sandbox))
        await driver.settle()


@pytest.fixture(params=["bridge", "null", "macvlan", "ipvlan"])
async def host(request: pytest.FixtureRequest, tmp_path: Path, bridge_name: str) -> AsyncIterator[Host]:
    (tmp_path / "netns").mkdir()
    host = Host(tmp_path / "netns", request.param, bridge_name)
    direct = host.kind in ("macvlan", "ipvlan")
    if direct:  # a parent of its own: nothing of this host is touched
        subprocess.run(["ip", "link", "add", bridge_name, "type", "bridge"], check=True)
    yield host
    await host.teardown.settle()
    await host.background.aclose()
    await workers.quick(host.namespaces.close)
    await workers.quick(host.nft.close)
    if direct:
        subprocess.run(["ip", "link", "delete", bridge_name], check=True)


@pytest.fixture
async def driver(host: Host) -> AsyncIterator[NetworkDriver]:
    driver = host.driver()
    if host.kind != "null":
        host.network = driver.plan(host.network)
    try:
        await driver.create(host.network)
    except Unsupported as error:
        pytest.skip(str(error))
    yield driver
    await driver.aclose()
    await driver.delete(host.network)
    await driver.settle()


async def test_an_endpoint_has_a_namespace_with_lo_up(host: Host, driver: NetworkDriver) -> None:
    endpoint = await driver.reserve(host.network, seat("c"))
    await driver.attach(host.network, endpoint)
    assert inside(host.namespaces.path(endpoint.sandbox), LO_IS_UP) == "up"
    await host.end(driver, endpoint)


async def test_every_verb_may_be_run_again(host: Host, driver: NetworkDriver) -> None:
    await driver.create(host.network)
    endpoint = await driver.reserve(host.network, seat("c"))
    for _ in range(2):
        await driver.attach(host.network, endpoint)
        await driver.adopt(host.network, endpoint)
        await driver.create(host.network, [endpoint])
    assert inside(host.namespaces.path(endpoint.sandbox), LO_IS_UP) == "up"
    for _ in range(2):
        await host.end(driver, endpoint)
    assert not host.namespaces.path(endpoint.sandbox).exists()


async def test_a_reserved_endpoint_that_is_never_attached_can_be_detached(host: Host, driver: NetworkDriver) -> None:
    endpoint = await driver.reserve(host.network, seat("c"))
    await host.end(driver, endpoint)
    assert not host.namespaces.path(endpoint.sandbox).exists()


async def test_endpoints_differ(host: Host, driver: NetworkDriver) -> None:
    one = await driver.reserve(host.network, seat("a"))
    two = await driver.reserve(host.network, seat("b"))
    assert one.endpoint_id != two.endpoint_id
    assert one.sandbox != two.sandbox
    assert one.address != two.address or not one.address
    await host.end(driver, one, two)


async def test_a_sandbox_that_is_there_gets_one_more_link_and_loses_it_again(host: Host, driver: NetworkDriver) -> None:
    sandbox = await make_sandbox(host.namespaces, host.teardown)
    path = host.namespaces.path(sandbox)
    endpoint = await driver.reserve(host.network, seat("c", None, sandbox, "lo", "eth0"))
    await driver.attach(host.network, endpoint)
    assert endpoint.sandbox == sandbox
    assert inside(path, LINKS) == ("['lo']" if host.kind == "null" else "['eth1', 'lo']")
    await driver.detach(host.network, endpoint)
    await driver.settle()
    assert inside(path, LINKS) == "['lo']"
    host.teardown.add(Remains(sandbox=sandbox))


async def test_the_next_driver_takes_up_what_is_stored_and_collects_the_rest(host: Host, driver: NetworkDriver) -> None:
    kept = await driver.reserve(host.network, seat("a"))
    lost = await driver.reserve(host.network, seat("b"))
    for endpoint in (kept, lost):
        await driver.attach(host.network, endpoint)
    following = host.driver()
    await following.create(host.network, [kept])
    await following.adopt(host.network, kept)
    await following.attach(host.network, kept)
    await following.collect(host.network, [kept])
    await host.end(following, lost)
    fresh = await following.reserve(host.network, seat("c"))
    assert fresh.address != kept.address or not kept.address
    await host.end(following, kept, fresh)
    await driver.detach(host.network, lost)
    await following.aclose()


async def test_an_attach_without_its_namespace_is_a_clear_error(host: Host, driver: NetworkDriver) -> None:
    endpoint = await driver.reserve(host.network, seat("a"))
    await driver.create(host.network, [endpoint])
    await workers.quick(host.namespaces.remove, endpoint.sandbox)
    with pytest.raises(HostFailure, match="is gone"):
        await driver.attach(host.network, endpoint)
    await host.end(driver, endpoint)


async def test_an_address_outside_the_subnets_is_refused_and_nothing_is_kept(host: Host, driver: NetworkDriver) -> None:
    before = await workers.quick(host.namespaces.names)
    with pytest.raises(Invalid, match=r"user specified IP address|no configured subnet"):
        await driver.reserve(host.network, seat("a", Join(ipv4_address="10.99.77.9")))
    assert await workers.quick(host.namespaces.names) == before
