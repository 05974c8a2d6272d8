"""Image layers as snapshots: unpacked once, alone, and then stacked in order.

A layer is kept under its diff ID when it is the same on every base, and a snapshot under the chain ID of what is stacked;
so several images share a directory wherever their layers are equal. A layer that leans on what is below it (its tar takes
a directory for granted, goes through a link of the base or hard-links a file of it) is finished on its base, and is then
that one chain's alone.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from dockwright import archive, faults, workers
from dockwright.archive import Layer, Source
from dockwright.errors import Corrupt, Invalid, NotFound, Unavailable
from dockwright.oci import Digest, chain_ids
from dockwright.oci import digest as digests
from dockwright.snapshot import changes as differences
from dockwright.snapshot.mountapi import check_depth, sync_file_system
from dockwright.snapshot.overlay import Overlay
from dockwright.snapshot.rows import LayerRow


@dataclass
class Staged:
    """A layer directory that is being filled, in a worker thread: once, by `fill` or `take`, or by `receive` or `unpack` and
    then `settle`. Then hand it to `Layers.stack`."""

    row: LayerRow
    tree: Path
    recipe: Path
    contents: Layer = field(default_factory=Layer)
    diff_id: Digest | None = None
    tar_bytes: int = 0
    stopped: bool = False
    settled: bool = False

    def stop(self) -> None:
        """Make an `unpack` that is under way in another thread fail soon, with `Unavailable`."""
        self.stopped = True

    def fill(self, source: Source, expected: Digest | None = None) -> None:
        """Unpack the uncompressed layer `source`; it is on the disk on return. Blocking.

        Raises `Invalid` or `Corrupt`, also when the layer is not the one whose diff ID is `expected`.
        """
        self.receive(source, expected)
        self.settle()

    def receive(self, source: Source, expected: Digest | None = None) -> None:
        """`fill`, but for bringing it to the disk."""
        state = digests.hasher()
        self.unpack(archive.Tapped(source, state.update))
        self.diff_id = digests.finished(state)
        if expected is not None and self.diff_id != expected:
            raise Corrupt(f"layer has the diff ID {self.diff_id}, expected {expected}")

    def unpack(self, source: Source) -> Layer:
        """Unpack without looking at the diff ID, which is then the caller's to set. Blocking. Raises as `fill`."""

        def seen(chunk: bytes) -> None:
            if self.stopped:
                raise Unavailable("unpacking was given up")
            self.tar_bytes += len(chunk)

        self.contents = archive.unpack_layer(archive.Tapped(source, seen), self.tree, self.recipe)
        return self.contents

    def take(self, upper: Path, latest_ns: int | None) -> None:
        """Make the upper directory `upper` of an overlay that is not mounted the layer's, times after `latest_ns` told as
        that; it is on the disk on return, and not at `upper` any more. Blocking. Raises `Unavailable` when stopped.
        """
        state = digests.hasher()

        def seen(chunk: bytes) -> None:
            if self.stopped:
                raise Unavailable("making the layer was given up")
            self.tar_bytes += len(chunk)
            state.update(chunk)

        self.contents = archive.take_layer(upper, self.recipe, latest_ns, seen)
        self.diff_id = digests.finished(state)
        os.rmdir(self.tree)
        os.rename(upper, self.tree)
        self.settle()

    def settle(self) -> None:
        """Bring what was unpacked to the disk. Blocking; safe to call again."""
        if self.settled:
            return
        faults.point("snapshot.layer")
        sync_file_system(self.tree)
        used = differences.usage(self.tree.parent)
        self.row = replace(
            self.row,
            diff_id=self.diff_id,
            rooted=self.contents.rooted,
            recipe=self.contents.regenerable,
            size_bytes=used.size_bytes,
            inodes=used.inodes,
        )
        self.settled = True


