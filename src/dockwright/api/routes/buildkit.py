"""Connections of BuildKit's clients: `/session`, where the client answers, and `/grpc`, where the engine does."""

from __future__ import annotations

from aiohttp import web

from dockwright.api.buildkit import sessions, taking
from dockwright.api.buildkit.bridge import Bridge
from dockwright.api.buildkit.control import Control
from dockwright.api.buildkit.documents import Documents
from dockwright.api.buildkit.sessions import Headers, Session
from dockwright.api.call import Call
from dockwright.api.hijack import AlreadySent
from dockwright.api.router import Router
from dockwright.buildkit.connection import Caller, Served
from dockwright.undo import shielded

ROUTER = Router()


@ROUTER.add("POST", "/grpc")
async def grpc(call: Call) -> web.StreamResponse:
    """Answer calls until the client hangs up; builds that it waits for are given up then."""
    transport, former = taking.take(call.request)
    buildkit = call.daemon.buildkit
    documents = Documents(buildkit.records, call.engine.images)
    served = Served(transport, [Control(buildkit), Bridge(buildkit), documents], former)
    try:
        await served.wait()
    finally:
        await shielded(served.aclose(), limit_s=None)
    return AlreadySent()


@ROUTER.add("POST", "/session")
async def session(call: Call) -> web.StreamResponse:
    """Keep the client at hand until it hangs up."""
    given = call.request.headers
    headers = Headers.of(given, given.getall(sessions.METHOD_HEADER, []))
    call.daemon.buildkit.sessions.check(headers)
    transport, former = taking.take(call.request)
    caller = Caller(transport, former)
    try:
        with call.daemon.buildkit.sessions.opened(Session(headers, caller)):
            await caller.lost.wait()
    finally:
        caller.close()
    return AlreadySent()
