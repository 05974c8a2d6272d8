"""What changes in the networks of a container that exists already: connect, disconnect, ports published and withdrawn."""

from __future__ import annotations

import ipaddress
import logging

from dockwright import workers
from dockwright.container import endpoints, hostfiles, ports, telling
from dockwright.container.config import EndpointSettings, HostConfig, PortBinding
from dockwright.container.container import Container
from dockwright.errors import Conflict, Forbidden, HostFailure, NotFound
from dockwright.network import Attachment, Network, PublishedPort

log = logging.getLogger(__name__)

Bindings = dict[str, list[PortBinding] | None]


async def connect(container: Container, reference: str, settings: EndpointSettings) -> None:
    """Join a network: a running container at once, another when it starts.

    Raises `NotFound`, `Invalid`, `Forbidden` and what `Networks.connect` raises, in Docker's words; nothing is changed then.
    """
    parts, record = container.parts, container.record
    async with container.held():
        network = parts.networks.get(reference)
        mode = record.spec.host.network_mode
        _check_own_namespace(mode, network.name)
        endpoints.check(network.name, settings, mode)
        known, place = _known(container), None
        if container.alive:
            before = parts.networks.attachment(container.id)
            after = await parts.networks.connect(container.id, endpoints.join(network.name, settings))
            await _follow(container, before, after)
            place = after.place(network.id)
        elif network.name in known:
            raise Forbidden(f"endpoint with name {record.name} already exists in network {network.name}")
        record.spec.endpoints = {**known, network.name: settings}
        await parts.table.save_spec(record)
    if place is not None:
        await telling.tell_network(parts, record, "connect", place)


async def disconnect(container: Container, reference: str, *, force: bool = False) -> None:
    """Leave a network. Raises `NotFound` when it is not on it, `Forbidden` for the host's network.

    With `force` what the container had there is freed even when its namespace is gone or its processes are.
    """
    parts, record = container.parts, container.record
    async with container.held():
        network = parts.networks.get(reference)
        if network.driver == "host" or record.spec.host.network_mode == "host":
            raise Forbidden("container cannot be disconnected from host network or connected to hostonly network")
        known = _known(container)
        before = parts.networks.attachment(container.id) if container.alive or force else None
        place = before.place(network.id) if before is not None else None
        if network.name not in known and place is None:
            raise NotFound(f"container {container.id} is not connected to network {network.name}")
        if before is not None and place is not None:
            await _leave(container, network, before, force=force)
        known.pop(network.name, None)
        record.spec.endpoints = known
        await parts.table.save_spec(record)
    if place is not None:
        await telling.tell_network(parts, record, "disconnect", place)


async def _leave(container: Container, network: Network, before: Attachment, *, force: bool) -> None:
    networks = container.parts.networks
    try:
        if container.alive:
            await _follow(container, before, await networks.disconnect(container.id, network.name))
            return
    except HostFailure as error:
        if not force:
            raise
        log.warning("network %s: %s is dropped by force: %s", network.name, container.name, error)
    left = networks.attachment(container.id)
    if left is not None and left.place(network.id) is not None:
        await networks.drop(container.id, network.name)


async def publish(container: Container, add: Bindings, remove: Bindings) -> None:
    """Publish further ports and withdraw others, of a running container at once: same process, same id.

    `remove` names published ports: bindings without address or host port mean all of that container port, and a key without
    a port (`/tcp`) whatever container port is behind the host port. Raises `Invalid`, `NotFound` for a port that is not
    published, `Conflict` for one in use; nothing is changed then.
    """
    parts, record = container.parts, container.record
    async with container.held():
        host = record.spec.host
        attachment = parts.networks.attachment(container.id) if container.alive else None
        remove = _named(host.port_bindings or {}, attachment, remove)
        if endpoints.is_shared(host.network_mode):
            raise Conflict("conflicting options: port publishing and the network mode")
        bound = _without(host.port_bindings or {}, remove)
        for key, bindings in add.items():
            bound[key] = [*(bound.get(key) or []), *(bindings or [PortBinding()])]
        wanted = HostConfig(port_bindings=add)
        asked = ports.requests(record.spec.config, wanted)
        if attachment is not None:
            await parts.networks.publish(container.id, asked, _matching(attachment, remove))
        host.port_bindings = bound
        await parts.table.save_spec(record)


def _check_own_namespace(mode: str, name: str) -> None:
    if mode == "host" or name == "host":
        raise Forbidden("container cannot be disconnected from host network or connected to hostonly network")
    if mode.startswith("container:"):
        raise Forbidden(
            "container sharing network namespace with another container or host cannot be connected to any other network"
        )


def _known(container: Container) -> dict[str, EndpointSettings]:
    spec, networks = container.record.spec, container.parts.networks
    found = {endpoints.network_of(networks, key): settings for key, settings in spec.endpoints.items()}
    return found or {endpoints.network_of(networks, spec.host.network_mode): EndpointSettings()}


async def _follow(container: Container, before: Attachment | None, after: Attachment) -> None:
    if before is not None:
        await workers.quick(hostfiles.follow, container.parts, container.record, before, after)


def _named(bound: Bindings, attachment: Attachment | None, remove: Bindings) -> Bindings:
    """What is to be withdrawn, by container port. Raises `NotFound`."""
    found: Bindings = {}
    for key, bindings in remove.items():
        number, _, protocol = key.partition("/")
        for wanted in bindings or [PortBinding()]:
            keys = [key] if number else _behind(bound, attachment, protocol or "tcp", wanted)
            for one in keys:
                found[one] = [*(found.get(one) or []), wanted]
    return found


def _behind(bound: Bindings, attachment: Attachment | None, protocol: str, wanted: PortBinding) -> list[str]:
    """The container ports behind a host port, asked for or chosen by the engine."""
    keys = [
        key for key, have in bound.items() if key.endswith("/" + protocol) and any(_is(b, wanted) for b in have or [])
    ]
    for port in attachment.ports if attachment else ():
        if port.protocol == protocol and str(port.host_port) == wanted.host_port:
            keys.append(f"{port.container_port}/{protocol}")
    if not keys:
        raise NotFound(f"port {wanted.host_port}/{protocol} is not published")
    return list(dict.fromkeys(keys))


def _without(bound: Bindings, remove: Bindings) -> Bindings:
    """The bindings that stay."""
    left: Bindings = {key: list(bindings or [PortBinding()]) for key, bindings in bound.items()}
    for key, bindings in remove.items():
        have = left.get(key) or []
        for wanted in bindings or [PortBinding()]:
            # A binding without a host port was given one by the engine, which only the running container knows.
            have = [binding for binding in have if not _is(binding, wanted) and binding.host_port]
        left[key] = have
    return {key: bindings for key, bindings in left.items() if bindings}


def _is(binding: PortBinding, wanted: PortBinding) -> bool:
    same_port = not wanted.host_port or wanted.host_port == binding.host_port
    return same_port and (not wanted.host_ip or wanted.host_ip == binding.host_ip)


def _matching(attachment: Attachment | None, remove: Bindings) -> list[PublishedPort]:
    found = []
    for port in attachment.ports if attachment else ():
        for wanted in remove.get(f"{port.container_port}/{port.protocol}", []) or []:
            same_ip = not wanted.host_ip or ipaddress.ip_address(wanted.host_ip) == ipaddress.ip_address(port.host_ip)
            if same_ip and wanted.host_port in ("", str(port.host_port)):
                found.append(port)
    return found
