"""Volumes: create, list, inspect, remove, prune; and ours: snapshots, restore, clone, rename, export, import.

Of ours, those that copy pause the containers that use the volume while it is copied, unless `pause=0` is given.
"""

from __future__ import annotations

import re

import msgspec
from aiohttp import web

from dockwright.api.call import Call
from dockwright.api.filters import Filters
from dockwright.api.render import volumes as render
from dockwright.api.router import Router
from dockwright.container.config import Wire
from dockwright.container.quiet import quiet, rename_volume
from dockwright.engine import Engine
from dockwright.errors import Corrupt, Invalid, Unavailable
from dockwright.undo import shielded
from dockwright.volume import ANONYMOUS, Volume

ROUTER = Router()
_NAMED_PRUNED_BEFORE = (1, 42)


class CreateBody(Wire):
    """The body of create."""

    name: str = ""
    driver: str = ""
    driver_opts: dict[str, str] = msgspec.field(default_factory=dict)
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    cluster_volume_spec: dict[str, object] | None = None


@ROUTER.add("POST", "/volumes/create")
async def create(call: Call) -> web.StreamResponse:
    body = await call.json(CreateBody)
    if body.cluster_volume_spec is not None:
        raise Unavailable("a cluster volume needs a swarm, and this node is not part of one")
    made = await call.engine.volumes.create(body.name, driver=body.driver, labels=body.labels, options=body.driver_opts)
    return call.answer(await render.volume(call.engine, made), 201)


@ROUTER.add("GET", "/volumes")
async def listing(call: Call) -> web.StreamResponse:
    filters = Filters.parse(call.text("filters"), ("dangling", "driver", "label", "name"))
    dangling = filters.flag("dangling")
    found, warnings = await call.engine.volumes.listing()
    chosen = [
        volume
        for volume in found
        if filters.labels(volume.labels)
        and filters.any_of("driver", {volume.driver})
        and _named(filters.get("name"), volume.name)
        and dangling in (None, not call.engine.volumes.users(volume.name))
    ]
    rows = [await render.volume(call.engine, volume) for volume in chosen]
    return call.answer({"Volumes": rows, "Warnings": warnings or None})


@ROUTER.add("POST", "/volumes/prune")
async def prune(call: Call) -> web.StreamResponse:
    known = ("label", "label!") if call.version < _NAMED_PRUNED_BEFORE else ("all", "label", "label!")
    filters = Filters.parse(call.text("filters"), known)
    everything = call.version < _NAMED_PRUNED_BEFORE or filters.flag("all")
    chosen = [
        volume
        for volume in call.engine.volumes.all()
        # Docker leaves those with mount options: nothing of this disk would come free.
        if volume.driver == "local"
        and not volume.options
        and (everything or ANONYMOUS in volume.labels)
        and filters.labels(volume.labels)
        and filters.no_labels(volume.labels)
    ]
    removed, freed = await shielded(call.engine.volumes.prune(chosen), limit_s=None)
    return call.answer({"VolumesDeleted": removed, "SpaceReclaimed": freed})


@ROUTER.add("GET", "/volumes/{name}")
async def inspect(call: Call) -> web.StreamResponse:
    return call.answer(await render.volume(call.engine, await call.engine.volumes.find(call["name"]), status=True))


@ROUTER.add("PUT", "/volumes/{name}")
async def update(call: Call) -> web.StreamResponse:
    await call.engine.volumes.find(call["name"])
    raise Unavailable("volume update only valid for cluster volumes, but swarm is unavailable")


@ROUTER.add("DELETE", "/volumes/{name}")
async def remove(call: Call) -> web.StreamResponse:
    force = call.flag("force")
    await shielded(call.engine.volumes.remove(call["name"], force=force), limit_s=None)
    return call.empty()


# -- ours --------------------------------------------------------------------------------------------------------------


