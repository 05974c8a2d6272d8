"""Sinks on this host's own disk: what the embedded engine's user gives."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from dockwright import archive, workers
from dockwright.errors import HostFailure, Invalid
from dockwright.undo import UndoStack


@dataclass(frozen=True)
class FileSink:
    """A tar at `path`, which is replaced as a whole once all of it is there."""

    path: Path

    async def tar(self, chunks: AsyncIterator[bytes]) -> None:
        """See `Sink.tar`. Raises `HostFailure`."""
        part = self.path.with_name(f".{self.path.name}.part")
        async with UndoStack() as undo:
            await workers.quick(_make_directory, part.parent)
            undo.push_undo(workers.quick, part.unlink, missing_ok=True)
            file = await workers.quick(_create, part)
            undo.push_undo(workers.quick, file.close)
            async for chunk in chunks:
                await workers.bulk(file.write, chunk)
            await workers.quick(file.close)
            await workers.quick(part.replace, self.path)

    async def tree(self, root: Path) -> None:
        """Refuses: a directory does not fit into a file."""
        raise Invalid(f"the output is a directory: {self.path} is to be a file")


@dataclass(frozen=True)
class DirectorySink:
    """Files below `path`, beside what is there already; a file that is there is replaced. A tar is unpacked."""

    path: Path

    async def tar(self, chunks: AsyncIterator[bytes]) -> None:
        """See `Sink.tar`. Raises `HostFailure`."""
        await workers.quick(_make_directory, self.path)
        await archive.write(self.path, "/", chunks)

    async def tree(self, root: Path) -> None:
        """See `Sink.tree`. Raises `HostFailure`."""
        async with aclosing(archive.export(root)) as chunks:
            await self.tar(chunks)

    async def empty(self) -> None:
        """Remove everything that is there."""
        await workers.bulk(_empty, self.path)


def _create(path: Path) -> BinaryIO:
    try:
        return path.open("wb")
    except OSError as error:
        raise HostFailure(f"{path}: {error.strerror}") from error


def _make_directory(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HostFailure(f"{path}: {error.strerror}") from error


def _empty(path: Path) -> None:
    for entry in path.iterdir() if path.is_dir() else ():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
