"""The service `LLBBridge`: what a client's build function asks while its build goes on.

buildx runs every build so: `Control.Solve` waits, and the function, in the client, calls `Solve` here and returns what it got.
Which build a call is about is in its metadata.
"""

from __future__ import annotations

from grpclib.const import Status
from grpclib.exceptions import GRPCError
from grpclib.server import Stream
from multidict import MultiDict

from dockwright.api.buildkit import capabilities, failures
from dockwright.api.buildkit.solves import Buildkit, Job, Ref, Returned
from dockwright.buildkit.errors import Detail, answering
from dockwright.buildkit.proto import gateway_pb2 as wire
from dockwright.buildkit.proto.gateway_grpc import LLBBridgeBase
from dockwright.buildkit.proto.llb_pb2 import Definition, Input, Op, OpMetadata, SourceOp
from dockwright.errors import Invalid, NotFound, Unsupported
from dockwright.oci import digest as digests

Metadata = MultiDict[str | bytes] | None
_RESULT = "dockwright-result://"
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
        request = await stream.recv_message()
        assert request is not None
        if getattr(request.Definition, "def"):
            raise Unsupported(
                "definitions in BuildKit's low-level language are not supported: this engine builds Dockerfiles"
            )
        inputs = {name: _result_id(one) for name, one in request.FrontendInputs.items()}
        returned = await self._buildkit.solve(job, request.Frontend, dict(request.FrontendOpt), inputs)
        result = wire.Result(metadata=returned.metadata)
        for ref in returned.refs:
            if request.Evaluate:
                await self._buildkit.evaluate(job, ref)
            result.ref.id = ref.id
            getattr(result.ref, "def").CopyFrom(_definition(ref))
        await stream.send_message(wire.SolveResponse(result=result))

    @answering
    async def Evaluate(self, stream: Stream[wire.EvaluateRequest, wire.EvaluateResponse]) -> None:
        job = await self._job(stream.metadata)
        request = await stream.recv_message()
        assert request is not None
        await self._buildkit.evaluate(job, _ref(job, request.Ref))
        await stream.send_message(wire.EvaluateResponse())

    @answering
    async def Return(self, stream: Stream[wire.ReturnRequest, wire.ReturnResponse]) -> None:
        job = await self._job(stream.metadata)
        request = await stream.recv_message()
        assert request is not None
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
        await self._job(stream.metadata)
        await stream.recv_message()
        await stream.send_message(wire.InputsResponse())

    @answering
    async def Warn(self, stream: Stream[wire.WarnRequest, wire.WarnResponse]) -> None:
        await self._job(stream.metadata)
        await stream.recv_message()
        await stream.send_message(wire.WarnResponse())

    async def ReadFile(self, stream: Stream[wire.ReadFileRequest, wire.ReadFileResponse]) -> None:
        raise _unanswered("ReadFile")

    async def ReadDir(self, stream: Stream[wire.ReadDirRequest, wire.ReadDirResponse]) -> None:
        raise _unanswered("ReadDir")

    async def StatFile(self, stream: Stream[wire.StatFileRequest, wire.StatFileResponse]) -> None:
        raise _unanswered("StatFile")

    async def ResolveImageConfig(
        self, stream: Stream[wire.ResolveImageConfigRequest, wire.ResolveImageConfigResponse]
    ) -> None:
        raise _unanswered("ResolveImageConfig")

    async def ResolveSourceMeta(
        self, stream: Stream[wire.ResolveSourceMetaRequest, wire.ResolveSourceMetaResponse]
    ) -> None:
        raise _unanswered("ResolveSourceMeta")


def _unanswered(call: str) -> GRPCError:
    return GRPCError(
        Status.UNIMPLEMENTED, f"{call} is not supported: build functions of this engine's clients do not need it"
    )


def _definition(ref: Ref) -> Definition:
    """The result as others may pass it on: one source, which only we understand."""
    op = Op(source=SourceOp(identifier=_RESULT + ref.id)).SerializeToString(deterministic=True)
    # As every definition, it ends with an operation that names what it is about.
    last = Op(inputs=[Input(digest=digests.of(op))]).SerializeToString(deterministic=True)
    definition = Definition(metadata={str(digests.of(one)): OpMetadata() for one in (op, last)})
    getattr(definition, "def").extend((op, last))
    return definition


def _result_id(definition: Definition) -> str:
    """The id of the result that `definition` is. Raises `Unsupported` for any other."""
    for data in getattr(definition, "def"):
        identifier = Op.FromString(data).source.identifier
        if identifier.startswith(_RESULT):
            return identifier.removeprefix(_RESULT)
    raise Unsupported("an input that is no result of another build of this engine")


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
