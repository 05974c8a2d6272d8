"""Directories of a build's client: copies are kept by the client's shared key, so that only what changed is sent."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import msgspec
from grpclib.exceptions import GRPCError, StreamTerminatedError

from dockwright import workers
from dockwright.api.buildkit.sessions import Session
from dockwright.build.sources.shelf import About, Shelf
from dockwright.buildkit.filesync import Received, Wanted, receive
from dockwright.buildkit.proto.filesync_grpc import FileSyncStub
from dockwright.errors import HostFailure, Invalid, Unavailable
from dockwright.flights import Flights
from dockwright.oci import digest as digests
from dockwright.tasks import Background
from dockwright.undo import UndoStack

_METHOD = "/moby.filesync.v1.FileSync/DiffCopy"


class Locals:
    """Copies on a shelf, where the build cache's upkeep finds them. Builds that want the same of a session share a transfer."""

    def __init__(self, shelf: Shelf, background: Background) -> None:
        self._shelf = shelf
        self._flights: Flights[tuple[str, Wanted], Path, [int]] = Flights(background)
        self._busy: set[str] = set()

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
        name = _name(session, wanted)
        async with UndoStack() as undo:
            if not name or name in self._busy:  # there is no name to keep it by, or another build reads the copy
                folder = await workers.quick(self._shelf.make)
                undo.push_undo(workers.bulk, self._shelf.discard, folder)
                await _transfer(session, wanted, folder, moved)
            else:
                self._busy.add(name)
                undo.callback(self._busy.discard, name)
                undo.enter_context(self._shelf.holding(name))
                undo.push_undo(workers.bulk, self._note_rest, name, wanted)
                folder = self._shelf.path(name)
                try:
                    received = await _transfer(session, wanted, folder, moved)
                    await workers.bulk(self._note, name, wanted, received)
                except HostFailure:  # what fills the disk must not stay there until somebody prunes
                    await workers.bulk(self._shelf.discard, folder)
                    raise
            yield folder / "fs"

    def _note(self, name: str, wanted: Wanted, received: Received) -> None:
        """Tell people of it, and that it was used now. Raises `HostFailure`."""
        if self._shelf.has(name) and not received.files:
            return
        try:
            self._describe(name, wanted, received.disk_bytes)
        except OSError as error:
            raise HostFailure(f"the copy of the client's directory {wanted.name!r}: {error.strerror}") from error

    def _note_rest(self, name: str, wanted: Wanted) -> None:
        """Of a first transfer that broke off, what came is kept for the next one, where the cache's upkeep finds it."""
        folder = self._shelf.path(name)
        if not folder.exists() or self._shelf.has(name):
            return
        try:
            self._describe(name, wanted)
        except OSError:
            self._shelf.discard(folder)

    def _describe(self, name: str, wanted: Wanted, size_bytes: int = 0) -> None:
        about = About("source.local", f"local source for {wanted.name}", size_bytes, time.time_ns())
        self._shelf.describe(self._shelf.path(name), about)


def seen_in(root: Path) -> Path:
    """Where it is kept what builds found in the files of the copy `root`."""
    return root.parent / "seen"


async def _transfer(session: Session, wanted: Wanted, folder: Path, moved: Callable[[int], None]) -> Received:
    try:
        async with FileSyncStub(session.caller).DiffCopy.open(metadata=wanted.metadata()) as stream:
            await stream.send_request()
            return await receive(stream, folder, moved=moved, end=stream.end)
    except GRPCError as error:
        raise Invalid(f"the client, asked for its directory {wanted.name!r}: {error.message}") from error
    except (ConnectionError, StreamTerminatedError) as error:
        raise Unavailable(f"the client has gone while it sent its directory {wanted.name!r}") from error


def _name(session: Session, wanted: Wanted) -> str:
    if not session.shared_key:
        return ""
    parts = [session.shared_key, wanted.name, wanted.include, wanted.exclude, wanted.follow]
    return "local-" + digests.of(msgspec.json.encode(parts)).partition(":")[2][:32]
