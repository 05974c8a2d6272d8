"""The build cache, as far as an engine without a builder has one: it is empty."""

from __future__ import annotations

from aiohttp import web

from dockwright.api.call import Call
from dockwright.api.filters import Filters
from dockwright.api.router import Router

ROUTER = Router()
_FILTERS = ("description", "id", "inuse", "parent", "private", "shared", "type", "unused-for", "until")
_AMOUNTS = ("keep-storage", "max-used-space", "min-free-space", "reserved-space")


@ROUTER.add("POST", "/build/prune")
async def prune(call: Call) -> web.StreamResponse:
    """Nothing is kept, so nothing is removed; what was asked for has to make sense all the same."""
    Filters.parse(call.text("filters"), _FILTERS)
    for name in _AMOUNTS:
        call.number(name)
    return call.answer({"CachesDeleted": [], "SpaceReclaimed": 0})
