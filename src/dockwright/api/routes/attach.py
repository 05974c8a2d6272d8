"""Attach: raw and multiplexed hijack, and a web socket."""

from __future__ import annotations

import asyncio

from aiohttp import WSMsgType, web

from dockwright.api import hijack
from dockwright.api.call import Call
from dockwright.api.hijack import AlreadySent, Connection
from dockwright.api.router import Router
from dockwright.api.routes.logs import STREAMS
from dockwright.container import Container, LogQuery
from dockwright.container.detach import Detector
from dockwright.container.detach import parse as parse_keys
from dockwright.container.state import Status
from dockwright.container.stdio import STDERR, STDOUT, Stdio
from dockwright.errors import Conflict, Invalid

ROUTER = Router()


def _check(call: Call) -> Container:
    container = call.engine.containers.get(call["id"])
    if container.status is Status.PAUSED:
        raise Conflict(f"container {container.id} is paused, unpause the container before attach")
    if container.status is Status.RESTARTING:
        raise Conflict(f"container {container.id} is restarting, wait until the container is running")
    return container


def _wanted(call: Call) -> set[int]:
    return {stream for name, stream in (("stdout", STDOUT), ("stderr", STDERR)) if call.flag(name)}


@ROUTER.add("POST", "/containers/{id}/attach")
async def attach(call: Call) -> web.StreamResponse:
    container = _check(call)
    keys = parse_keys(call.text("detachKeys"))
    wanted, terminal = _wanted(call), container.record.spec.config.tty
    kind = hijack.content_type(call.version, terminal=terminal)
    if call.request.can_read_body:
        await call.body()
    # Registered before the head goes out: a client that sees it may start the container and misses nothing.
    pending = container.attachments.begin() if call.flag("stream") else None
    try:
        connection = Connection.take(call.request, kind)
        try:
            await container.tell("attach")
            if call.flag("logs"):
                await _replay(container, connection, wanted)
            if pending is not None and (stdio := await _until_lost(pending, connection)) is not None:
                stdin = call.flag("stdin") and container.record.spec.config.open_stdin
                if await hijack.carry(connection, stdio, wanted=wanted, stdin=stdin, detach_keys=keys):
                    await container.tell("detach")
        finally:
            await connection.aclose()
    except ConnectionResetError:
        pass  # the client has gone
    finally:
        if pending is not None:
            container.attachments.abandon(pending)
    return AlreadySent()


async def _until_lost(pending: asyncio.Future[Stdio | None], connection: Connection) -> Stdio | None:
    """The container's streams once it runs; None when the client leaves before."""
    async with asyncio.TaskGroup() as group:
        lost = group.create_task(connection.lost.wait())
        await asyncio.wait((pending, lost), return_when=asyncio.FIRST_COMPLETED)
        lost.cancel()
    return pending.result() if pending.done() else None


async def _replay(container: Container, connection: Connection, wanted: set[int]) -> None:
    query = LogQuery(stdout=STDOUT in wanted, stderr=STDERR in wanted)
    async for line in container.log.read(query):
        data = line.data
        await connection.write(data if container.record.spec.config.tty else hijack.framed(STREAMS[line.stream], data))


@ROUTER.add("GET", "/containers/{id}/attach/ws")
async def attach_by_websocket(call: Call) -> web.StreamResponse:
    container = _check(call)
    keys = parse_keys(call.text("detachKeys"))
    socket = web.WebSocketResponse()
    if not socket.can_prepare(call.request):
        raise Invalid("a web socket handshake is expected here")
    await socket.prepare(call.request)
    await container.tell("attach")
    wanted = _wanted(call) or {STDOUT, STDERR}
    if call.flag("logs"):
        query = LogQuery(stdout=STDOUT in wanted, stderr=STDERR in wanted)
        async for line in container.log.read(query):
            await socket.send_bytes(line.data)
    if call.flag("stream"):
        stdio = await container.attachments.attach()
        if stdio is not None:
            try:
                await _carry_websocket(socket, stdio, wanted, call.flag("stdin"), keys)
            finally:
                stdio.close()
    await socket.close()
    return socket


async def _carry_websocket(
    socket: web.WebSocketResponse, stdio: Stdio, wanted: set[int], stdin: bool, keys: bytes
) -> None:
    async def outward() -> None:
        while (chunk := await stdio.read()) is not None:
            if chunk[0] in wanted or stdio.terminal:
                await socket.send_bytes(chunk[1])

    async def inward() -> None:
        detector = Detector(keys)
        async for message in socket:
            if message.type not in (WSMsgType.BINARY, WSMsgType.TEXT) or not stdin:
                continue
            data = message.data if isinstance(message.data, bytes) else str(message.data).encode()
            detached = False
            if stdio.terminal:
                data, detached = detector.feed(data)
            try:
                await stdio.write(data)
            except BrokenPipeError:
                continue
            if detached:
                return

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(outward()), group.create_task(inward())]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
