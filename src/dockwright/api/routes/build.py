"""Builds as `docker build` without BuildKit and the SDKs ask for them, and the build cache."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from aiohttp import web

from dockwright import archive, workers
from dockwright.api import parameters, progress
from dockwright.api.call import Call
from dockwright.api.filters import Filters
from dockwright.api.render import builds
from dockwright.api.router import Router
from dockwright.api.routes import posted
from dockwright.api.routes.posted import OutputEntry
from dockwright.build import BuildRequest, Context, HostLender, Limits, Options, outputs, remote_cache
from dockwright.build.outputs import Output
from dockwright.build.policy import Space
from dockwright.build.remote_cache import CacheFrom
from dockwright.container.config import Ulimit
from dockwright.container.spec import security
from dockwright.credentials import REGISTRIES_HEADER, from_registries_header, key_of
from dockwright.engine import Pull
from dockwright.errors import Corrupt, Invalid, Unsupported
from dockwright.image import Image
from dockwright.oci import Platform, reference
from dockwright.undo import shielded

ROUTER = Router()
_FILTERS = ("description", "id", "inuse", "private", "shared", "type", "unused-for", "until")
_SENT = ("oci", "docker", "tar", "local")


@ROUTER.add("POST", "/build")
async def build(call: Call) -> web.StreamResponse:
    if call.text("version") == "2":
        return await progress.tell(call, posted.messages(call))
    if call.text("session"):
        raise Unsupported("a build with a session is one of BuildKit's: version=2")
    return await progress.tell(call, _build(call))


async def _build(call: Call) -> AsyncGenerator[progress.Message, None]:
    credentials = from_registries_header(call.request.headers.get(REGISTRIES_HEADER, ""))
    request = replace(_request(call), lender=HostLender(credentials=credentials))
    pull: Pull = "always" if call.flag("pull") else "missing"
    engine = call.engine

    async def find(name: str, platform: Platform) -> Image:
        return await engine.provide(name, pull, credentials.get(key_of(reference.parse(name).domain)), platform)

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
    async with builder.place() as folder:
        await _unpack(folder, call.chunks())
        yield await workers.quick(Context.at, folder, request.dockerfile)


async def _unpack(folder: Path, chunks: AsyncIterable[bytes]) -> None:
    try:
        await archive.write(folder, "/", chunks, owner=(0, 0))
    except Corrupt as error:  # it came with the request: the caller's fault
        raise Invalid(f"the build's context cannot be read: {error}") from error


def _request(call: Call) -> BuildRequest:
    security_options = tuple(parameters.json(call, "securityopt", list[str]) or ())
    security.parse(list(security_options))
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
        ulimits=tuple(parameters.json(call, "ulimits", list[Ulimit]) or ()),
        cgroup_parent=call.text("cgroupparent"),
        security_options=security_options,
    )
    platforms = parameters.platforms(call)
    options = Options(
        target=call.text("target"),
        arguments=parameters.build_arguments(call),
        labels=parameters.json(call, "labels", dict[str, str]) or {},
        platform=platforms[0] if platforms else None,
        network=call.text("networkmode") or "default",
    )
    names = parameters.names(call)
    return BuildRequest(
        dockerfile=call.text("dockerfile") or "Dockerfile",
        options=options,
        names=names,
        no_cache=call.flag("nocache"),
        limits=limits,
        keep_times=call.flag("dockwright-keep-times"),
        outputs=[_output(one, names) for one in parameters.json(call, "outputs", list[OutputEntry]) or ()],
        platforms=platforms,
        cache_from=[_cache(name) for name in parameters.json(call, "cachefrom", list[str]) or ()],
        squash=call.flag("squash"),
    )


def _output(given: OutputEntry, names: tuple[str, ...]) -> Output:
    """Raises `Unsupported` for what would have to be sent to the client, which has no way to take it here."""
    if given.type in _SENT:
        raise Unsupported(
            f"outputs: type={given.type} is sent to the client, which takes it by BuildKit's protocol alone"
        )
    return outputs.parse({"type": given.type, **(given.attrs or {})}, names=names)


def _cache(text: str) -> CacheFrom:
    """A name, as the classic builder takes it, or `type=registry,ref=NAME`."""
    if "=" not in text:
        return remote_cache.classic(text)
    return remote_cache.parse_from(dict(field.partition("=")[::2] for field in text.split(",")))


@ROUTER.add("POST", "/build/cancel")
async def cancel(call: Call) -> web.StreamResponse:
    """End the build that was asked for with this `buildid`; one that is not there has ended already."""
    build_id = call.text("id")
    if not build_id:
        raise Invalid("build ID not provided")
    call.daemon.buildkit.cancel(build_id)
    return call.empty(200)


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
