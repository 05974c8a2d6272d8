"""Containers as objects: create, list, inspect, update, rename, prune, top, resize."""

from __future__ import annotations

import msgspec
from aiohttp import web

from dockwright.api.call import Call
from dockwright.api.filters import Filters, pruning
from dockwright.api.listing import LIST_FILTERS, select
from dockwright.api.render.containers import inspect_container, summary
from dockwright.api.router import Router
from dockwright.container import Config, HostConfig, Request, networking, remounting
from dockwright.container.config import (
    BindOptions,
    EndpointSettings,
    Mount,
    PortBinding,
    Resources,
    RestartPolicy,
    Wire,
)
from dockwright.container.top import top
from dockwright.container.update import update
from dockwright.errors import Invalid
from dockwright.undo import shielded

ROUTER = Router()
_RECURSIVE_READ_ONLY = (1, 44)


class NetworkingConfig(Wire):
    """Endpoints by network name."""

    endpoints_config: dict[str, EndpointSettings] = {}


class CreateBody(Config):
    """The body of create: a `Config` with the host's half and the networks beside it."""

    host_config: HostConfig = msgspec.field(default_factory=HostConfig)
    networking_config: NetworkingConfig = msgspec.field(default_factory=NetworkingConfig)


class UpdateBody(Resources):
    """The body of update. Our own: `publish_add` and `publish_remove`, `PortBindings` of ports that come and go, and
    `mount_add` and `mount_remove` (paths), mounts that do."""

    restart_policy: RestartPolicy | None = None
    publish_add: dict[str, list[PortBinding] | None] = {}
    publish_remove: dict[str, list[PortBinding] | None] = {}
    mount_add: list[Mount] = []
    mount_remove: list[str] = []


@ROUTER.add("POST", "/containers/create")
async def create(call: Call) -> web.StreamResponse:
    body = await call.json(CreateBody)
    if call.version < _RECURSIVE_READ_ONLY:
        for mount in body.host_config.mounts or ():
            if mount.type == "bind":
                mount.bind_options = mount.bind_options or BindOptions()
                mount.bind_options.read_only_non_recursive = True
    config = Config(**{name: getattr(body, name) for name in Config.__struct_fields__})
    request = Request(
        config=config,
        host=body.host_config,
        endpoints=body.networking_config.endpoints_config,
        name=call.text("name"),
        platform=call.text("platform"),
    )
    container, warnings = await call.engine.containers.create(request)
    return call.answer({"Id": container.id, "Warnings": warnings}, 201)


@ROUTER.add("GET", "/containers/json")
async def listing(call: Call) -> web.StreamResponse:
    filters = Filters.parse(call.text("filters"), LIST_FILTERS)
    chosen = await select(call.engine, filters, all_states=call.flag("all"), limit=call.number("limit") or 0)
    size = call.flag("size")
    return call.answer([await summary(call.engine, container, size=size) for container in chosen])


@ROUTER.add("GET", "/containers/{id:path}/json")
async def inspect(call: Call) -> web.StreamResponse:
    container = call.engine.containers.get(call["id"])
    return call.answer(await inspect_container(call.engine, container, size=call.flag("size")))


@ROUTER.add("GET", "/containers/{id}/top")
async def processes(call: Call) -> web.StreamResponse:
    container = call.engine.containers.get(call["id"])
    titles, rows = await top(container, call.text("ps_args", "-ef") or "-ef")
    return call.answer({"Titles": titles, "Processes": rows})


@ROUTER.add("POST", "/containers/{id}/resize")
async def resize(call: Call) -> web.StreamResponse:
    container = call.engine.containers.get(call["id"])
    height, width = call.number("h"), call.number("w")
    if height is None or width is None:
        raise Invalid("h and w are needed")
    await container.require_live("resize").monitor.resize(height, width)
    await container.tell("resize", height=str(height), width=str(width))
    return call.empty(200)


@ROUTER.add("POST", "/containers/{id}/update")
async def change(call: Call) -> web.StreamResponse:
    body = await call.json(UpdateBody)
    container = call.engine.containers.get(call["id"])
    limits = Resources(**{name: getattr(body, name) for name in Resources.__struct_fields__})
    if body.publish_add or body.publish_remove:
        await shielded(networking.publish(container, body.publish_add, body.publish_remove))
    await shielded(update(container, limits, body.restart_policy))
    if body.mount_add or body.mount_remove:
        await remounting.change(container, body.mount_add, body.mount_remove)
    return call.answer({"Warnings": []})


@ROUTER.add("POST", "/containers/{id}/rename")
async def rename(call: Call) -> web.StreamResponse:
    await shielded(call.engine.containers.rename(call["id"], call.text("name")))
    return call.empty()


@ROUTER.add("POST", "/containers/prune")
async def prune(call: Call) -> web.StreamResponse:
    chosen = pruning(call.text("filters"))
    found = [
        container
        for container in call.engine.containers.all()
        if chosen(container.record.spec.config.labels, container.record.spec.created_ns)
    ]
    removed, freed = await shielded(call.engine.containers.prune(found), limit_s=None)
    return call.answer({"ContainersDeleted": removed, "SpaceReclaimed": freed})
