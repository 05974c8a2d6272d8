"""`Upload`: tars that came in on standard input, sent when the engine asks for them."""

from __future__ import annotations

import os
import posixpath

from grpclib.const import Status
from grpclib.exceptions import GRPCError
from grpclib.server import Stream

from dockwright import workers
from dockwright.buildkit.proto.upload_grpc import UploadBase
from dockwright.buildkit.proto.upload_pb2 import BytesMessage
from dockwright.cli.building.services.answers import answers
from dockwright.cli.building.services.headers import headers

_PATH = "urlpath"
_PIECE = 1 << 20


class Uploads(UploadBase):
    """`waiting` are descriptors, and what was read of them already, by name; each is sent once."""

    def __init__(self, waiting: dict[str, tuple[int, bytes]]) -> None:
        self._waiting = waiting

    @answers
    async def Pull(self, stream: Stream[BytesMessage, BytesMessage]) -> None:
        """One of them."""
        path = headers(stream).get(_PATH, "")
        found = self._waiting.pop(posixpath.basename(path), None)
        if found is None:
            raise GRPCError(Status.NOT_FOUND, f"no http response from session for {path}")
        descriptor, piece = found
        while piece:
            await stream.send_message(BytesMessage(data=piece))
            piece = await workers.bulk(os.read, descriptor, _PIECE)
