"""Directories of a build's client: copies are kept by the client's shared key, so that only what changed is sent."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import msgspec
from grpclib.exceptions import GRPCError, StreamTerminatedError

from dockwright import workers
from dockwright.api.buildkit.sessions import Session
from dockwright.buildkit.filesync import Wanted, receive
from dockwright.buildkit.proto.filesync_grpc import FileSyncStub
from dockwright.errors import Invalid, Unavailable
from dockwright.flights import Flights
from dockwright.oci import digest as digests
from dockwright.tasks import Background
from dockwright.undo import UndoStack

_METHOD = "/moby.filesync.v1.FileSync/DiffCopy"
# How many copies are kept; the ones that no build has used for longest go first.
KEPT = 32
_PASSING = "tmp-"


class Locals:
    """Copies below `directory`. Builds that want the same of the same session share one transfer."""

    def __init__(self, directory: Path, background: Background) -> None:
        self._directory = directory
        self._flights: Flights[tuple[str, Wanted], Path, [int]] = Flights(background)
        self._busy: set[str] = set()
        self._tidying = asyncio.Lock()

    def synced(
        self, session: Session, wanted: Wanted, moved: Callable[[int], None]
    ) -> AbstractAsyncContextManager[Path]:
        """The client's directory as it is now, not to be written to. `moved` hears of bytes that came.

        Raises `Unavailable` when the client does not offer it or goes away, `Invalid` when it sends nonsense.
        """
        return self._flights.join((session.id, wanted), lambda tell: self._copy(session, wanted, tell), moved)

    @asynccontextmanager
    async def _copy(self, session: Session, wanted: Wanted, moved: Callable[[int], None]) -> AsyncIterator[Path]:
        if not session.answers(_METHOD):
            raise Unavailable(f"the client offers no directories, and so not {wanted.name!r}")
        key = _key(session, wanted)
        async with UndoStack() as undo:
            # Another build may read the copy, or there is no name to keep it by.
            alone = not key or key in self._busy
            name = f"{_PASSING}{secrets.token_hex(8)}" if alone else key
            folder = self._directory / name
            self._busy.add(name)
            undo.callback(self._busy.discard, name)
            if alone:
                undo.push_undo(workers.bulk, shutil.rmtree, folder, ignore_errors=True)
            # One at a time: what one removes, another may be about to use, and makes anew then.
            async with self._tidying:
                await workers.bulk(self._make_room, folder, frozenset(self._busy))
            await _transfer(session, wanted, folder, moved)
            yield folder / "fs"

    def _make_room(self, folder: Path, busy: frozenset[str]) -> None:
        """Make the folder, and remove copies that are too many, and those of builds that a former daemon did not end."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.utime(folder)
        idle = [one for one in self._directory.iterdir() if one.name not in busy]
        kept = sorted(
            (one for one in idle if not one.name.startswith(_PASSING)), key=lambda one: one.stat().st_mtime_ns
        )
        gone = [one for one in idle if one.name.startswith(_PASSING)]
        for one in gone + kept[: max(0, len(kept) + 1 - KEPT)]:
            shutil.rmtree(one, ignore_errors=True)


async def _transfer(session: Session, wanted: Wanted, folder: Path, moved: Callable[[int], None]) -> None:
    try:
        async with FileSyncStub(session.caller).DiffCopy.open(metadata=wanted.metadata()) as stream:
            await stream.send_request()
            await receive(stream, folder, moved=moved, end=stream.end)
    except GRPCError as error:
        raise Invalid(f"the client, asked for its directory {wanted.name!r}: {error.message}") from error
    except (ConnectionError, StreamTerminatedError) as error:
        raise Unavailable(f"the client has gone while it sent its directory {wanted.name!r}") from error


def _key(session: Session, wanted: Wanted) -> str:
    if not session.shared_key:
        return ""
    parts = [session.shared_key, wanted.name, wanted.include, wanted.exclude, wanted.follow]
    return digests.of(msgspec.json.encode(parts)).partition(":")[2][:32]
