"""Image layers: tar with whiteouts (OCI image-spec 1.1, layer.md) to overlayfs directories and back.

A layer is unpacked into a directory of its own, without the layers below it, so that layers can be unpacked in parallel
and kept once for all bases. What such a directory cannot know is told in `Layer`: directories that the tar implies but
does not describe take their attributes from below, and hard links may name files from below.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

from dockwright.archive import tarformat as tar
from dockwright.archive.pack import Packer
from dockwright.archive.recipe import RecipeWriter
from dockwright.archive.root import Root, remove_tree
from dockwright.archive.source import Source
from dockwright.archive.tarformat import Entry
from dockwright.archive.unpack import Options, Unpacker
from dockwright.errors import Invalid

WHITEOUT = b".wh."
OPAQUE_MARK = b".wh..wh..opq"
_AUFS = b".wh..wh."
OPAQUE = "trusted.overlay.opaque"


@dataclass
class Layer:
    """What unpacking a layer showed.

    `implied`: directories, parents first, that the tar took for granted; `links`: hard links (name, target) to files that
    are not in the layer; `rooted`: the tar describes `/` itself; `hides_all`: it deletes everything below, `/` being
    opaque; `regenerable`: there is a recipe.
    """

    implied: list[bytes] = field(default_factory=list)
    links: list[tuple[bytes, bytes]] = field(default_factory=list)
    rooted: bool = False
    hides_all: bool = False
    regenerable: bool = False

    @property
    def independent(self) -> bool:
        """Whether the directory is right on any base."""
        return not self.implied and not self.links and not self.hides_all


def unpack_layer(source: Source, tree: Path, recipe: Path | None = None) -> Layer:
    """Unpack the uncompressed layer `source` into the empty directory `tree`; note in `recipe` how to make it again.

    Blocking. Raises `Invalid` or `Corrupt` for a bad layer, `HostFailure` when the disk refuses; the directory then holds
    a part of it.
    """
    writer = RecipeWriter(recipe) if recipe is not None else None
    try:
        with Root(tree) as root:
            unpacker = _LayerUnpacker(root, source, writer)
            unpacker.run()
            layer = unpacker.layer()
        layer.regenerable = writer is not None and writer.close()
        return layer
    finally:
        if writer is not None:
            writer.spoil()
            writer.close()


class _LayerUnpacker(Unpacker):
    def __init__(self, root: Root, source: Source, recipe: RecipeWriter | None) -> None:
        super().__init__(root, source, Options(), recipe.literal if recipe else None)
        self._recipe = recipe
        self._implied: dict[bytes, None] = {}
        self._links: list[tuple[bytes, bytes]] = []
        self._rooted = self._hides_all = False
        self._newest_ns = 0

    def layer(self) -> Layer:
        return Layer(list(self._implied), self._links, self._rooted, self._hides_all)

    def run(self) -> None:
        super().run()
        if not self._rooted:
            # Nothing says how old `/` is; the newest of what is in it is the same answer everywhere.
            os.utime(self.root.fd, ns=(self._newest_ns, self._newest_ns))

    def place(self, path: bytes, entry: Entry) -> None:
        self._newest_ns = max(self._newest_ns, entry.mtime_ns)
        name = path.rpartition(b"/")[2]
        if name.startswith(WHITEOUT):
            self._whiteout(path, name)
            if entry.size and entry.kind == tar.REGULAR:
                self._spoil()
            return
        if not path and entry.size and entry.kind != tar.DIRECTORY:
            self._spoil()
        super().place(path, entry)

    def parent(self, full: bytes) -> tuple[int, bytes]:
        try:
            return super().parent(full)
        except NotADirectoryError:
            self._revive(full.rpartition(b"/")[0])
            return super().parent(full)

    def root_entry(self, entry: Entry) -> None:
        self.adorn(self.root.fd, entry)
        self.times[b""] = entry.mtime_ns
        self._rooted = True

    def implied(self, full: bytes) -> None:
        self._implied[full] = None

    def dangling(self, full: bytes) -> None:
        # `lib` links to `usr/lib`, which a layer below has: it is implied as if it had been named itself.
        self.make_where_it_leads(full)

    def make_directory(self, folder: int, name: bytes, entry: Entry, full: bytes) -> None:
        super().make_directory(folder, name, entry, full)
        self._implied.pop(full, None)

    def make_file(self, folder: int, name: bytes, entry: Entry, full: bytes) -> None:
        super().make_file(folder, name, entry, full)
        if self._recipe is None:
            return
        if entry.sparse is not None:
            self._recipe.spoil()
        self._recipe.data(full, entry.size)

    def missing_target(self, full: bytes, target: bytes) -> None:
        self._links.append((full, target))

    def displace(self, folder: int, name: bytes, entry: Entry, full: bytes) -> None:
        there = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISCHR(there.st_mode) and there.st_rdev == 0:
            os.unlink(name, dir_fd=folder)
            if entry.kind == tar.DIRECTORY:
                # Deleted below and made anew here: nothing from below may shine through.
                os.mkdir(name, 0o700, dir_fd=folder)
                _set_opaque(folder, name)
            return
        self._spoil()
        self._implied = {path: None for path in self._implied if path != full and not path.startswith(full + b"/")}
        super().displace(folder, name, entry, full)

    def _whiteout(self, path: bytes, name: bytes) -> None:
        self.settle()
        folder = path.rpartition(b"/")[0]
        if name == OPAQUE_MARK and not folder:
            self._hides_all = True  # overlayfs does not look whether a root is opaque
            return
        if name == OPAQUE_MARK:
            # `parent` of a name inside makes the directory when the layer did not name it.
            fd, _ = self.parent(folder + b"/.")
            os.setxattr(fd, OPAQUE, b"y")
            return
        if name.startswith(_AUFS):
            return  # aufs' own bookkeeping, from long ago
        victim = name[len(WHITEOUT) :]
        if victim in (b"", b".", b".."):
            raise Invalid(f"whiteout {os.fsdecode(path)!r} deletes no name")
        fd, victim = self.parent(folder + b"/" + victim if folder else victim)
        try:
            os.mknod(victim, stat.S_IFCHR, 0, dir_fd=fd)
        except FileExistsError:
            # A whiteout speaks of the layers below alone: what this layer made itself stays, and hides what was there.
            if stat.S_ISDIR(os.stat(victim, dir_fd=fd, follow_symlinks=False).st_mode):
                _set_opaque(fd, victim)

    def _revive(self, path: bytes) -> None:
        """Make a directory of a whiteout above `path`: the layer deletes the name and then puts something below it."""
        self.settle()
        parts = path.split(b"/")
        for count in range(1, len(parts) + 1):
            folder, name = self.root.parent(b"/".join(parts[:count]))
            there = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISCHR(there.st_mode) and there.st_rdev == 0:
                os.unlink(name, dir_fd=folder)
                os.mkdir(name, 0o755, dir_fd=folder)
                _set_opaque(folder, name)
                return

    def _spoil(self) -> None:
        if self._recipe is not None:
            self._recipe.spoil()


def hide_base(tree: Path, base: Path) -> None:
    """Make `tree`, a layer's directory, hide everything that `base`, what is below it, has. Blocking."""
    with Root(tree) as root:
        for name in (os.fsencode(name) for name in os.listdir(base)):
            try:
                found = os.stat(name, dir_fd=root.fd, follow_symlinks=False)
            except FileNotFoundError:
                os.mknod(name, stat.S_IFCHR, 0, dir_fd=root.fd)
                continue
            if stat.S_ISDIR(found.st_mode):
                _set_opaque(root.fd, name)