class Layers:
    """Layers on an `Overlay`."""

    def __init__(self, overlay: Overlay) -> None:
        self._overlay = overlay

    def missing(self, diff_ids: tuple[Digest, ...]) -> list[Digest]:
        """Which layers have to be unpacked before the stack can be made. Raises `Unsupported` for more than can be mounted."""
        check_depth(len(set(diff_ids)))
        needed = []
        for diff_id, chain in zip(diff_ids, chain_ids(diff_ids), strict=True):
            if not self.has(chain) and self._overlay.by_diff(diff_id) is None:
                needed.append(diff_id)
        return list(dict.fromkeys(needed))

    def has(self, chain_id: Digest) -> bool:
        """Whether the stack `chain_id` is there."""
        try:
            return self._overlay.stat(chain_id).kind == "committed"
        except NotFound:
            return False

    @asynccontextmanager
    async def stage(self) -> AsyncIterator[Staged]:
        """A directory for one layer; gone afterwards unless a stack took it."""
        async with self._overlay.stage() as row:
            yield Staged(row, self._overlay.tree(row), self._overlay.recipe(row))

    async def stack(self, diff_ids: tuple[Digest, ...], staged: dict[Digest, Staged]) -> Digest | None:
        """Make the snapshot of all layers, base first, from known and `staged` ones; its chain ID (None without layers).

        Raises `NotFound` when a layer is neither known nor staged, `Unsupported` for more than overlayfs can mount.
        """
        check_depth(len(set(diff_ids)))
        below: Digest | None = None
        for diff_id, chain in zip(diff_ids, chain_ids(diff_ids), strict=True):
            if not self.has(chain):
                known = self._overlay.by_diff(diff_id)
                if known is not None:
                    await self._overlay.adopt(chain, below, known)
                elif diff_id in staged:
                    await self._place(chain, below, staged[diff_id])
                else:
                    raise NotFound(f"layer {diff_id} is not unpacked")
            below = chain
        return below

    def lineage(self, key: str) -> list[Digest]:
        """The diff IDs of the image layers that the snapshot `key` stands on, base first, where the image itself is gone.

        Raises `NotFound` when one of them can no longer be told or made into a tar again.
        """
        found = []
        for node in reversed(self._overlay.chain(self._overlay.node(key))[1:]):
            if not node.key.startswith("sha256:"):
                continue  # not a layer of an image
            if node.layer.diff_id is None or not node.layer.recipe:
                raise NotFound(f"the image below {key} is gone, and its layer {node.key} cannot be told any more")
            found.append(Digest(node.layer.diff_id))
        return found

    def usage(self, chain_id: Digest) -> tuple[int, int]:
        """The number of the topmost layer's directory, and the bytes it takes on the disk."""
        layer = self._overlay.node(chain_id).layer
        return layer.number, layer.size_bytes

    def regenerable(self, diff_id: Digest) -> bool:
        """Whether the layer's tar can be made again from its directory."""
        layer = self._overlay.by_diff(diff_id)
        return layer is not None and layer.recipe

    def tar(self, diff_id: Digest) -> Generator[bytes, None, None]:
        """The layer's tar, byte for byte, made again; blocking. Raises `NotFound`; `Corrupt` when it came out different."""
        layer = self._overlay.by_diff(diff_id)
        if layer is None:
            raise NotFound(f"layer {diff_id} is not unpacked")
        state = digests.hasher()
        for chunk in archive.replay(self._overlay.recipe(layer), self._overlay.tree(layer)):
            state.update(chunk)
            yield chunk
        if digests.finished(state) != diff_id:
            raise Corrupt(f"the files of layer {diff_id} were changed on the disk")

    async def _place(self, chain: Digest, below: Digest | None, staged: Staged) -> None:
        contents = staged.contents
        if below is None and contents.links:
            raise Invalid(f"layer has a hard link to {os.fsdecode(contents.links[0][1])!r}, which is not there")
        if contents.independent:
            await self._overlay.adopt(chain, below, staged.row)
            return
        alone = replace(staged.row, diff_id=None, recipe=False)
        if below is None:
            # On nothing, what it takes for granted is plain directories.
            await self._overlay.adopt(chain, None, await workers.bulk(_without_recipe, staged, alone))
            return
        async with self._overlay.looked_at(below) as (base, _):
            if contents.hides_all:
                await workers.bulk(archive.hide_base, staged.tree, base)
                fits = not contents.links
            else:
                fits = not contents.links and await workers.bulk(_take_attributes, staged.tree, base, contents.implied)
        if fits:
            await self._overlay.adopt(chain, below, await workers.bulk(_without_recipe, staged, alone))
            return
        async with self._overlay.looked_at(below, writable=True) as (target, row):
            await workers.bulk(_reapply, staged, target)
            tree = self._overlay.tree(row)
            used = await workers.bulk(differences.usage, tree.parent)
            await self._overlay.adopt(chain, below, replace(row, size_bytes=used.size_bytes, inodes=used.inodes))


def _without_recipe(staged: Staged, row: LayerRow) -> LayerRow:
    """The row of a layer whose tar cannot be made again, as its directory now is."""
    staged.recipe.unlink(missing_ok=True)
    used = differences.usage(staged.tree.parent)
    return replace(row, size_bytes=used.size_bytes, inodes=used.inodes)


class _Chunks:
    """A generator as a `Source`."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._rest = chunks, b""

    def read(self, size: int = 1024 * 1024, /) -> bytes:
        chunk = self._rest or next(self._chunks, b"")
        self._rest = chunk[size:]
        return chunk[:size]


@contextmanager
def source_of(chunks: Generator[bytes, None, None]) -> Iterator[Source]:
    """`chunks` to be read from. Leaving closes what they are made of, also when they are not read to their end."""
    with closing(chunks):
        yield _Chunks(chunks)


def _take_attributes(tree: Path, base: Path, implied: list[bytes]) -> bool:
    """Give implied directories what the base says about them; False when the base has links in their places."""
    with archive.Root(base) as root:
        for path in implied:
            folder, _, name = path.rpartition(b"/")
            try:
                if not _copy_directory(root.directory(folder), name, os.fsencode(tree) + b"/" + path):
                    return False
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                    raise
    return True


def _copy_directory(folder: int, name: bytes, to: bytes) -> bool:
    found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if stat.S_ISLNK(found.st_mode):
        return False
    if not stat.S_ISDIR(found.st_mode):
        return True  # the layer puts a directory where the base has a file: the new one wins
    os.chown(to, found.st_uid, found.st_gid)
    os.chmod(to, stat.S_IMODE(found.st_mode))
    here = b"/proc/self/fd/%d/%s" % (folder, name)
    for attribute in os.listxattr(here):
        if not attribute.startswith("trusted.overlay."):
            os.setxattr(to, attribute, os.getxattr(here, attribute))
    os.utime(to, ns=(found.st_mtime_ns, found.st_mtime_ns))
    return True


def _reapply(staged: Staged, target: Path) -> None:
    """Put the layer over its mounted base, going through the base's links, as if it had been unpacked there."""
    without = frozenset(staged.contents.implied) | (frozenset() if staged.contents.rooted else frozenset({b""}))
    packed = archive.pack_layer(staged.tree, without)
    with source_of(packed) as source:
        archive.apply_layer(source, target, staged.contents.links)
    sync_file_system(staged.tree)
