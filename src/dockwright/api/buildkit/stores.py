"""Stores of content of a build's client: OCI layouts on its side, for build caches (`type=local`) and for contexts.

containerd's content service, over the session. A store's name tells which layout is meant.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field

from grpclib.const import Status
from grpclib.exceptions import GRPCError, StreamTerminatedError

from dockwright.api.buildkit.sessions import Session, Sessions
from dockwright.build.blobs import OpenBlob
from dockwright.buildkit.proto.content_grpc import ContentStub
from dockwright.buildkit.proto.content_pb2 import (
    COMMIT,
    STAT,
    WRITE,
    InfoRequest,
    ReadContentRequest,
    WriteAction,
    WriteContentRequest,
)
from dockwright.errors import Corrupt, NotFound, Unavailable
from dockwright.oci import Descriptor, Digest, mediatypes
from dockwright.oci import digest as digests

_METHOD = "/containerd.services.content.v1.Content/Read"
# How clients call the layout that an image is exported to as a directory.
LAYOUT = "export"
_STORE = "buildkit-attachable-store-id"
_DOCUMENT_BYTES = 8 * 1024 * 1024
_CHUNK = 1024 * 1024


@dataclass
class ClientStore:
    """The store `name` of a session's client, a place of caches: `Reader` of the one that `digest` is, and `Writer`."""

    sessions: Sessions
    session_id: str
    name: str
    digest: str = ""
    # What was written last.
    finished: Descriptor | None = field(default=None, init=False)

    async def manifest(self) -> tuple[Descriptor, bytes]:
        """As `Reader.manifest`."""
        content = await self._whole(self.digest)
        return Descriptor(_media_type(content), Digest(self.digest), len(content)), content

    async def document(self, descriptor: Descriptor) -> bytes:
        """As `Reader.document`."""
        return await self._whole(descriptor.digest)

    async def blob(self, descriptor: Descriptor) -> AsyncGenerator[bytes, None]:
        """As `Reader.blob`."""
        async with aclosing(self._read(descriptor.digest)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def put(self, descriptor: Descriptor, open_blob: OpenBlob) -> None:
        """As `Writer.put`."""
        session = await self._session()
        async with self._answered():
            if await self._has(session, descriptor.digest):
                return
            await self._write(session, descriptor, open_blob)

    async def finish(self, descriptor: Descriptor, content: bytes) -> None:
        """As `Writer.finish`. The client itself notes the name, from what the build answers."""

        async def whole(offset: int) -> AsyncGenerator[bytes, None]:
            yield content[offset:]

        await self.put(descriptor, whole)
        self.finished = descriptor

    async def _session(self) -> Session:
        session = await self.sessions.find(self.session_id)
        if not session.answers(_METHOD):
            raise Unavailable(f"the client offers no store of content, and so not {self.name}")
        return session

    @asynccontextmanager
    async def _answered(self) -> AsyncIterator[None]:
        try:
            yield
        except GRPCError as error:
            if error.status == Status.NOT_FOUND:
                raise NotFound(f"{self.name}, at the client: {error.message}") from error
            raise Unavailable(f"{self.name}, at the client: {error.message}") from error
        except (ConnectionError, StreamTerminatedError) as error:
            raise Unavailable(f"the client has gone, and with it {self.name}") from error

    async def _whole(self, digest: str) -> bytes:
        found = bytearray()
        async with aclosing(self._read(digest)) as chunks:
            async for chunk in chunks:
                found += chunk
                if len(found) > _DOCUMENT_BYTES:
                    raise Corrupt(f"{digest} in {self.name} is longer than {_DOCUMENT_BYTES} bytes")
        if digests.of(bytes(found)) != digest:
            raise Corrupt(f"{digest} in {self.name} has another content")
        return bytes(found)

    async def _read(self, digest: str) -> AsyncGenerator[bytes, None]:
        session = await self._session()
        async with (
            self._answered(),
            ContentStub(session.caller).Read.open(metadata={_STORE: self.name}) as stream,
        ):
            await stream.send_message(ReadContentRequest(digest=digest), end=True)
            while (answer := await stream.recv_message()) is not None:
                yield answer.data

    async def _has(self, session: Session, digest: str) -> bool:
        try:
            await ContentStub(session.caller).Info(InfoRequest(digest=digest), metadata={_STORE: self.name})
        except GRPCError as error:
            if error.status == Status.NOT_FOUND:
                return False
            raise
        return True

    async def _write(self, session: Session, descriptor: Descriptor, open_blob: OpenBlob) -> None:
        ref = f"dockwright-{secrets.token_hex(8)}"

        def asked(action: WriteAction.ValueType, offset: int = 0, data: bytes = b"") -> WriteContentRequest:
            expected = str(descriptor.digest)
            return WriteContentRequest(
                action=action, ref=ref, total=descriptor.size, expected=expected, offset=offset, data=data
            )

        async with ContentStub(session.caller).Write.open(metadata={_STORE: self.name}) as stream:
            await stream.send_message(asked(STAT))
            await stream.recv_message()
            offset = 0
            async with aclosing(open_blob(0)) as chunks:
                async for chunk in chunks:
                    for start in range(0, len(chunk), _CHUNK):
                        piece = chunk[start : start + _CHUNK]
                        await stream.send_message(asked(WRITE, offset, piece))
                        await stream.recv_message()
                        offset += len(piece)
            await stream.send_message(asked(COMMIT, offset), end=True)
            while await stream.recv_message() is not None:
                pass


def _media_type(content: bytes) -> str:
    return mediatypes.OCI_INDEX if b'"manifests"' in content else mediatypes.OCI_MANIFEST
