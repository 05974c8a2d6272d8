"""What every `NetworkDriver` does, whatever its kind."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dockwright import workers
from dockwright.errors import HostFailure, Invalid
from dockwright.network.bridge import BridgeDriver
from dockwright.network.driver import NetworkDriver
from dockwright.network.model import AttachRequest, Network, new_id
from dockwright.network.namespaces import Namespaces
from dockwright.network.nft import Nft
from dockwright.network.options import NetworkOptions
from dockwright.network.plain import PlainDriver
from dockwright.network.teardown import Teardown
from dockwright.tasks import Background

from .conftest import inside

pytestmark = pytest.mark.root

LO_IS_UP = "import socket; socket.create_server(('127.0.0.1', 0)).close(); print('up')"


class Host:
    """What drivers share; a second driver on it is the next daemon."""

    def __init__(self, folder: Path, kind: str, bridge: str) -> None:
        self.kind = kind
        self.background = Background("conformance")
        self.namespaces = Namespaces(folder)
        self.teardown = Teardown(self.namespaces, self.background)
        self.nft = Nft()
        self.options = NetworkOptions(bridge=bridge)
        subnet = ipaddress.IPv4Network("10.213.77.0/24")
        self.network = Network(
            new_id(), "net", kind, time.time_ns(), subnet=str(subnet), gateway=str(subnet[1]), link=bridge
        )

    def driver(self) -> NetworkDriver:
        if self.kind == "null":
            return PlainDriver("null", self.namespaces, self.teardown)
        return BridgeDriver(self.options, self.namespaces, self.nft, self.teardown, self.background)


@pytest.fixture(params=["bridge", "null"])
async def host(request: pytest.FixtureRequest, tmp_path: Path, bridge_name: str) -> AsyncIterator[Host]:
    (tmp_path / "netns").mkdir()
    host = Host(tmp_path / "netns", request.param, bridge_name)
    yield host
    await host.teardown.settle()
    await host.background.aclose()
    await workers.quick(host.namespaces.close)
    await workers.quick(host.nft.close)


@pytest.fixture
async def driver(host: Host) -> AsyncIterator[NetworkDriver]:
    driver = host.driver()
    await driver.create(host.network)
    yield driver
    await driver.aclose()
    await driver.delete(host.network)


async def test_an_endpoint_has_a_namespace_with_lo_up(host: Host, driver: NetworkDriver) -> None:
    endpoint = await driver.reserve(host.network, "c", AttachRequest("c"))
    await driver.attach(host.network, endpoint)
    assert inside(host.namespaces.path(endpoint.sandbox), LO_IS_UP) == "up"
    await driver.detach(host.network, endpoint)


async def test_every_verb_may_be_run_again(host: Host, driver: NetworkDriver) -> None:
    await driver.create(host.network)
    endpoint = await driver.reserve(host.network, "c", AttachRequest("c"))
    for _ in range(2):
        await driver.attach(host.network, endpoint)
        assert await driver.adopt(host.network, endpoint) == []
        await driver.create(host.network, [endpoint])
    assert inside(host.namespaces.path(endpoint.sandbox), LO_IS_UP) == "up"
    for _ in range(2):
        await driver.detach(host.network, endpoint)
        await driver.settle()
    assert not host.namespaces.path(endpoint.sandbox).exists()


async def test_a_reserved_endpoint_that_is_never_attached_can_be_detached(host: Host, driver: NetworkDriver) -> None:
    endpoint = await driver.reserve(host.network, "c", AttachRequest("c"))
    await driver.detach(host.network, endpoint)
    await driver.settle()
    assert not host.namespaces.path(endpoint.sandbox).exists()


async def test_endpoints_differ(host: Host, driver: NetworkDriver) -> None:
    one = await driver.reserve(host.network, "a", AttachRequest("a"))
    two = await driver.reserve(host.network, "b", AttachRequest("b"))
    assert one.endpoint_id != two.endpoint_id
    assert one.sandbox != two.sandbox
    assert one.address != two.address or not one.address
    for endpoint in (one, two):
        await driver.detach(host.network, endpoint)


async def test_the_next_driver_takes_up_what_is_stored_and_collects_the_rest(host: Host, driver: NetworkDriver) -> None:
    kept = await driver.reserve(host.network, "a", AttachRequest("a"))
    lost = await driver.reserve(host.network, "b", AttachRequest("b"))
    for endpoint in (kept, lost):
        await driver.attach(host.network, endpoint)
    following = host.driver()
    await following.create(host.network, [kept])
    assert await following.adopt(host.network, kept) == []
    await following.attach(host.network, kept)
    await following.collect(host.network, [kept])
    fresh = await following.reserve(host.network, "c", AttachRequest("c"))
    assert fresh.address != kept.address or not kept.address
    for endpoint in (kept, fresh):
        await following.detach(host.network, endpoint)
    await driver.detach(host.network, lost)
    await following.aclose()


async def test_an_attach_without_its_namespace_is_a_clear_error(host: Host, driver: NetworkDriver) -> None:
    endpoint = await driver.reserve(host.network, "a", AttachRequest("a"))
    await driver.create(host.network, [endpoint])
    await workers.quick(host.namespaces.remove, endpoint.sandbox)
    with pytest.raises(HostFailure, match="is gone"):
        await driver.attach(host.network, endpoint)
    await driver.detach(host.network, endpoint)


async def test_a_static_address_is_refused_and_nothing_is_kept(host: Host, driver: NetworkDriver) -> None:
    before = await workers.quick(host.namespaces.names)
    with pytest.raises(Invalid, match="user specified IP address"):
        await driver.reserve(host.network, "a", AttachRequest("a", ipv4_address="10.213.77.9"))
    assert await workers.quick(host.namespaces.names) == before
