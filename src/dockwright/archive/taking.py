"""Making a layer of an upper directory where it lies: what its tar is, without anybody writing its files again.

The directory becomes what unpacking that tar would have given: times are those in the tar, sockets are gone, and so is what
overlayfs noted for itself.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from dockwright.archive import tarformat as tar
from dockwright.archive.layers import OPAQUE, Layer, LayerPacker
from dockwright.archive.recipe import RecipeWriter
from dockwright.archive.root import Root
from dockwright.archive.tarformat import Entry


def take_layer(tree: Path, recipe: Path, latest_ns: int | None, update: Callable[[bytes], object]) -> Layer:
    """Give `update` the tar that `pack_layer` makes of the upper directory `tree`, and note in `recipe` how to make it again.

    Nobody else may use the directory meanwhile. Blocking. Raises what `update` raises, and `HostFailure`; the directory is an
    upper directory still then.
    """
    writer = RecipeWriter(recipe)
    try:
        with Root(tree) as root:
            taker = _Taker(root, latest_ns, writer, update)
            for _ in taker.tree(b"", b""):
                pass  # nothing is gathered
        return Layer(rooted=True, regenerable=writer.close())
    finally:
        writer.spoil()
        writer.close()


class _Taker(LayerPacker):
    def __init__(
        self, root: Root, latest_ns: int | None, recipe: RecipeWriter, update: Callable[[bytes], object]
    ) -> None:
        super().__init__(root, frozenset(), latest_ns)
        self._recipe, self._update = recipe, update
        self._name = b""

    def directory(self, fd: int, name: bytes, found: os.stat_result) -> None:
        super().directory(fd, name, found)
        self._settle(fd, found)

    def special(self, folder: int, base: bytes, name: bytes, found: os.stat_result) -> None:
        if stat.S_ISSOCK(found.st_mode):
            above = os.fstat(folder)
            os.unlink(base, dir_fd=folder)
            os.utime(folder, ns=(above.st_atime_ns, above.st_mtime_ns))
            return
        super().special(folder, base, name, found)
        if self._latest_ns is not None and found.st_mtime_ns > self._latest_ns:
            times = (self._latest_ns, self._latest_ns)
            os.utime(base, ns=times, dir_fd=folder, follow_symlinks=False)

    def entry(self, name: bytes, found: os.stat_result, fd: int | None) -> Entry:
        self._name = name
        if fd is not None and stat.S_ISREG(found.st_mode):
            self._settle(fd, found)
        return super().entry(name, found, fd)

    def attributes(self, fd: int) -> dict[bytes, bytes]:
        names = os.listxattr(fd)
        if not names:
            return {}
        for attribute in names:
            if attribute.startswith("trusted.overlay.") and attribute != OPAQUE:
                os.removexattr(fd, attribute)
        return super().attributes(fd)

    def _settle(self, fd: int, found: os.stat_result) -> None:
        if self._latest_ns is not None and found.st_mtime_ns > self._latest_ns:
            os.utime(fd, ns=(self._latest_ns, self._latest_ns))

    def data(self, piece: bytes) -> None:
        self._update(piece)

    def end_of_file(self, size: int) -> None:
        self._recipe.data(self._name, size)
        super().end_of_file(size)

    def shrunk(self) -> None:
        self._recipe.spoil()  # with the zeros that fill it up it is no file to make the tar of again

    def _put(self, data: bytes) -> None:
        self._recipe.literal(data)
        self._update(data)

    def end(self) -> Iterator[bytes]:
        self._put(tar.END)
        yield from ()
