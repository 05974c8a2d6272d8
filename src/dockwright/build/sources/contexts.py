"""Contexts that are named by an address: a repository's tree, an archive, a lone Dockerfile."""

from __future__ import annotations

import posixpath
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from dockwright import archive, workers
from dockwright.archive import Root
from dockwright.build.context import Context
from dockwright.build.lending.lender import Lender
from dockwright.build.sources import gitref
from dockwright.build.sources.downloads import Downloaded, Downloads, is_url
from dockwright.build.sources.gitref import GitRef
from dockwright.build.sources.repositories import Repositories
from dockwright.build.sources.shelf import Shelf
from dockwright.errors import Corrupt, Invalid
from dockwright.ignoring import Patterns
from dockwright.undo import UndoStack

# What a lone file at an address is called in the context that it is.
LONE = "context"
_HEAD_BYTES = 512


class Sources:
    """Repositories and downloads of all builds, below `directory`. `files` allows repositories at file:// addresses."""

    def __init__(self, directory: Path, *, files: bool = False) -> None:
        self.shelf = Shelf(directory)
        self.repositories = Repositories(self.shelf, files=files)
        self.downloads = Downloads(self.shelf)

    def is_remote(self, text: str) -> bool:
        """Whether a context of this name is an address: `context` reads it then."""
        return is_url(text) or self.repository(text, context=True) is not None

    def repository(self, text: str, *, context: bool = False) -> GitRef | None:
        """The repository that `text` names, if it does. Raises `Invalid`."""
        return gitref.parse(text, context=context, files=self.repositories.files)

    @asynccontextmanager
    async def context(
        self, address: str, dockerfile: str, lender: Lender, *, keep_git_dir: bool | None = None
    ) -> AsyncIterator[Context]:
        """The context at `address`: a tree of a repository, an archive's, or a file, which is the Dockerfile then.

        `keep_git_dir` counts where the address does not say. Raises `Invalid` for another address, and as `Repositories` and
        `Downloads` do.
        """
        async with AsyncExitStack() as stack:
            ref = self.repository(address, context=True)
            if ref is not None:
                yield await workers.quick(Context.at, await self.tree(stack, ref, lender, keep_git_dir), dockerfile)
                return
            if not is_url(address):
                raise Invalid(f"invalid context {address[:200]!r}: neither a repository nor an http address")
            found = await self.downloads.fetch(stack, address, "", lender)
            root = await stack.enter_async_context(self._unpacked(found, dockerfile))
            yield await workers.quick(Context.at, root, dockerfile)

    @asynccontextmanager
    async def named(self, address: str, lender: Lender) -> AsyncIterator[Context]:
        """A context that a Dockerfile reads by name: as `context`, but nothing is left out, and a lone file is `LONE`."""
        async with AsyncExitStack() as stack:
            ref = self.repository(address, context=True)
            if ref is not None:
                yield Context(await self.tree(stack, ref, lender, None), Patterns([]))
                return
            found = await self.downloads.fetch(stack, address, "", lender)
            yield Context(await stack.enter_async_context(self._unpacked(found, LONE)), Patterns([]))

    async def tree(self, stack: AsyncExitStack, ref: GitRef, lender: Lender, keep_git_dir: bool | None) -> Path:
        """The directory that `ref` means, held until `stack` unwinds."""
        if ref.keep_git_dir is None and keep_git_dir is not None:
            ref = replace(ref, keep_git_dir=keep_git_dir)
        commit = await self.repositories.resolve(ref, lender)
        return await self.repositories.checkout(stack, ref, commit, lender)

    @asynccontextmanager
    async def _unpacked(self, found: Downloaded, lone: str) -> AsyncIterator[Path]:
        async with UndoStack() as undo:
            folder = await workers.quick(self.shelf.make)
            undo.push_undo(workers.bulk, self.shelf.discard, folder)
            await workers.bulk(_unpack, found.root / found.name, folder, lone)
            yield folder


def _unpack(file: Path, folder: Path, lone: str) -> None:
    """An archive's members, else a copy of the file, in `folder`. Blocking."""
    with file.open("rb") as opened:
        head = opened.read(_HEAD_BYTES)
        opened.seek(0)
        if not archive.is_packed(head):
            target = folder / posixpath.normpath("/" + lone).strip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
            target.chmod(0o644)
            return
        try:
            with Root(folder) as root:
                archive.place(archive.decompressed(opened), root, b"")
        except Corrupt as error:
            raise Invalid(f"the build's context cannot be read: {error}") from error