def _set_opaque(folder: int, name: bytes) -> None:
    os.setxattr(b"/proc/self/fd/%d/%s" % (folder, name), OPAQUE, b"y", follow_symlinks=False)


def pack_layer(
    tree: Path, without: frozenset[bytes] = frozenset(), latest_ns: int | None = None
) -> Generator[bytes, None, None]:
    """The layer tar of an overlayfs upper directory: deleted names and opaque directories as whiteouts, `/` included.

    Blocking. The same directory always gives the same bytes. Directories named in `without` get no entry; what is in
    them does. Times after `latest_ns` are told as that.
    """
    with Root(tree) as root:
        yield from LayerPacker(root, without, latest_ns).tree(b"", b"")


def apply_layer(source: Source, tree: Path, links: list[tuple[bytes, bytes]]) -> None:
    """Unpack the uncompressed layer `source` over what is in `tree`, a mounted file system: whiteouts delete.

    `links` are hard links (name, target) to make afterwards. Blocking. Raises as `unpack_layer` does.
    """
    with Root(tree) as root:
        unpacker = _LayerApplier(root, source, Options())
        unpacker.run()
        for name, target in links:
            unpacker.place(name, Entry(name, tar.HARDLINK, target=target))


class _LayerApplier(Unpacker):
    def place(self, path: bytes, entry: Entry) -> None:
        folder, _, name = path.rpartition(b"/")
        if not name.startswith(WHITEOUT):
            super().place(path, entry)
            return
        self.settle()
        if name == OPAQUE_MARK:
            fd = self.root.directory(folder)
            for child in os.listdir(fd):
                remove_tree(fd, os.fsencode(child))
        else:
            fd, victim = self.root.parent(folder + b"/" + name[len(WHITEOUT) :])
            remove_tree(fd, victim, missing_ok=True)
        self.root.forget()

    def root_entry(self, entry: Entry) -> None:
        self.adorn(self.root.fd, entry)


class LayerPacker(Packer):
    """Makes the tar of `pack_layer`."""

    def __init__(self, root: Root, without: frozenset[bytes], latest_ns: int | None) -> None:
        super().__init__(root, subsecond=True, latest_ns=latest_ns)
        self._without = without

    def directory(self, fd: int, name: bytes, found: os.stat_result) -> None:
        if name in self._without:
            return
        self.header(self.entry(name + b"/" if name else b"./", found, fd))
        if name and _is_opaque(fd):
            self.header(_mark(name + b"/" + OPAQUE_MARK))

    def special(self, folder: int, base: bytes, name: bytes, found: os.stat_result) -> None:
        if stat.S_ISCHR(found.st_mode) and found.st_rdev == 0:
            above, slash, last = name.rpartition(b"/")
            self.header(_mark(above + slash + WHITEOUT + last))
            return
        super().special(folder, base, name, found)


def _mark(name: bytes) -> Entry:
    # Without a time: nobody asks when something was deleted, and the same deletions are the same layer.
    return Entry(name, mode=0)


def _is_opaque(fd: int) -> bool:
    try:
        return os.getxattr(fd, OPAQUE) == b"y"
    except OSError:
        return False
