"""`GET /containers/{id}/stats`."""

from __future__ import annotations

from contextlib import aclosing

import msgspec
from aiohttp import web

from dockwright.api.call import Call
from dockwright.api.router import Router
from dockwright.container.stats import follow, sample

ROUTER = Router()


@ROUTER.add("GET", "/containers/{id}/stats")
async def stats(call: Call) -> web.StreamResponse:
    container = call.engine.containers.get(call["id"])
    if call.flag("one-shot"):
        return call.answer(await sample(container))
    if not call.flag("stream", default=True):
        async with aclosing(follow(container)) as samples:
            first = await anext(samples)
            # The second sample can say what changed; a container that does not run has only the first.
            return call.answer(await anext(samples, first) if container.alive else first)
    response = await call.stream("application/json")
    async with aclosing(follow(container)) as samples:
        async for found in samples:
            await response.write(msgspec.json.encode(found) + b"\n")
    await response.write_eof()
    return response
