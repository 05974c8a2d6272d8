"""macvlan and ipvlan: links that sit on an interface of the host, moved into the container; no bridge, no translation.

linux/if_link.h: IFLA_MACVLAN_MODE, IFLA_IPVLAN_MODE, IFLA_IPVLAN_FLAGS, IFLA_VLAN_ID.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from dockwright import faults
from dockwright.errors import HostFailure, Invalid, NotFound, Unsupported
from dockwright.network.driver import Seat
from dockwright.network.drivers import settings as options
from dockwright.network.drivers.held import Held
from dockwright.network.drivers.interface import configure
from dockwright.network.drivers.sandbox import make_sandbox
from dockwright.network.ipam import Leases, mac_for
from dockwright.network.model import Endpoint, Network, new_id, parse_mac
from dockwright.network.namespaces import Namespaces
from dockwright.network.netlink import Netlink, NetlinkError, u16, u32
from dockwright.network.teardown import Teardown

_MACVLAN_MODE, _IPVLAN_MODE, _IPVLAN_FLAGS, _VLAN_ID = 1, 1, 2, 1
_MODES = {
    "macvlan": {"private": 1, "vepa": 2, "bridge": 4, "passthru": 8},
    "ipvlan": {"l2": 0, "l3": 1, "l3s": 2},
}
_FLAGS = {"bridge": 0, "private": 1, "vepa": 2}
_DEFAULT_MODE = {"macvlan": "bridge", "ipvlan": "l2"}
_PARENT = "parent"


@dataclass(slots=True)
class _State:
    leases: Leases
    held: Held


class DirectDriver:
    """`NetworkDriver` of macvlan (`kind` "macvlan") and ipvlan."""

    def __init__(self, kind: str, namespaces: Namespaces, teardown: Teardown) -> None:
        self.name = kind
        self._namespaces = namespaces
        self._teardown = teardown
        self._states: dict[str, _State] = {}
        self._mode_option = f"{kind}_mode"
        self._known = frozenset(
            (_PARENT, self._mode_option, options.MTU, "ipvlan_flag" if kind == "ipvlan" else _PARENT)
        )

    # -- networks -------------------------------------------------------------------------------------------------

    def plan(self, network: Network) -> Network:
        """See `NetworkDriver.plan`. Without a parent the network is internal, on a link of its own that leads nowhere."""
        options.refuse_unknown(network.options, self._known, self.name)
        mode = network.options.get(self._mode_option, "") or _DEFAULT_MODE[self.name]
        if mode not in _MODES[self.name]:
            raise Invalid(
                f"requested {self.name} mode '{mode}' is not valid, '{_DEFAULT_MODE[self.name]}' mode is the default"
            )
        if network.options.get("ipvlan_flag", "") not in ("", *_FLAGS):
            raise Invalid(
                f"requested ipvlan flag '{network.options['ipvlan_flag']}' is not valid, 'bridge' is the default"
            )
        parent = network.options.get(_PARENT, "")
        if parent:
            options.link_name(_PARENT, parent)
        return replace(
            network,
            link=parent or f"dm-{network.id[:12]}",
            owns_link=not parent,
            internal=network.internal or not parent,
            mtu=options.mtu(network.options, 0),
        )

    async def create(self, network: Network, endpoints: Sequence[Endpoint] = ()) -> None:
        """See `NetworkDriver.create`. Raises `Unsupported` where the kernel has no such links."""
        faults.point("network.parent")
        await self._namespaces.run(lambda: self._make_parent(network))
        if network.id not in self._states:
            leases = Leases(network)
            self._states[network.id] = _State(leases, Held(leases))

    async def delete(self, network: Network) -> None:
        """See `NetworkDriver.delete`."""
        self._states.pop(network.id, None)
        if network.owns_link or "." in network.link:
            await self._namespaces.run(lambda: self._delete_parent(network))

    # -- endpoints ------------------------------------------------------------------------------------------------

    async def reserve(self, network: Network, seat: Seat) -> Endpoint:
        """See `NetworkDriver.reserve`."""
        join = seat.join
        options.check_endpoint(join.options)
        if join.mac_address and self.name == "ipvlan":
            raise Invalid("ipvlan interfaces do not support custom mac address assignment")
        mac = parse_mac(join.mac_address) if join.mac_address else ""
        state = self._states[network.id]
        faults.point("network.reserve_direct")
        interface = options.interface_name(join.options, "eth", seat.taken)
        lease = state.leases.take(join.ipv4_address, join.ipv6_address)
        try:
            sandbox = seat.sandbox or await make_sandbox(self._namespaces, self._teardown)
        except BaseException:
            state.leases.release(*lease.interfaces)
            raise
        # In layer 3 nobody answers for a gateway: what is sent goes straight out of the link.
        straight = network.options.get(self._mode_option) in ("l3", "l3s")
        endpoint = Endpoint(
            container_id=seat.container_id,
            container_name=seat.container_name,
            network_id=network.id,
            endpoint_id=new_id(),
            sandbox=sandbox,
            interface=interface,
            mac="" if self.name == "ipvlan" else mac or mac_for(lease.v4.ip if lease.v4 else None),
            address=str(lease.v4 or ""),
            gateway="0.0.0.0" if straight and lease.gateway else lease.gateway,
            address6=str(lease.v6 or ""),
            gateway6="::" if straight and lease.gateway6 else lease.gateway6,
            join=join,
        )
        state.held.add(endpoint)
        return endpoint

    async def attach(self, network: Network, endpoint: Endpoint) -> None:
        """See `NetworkDriver.attach`."""
        faults.point("network.direct")
        await self._namespaces.run(lambda: self._connect(network, endpoint))

    async def detach(self, network: Network, endpoint: Endpoint) -> None:
        """See `NetworkDriver.detach`."""
        faults.point("network.indirect")
        await self._namespaces.run(lambda: self._disconnect(endpoint))
        state = self._states[network.id]
        if state.held.forget(endpoint):
            state.leases.release(*endpoint.interfaces)

    async def adopt(self, network: Network, endpoint: Endpoint) -> None:
        """See `NetworkDriver.adopt`."""
        self._states[network.id].held.adopt(endpoint)

    async def collect(self, network: Network, kept: list[Endpoint]) -> None:
        """The links are in the namespaces, and go with them."""

    async def settle(self) -> None:
        """See `NetworkDriver.settle`."""
        await self._teardown.settle()

    async def aclose(self) -> None:
        """See `NetworkDriver.aclose`."""

    # -- the kernel: these run in the namespace thread ---------------------------------------------------------------

    def _make_parent(self, network: Network) -> None:
        self._namespaces.enter_host()
        with Netlink() as netlink:
            if netlink.link(network.link) is None:
                self._make_missing(netlink, network)
            found = netlink.link(network.link)
            if found is None:
                raise HostFailure(f"{network.link} did not appear")
            if not found.up:
                netlink.set_up(found.index)
            self._probe(netlink, found.index, network)

    def _make_missing(self, netlink: Netlink, network: Network) -> None:
        if network.owns_link:
            self._supported(lambda: netlink.create_over("dummy", network.link, parent=0), "dummy")
            return
        base, dot, tag = network.link.rpartition(".")
        below = netlink.link(base) if dot and tag.isdigit() and 0 < int(tag) < 4095 else None
        if below is None:
            raise NotFound(f"parent interface {network.link} was not found on this host")
        create = netlink.create_over
        self._supported(lambda: create("vlan", network.link, parent=below.index, data=u16(_VLAN_ID, int(tag))), "vlan")

    def _probe(self, netlink: Netlink, parent: int, network: Network) -> None:
        """Whether the kernel makes such links is found out when the network is created, not when a container starts."""
        name = "dwp" + new_id()[:12]
        self._supported(
            lambda: netlink.create_over(self.name, name, parent=parent, data=self._data(network)), self.name
        )
        netlink.delete_link(name)

    def _supported(self, make: object, kind: str) -> None:
        try:
            make()  # type: ignore[operator]
        except NetlinkError as error:
            if error.errno in (errno.EOPNOTSUPP, errno.ENODEV, errno.EAFNOSUPPORT):
                raise Unsupported(f"this kernel has no {kind} links: the module {kind} is missing") from error
            raise

    def _delete_parent(self, network: Network) -> None:
        self._namespaces.enter_host()
        with Netlink() as netlink:
            found = netlink.link(network.link)
            if found is not None and found.kind in ("dummy", "vlan"):
                netlink.delete_link(network.link)

    def _connect(self, network: Network, endpoint: Endpoint) -> None:
        if not self._namespaces.alive(endpoint.sandbox):
            raise HostFailure(f"network namespace {self._namespaces.path(endpoint.sandbox)} is gone")
        self._namespaces.enter(endpoint.sandbox)
        with Netlink() as inner:
            if inner.link(endpoint.interface) is not None:
                return
            self._make(network, endpoint)
            self._namespaces.enter(endpoint.sandbox)
            configure(inner, endpoint)

    def _make(self, network: Network, endpoint: Endpoint) -> None:
        fd = os.open(self._namespaces.path(endpoint.sandbox), os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._namespaces.enter_host()
            with Netlink() as netlink:
                parent = netlink.link(network.link)
                if parent is None:
                    raise HostFailure(f"parent interface {network.link} is gone")
                netlink.create_over(
                    self.name,
                    endpoint.interface,
                    parent=parent.index,
                    data=self._data(network),
                    netns_fd=fd,
                    mac=endpoint.mac,
                    mtu=network.mtu,
                )
        finally:
            os.close(fd)

    def _disconnect(self, endpoint: Endpoint) -> None:
        if not self._namespaces.alive(endpoint.sandbox):
            return
        self._namespaces.enter(endpoint.sandbox)
        with Netlink() as inner:
            inner.delete_link(endpoint.interface)

    def _data(self, network: Network) -> bytes:
        mode = _MODES[self.name][network.options.get(self._mode_option, "") or _DEFAULT_MODE[self.name]]
        if self.name == "macvlan":
            return u32(_MACVLAN_MODE, mode)
        flag = _FLAGS[network.options.get("ipvlan_flag", "") or "bridge"]
        return u16(_IPVLAN_MODE, mode) + u16(_IPVLAN_FLAGS, flag)
