"""Networks: create, list, inspect, connect, disconnect, prune, remove."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from aiohttp import web

from dockwright.api.call import Call
from dockwright.api.filters import Filters, pruning
from dockwright.api.render.networks import show_network
from dockwright.api.router import Router
from dockwright.container import networking
from dockwright.container.config import EndpointSettings, Wire
from dockwright.errors import Invalid, NotFound
from dockwright.network import Network, NetworkRequest, Subnet
from dockwright.undo import shielded

ROUTER = Router()
_LIST_FILTERS = ("dangling", "driver", "id", "label", "name", "scope", "type")
_SCOPES = ("swarm", "global", "local")


class IpamConfig(Wire):
    """One subnet asked for."""

    subnet: str = ""
    ip_range: str = ""
    gateway: str = ""
    auxiliary_addresses: dict[str, str] = {}


class Ipam(Wire):
    """Addresses asked for."""

    driver: str = "default"
    config: list[IpamConfig] = []
    options: dict[str, str] = {}


class ConfigReference(Wire):
    """The configuration network to take everything from."""

    network: str = ""


class CreateBody(Wire):
    """The body of create."""

    name: str = ""
    check_duplicate: bool = True
    driver: str = ""
    scope: str = ""
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    config_only: bool = False
    config_from: ConfigReference = msgspec.field(default_factory=ConfigReference)
    ipam: Ipam = msgspec.field(default_factory=Ipam)
    enable_ipv4: bool | None = None
    enable_ipv6: bool | None = None
    options: dict[str, str] = {}
    labels: dict[str, str] = {}


class ConnectBody(Wire):
    """The body of connect."""

    container: str = ""
    endpoint_config: EndpointSettings = msgspec.field(default_factory=EndpointSettings)


class DisconnectBody(Wire):
    """The body of disconnect."""

    container: str = ""
    force: bool = False


@ROUTER.add("POST", "/networks/create")
async def create(call: Call) -> web.StreamResponse:
    body = await call.json(CreateBody)
    request = NetworkRequest(
        name=body.name,
        driver=body.driver,
        subnets=tuple(Subnet(c.subnet, c.gateway, c.ip_range, c.auxiliary_addresses) for c in body.ipam.config),
        internal=body.internal,
        attachable=body.attachable,
        ipv4=body.enable_ipv4,
        ipv6=body.enable_ipv6,
        ipam_driver=body.ipam.driver or "default",
        ipam_options=body.ipam.options,
        config_only=body.config_only,
        config_from=body.config_from.network,
        scope=body.scope,
        ingress=body.ingress,
        options=body.options,
        labels=body.labels,
    )
    network = await shielded(call.engine.networks.create(request))
    return call.answer({"Id": network.id, "Warning": ""}, 201)


@ROUTER.add("GET", "/networks")
async def listing(call: Call) -> web.StreamResponse:
    filters = Filters.parse(call.text("filters"), _LIST_FILTERS)
    wanted = _selection(call, filters)
    found = [show_network(call.engine, n, containers=False) for n in call.engine.networks.networks() if wanted(n)]
    return call.answer(sorted(found, key=lambda shown: str(shown["Name"])))


@ROUTER.add("GET", "/networks/{id}")
async def inspect(call: Call) -> web.StreamResponse:
    network = call.engine.networks.get(call["id"])
    if call.text("scope", "local") not in ("", "local"):
        raise NotFound(f"network {call['id']} not found")
    return call.answer(show_network(call.engine, network, containers=True))


@ROUTER.add("DELETE", "/networks/{id}")
async def remove(call: Call) -> web.StreamResponse:
    await shielded(call.engine.networks.remove(call["id"]))
    return call.empty()


@ROUTER.add("POST", "/networks/{id}/connect")
async def connect(call: Call) -> web.StreamResponse:
    body = await call.json(ConnectBody)
    container = call.engine.containers.get(body.container)
    await shielded(networking.connect(container, call["id"], body.endpoint_config))
    return call.empty(200)


@ROUTER.add("POST", "/networks/{id}/disconnect")
async def disconnect(call: Call) -> web.StreamResponse:
    body = await call.json(DisconnectBody)
    try:
        container = call.engine.containers.get(body.container)
    except NotFound:
        if not body.force:
            raise
        await shielded(call.engine.networks.drop(body.container, call["id"]))
        return call.empty(200)
    await shielded(networking.disconnect(container, call["id"], force=body.force))
    return call.empty(200)


@ROUTER.add("POST", "/networks/prune")
async def prune(call: Call) -> web.StreamResponse:
    chosen = pruning(call.text("filters"))
    pruned = call.engine.networks.prune(lambda network: chosen(network.labels, network.created_ns))
    removed = await shielded(pruned, limit_s=None)
    await call.engine.events.publish("network", "prune", "", reclaimed="0")
    return call.answer({"NetworksDeleted": removed or None})


def _selection(call: Call, filters: Filters) -> Callable[[Network], bool]:
    dangling = filters.flag("dangling")
    for kind in filters.get("type"):
        if kind not in ("custom", "builtin"):
            raise Invalid(f"invalid filter: 'type'='{kind}'")
    for scope in filters.get("scope"):
        if scope not in _SCOPES:
            raise Invalid(f"invalid filter 'scope={scope}'")

    def wanted(network: Network) -> bool:
        used = bool(call.engine.networks.on(network))
        return (
            filters.any_of("driver", {network.driver})
            and filters.any_of("scope", {"local"})
            and filters.any_of("type", {"builtin" if network.predefined else "custom"})
            and filters.labels(network.labels)
            and _any(filters.get("name"), network.name)
            and _any(filters.get("id"), network.id)
            and (dangling is None or dangling == (not used and not network.predefined))
        )

    return wanted


def _any(values: list[str], text: str) -> bool:
    """Docker: a part of the name or id is enough."""
    return not values or any(value in text for value in values)
