"""The service `LLBBridge`: what a client's build function asks while its build goes on.

buildx runs every build so: `Control.Solve` waits, and the function, in the client, calls `Solve` here and returns what it got.
Which build a call is about is in its metadata.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path

import msgspec
from grpclib.server import Stream
from multidict import MultiDict

from dockwright import workers
from dockwright.api.buildkit import capabilities, failures, reading
from dockwright.api.buildkit.solves import Buildkit, Job, Ref, Returned, definition_of
from dockwright.buildkit.calls import asked
from dockwright.buildkit.errors import Detail, answering
from dockwright.buildkit.proto import gateway_pb2 as wire
from dockwright.buildkit.proto.control_pb2 import StatusResponse, VertexWarning
from dockwright.buildkit.proto.gateway_grpc import LLBBridgeBase
from dockwright.errors import Invalid, NotFound, Unsupported

Metadata = MultiDict[str | bytes] | None
_IMAGE = "docker-image://"
_IMPORTS = "cache-imports"
_POLICIES = "source policies are not supported: what a build reads is what it names"
_BUILD_ID = "buildkit-controlapi-buildid"


class Bridge(LLBBridgeBase):
    """One connection's."""

    def __init__(self, buildkit: Buildkit) -> None:
        self._buildkit = buildkit

    async def _job(self, metadata: Metadata) -> Job:
        build_id = (metadata or MultiDict()).get(_BUILD_ID)
        if not isinstance(build_id, str) or not build_id:
            raise Invalid("the call does not say which build it is about")
        return await self._buildkit.find(build_id)

    @answering
    async def Ping(self, stream: Stream[wire.PingRequest, wire.PongResponse]) -> None:
        await self._job(stream.metadata)
        await stream.recv_message()
        pong = wire.PongResponse(
            FrontendAPICaps=capabilities.caps(capabilities.FRONTEND),
            LLBCaps=capabilities.caps(capabilities.REQUESTS),
            Workers=[await capabilities.worker(self._buildkit.engine)],
        )
        await stream.send_message(pong)

    @answering
    async def Solve(self, stream: Stream[wire.SolveRequest, wire.SolveResponse]) -> None:
        job = await self._job(stream.metadata)
        request = await asked(stream)
        _check(request)
        if getattr(request.Definition, "def"):
            returned = Returned([await self._buildkit.define(job, request.Definition)], {})
        else:
            given = _given(request)
            returned = await self._buildkit.solve(job, request.Frontend, given, dict(request.FrontendInputs))
        result = wire.Result(metadata=returned.metadata)
        for ref in returned.refs:
            if request.Evaluate:
                await self._buildkit.evaluate(job, ref)
            result.ref.id = ref.id
            getattr(result.ref, "def").CopyFrom(definition_of(ref))
        await stream.send_message(wire.SolveResponse(result=result))

    @answering
    async def Evaluate(self, stream: Stream[wire.EvaluateRequest, wire.EvaluateResponse]) -> None:
        job = await self._job(stream.metadata)
        request = await asked(stream)
        await self._buildkit.evaluate(job, _ref(job, request.Ref))
        await stream.send_message(wire.EvaluateResponse())

    @answering
    async def Return(self, stream: Stream[wire.ReturnRequest, wire.ReturnResponse]) -> None:
        job = await self._job(stream.metadata)
        request = await asked(stream)
        if not job.returned.done():
            if request.HasField("error"):
                details = [Detail(one.type_url, one.value) for one in request.error.details]
                error = failures.relayed(request.error.code, request.error.message, details)
                job.returned.set_exception(error)
            else:
                job.returned.set_result(_returned(job, request.result))
        await stream.send_message(wire.ReturnResponse())

    @answering
    async def Inputs(self, stream: Stream[wire.InputsRequest, wire.InputsResponse]) -> None:
        job = await self._job(stream.metadata)
        await stream.recv_message()
        await stream.send_message(wire.InputsResponse(Definitions=job.inputs))

    @answering
    async def Warn(self, stream: Stream[wire.WarnRequest, wire.WarnResponse]) -> None:
        job = await self._job(stream.metadata)
        request = await asked(stream)
        warning = VertexWarning(
            vertex=request.digest,
            level=request.level,
            short=request.short,
            detail=request.detail,
            url=request.url,
            info=request.info if request.HasField("info") else None,
            ranges=request.ranges,
        )
        job.board.put(StatusResponse(warnings=[warning]))
        await stream.send_message(wire.WarnResponse())

    @answering
    async def ReadFile(self, stream: Stream[wire.ReadFileRequest, wire.ReadFileResponse]) -> None:
        job = await self._job(stream.metadata)
        request = await asked(stream)
        part = request.Range
        async with self._shown(job, request.Ref, request.MountIndex) as root:
            data = await workers.bulk(reading.read_file, root, request.FilePath, part.Offset, part.Length)
        await stream.send_message(wire.ReadFileResponse(Data=data))

    @answering
    async def ReadDir(self, stream: Stream[wire.ReadDirRequest, wire.ReadDirResponse]) -> None:
        job = await self._job(stream.metadata)
        request = await asked(stream)
        async with self._shown(job, request.Ref, request.MountIndex) as root:
            found = await workers.bulk(reading.read_directory, root, request.DirPath, request.IncludePattern)
        await stream.send_message(wire.ReadDirResponse(entries=found))

    @answering
    async def StatFile(self, stream: Stream[wire.StatFileRequest, wire.StatFileResponse]) -> None:
        job = await self._job(stream.metadata)
        request = await asked(stream)
        async with self._shown(job, request.Ref, request.MountIndex) as root:
            found = await workers.quick(reading.stat_file, root, request.Path)
        await stream.send_message(wire.StatFileResponse(stat=found))

    def _shown(self, job: Job, ref_id: str, mount: int) -> AbstractAsyncContextManager[Path]:
        """Where the files of a result lie. Raises `NotFound`, `Unsupported` for the mounts of one."""
        if mount:
            raise Unsupported("MountIndex: of a command only its tree can be looked into")
        return self._buildkit.shown(job, _ref(job, ref_id))

    @answering
    async def ResolveImageConfig(
        self, stream: Stream[wire.ResolveImageConfigRequest, wire.ResolveImageConfigResponse]
    ) -> None:
        job = await self._job(stream.metadata)
        request = await asked(stream)
        if request.SourcePolicies:
            raise Unsupported(_POLICIES)
        digest, config = await self._buildkit.image_config(job, request.Ref, request.Platform, request.ResolveMode)
        answer = wire.ResolveImageConfigResponse(Digest=digest, Config=config, Ref=request.Ref)
        await stream.send_message(answer)

    @answering
    async def ResolveSourceMeta(
        self, stream: Stream[wire.ResolveSourceMetaRequest, wire.ResolveSourceMetaResponse]
    ) -> None:
        job = await self._job(stream.metadata)
        request = await asked(stream)
        if request.SourcePolicies:
            raise Unsupported(_POLICIES)
        answer = wire.ResolveSourceMetaResponse(Source=request.Source)
        name = request.Source.identifier
        if name.startswith(_IMAGE):
            mode = request.ResolveMode or request.Source.attrs.get("image.resolvemode", "")
            image = name.removeprefix(_IMAGE)
            digest, config = await self._buildkit.image_config(job, image, request.Platform, mode)
            answer.Image.Digest = digest
            if not request.Image.NoConfig:
                answer.Image.Config = config
        await stream.send_message(answer)


