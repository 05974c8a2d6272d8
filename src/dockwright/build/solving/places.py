"""Where files are that no layers hold: contexts, repositories, downloads; and layers, to be read alike."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

from dockwright import workers
from dockwright.archive import Fingerprints
from dockwright.build.cache.memory import Known, Memory
from dockwright.build.context import Context
from dockwright.build.lending.lender import Lender
from dockwright.build.planning.graph import Copy, Download, Local, Repository
from dockwright.build.solving import copying, selecting
from dockwright.build.solving.copying import Landing
from dockwright.build.solving.earlier import Earlier, Shared
from dockwright.build.solving.inputs import Inputs
from dockwright.build.sources import Sources, repositories
from dockwright.build.sources.gitref import redacted
from dockwright.errors import Invalid

# What the files of a COPY are called among what it reads.
FILES = "the files"


@dataclass(frozen=True)
class Origin:
    """Where files come from, for people and attestations: an address without passwords, and the digest of what was there."""

    uri: str
    algorithm: str
    digest: str


@dataclass(frozen=True)
class Place:
    """Files to be read: `opened` says where they lie, until the stack unwinds.

    `identity` is what they depend on; empty where only reading them tells. `name` is that of the only file, where there is one.
    """

    opened: Callable[[AsyncExitStack], Awaitable[selecting.Tree]]
    identity: str = ""
    name: str = ""
    origin: Origin | None = None


def of_context(context: Context) -> Place:
    """A directory of this host: its owners and times mean nothing."""

    async def opened(stack: AsyncExitStack) -> selecting.Tree:
        return selecting.Tree(context.root, context.leaves_out, keeps_owners=False, seen=context.seen)

    return Place(opened)


async def found(vertex: Local | Repository | Download, sources: Sources, lender: Lender, held: AsyncExitStack) -> Place:
    """Where the files of `vertex` are; what `held` holds stays until it unwinds. Raises as the sources do."""
    match vertex:
        case Local():
            return of_context(vertex.context)
        case Repository():
            return await _of_repository(vertex, sources, lender)
        case Download(unpack=True):
            context = await held.enter_async_context(sources.named(vertex.url, lender))
            return of_context(context)
    downloaded = await sources.downloads.fetch(held, vertex.url, vertex.checksum, lender)

    async def opened(stack: AsyncExitStack) -> selecting.Tree:
        return selecting.Tree(downloaded.root)

    algorithm, _, digest = downloaded.digest.rpartition(":")
    origin = Origin(redacted(vertex.url), algorithm or "sha256", digest)
    return Place(opened, downloaded.identity, downloaded.name if downloaded.named else "", origin)


async def _of_repository(vertex: Repository, sources: Sources, lender: Lender) -> Place:
    ref = vertex.ref
    commit = await sources.repositories.resolve(ref, lender)

    async def opened(stack: AsyncExitStack) -> selecting.Tree:
        root = await sources.repositories.checkout(stack, ref, commit, lender)
        return selecting.Tree(root, keeps_owners=ref.mtime == "commit")

    origin = Origin(ref.shown, "sha256" if len(commit.id) == 64 else "sha1", commit.id)
    return Place(opened, repositories.identity(ref, commit), origin=origin)


@dataclass
class Piece:
    """One source of a COPY or ADD: `vertex` is the instruction as if that were all of it."""

    vertex: Copy
    place: Place
    known: Known | None = None
    fingerprints: Fingerprints | None = None
    _selected: tuple[selecting.Tree, selecting.Selected] | None = None

    async def look(self, stack: AsyncExitStack, memory: Memory) -> Known:
        """What the files are: remembered where that is possible, else read."""
        key = memory.key(self.place.identity, _asked(self.vertex)) if self.place.identity else ""
        self.known = await memory.recall(key) if key else None
        if self.known is None:
            tree, selected = await self.chosen(stack)
            self.fingerprints = await workers.bulk(selecting.fingerprints, self.vertex, tree, selected)
            digest = await workers.bulk(selecting.digest_of, self.fingerprints)
            self.known = Known(digest, selected.single, len(selected.archives), tree.keeps_owners)
            if key:
                await memory.remember(key, self.known)
        return self.known

    def shared(self, before: Earlier, now: Inputs, landing: Landing, time_ns: int | None) -> Shared:
        """The files that are in the layer `before` as they are to be in the new one, of an instruction that is all this piece.

        Blocking. Asked after `look` and `chosen`; `time_ns` is the latest time of what is made.
        """
        if self.fingerprints is None or self._selected is None:
            return Shared()
        tree, selected = self._selected
        if landing.name or selected.archives or self.vertex.inline:  # another name, or files that more may be put over
            return Shared()
        same, files = before.unchanged(now, FILES), self.fingerprints.digests
        times_ns = {
            name: copying.own_time(tree, own_ns, time_ns)
            for name, own_ns in self.fingerprints.times_ns.items()
            # Others are in directories that are made on the way.
            if name in same and (b"/" not in name or name.rpartition(b"/")[0] + b"/" in files)
        }
        return before.shared(landing.folder, times_ns)

    async def chosen(self, stack: AsyncExitStack) -> tuple[selecting.Tree, selecting.Selected]:
        """The files themselves."""
        if self._selected is None:
            tree = await self.place.opened(stack)
            self._selected = tree, await workers.bulk(selecting.select, self.vertex, tree)
        return self._selected


def pieces(vertex: Copy, source: Place, remotes: list[Place]) -> list[Piece]:
    """The sources of `vertex` one by one. Raises `Invalid` for a download that nothing gives a name."""
    local = replace(vertex, remotes=())
    parts = [Piece(local, source)] if vertex.paths or vertex.inline else []
    for remote, place in zip(vertex.remotes, remotes, strict=True):
        path, unpack = "/", False
        if isinstance(remote, Download):
            path, unpack = _escaped(place.name or "context"), vertex.unpack_remote
            if not place.name and not unpack and vertex.destination.endswith("/"):
                raise Invalid(f"cannot determine filename from url: {remote.url}")
        parts.append(Piece(replace(local, paths=(path,), inline=(), unpack=unpack, parents=False), place))
    return parts


def _asked(vertex: Copy) -> tuple[object, ...]:
    return vertex.paths, vertex.exclude, vertex.parents, vertex.unpack, bool(vertex.inline), vertex.whole, vertex.follow


def _escaped(name: str) -> str:
    return re.sub(r"([*?\[\]\\])", r"\\\1", name)
