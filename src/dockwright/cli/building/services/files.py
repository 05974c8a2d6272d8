"""`FileSync`: the build's directories. The engine asks by name, says what it wants of one, and is sent what it has not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from grpclib.const import Status
from grpclib.exceptions import GRPCError
from grpclib.server import Stream

from dockwright import workers
from dockwright.archive import Root
from dockwright.buildkit.filesync import Filter, Wanted, send
from dockwright.buildkit.proto.filesync_grpc import FileSyncBase
from dockwright.buildkit.proto.fsutil_pb2 import Packet
from dockwright.cli.building.services.answers import answers
from dockwright.cli.building.services.headers import headers


class Files(FileSyncBase):
    """`directories` by the name that the engine asks for. Nothing else can be read, nothing is written."""

    def __init__(self, directories: Mapping[str, str]) -> None:
        self._directories = directories

    @answers
    async def DiffCopy(self, stream: Stream[Packet, Packet]) -> None:
        """One transfer."""
        wanted = Wanted.of(headers(stream))
        directory = self._directories.get(wanted.name)
        if directory is None:
            raise GRPCError(Status.NOT_FOUND, f'no access allowed to dir "{wanted.name}"')
        root = Path(directory)
        await send(stream, root, await workers.quick(_filter, root, wanted))


def _filter(root: Path, wanted: Wanted) -> Filter:
    with Root(root) as opened:
        return Filter.of(opened, wanted)
