"""Start, stop and what lies between. A verb that was begun goes on when the client leaves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from dockwright.api.call import Call
from dockwright.api.router import Router
from dockwright.container import Condition
from dockwright.container.detach import parse as parse_keys
from dockwright.container.waiting import Ending
from dockwright.errors import DockwrightError, Invalid, NotModified, StartFailed, Unsupported
from dockwright.undo import shielded

ROUTER = Router()
_WHOLE_LIFE_S = None
# `{}` and `null` say nothing; an object with a field in it is longer.
_LEAST_OBJECT_BYTES = 7


@contextmanager
def _told_as(what: str) -> Iterator[None]:
    """Say in Docker's words what could not be done."""
    try:
        yield
    except NotModified:
        raise
    except StartFailed as error:
        raise StartFailed(f"{what}: {error}", error.exit_code) from error
    except DockwrightError as error:
        raise type(error)(f"{what}: {error}") from error


@ROUTER.add("POST", "/containers/{id}/start")
async def start(call: Call) -> web.StreamResponse:
    parse_keys(call.text("detachKeys"))
    if len(await call.body()) >= _LEAST_OBJECT_BYTES:
        raise Invalid(
            "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24"
        )
    if call.text("checkpoint") or call.text("checkpoint-dir"):
        raise Unsupported("starting a container from a checkpoint is not supported: this daemon makes none")
    await shielded(call.engine.containers.get(call["id"]).start(), limit_s=_WHOLE_LIFE_S)
    return call.empty()


@ROUTER.add("POST", "/containers/{id}/stop")
async def stop(call: Call) -> web.StreamResponse:
    container = call.engine.containers.get(call["id"])
    with _told_as(f"cannot stop container: {call['id']}"):
        await shielded(container.stop(call.number("t"), call.text("signal")), limit_s=_WHOLE_LIFE_S)
    return call.empty()


@ROUTER.add("POST", "/containers/{id}/restart")
async def restart(call: Call) -> web.StreamResponse:
    container = call.engine.containers.get(call["id"])
    with _told_as(f"Cannot restart container {call['id']}"):
        await shielded(container.restart(call.number("t"), call.text("signal")), limit_s=_WHOLE_LIFE_S)
    return call.empty()


@ROUTER.add("POST", "/containers/{id}/kill")
async def kill(call: Call) -> web.StreamResponse:
    with _told_as(f"cannot kill container: {call['id']}"):
        await shielded(call.engine.containers.get(call["id"]).kill(call.text("signal")), limit_s=_WHOLE_LIFE_S)
    return call.empty()


@ROUTER.add("POST", "/containers/{id}/pause")
async def pause(call: Call) -> web.StreamResponse:
    await shielded(call.engine.containers.get(call["id"]).pause())
    return call.empty()


@ROUTER.add("POST", "/containers/{id}/unpause")
async def unpause(call: Call) -> web.StreamResponse:
    await shielded(call.engine.containers.get(call["id"]).unpause())
    return call.empty()


@ROUTER.add("DELETE", "/containers/{id:path}")
async def remove(call: Call) -> web.StreamResponse:
    if call.flag("link"):
        await shielded(call.engine.containers.unlink(call["id"]))
        return call.empty()
    container = call.engine.containers.get(call["id"])
    await shielded(container.remove(force=call.flag("force"), volumes=call.flag("v")), limit_s=_WHOLE_LIFE_S)
    return call.empty()


@ROUTER.add("POST", "/containers/{id}/wait")
async def wait(call: Call) -> web.StreamResponse:
    condition = Condition.parse(call.text("condition"))
    waiting = call.engine.containers.get(call["id"]).begin_wait(condition)
    # The head goes out at once: a client that sees it knows that an exit from now on is not missed.
    response = await call.stream("application/json")
    ending: Ending = await waiting
    body: dict[str, object] = {"StatusCode": ending.exit_code}
    if ending.error:
        body["Error"] = {"Message": ending.error}
    await response.write(call.answer(body).body)  # type: ignore[arg-type]
    await response.write_eof()
    return response
