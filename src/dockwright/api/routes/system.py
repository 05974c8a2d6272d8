"""The engine itself: ping, version, info, disk usage."""

from __future__ import annotations

from aiohttp import web

from dockwright.api.call import Call
from dockwright.api.render.system import disk_usage, info, version
from dockwright.api.router import Router
from dockwright.errors import Invalid
from dockwright.undo import shielded

ROUTER = Router()
_DISK_TYPES = {"container", "image", "volume", "build-cache"}


async def _ping(call: Call) -> web.StreamResponse:
    head = {"Cache-Control": "no-cache, no-store, must-revalidate", "Pragma": "no-cache", "Swarm": "inactive"}
    head["Builder-Version"] = "2"
    response = web.Response(text="OK", headers=head)
    response.headers["Content-Type"] = "text/plain; charset=utf-8"
    return response


ROUTER.add("GET", "/_ping")(_ping)
ROUTER.add("HEAD", "/_ping")(_ping)


@ROUTER.add("GET", "/version")
async def show_version(call: Call) -> web.StreamResponse:
    return call.answer(await version(call.engine))


@ROUTER.add("GET", "/info")
async def show_info(call: Call) -> web.StreamResponse:
    return call.answer(await info(call.daemon))


@ROUTER.add("GET", "/system/df")
async def show_disk_usage(call: Call) -> web.StreamResponse:
    kinds = set(call.request.query.getall("type", ())) or _DISK_TYPES
    for kind in kinds - _DISK_TYPES:
        raise Invalid(f"unknown object type: {kind}")
    return call.answer(await disk_usage(call.engine, kinds))


@ROUTER.add("POST", "/system/reconcile")
async def reconcile(call: Call) -> web.StreamResponse:
    """Our own: what somebody else flushed or deleted is made again, while containers run."""
    networks = call.engine.networks
    await shielded(networks.repair(), limit_s=None)
    return call.answer({"Warnings": list(await networks.warnings())})
