"""Directories of blobs that a client has, spoken to over its session: where its local caches and its layouts are.

containerd's service `Content`, as far as clients of BuildKit answer it; the store is chosen by a header.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from grpclib.const import Status
from grpclib.exceptions import GRPCError, StreamTerminatedError
from multidict import MultiDict

from dockwright.api.buildkit.sessions import Sessions
from dockwright.build.blobs import OpenBlob
from dockwright.buildkit.proto.content_grpc import ContentStub
from dockwright.buildkit.proto.content_pb2 import (
    COMMIT,
    WRITE,
    InfoRequest,
    ReadContentRequest,
    ReadContentResponse,
    WriteContentRequest,
)
from dockwright.errors import Corrupt, Invalid, NotFound, Unavailable
from dockwright.oci import Descriptor, detect
from dockwright.oci import digest as digests

LAYOUT = "export"
_DOCUMENT_LIMIT = 8 * 1024 * 1024
_CHUNK = 1024 * 1024


@dataclass(frozen=True)
class SessionContents:
    """The store `store_id` of a session: `Reader` of the cache whose manifest is `digest`, and `Writer`.

    Which of its blobs is meant by a tag, the client writes down by itself once the build has told it.
    """

    sessions: Sessions
    session_id: str
    store_id: str
    digest: str = ""

    @property
    def name(self) -> str:
        """See `Reader.name`."""
        return self.store_id

    async def manifest(self) -> tuple[Descriptor, bytes]:
        """See `Reader.manifest`."""
        if not self.digest:
            raise Invalid(f"cache-from: {self.store_id} needs the digest of its manifest, which clients send")
        digest = digests.parse(self.digest)
        size = await self._size(digest)
        if size is None:
            raise NotFound(f"{self.store_id} has no {digest}")
        content = await self.document(Descriptor("", digest, size))
        return Descriptor(detect(content), digest, size), content

    async def document(self, descriptor: Descriptor) -> bytes:
        """See `Reader.document`."""
        if descriptor.size > _DOCUMENT_LIMIT:
            raise Corrupt(f"{descriptor.digest} is longer than {_DOCUMENT_LIMIT} bytes")
        async with aclosing(self.blob(descriptor)) as chunks:
            return digests.verify(descriptor.digest, b"".join([chunk async for chunk in chunks]))

    async def blob(self, descriptor: Descriptor) -> AsyncGenerator[bytes, None]:
        """See `Reader.blob`. Raises `Corrupt` for more than its descriptor says."""
        left = descriptor.size
        async with self._speaking() as stub, stub.Read.open(metadata=self._metadata()) as stream:
            await stream.send_message(ReadContentRequest(digest=descriptor.digest), end=True)
            while (answer := await stream.recv_message()) is not None:
                chunk = _data(answer)
                left -= len(chunk)
                if left < 0:
                    raise Corrupt(f"{self.store_id}: {descriptor.digest} is longer than {descriptor.size} bytes")
                yield chunk

    async def put(self, descriptor: Descriptor, open_blob: OpenBlob) -> None:
        """See `Writer.put`."""
        if await self._size(descriptor.digest) is not None:
            return
        # A name of its own: what another build began is not gone on with.
        ref = f"dockwright-{descriptor.digest}-{secrets.token_hex(8)}"
        offset = 0
        async with self._speaking() as stub, stub.Write.open(metadata=self._metadata()) as stream:

            async def ask(request: WriteContentRequest, *, end: bool = False) -> None:
                await stream.send_message(request, end=end)
                if await stream.recv_message() is None:
                    raise Unavailable(f"the client does not take {descriptor.digest}")

            async with aclosing(open_blob(0)) as chunks:
                async for whole in chunks:
                    for start in range(0, len(whole), _CHUNK):
                        chunk = whole[start : start + _CHUNK]
                        await ask(
                            WriteContentRequest(action=WRITE, ref=ref, total=descriptor.size, offset=offset, data=chunk)
                        )
                        offset += len(chunk)
            commit = WriteContentRequest(
                action=COMMIT, ref=ref, total=descriptor.size, offset=offset, expected=descriptor.digest
            )
            await ask(commit, end=True)

    async def finish(self, descriptor: Descriptor, content: bytes) -> None:
        """See `Writer.finish`."""

        async def opened(offset: int) -> AsyncGenerator[bytes, None]:
            yield content[offset:]

        await self.put(descriptor, opened)

    async def _size(self, digest: str) -> int | None:
        async with self._speaking() as stub:
            try:
                return (await stub.Info(InfoRequest(digest=digest), metadata=self._metadata())).info.size
            except GRPCError as error:
                if error.status != Status.NOT_FOUND:
                    raise
                return None

    def _metadata(self) -> MultiDict[str]:
        return MultiDict({"buildkit-attachable-store-id": self.store_id})

    @asynccontextmanager
    async def _speaking(self) -> AsyncIterator[ContentStub]:
        session = await self.sessions.find(self.session_id)
        try:
            yield ContentStub(session.caller)
        except GRPCError as error:
            if error.status == Status.ALREADY_EXISTS:
                return
            if error.status == Status.NOT_FOUND:
                raise NotFound(f"{self.store_id}: {error.message}") from error
            raise Unavailable(f"the client's directory {self.store_id}: {error.message}") from error
        except (ConnectionError, StreamTerminatedError) as error:
            raise Unavailable(f"the client has gone, and with it its directory {self.store_id}") from error


def _data(answer: ReadContentResponse) -> bytes:
    return answer.data
