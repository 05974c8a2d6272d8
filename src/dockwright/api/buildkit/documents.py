"""containerd's content service on `/grpc`: what records of builds point at, for whoever reads them. Nothing is written here."""

from __future__ import annotations

from contextlib import aclosing

from grpclib.const import Status
from grpclib.exceptions import GRPCError
from grpclib.server import Stream

from dockwright.api.buildkit.records import Records
from dockwright.buildkit.calls import asked
from dockwright.buildkit.errors import answering
from dockwright.buildkit.proto import content_pb2 as wire
from dockwright.buildkit.proto.content_grpc import ContentBase
from dockwright.errors import Invalid
from dockwright.image import Images
from dockwright.oci import Descriptor
from dockwright.oci import digest as digests

_CHUNK = 1024 * 1024
_LIMIT_BYTES = 8 * 1024 * 1024
_BYTES = "application/octet-stream"


class Documents(ContentBase):
    """One connection's."""

    def __init__(self, records: Records, images: Images) -> None:
        self._records, self._images = records, images

    async def _document(self, digest: str) -> bytes:
        """A record's own, or one of an image that was made. Raises `NotFound`, `Invalid` for what is no digest."""
        found = await self._records.document(digest)
        if found is not None:
            return found
        read = bytearray()
        async with aclosing(self._images.blob(Descriptor(_BYTES, digests.parse(digest), 0))) as chunks:
            async for chunk in chunks:
                read += chunk
                if len(read) > _LIMIT_BYTES:
                    raise Invalid(f"{digest} is longer than {_LIMIT_BYTES} bytes: no document")
        return bytes(read)

    @answering
    async def Info(self, stream: Stream[wire.InfoRequest, wire.InfoResponse]) -> None:
        request = await asked(stream)
        size = len(await self._document(request.digest))
        await stream.send_message(wire.InfoResponse(info=wire.Info(digest=request.digest, size=size)))

    @answering
    async def Read(self, stream: Stream[wire.ReadContentRequest, wire.ReadContentResponse]) -> None:
        request = await asked(stream)
        document = await self._document(request.digest)
        end = request.offset + request.size if request.size else len(document)
        if not 0 <= request.offset <= len(document):
            raise Invalid(f"{request.digest} has {len(document)} bytes, none at {request.offset}")
        for offset in range(request.offset, min(end, len(document)), _CHUNK):
            data = document[offset : min(offset + _CHUNK, end)]
            await stream.send_message(wire.ReadContentResponse(offset=offset, data=data))

    async def Write(self, stream: Stream[wire.WriteContentRequest, wire.WriteContentResponse]) -> None:
        raise GRPCError(Status.UNIMPLEMENTED, "the engine's content is not written to by this service")
