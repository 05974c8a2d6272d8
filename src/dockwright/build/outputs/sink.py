"""The seam `Sink`: where what a build gives goes when that is not the image store: to whoever asked for the build.

An exporter calls one of the two methods, once:

    await sink.tar(chunks)      a stream of bytes: a tar, made while it is read
    await sink.tree(root)       a directory, which is there only as long as the call lasts, and only to be read

A face gives the sink: a session sends to its client, the embedded engine writes to its own disk (`FileSink`,
`DirectorySink`). What a sink raises is what the build raises; a cancelled call may leave half of it behind.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol, runtime_checkable


class Sink(Protocol):
    """Takes what a build gives."""

    async def tar(self, chunks: AsyncIterator[bytes]) -> None:
        """Take a tar. `chunks` is read to its end; what it raises is raised."""
        ...

    async def tree(self, root: Path) -> None:
        """Take the files below `root`, with their owners, modes, times and attributes. `root` may hold mounts."""
        ...


@runtime_checkable
class Emptiable(Protocol):
    """A sink that can be emptied first (`mode=delete`). A session's client does that by itself."""

    async def empty(self) -> None:
        """Remove everything that is there."""
        ...
