"""A client of BuildKit's protocol of our own: for what no client at hand says."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from dockwright.buildkit.connection import Caller
from dockwright.buildkit.proto import control_pb2 as control
from dockwright.buildkit.proto import gateway_pb2 as gateway
from dockwright.buildkit.proto import llb_pb2 as llb
from dockwright.buildkit.proto.control_grpc import ControlStub
from dockwright.buildkit.proto.gateway_grpc import LLBBridgeStub
from dockwright.oci import digest as digests

_HEAD = b"POST /grpc HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"


class _Head(asyncio.Protocol):
    """Reads the answer to the upgrade."""

    def __init__(self) -> None:
        self.read = bytearray()
        self.whole = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(_HEAD)

    def data_received(self, data: bytes) -> None:
        self.read += data
        if b"\r\n\r\n" in self.read and not self.whole.done():
            self.transport.pause_reading()
            self.whole.set_result(None)


@asynccontextmanager
async def connected(socket: str) -> AsyncIterator[Caller]:
    """A connection to `/grpc`."""
    _, head = await asyncio.get_running_loop().create_unix_connection(_Head, socket)
    await head.whole
    first, _, early = bytes(head.read).partition(b"\r\n\r\n")
    assert b" 101 " in first, first
    caller = Caller(head.transport, early=early)
    try:
        yield caller
    finally:
        caller.close()
        await caller.lost.wait()


@dataclass
class Program:
    """A definition as it grows."""

    parts: list[bytes] = field(default_factory=list)
    metadata: dict[str, llb.OpMetadata] = field(default_factory=dict)

    def add(self, op: llb.Op, *inputs: tuple[str, int], name: str = "", fresh: bool = False) -> str:
        """One more operation; its digest."""
        op.inputs.extend(llb.Input(digest=digest, index=index) for digest, index in inputs)
        data = op.SerializeToString(deterministic=True)
        self.parts.append(data)
        description = {"llb.customname": name} if name else {}
        self.metadata[digests.of(data)] = llb.OpMetadata(ignore_cache=fresh, description=description)
        return digests.of(data)

    def source(self, identifier: str, **attributes: str) -> str:
        """A source; of attributes the first _ of a name stands for its dot."""
        given = {name.replace("_", ".", 1): value for name, value in attributes.items()}
        return self.add(llb.Op(source=llb.SourceOp(identifier=identifier, attrs=given)))

    def shell(self, base: str, script: str, *mounts: llb.Mount, inputs: Sequence[str] = (), **meta: object) -> str:
        """A command of the shell on a tree; `inputs` are those of mounts, from 1 on."""
        root = llb.Mount(input=0, dest="/", output=0)
        told = llb.Meta(args=["/bin/sh", "-c", script], cwd="/", **meta)  # type: ignore[arg-type]
        op = llb.Op(exec=llb.ExecOp(meta=told, mounts=[root, *mounts]))
        return self.add(op, (base, 0), *((one, 0) for one in inputs))

    def files(self, *actions: llb.FileAction, inputs: Sequence[str] = ()) -> str:
        """Actions one after another, of which the last one gives the result."""
        for number, one in enumerate(actions):
            one.output = 0 if number == len(actions) - 1 else -1
        return self.add(llb.Op(file=llb.FileOp(actions=actions)), *((one, 0) for one in inputs))

    def about(self, digest: str, index: int = 0) -> llb.Definition:
        """The whole of it, about one result."""
        last = llb.Op(inputs=[llb.Input(digest=digest, index=index)]).SerializeToString(deterministic=True)
        definition = llb.Definition(metadata=self.metadata)
        getattr(definition, "def").extend([*self.parts, last])
        return definition


@dataclass
class Build:
    """A build whose function runs here."""

    caller: Caller
    ref: str

    @property
    def _metadata(self) -> dict[str, str]:
        return {"buildkit-controlapi-buildid": self.ref}

    @property
    def bridge(self) -> LLBBridgeStub:
        """What it asks; every call needs `metadata`."""
        return LLBBridgeStub(self.caller)

    @property
    def metadata(self) -> dict[str, str]:
        """Says which build a call is about."""
        return {"buildkit-controlapi-buildid": self.ref}

    async def solve(self, definition: llb.Definition) -> str:
        """The id of what a definition is about."""
        answer = await self.bridge.Solve(
            gateway.SolveRequest(Definition=definition, Evaluate=True), metadata=self.metadata
        )
        return answer.result.ref.id

    async def read(self, ref: str, path: str) -> bytes:
        """A file of a result."""
        return (
            await self.bridge.ReadFile(gateway.ReadFileRequest(Ref=ref, FilePath=path), metadata=self.metadata)
        ).Data


@asynccontextmanager
async def building(
    caller: Caller, exporters: Sequence[control.Exporter] = (), result: gateway.Result | None = None
) -> AsyncIterator[Build]:
    """A build with a function of ours, which returns `result`, to be filled meanwhile."""
    ref = secrets.token_hex(12)
    async with asyncio.TaskGroup() as group:
        request = control.SolveRequest(Ref=ref, Exporters=exporters)
        solving = group.create_task(ControlStub(caller).Solve(request))
        build = Build(caller, ref)
        try:
            yield build
            returned = gateway.ReturnRequest(result=result or gateway.Result())
            await build.bridge.Return(returned, metadata=build.metadata)
            await solving
        finally:
            solving.cancel()
