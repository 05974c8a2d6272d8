"""What a `SolveRequest` asks for, done: outputs and caches are made of what it says, then a frontend is asked, or the client's
build function awaited."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from dockwright.api.buildkit import failures
from dockwright.api.buildkit.sinks import SessionSink
from dockwright.api.buildkit.solves import Buildkit, Job, Returned
from dockwright.api.buildkit.stores import LAYOUT, ClientStore
from dockwright.build.outputs import Output, parse
from dockwright.build.remote_cache import CacheTo, parse_to
from dockwright.buildkit.proto import control_pb2 as wire
from dockwright.errors import DockwrightError, Invalid, Unsupported

# Outputs that the client has a place for.
_MAPPED = ("local", "tar", "oci", "docker")
_IMPORTS = "cache-imports"
# What a build function says of the image that it defines.
_CONFIG = "containerimage.config"


async def answered(buildkit: Buildkit, request: wire.SolveRequest) -> dict[str, str]:
    """Do it, and record it; what the client is told of the results. Raises the status of a call that fails."""
    async with (
        buildkit.solving(request.Ref, request.Session) as job,
        buildkit.records.recording(request, job.board) as job.recording,
    ):
        job.recording.response = await _solved(buildkit, job, request)
        return dict(job.recording.response)


async def _solved(buildkit: Buildkit, job: Job, request: wire.SolveRequest) -> dict[str, str]:
    try:
        _check(request)
        outputs = _outputs(buildkit, request)
        job.cache_to, stores = _caches(buildkit, request)
    except DockwrightError as error:
        raise failures.of(error) from error
    job.entitlements = frozenset(request.Entitlements)
    job.inputs = dict(request.FrontendInputs)
    if getattr(request.Definition, "def"):
        if request.Frontend:
            raise failures.of(Invalid("a frontend and a definition are asked for: it is one of them"))
        returned = Returned([await buildkit.define(job, request.Definition)], {})
    elif request.Frontend:
        returned = await buildkit.solve(job, request.Frontend, _given(request), job.inputs)
    else:  # the client has a build function, which speaks with the bridge
        returned = await job.returned
    metadata = dict(returned.metadata)
    config = metadata.pop(_CONFIG, b"")
    response = {name: value.decode("utf-8", "replace") for name, value in metadata.items()}
    for ref in returned.refs:
        if not outputs:
            await buildkit.evaluate(job, ref)
            continue
        response |= (await buildkit.run(job, ref, outputs, config)).response
    for store in stores:
        if store.finished is not None:  # the client notes it in its directory
            response["cache.manifest"] = msgspec.json.encode(store.finished).decode()
    return response


def _check(request: wire.SolveRequest) -> None:
    """Raises `Unsupported` for what would change what is built, and is not done."""
    if request.SourcePolicy.rules or request.SourcePolicySession:
        raise Unsupported("source policies are not supported: what a build reads is what its Dockerfile says")
    if request.ProxyNetwork:
        raise Unsupported("a proxy for the network of build steps is not supported")


def _given(request: wire.SolveRequest) -> dict[str, str]:
    """Frontend attributes, with the caches to read that stand beside them."""
    given = dict(request.FrontendAttrs)
    imports = [{"Type": one.Type, "Attrs": dict(one.Attrs)} for one in request.Cache.Imports]
    imports += [{"Type": "registry", "Attrs": {"ref": name}} for name in request.Cache.ImportRefsDeprecated]
    if imports and _IMPORTS not in given:
        given[_IMPORTS] = msgspec.json.encode(imports).decode()
    return given


def _caches(buildkit: Buildkit, request: wire.SolveRequest) -> tuple[list[CacheTo], list[ClientStore]]:
    """Where caches are to be written, and which of the places are the client's."""
    stores: list[ClientStore] = []

    def place(target: str, tag: str) -> ClientStore:
        stores.append(ClientStore(buildkit.sessions, request.Session, f"local:{target}"))
        return stores[-1]

    exports = list(request.Cache.Exports)
    if name := request.Cache.ExportRefDeprecated:
        attributes = {**request.Cache.ExportAttrsDeprecated, "ref": name}
        exports.append(wire.CacheOptionsEntry(Type="registry", Attrs=attributes))
    return [parse_to({**one.Attrs, "type": one.Type}, place) for one in exports], stores


def _outputs(buildkit: Buildkit, request: wire.SolveRequest) -> list[Output]:
    exporters: Sequence[wire.Exporter] = request.Exporters
    if not exporters and request.ExporterDeprecated:
        exporters = [wire.Exporter(Type=request.ExporterDeprecated, Attrs=request.ExporterAttrsDeprecated)]
    sessions, session_id = buildkit.sessions, request.Session
    layout = ClientStore(sessions, session_id, LAYOUT)
    return [
        parse(
            {**_attributes(one), "type": one.Type},
            SessionSink(sessions, session_id, number) if one.Type in _MAPPED else None,
            layout=layout,
        )
        for number, one in enumerate(exporters)
    ]


def _attributes(exporter: wire.Exporter) -> dict[str, str]:
    """Without what says that the image is for this engine's store: all are."""
    return {name: value for name, value in exporter.Attrs.items() if (name, exporter.Type) != ("load", "moby")}
