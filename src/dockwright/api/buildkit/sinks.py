"""Where a build's client wants results: a tar or a tree of files, sent over its session."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from grpclib.client import Stream, StreamStreamMethod
from grpclib.exceptions import GRPCError, StreamTerminatedError
from multidict import MultiDict

from dockwright.api.buildkit.sessions import Sessions
from dockwright.buildkit.filesync import Filter, send
from dockwright.buildkit.proto.filesync_pb2 import BytesMessage
from dockwright.buildkit.proto.fsutil_pb2 import Packet
from dockwright.errors import Unavailable

M = TypeVar("M", BytesMessage, Packet)

_METHOD = "/moby.filesync.v1.FileSend/DiffCopy"
_CHUNK = 1024 * 1024


@dataclass(frozen=True)
class SessionSink:
    """The place that the client has for its `number`th output."""

    sessions: Sessions
    session_id: str
    number: int

    def _metadata(self) -> MultiDict[str]:
        return MultiDict({"buildkit-attachable-exporter-id": str(self.number), "buildkit-exporter-multi-platform": "1"})

    async def tar(self, chunks: AsyncIterator[bytes]) -> None:
        """As `Sink.tar`."""
        async with self._opened(BytesMessage) as stream:
            async for chunk in chunks:
                for start in range(0, len(chunk), _CHUNK):
                    await stream.send_message(BytesMessage(data=chunk[start : start + _CHUNK]))

    async def tree(self, root: Path) -> None:
        """As `Sink.tree`."""
        async with self._opened(Packet) as stream:
            await send(stream, root, Filter())

    @asynccontextmanager
    async def _opened(self, kind: type[M]) -> AsyncIterator[Stream[M, M]]:
        """A call that takes messages of one kind; what was sent has arrived at the end of the context.

        Raises `Unavailable` when the client does not take it, or has gone.
        """
        session = await self.sessions.find(self.session_id)
        method: StreamStreamMethod[M, M] = StreamStreamMethod(session.caller, _METHOD, kind, kind)
        try:
            async with method.open(metadata=self._metadata()) as stream:
                await stream.send_request()
                yield stream
                await stream.end()
                while await stream.recv_message() is not None:
                    pass
        except GRPCError as error:
            raise Unavailable(f"the client does not take the build's output: {error.message}") from error
        except (ConnectionError, StreamTerminatedError) as error:
            raise Unavailable("the client has gone before it had the build's output") from error
