"""Files into and out of containers: archive, export, changes."""

from __future__ import annotations

import base64
from contextlib import aclosing

import msgspec
from aiohttp import web

from dockwright.api.call import Call
from dockwright.api.router import Router
from dockwright.archive import PathStat
from dockwright.container import filesystem
from dockwright.errors import Corrupt, Invalid
from dockwright.units import rfc3339

ROUTER = Router()
TAR = "application/x-tar"
_STAT_HEADER = "X-Docker-Container-Path-Stat"


def _path(call: Call) -> str:
    path = call.text("path")
    if not path:
        raise Invalid("bad parameter: missing path")
    return path


def _stat_header(found: PathStat) -> str:
    document = {
        "name": found.name,
        "size": found.size_bytes,
        "mode": found.mode,
        "mtime": rfc3339(found.mtime_ns),
        "linkTarget": found.link_target,
    }
    return base64.b64encode(msgspec.json.encode(document)).decode()


@ROUTER.add("HEAD", "/containers/{id}/archive")
async def stat(call: Call) -> web.StreamResponse:
    found = await filesystem.stat(call.engine.containers.get(call["id"]), _path(call))
    response = call.empty(200)
    response.headers[_STAT_HEADER] = _stat_header(found)
    return response


@ROUTER.add("GET", "/containers/{id}/archive")
async def read(call: Call) -> web.StreamResponse:
    container = call.engine.containers.get(call["id"])
    async with filesystem.reading(container, _path(call)) as (found, stream), aclosing(stream):
        response = await call.stream(TAR, headers={_STAT_HEADER: _stat_header(found)})
        async for chunk in stream:
            await response.write(chunk)
        await response.write_eof()
    return response


@ROUTER.add("PUT", "/containers/{id}/archive")
async def write(call: Call) -> web.StreamResponse:
    try:
        await filesystem.write(
            call.engine.containers.get(call["id"]),
            _path(call),
            call.chunks(),
            no_overwrite_dir_non_dir=call.flag("noOverwriteDirNonDir"),
            copy_uid_gid=call.flag("copyUIDGID"),
        )
    except Corrupt as error:  # it came with the request: the caller's, not ours
        raise Invalid(f"the archive cannot be read: {error}") from error
    return call.empty(200)


@ROUTER.add("GET", "/containers/{id}/export")
async def export(call: Call) -> web.StreamResponse:
    container = call.engine.containers.get(call["id"])
    async with filesystem.exporting(container) as stream, aclosing(stream):
        response = await call.stream(TAR)
        async for chunk in stream:
            await response.write(chunk)
        await response.write_eof()
    await container.tell("export")
    return response


@ROUTER.add("GET", "/containers/{id}/changes")
async def changes(call: Call) -> web.StreamResponse:
    found = await filesystem.changes(call.engine.containers.get(call["id"]))
    return call.answer([{"Path": change.path, "Kind": int(change.kind)} for change in found] or None)