@ROUTER.add("GET", "/volumes/{name}/snapshots")
async def snapshots(call: Call) -> web.StreamResponse:
    volume = await call.engine.volumes.find(call["name"])
    return call.answer([render.snapshot(one) for one in call.engine.copies.snapshots(volume.name)])


@ROUTER.add("POST", "/volumes/{name}/snapshots")
async def snapshot(call: Call) -> web.StreamResponse:
    engine, name = call.engine, _known(call)
    still = quiet(engine.containers, name, pause=_pause(call))
    made = await engine.copies.snapshot(name, _needed(call, "tag"), still)
    return call.answer(render.snapshot(made), 201)


@ROUTER.add("DELETE", "/volumes/{name}/snapshots/{tag}")
async def remove_snapshot(call: Call) -> web.StreamResponse:
    await shielded(call.engine.copies.remove(call["name"], call["tag"]), limit_s=None)
    return call.empty()


@ROUTER.add("POST", "/volumes/{name}/restore")
async def restore(call: Call) -> web.StreamResponse:
    engine, name = call.engine, _known(call)
    still = quiet(engine.containers, name, pause=_pause(call))
    await engine.copies.restore(name, _needed(call, "tag"), still)
    return call.empty()


@ROUTER.add("POST", "/volumes/{name}/clone")
async def clone(call: Call) -> web.StreamResponse:
    engine, name, tag = call.engine, _known(call), call.text("tag")
    still = quiet(engine.containers, name, pause=_pause(call))
    made = await engine.copies.clone(name, _needed(call, "name"), tag=tag, still=still)
    return call.answer(await render.volume(engine, made), 201)


@ROUTER.add("POST", "/volumes/{name}/rename")
async def rename(call: Call) -> web.StreamResponse:
    engine = call.engine
    made: Volume = await shielded(
        rename_volume(engine.containers, engine.volumes, call["name"], _needed(call, "name")), limit_s=None
    )
    return call.answer(await render.volume(engine, made))


@ROUTER.add("GET", "/volumes/{name}/export")
async def export(call: Call) -> web.StreamResponse:
    engine, name, tag = call.engine, _known(call), call.text("tag")
    still = quiet(engine.containers, name) if _pause(call) and _runs_with(engine, name) else None
    async with engine.copies.exporting(name, tag=tag, still=still) as stream:
        response = await call.stream("application/x-tar")
        async for chunk in stream:
            await response.write(chunk)
        await response.write_eof()
    return response


@ROUTER.add("POST", "/volumes/{name}/import")
async def import_(call: Call) -> web.StreamResponse:
    engine, name = call.engine, call["name"]
    try:
        async with engine.copies.unpacked(call.chunks()) as draft, quiet(engine.containers, name, pause=_pause(call)):
            made = await engine.copies.put(name, draft, replace_content=call.flag("replace"))
    except Corrupt as error:  # it came with the request: the caller's, not ours
        raise Invalid(f"the archive cannot be read: {error}") from error
    return call.answer(await render.volume(engine, made), 201)


def _known(call: Call) -> str:
    return call.engine.volumes.get(call["name"]).name


def _needed(call: Call, parameter: str) -> str:
    value = call.text(parameter)
    if not value:
        raise Invalid(f"the parameter {parameter} is needed")
    return value


def _pause(call: Call) -> bool:
    return call.flag("pause", default=True)


def _runs_with(engine: Engine, name: str) -> bool:
    """Whether somebody may write to the volume while it is read."""
    return any(
        container.alive and any(point.name == name for point in container.record.spec.points)
        for container in engine.containers.all()
    )


def _named(patterns: list[str], name: str) -> bool:
    """Docker: a part of the name, or an expression that is found in it."""
    return not patterns or any(pattern in name or _found(pattern, name) for pattern in patterns)


def _found(pattern: str, name: str) -> bool:
    try:
        return re.search(pattern, name) is not None
    except re.error:
        return False