def _check(request: wire.SolveRequest) -> None:
    """Raises `Unsupported` for what would change what is built, and is not done."""
    if any(one.rules for one in request.SourcePolicies):
        raise Unsupported(_POLICIES)
    if getattr(request.Definition, "def") and request.Frontend:
        raise Invalid("a frontend and a definition are asked for: it is one of them")


def _given(request: wire.SolveRequest) -> dict[str, str]:
    """Frontend attributes, with the caches to read that stand beside them."""
    given = dict(request.FrontendOpt)
    imports = [{"Type": one.Type, "Attrs": dict(one.Attrs)} for one in request.CacheImports]
    if imports and _IMPORTS not in given:
        given[_IMPORTS] = msgspec.json.encode(imports).decode()
    return given


def _ref(job: Job, ref_id: str) -> Ref:
    found = job.refs.get(ref_id)
    if found is None:
        raise NotFound(f"no such ref: {ref_id}")
    return found


def _returned(job: Job, result: wire.Result) -> Returned:
    match result.WhichOneof("result"):
        case "ref":
            ids = [result.ref.id]
        case "refs":
            ids = [ref.id for ref in result.refs.refs.values()]
        case "refDeprecated":
            ids = [result.refDeprecated]
        case "refsDeprecated":
            ids = list(result.refsDeprecated.refs.values())
        case _:
            ids = []
    return Returned([_ref(job, ref_id) for ref_id in ids if ref_id], dict(result.metadata))
