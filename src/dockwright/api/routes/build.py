"""Builds as `docker build` without BuildKit and the SDKs ask for them, and the build cache."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from typing import TypeVar

import msgspec
from aiohttp import web

from dockwright import archive, workers
from dockwright.api import parameters, progress
from dockwright.api.call import Call
from dockwright.api.filters import Filters
from dockwright.api.render import builds
from dockwright.api.router import Router
from dockwright.build import BuildRequest, Context, Limits, Options
from dockwright.build.policy import Space
from dockwright.container.config import Ulimit
from dockwright.credentials import REGISTRIES_HEADER, from_registries_header, key_of
from dockwright.engine import Pull
from dockwright.errors import Corrupt, Invalid, Unsupported
from dockwright.image import Image
from dockwright.oci import Platform, reference
from dockwright.undo import UndoStack, shielded

T = TypeVar("T")

ROUTER = Router()
_FILTERS = ("description", "id", "inuse", "type", "unused-for", "until")
# What would have to be honoured, and is not.
_REFUSED = {
    "squash": "squashing layers is not supported: a multi-stage build gives an image of few layers",
    "outputs": "outputs other than an image are not supported by this release",
    "securityopt": "security options of build steps are not supported by this release",
    "session": "a session (BuildKit) is not supported by this release",
}


@ROUTER.add("POST", "/build")
async def build(call: Call) -> web.StreamResponse:
    for name, why in _REFUSED.items():
        if call.text(name) not in ("", "0", "false"):
            raise Unsupported(why)
    if call.text("version") == "2":
        raise Unsupported("BuildKit's protocol is not supported by this release: set DOCKER_BUILDKIT=0")
    return await progress.tell(call, _build(call))


async def _build(call: Call) -> AsyncGenerator[progress.Message, None]:
    request = _request(call)
    credentials = from_registries_header(call.request.headers.get(REGISTRIES_HEADER, ""))
    pull: Pull = "always" if call.flag("pull") else "missing"
    engine = call.engine

    async def find(name: str, platform: Platform) -> Image:
        await engine.provide(name, pull, credentials.get(key_of(reference.parse(name).domain)), platform)
        return await engine.images.resolve(name, platform)

    async with AsyncExitStack() as stack:
        context = await stack.enter_async_context(_context(call, request))
        steps = engine.builder.build(request, context, find)
        async with aclosing(builds.messages(steps, quiet=call.flag("q"))) as told:
            async for message in told:
                yield message


@asynccontextmanager
async def _context(call: Call, request: BuildRequest) -> AsyncIterator[Context]:
    """The context: what was sent, or what `remote` names."""
    builder, remote = call.engine.builder, call.text("remote")
    if remote and remote != "client-session":
        async with builder.sources.context(remote, request.dockerfile, request.lender) as found:
            yield found
        return
    folder = builder.contexts / secrets.token_hex(16)
    async with UndoStack() as undo:
        undo.push_undo(workers.bulk, shutil.rmtree, folder, ignore_errors=True)
        await workers.quick(folder.mkdir, mode=0o700, parents=True)
        await _unpack(folder, call.chunks())
        yield await workers.quick(Context.at, folder, request.dockerfile)


async def _unpack(folder: Path, chunks: AsyncIterable[bytes]) -> None:
    try:
        await archive.write(folder, "/", chunks, owner=(0, 0))
    except Corrupt as error:  # it came with the request: the caller's fault
        raise Invalid(f"the build's context cannot be read: {error}") from error


def _request(call: Call) -> BuildRequest:
    if _json(call, "cachefrom", list[str]):
        raise Unsupported("cachefrom is not supported by this release: the builder finds what it has built by itself")
    limits = Limits(
        extra_hosts=tuple(filter(None, call.text("extrahosts").split(","))),
        shm_size=call.number("shmsize") or 0,
        memory=call.number("memory") or 0,
        memory_swap=call.number("memswap") or 0,
        cpu_quota=call.number("cpuquota") or 0,
        cpu_period=call.number("cpuperiod") or 0,
        cpu_shares=call.number("cpushares") or 0,
        cpuset_cpus=call.text("cpusetcpus"),
        cpuset_mems=call.text("cpusetmems"),
        ulimits=tuple(_json(call, "ulimits", list[Ulimit]) or ()),
        cgroup_parent=call.text("cgroupparent"),
    )
    given = _json(call, "buildargs", dict[str, str | None]) or {}
    options = Options(
        target=call.text("target"),
        arguments={name: value for name, value in given.items() if value is not None},
        labels=_json(call, "labels", dict[str, str]) or {},
        platform=parameters.platform(call),
        network=call.text("networkmode") or "default",
    )
    names = [name for text in call.request.query.getall("t", []) for name in text.split(",") if name]
    return BuildRequest(
        dockerfile=call.text("dockerfile") or "Dockerfile",
        options=options,
        names=[reference.parse(name).tagged.familiar for name in names],
        no_cache=call.flag("nocache"),
        limits=limits,
    )


def _json(call: Call, name: str, kind: type[T]) -> T | None:
    text = call.text(name)
    if text in ("", "null"):
        return None
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise Invalid(f"invalid {name}: {error}") from error


@ROUTER.add("POST", "/build/prune")
async def prune(call: Call) -> web.StreamResponse:
    filters = Filters.parse(call.text("filters"), _FILTERS)
    chosen = {name: filters.get(name) for name in _FILTERS if filters.get(name)}
    if "unused-for" in chosen:
        chosen["until"] = chosen.pop("unused-for") + chosen.get("until", [])
    # `keep-storage` is what `reserved-space` was called.
    space = Space(
        call.number("reserved-space") or call.number("keep-storage") or 0,
        call.number("max-used-space") or 0,
        call.number("min-free-space") or 0,
    )
    pruning = call.engine.builder.prune(chosen, everything=call.flag("all"), space=space)
    done = await shielded(pruning, limit_s=None)
    return call.answer({"CachesDeleted": done.ids, "SpaceReclaimed": done.freed_bytes})
