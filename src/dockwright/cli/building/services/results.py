"""`FileSend`: where results are put. A tar comes as bytes into a file, a tree as packets into a directory."""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError
from grpclib.server import Stream

from dockwright import workers
from dockwright.buildkit.filesync import receive
from dockwright.buildkit.proto.filesync_grpc import FileSendBase
from dockwright.buildkit.proto.filesync_pb2 import BytesMessage
from dockwright.buildkit.proto.fsutil_pb2 import Packet
from dockwright.cli.building.merging import empty, merge
from dockwright.cli.building.outputs import STDOUT, Output
from dockwright.cli.building.services.answers import answers
from dockwright.cli.building.services.headers import headers
from dockwright.errors import HostFailure

_ID = "buildkit-attachable-exporter-id"
_METHOD = "/moby.filesync.v1.FileSend/DiffCopy"


class Raw:
    """A message as its bytes: of which type it is depends on the output that the call is about."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = data

    @classmethod
    def FromString(cls, data: bytes) -> Raw:
        return cls(data)

    def SerializeToString(self) -> bytes:
        return self.data


class Results(FileSendBase):
    """`outputs` in the order of the request: the engine names them by their number."""

    def __init__(self, outputs: Mapping[int, Output]) -> None:
        self._outputs = outputs

    def __mapping__(self) -> dict[str, Handler]:
        return {_METHOD: Handler(self.DiffCopy, Cardinality.STREAM_STREAM, Raw, Raw)}

    @answers
    async def DiffCopy(self, stream: Stream[Any, Any]) -> None:
        """One result."""
        number = headers(stream).get(_ID, "0")
        output = self._outputs.get(int(number)) if number.isdigit() else None
        if output is None:
            raise GRPCError(Status.NOT_FOUND, f"exporter {number} not found")
        if output.kind == "local":
            await _tree(_Packets(stream), output.directory, replace=output.attributes.get("mode") == "delete")
        elif output.directory:
            await _layout(stream, output.directory)
        else:
            await _tar(stream, output.file)


class _Packets:
    """The call as one of packets."""

    def __init__(self, stream: Stream[Any, Any]) -> None:
        self._stream = stream

    async def send_message(self, message: Packet, /) -> None:
        await self._stream.send_message(Raw(message.SerializeToString()))

    async def recv_message(self) -> Packet | None:
        raw = await self._stream.recv_message()
        return None if raw is None else Packet.FromString(raw.data)


async def _tar(stream: Stream[Any, Any], path: str) -> None:
    """Into `path`, which is there only when it is complete; or as it comes to standard output."""
    if path == STDOUT:
        await _copy(stream, 1)
        return
    parent = await workers.quick(_parent, path)
    fd, temporary = tempfile.mkstemp(prefix=".dockwright-", dir=parent)
    try:
        await _copy(stream, fd)
        mask = os.umask(0)
        os.umask(mask)
        os.fchmod(fd, 0o666 & ~mask)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    finally:
        os.close(fd)


def _parent(path: str) -> str:
    """The directory that `path` is in, which is made where it is missing: what is moved into place begins there."""
    found = os.path.dirname(os.path.abspath(path))
    os.makedirs(found, exist_ok=True)
    return found


async def _copy(stream: Stream[Any, Any], fd: int) -> None:
    while (raw := await stream.recv_message()) is not None:
        await workers.quick(_write, fd, BytesMessage.FromString(raw.data).data)


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(fd, view) :]
    except OSError as error:
        raise HostFailure(f"cannot write the result: {error.strerror}") from error


async def _tree(stream: _Packets, directory: str, *, replace: bool) -> None:
    """Over what `directory` has, or in its stead: received beside it, then moved in."""
    parent = await workers.quick(_parent, directory)
    temporary = Path(tempfile.mkdtemp(prefix=".dockwright-", dir=parent))
    try:
        await receive(stream, temporary, owner=(os.getuid(), os.getgid()))
        if replace:
            await workers.bulk(empty, Path(directory))
        await workers.bulk(merge, temporary / "fs", Path(directory))
    finally:
        await workers.bulk(shutil.rmtree, temporary, ignore_errors=True)


async def _layout(stream: Stream[Any, Any], directory: str) -> None:
    """An image layout, sent as a tar, as the directory that it is."""
    parent = await workers.quick(_parent, directory)
    temporary = Path(tempfile.mkdtemp(prefix=".dockwright-", dir=parent))
    try:
        with tempfile.TemporaryFile(dir=temporary) as file:
            await _copy(stream, file.fileno())
            file.seek(0)
            await workers.bulk(_unpack, file, temporary / "fs")
        await workers.bulk(merge, temporary / "fs", Path(directory))
    finally:
        await workers.bulk(shutil.rmtree, temporary, ignore_errors=True)


def _unpack(file: Any, into: Path) -> None:
    into.mkdir()
    try:
        with tarfile.open(fileobj=file) as archive:
            archive.extractall(into, filter="data")
    except (tarfile.TarError, OSError) as error:
        raise HostFailure(f"the image that was sent cannot be unpacked: {error}") from error
