"""Exec: create, start (hijacked or detached), resize, inspect."""

from __future__ import annotations

from aiohttp import web

from dockwright.api import hijack
from dockwright.api.call import Call, decode
from dockwright.api.hijack import AlreadySent, Connection
from dockwright.api.render.execs import inspect_exec
from dockwright.api.router import Router
from dockwright.container.config import Wire
from dockwright.container.detach import parse as parse_keys
from dockwright.container.execs import Exec, ExecConfig
from dockwright.container.stdio import STDERR, STDOUT, Stdio
from dockwright.errors import DockwrightError, Invalid
from dockwright.undo import shielded

ROUTER = Router()
# Between the head and what is told at once after it: clients that buffer while they read the head would lose the rest.


class ExecStart(Wire):
    """The body of exec start."""

    detach: bool = False
    tty: bool | None = None
    console_size: list[int] | None = None


@ROUTER.add("POST", "/containers/{id}/exec")
async def create(call: Call) -> web.StreamResponse:
    container = call.engine.containers.get(call["id"])
    created = await container.execs.create(await call.json(ExecConfig))
    return call.answer({"Id": created.id}, 201)


@ROUTER.add("POST", "/exec/{id}/start")
async def start(call: Call) -> web.StreamResponse:
    found = call.engine.containers.get_exec(call["id"])
    raw = await call.body()
    asked = decode(raw, ExecStart) if raw else ExecStart()
    if asked.console_size is not None and len(asked.console_size) != 2:
        raise Invalid("ConsoleSize must be a height and a width")
    if asked.detach:
        await shielded(found.start(detach=True, size=asked.console_size))
        return call.empty(200)
    keys = parse_keys(found.config.detach_keys)
    found.check_startable()
    kind = hijack.content_type(call.version, terminal=found.config.tty)
    taken: list[Connection] = []

    def take() -> None:
        # The head goes out before the process can speak: clients that buffer while they read it would lose the rest.
        taken.append(Connection.take(call.request, kind))

    try:
        stdio = await found.start(detach=False, size=asked.console_size, before_run=take)
    except DockwrightError as error:
        if not found.started:
            raise
        if not taken:  # what is wrong with it showed before there was a process: the client hears it all the same
            take()
        await _tell_failure(taken[0], error, terminal=found.config.tty)
        return AlreadySent()
    except ConnectionResetError:
        return AlreadySent()
    try:
        if stdio is not None:
            await _carry(taken[0], stdio, found, keys)
    except ConnectionResetError:
        pass  # the client has gone; the process goes on
    finally:
        if stdio is not None:
            stdio.close()
        await taken[0].aclose()
    return AlreadySent()


async def _tell_failure(connection: Connection, error: DockwrightError, *, terminal: bool) -> None:
    text = f"{error}\r\n".encode()
    try:
        await connection.write(text if terminal else hijack.framed(STDOUT, text))
    except ConnectionResetError:
        pass  # the client has gone
    await connection.aclose()


async def _carry(connection: Connection, stdio: Stdio, found: Exec, keys: bytes) -> None:
    wanted = {STDOUT, STDERR}
    detached = await hijack.carry(connection, stdio, wanted=wanted, stdin=found.config.attach_stdin, detach_keys=keys)
    if detached:
        await found.container.tell("exec_detach", execID=found.id)
        return
    if connection.lost.is_set():
        return
    # The exit code is there when the client sees the stream end and asks for it.
    await found.ended.wait()
    if found.error:
        text = f"{found.error}\r\n".encode()
        await connection.write(text if stdio.terminal else hijack.framed(STDOUT, text))


@ROUTER.add("POST", "/exec/{id}/resize")
async def resize(call: Call) -> web.StreamResponse:
    found = call.engine.containers.get_exec(call["id"])
    height, width = call.number("h"), call.number("w")
    if height is None or width is None:
        raise Invalid("h and w are needed")
    await found.resize(height, width)
    return call.empty(200)


@ROUTER.add("GET", "/exec/{id}/json")
async def inspect(call: Call) -> web.StreamResponse:
    return call.answer(await inspect_exec(call.engine.containers.get_exec(call["id"])))
