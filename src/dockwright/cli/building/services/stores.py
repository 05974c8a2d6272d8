"""`Content`, containerd's: image layouts of ours, that the engine reads images and caches from and writes caches to."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from grpclib.const import Status
from grpclib.exceptions import GRPCError
from grpclib.server import Stream

from dockwright import workers
from dockwright.buildkit.calls import asked
from dockwright.buildkit.proto.content_grpc import ContentBase
from dockwright.buildkit.proto.content_pb2 import (
    COMMIT,
    WRITE,
    Info,
    InfoRequest,
    InfoResponse,
    ReadContentRequest,
    ReadContentResponse,
    WriteContentRequest,
    WriteContentResponse,
)
from dockwright.cli.building.layouts import Layout
from dockwright.cli.building.services.answers import answers
from dockwright.cli.building.services.headers import headers
from dockwright.errors import HostFailure

_STORE = "buildkit-attachable-store-id"
_PIECE = 1 << 20


class Stores(ContentBase):
    """`layouts` by the name of their store. Those of `writable` may be written to."""

    def __init__(self, layouts: Mapping[str, Layout], writable: frozenset[str]) -> None:
        self._layouts, self._writable = layouts, writable

    @answers
    async def Info(self, stream: Stream[InfoRequest, InfoResponse]) -> None:
        """Whether there is a blob, and how long it is."""
        layout = self._layout(headers(stream).get(_STORE, ""))
        request = await asked(stream)
        size = await _stored(layout, request.digest)
        await stream.send_message(InfoResponse(info=Info(digest=request.digest, size=size)))

    @answers
    async def Read(self, stream: Stream[ReadContentRequest, ReadContentResponse]) -> None:
        """A blob, or a part of it."""
        layout = self._layout(headers(stream).get(_STORE, ""))
        request = await asked(stream)
        size = await _stored(layout, request.digest)
        offset, end = request.offset, request.offset + request.size if request.size else size
        file = await workers.quick(open, layout.blob(request.digest), "rb")
        try:
            while offset < end:
                data = await workers.bulk(os.pread, file.fileno(), min(_PIECE, end - offset), offset)
                if not data:
                    break
                await stream.send_message(ReadContentResponse(offset=offset, data=data))
                offset += len(data)
        finally:
            await workers.quick(file.close)

    @answers
    async def Write(self, stream: Stream[WriteContentRequest, WriteContentResponse]) -> None:
        """A blob, piece by piece; it is there once it is complete, and is what its digest says."""
        name = headers(stream).get(_STORE, "")
        layout = self._layout(name)
        if name not in self._writable:
            raise GRPCError(Status.PERMISSION_DENIED, f"the store {name} is only read")
        writing = await workers.quick(_Writing, layout)
        try:
            async for request in stream:
                if request.action == WRITE or request.data:
                    await workers.bulk(writing.write, request.offset, request.data)
                if request.action == COMMIT:
                    await workers.bulk(writing.commit, request.expected, request.total)
                answer = WriteContentResponse(action=request.action, offset=writing.size, total=request.total)
                if request.action == COMMIT:
                    answer.digest = writing.digest
                await stream.send_message(answer)
        finally:
            await workers.quick(writing.close)

    def _layout(self, name: str) -> Layout:
        found = self._layouts.get(name)
        if found is None:
            raise GRPCError(Status.NOT_FOUND, f"unknown store {name}")
        return found


async def _stored(layout: Layout, digest: str) -> int:
    """How long a blob is. Raises `GRPCError` where there is none."""
    size = await workers.quick(_size, layout.blob(digest))
    if size is None:
        raise GRPCError(Status.NOT_FOUND, f"content {digest}: not found")
    return size


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


class _Writing:
    """A blob on its way in. Blocking."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        layout.incoming.mkdir(parents=True, exist_ok=True)
        self._path = layout.incoming / secrets.token_hex(16)
        self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        self._hash = hashlib.sha256()
        self.size = 0

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"

    def write(self, offset: int, data: bytes) -> None:
        """The next piece."""
        if offset not in (0, self.size) or (offset == 0 and self.size):
            raise HostFailure(f"a piece for offset {offset} comes when {self.size} bytes are there")
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]
        self._hash.update(data)
        self.size += len(data)

    def commit(self, expected: str, total: int) -> None:
        """All has come: put it in its place."""
        if (total and total != self.size) or (expected and expected != self.digest):
            raise HostFailure(
                f"{self.size} bytes of {self.digest} have come where {total} of {expected} were announced"
            )
        os.fsync(self._fd)
        place = self._layout.blob(self.digest)
        place.parent.mkdir(parents=True, exist_ok=True)
        self._path.replace(place)

    def close(self) -> None:
        """Leave nothing of what did not come to its end."""
        os.close(self._fd)
        self._path.unlink(missing_ok=True)
        try:
            self._layout.incoming.rmdir()
        except OSError:
            pass  # others are on their way
