"""Builds by BuildKit that are asked for as `POST /build?version=2`: as docker's command from 18.09 to 22 does with
DOCKER_BUILDKIT=1, and tools of that time. What the build reads comes over the client's session, as for `/grpc`.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from typing import Any

import msgspec
from grpclib.exceptions import GRPCError

from dockwright.api import parameters, progress
from dockwright.api.buildkit import requests
from dockwright.api.buildkit.contexts import SENT
from dockwright.api.call import Call
from dockwright.buildkit.proto.control_pb2 import (
    CacheOptions,
    CacheOptionsEntry,
    Exporter,
    SolveRequest,
    StatusResponse,
)
from dockwright.container.config import Ulimit
from dockwright.errors import DockwrightError, Invalid, Unsupported
from dockwright.tasks import told

_UPLOAD, _SESSION = "upload-request", "client-session"
# What a build takes from its client's request and the frontend has another name for.
_NUMBERS = {
    "shmsize": "shm-size",
    "memory": "memory",
    "memswap": "memswap",
    "cpushares": "cpushares",
    "cpuperiod": "cpuperiod",
    "cpuquota": "cpuquota",
}
_TEXTS = {"target": "target", "cpusetcpus": "cpusetcpus", "cpusetmems": "cpusetmems", "cgroupparent": "cgroup-parent"}
_INLINE = "BUILDKIT_INLINE_CACHE"


class OutputEntry(msgspec.Struct, rename="pascal"):
    """One entry of `outputs`."""

    type: str = ""
    attrs: dict[str, str] | None = None


class _Statuses:
    """What a build says, as `told` wants it."""

    def __init__(self, statuses: AsyncGenerator[StatusResponse, None]) -> None:
        self._statuses = statuses

    async def next(self) -> StatusResponse | None:
        """The next thing; None at the end, which is the build's."""
        return await anext(self._statuses, None)

    def end(self) -> None:
        """The build itself says when it ends."""


async def messages(call: Call) -> AsyncGenerator[progress.Message, None]:
    """What the build is answered by: its trace, then the image's ID. The body may be the context."""
    build_id = call.text("buildid")
    bodies = call.daemon.buildkit.sessions.bodies
    if build_id.startswith(f"{_UPLOAD}:"):  # the context of a build that another request asks for
        await bodies.offer(build_id.partition(":")[2], call.chunks())
        return
    address = call.text("remote")
    if address:
        body = build_id if address == _UPLOAD else ""
        async with aclosing(_told(call, _request(call, body))) as said:
            async for message in said:
                yield message
        return
    body = secrets.token_hex(16)
    with bodies.offered(body, call.chunks()):
        async with aclosing(_told(call, _request(call, body))) as said:
            async for message in said:
                yield message


async def _told(call: Call, request: SolveRequest) -> AsyncGenerator[progress.Message, None]:
    buildkit, quiet = call.daemon.buildkit, call.flag("q")
    response: dict[str, str] = {}

    async def work() -> None:
        try:
            response.update(await requests.answered(buildkit, request))
        except GRPCError as error:
            raise DockwrightError(error.message or str(error)) from error

    with buildkit.cancelling(call.text("buildid")) as cancelled:
        said = buildkit.statuses(request.Ref)
        doing = told(lambda: _unless(cancelled, work()), _Statuses(said), call.engine.parts.background, "posted build")
        async with aclosing(said), aclosing(doing) as statuses:
            async for status in statuses:
                if not quiet:
                    trace = base64.b64encode(status.SerializeToString()).decode()
                    yield {"id": "moby.buildkit.trace", "aux": trace}
    if image_id := response.get("containerimage.digest"):
        yield {"id": "moby.image.id", "aux": {"ID": image_id}}
        if quiet:
            yield {"stream": f"{image_id}\n"}


async def _unless(cancelled: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Do `work`, unless it is cancelled by its name."""
    async with asyncio.TaskGroup() as group:
        doing, waiting = group.create_task(work), group.create_task(cancelled.wait())
        await asyncio.wait((doing, waiting), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        doing.cancel()
    if doing.cancelled():
        raise DockwrightError("context canceled")


def _request(call: Call, body: str) -> SolveRequest:
    """What the query asks for. `body` names the context that comes as a request's body, empty for none."""
    arguments = parameters.build_arguments(call)
    attributes = _attributes(call)
    attributes |= {f"build-arg:{name}": value for name, value in arguments.items()}
    attributes |= {
        f"label:{name}": value for name, value in (parameters.json(call, "labels", dict[str, str]) or {}).items()
    }
    if body:
        attributes["context"] = SENT + body
    elif call.text("remote") != _SESSION:
        attributes["context"] = call.text("remote")
    exports = [CacheOptionsEntry(Type="inline")] if arguments.get(_INLINE) in ("1", "true") else []
    exporter = _exporter(call)
    return SolveRequest(
        Ref=secrets.token_hex(16),
        Session=call.text("session"),
        Frontend="dockerfile.v0",
        FrontendAttrs=attributes,
        Exporters=[] if exporter is None else [exporter],
        Cache=CacheOptions(Exports=exports),
        Entitlements=["network.host"] if call.text("networkmode") == "host" else [],
    )


def _attributes(call: Call) -> dict[str, str]:
    """The frontend's attributes of query parameters. Raises `Unsupported` for one that BuildKit has nothing for."""
    if call.flag("squash"):
        raise Unsupported("squash: it is the classic builder's alone, without version=2")
    if parameters.json(call, "securityopt", list[str]):
        raise Unsupported("securityopt: it is the classic builder's alone, without version=2")
    found = {"filename": call.text("dockerfile") or "Dockerfile"}
    found |= {ours: text for theirs, ours in _TEXTS.items() if (text := call.text(theirs))}
    found |= {ours: str(number) for theirs, ours in _NUMBERS.items() if (number := call.number(theirs))}
    if call.flag("nocache"):
        found["no-cache"] = ""
    found["image-resolve-mode"] = "pull" if call.flag("pull") else "default"
    if wanted := parameters.platforms(call):
        found["platform"] = ",".join(str(one) for one in wanted)
    if (mode := call.text("networkmode")) not in ("", "default"):
        if mode not in ("host", "none"):
            raise Invalid(f'network mode "{mode}" not supported by buildkit: it is default, host or none')
        found["force-network-mode"] = mode
    if hosts := _hosts(call):
        found["add-hosts"] = ",".join(hosts)
    if ulimits := parameters.json(call, "ulimits", list[Ulimit]):
        found["ulimit"] = ",".join(f"{one.name}={one.soft}:{one.hard}" for one in ulimits)
    if names := parameters.json(call, "cachefrom", list[str]):
        found["cache-from"] = ",".join(names)
    return found


def _hosts(call: Call) -> list[str]:
    given = [one for text in call.request.query.getall("extrahosts", []) for one in text.split(",") if one]
    return ["=".join(one.split(":", 1)) for one in given]


def _exporter(call: Call) -> Exporter | None:
    """Where the result goes: by default into the store. Raises `Invalid`."""
    given = parameters.json(call, "outputs", list[OutputEntry]) or [OutputEntry("moby")]
    if len(given) > 1:
        raise Invalid("multiple outputs not supported")
    (one,) = given
    if one.type == "cacheonly":
        return None
    attributes = dict(one.attrs or {})
    if one.type in ("moby", "image") and (names := parameters.names(call)):
        attributes["name"] = ",".join(names)
    return Exporter(Type=one.type, Attrs=attributes)
