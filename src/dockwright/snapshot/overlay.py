"""`Snapshotter` on overlayfs, with one directory per layer.

    <root>/<number>/fs      the layer's own files: upper directory while active, lower directory once committed
    <root>/<number>/work    overlayfs' work directory, while active
    <root>/<number>/recipe  how to make the layer's tar again, byte for byte, where there is one (see `archive.recipe`)
    <root>/empty            a lower directory for trees that have nothing below
    <root>/mnt/<number>     where layers are mounted while they are worked on

Numbers are never used twice. What each is for is told by the rows below alone: a directory without a row is garbage of a
crash and collected when the snapshots are opened. A row of `layer` may serve several snapshots: equal layers on different
bases are kept once (see `layers.py`).
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from dockwright import faults, workers
from dockwright.errors import Conflict, InUse, Invalid, NotFound
from dockwright.snapshot import changes as differences
from dockwright.snapshot import trees
from dockwright.snapshot.mountapi import OverlayMounts, Plan, sync_file_system, unmount
from dockwright.snapshot.rows import SNAPSHOT_ROWS, LayerRow, Node
from dockwright.snapshot.snapshotter import Change, Kind, SnapshotInfo, Usage
from dockwright.store import Database
from dockwright.tasks import Background
from dockwright.undo import shielded

# Long enough for the file system to write out whatever a container left in memory.
COMMIT_LIMIT_S = 3600.0


class Overlay:
    """Snapshots below one directory, which this object alone owns. Open with `Overlay.open_at`, end with `aclose`."""

    def __init__(self, root: Path, database: Database) -> None:
        self._root, self._database = root, database
        # Every row, kept in memory: a start must not wait for a query. Changed only after the commit that changed the row.
        self._nodes: dict[str, Node] = {}
        self._children: dict[str, int] = {}
        self._by_diff: dict[str, LayerRow] = {}
        self._reserved: set[str] = set()
        self._adopting = asyncio.Lock()
        self._next = 1
        self._adopted: set[int] = set()
        self._background = Background("snapshots")

    @classmethod
    async def open_at(cls, root: Path, database: Database) -> Overlay:
        """Open or create the snapshots at `root`; what a crash left behind is collected in the background."""
        overlay = cls(root, database)
        layers, rows = await database.read(
            lambda db: (db.execute("SELECT * FROM layer").fetchall(), db.execute(SNAPSHOT_ROWS).fetchall())
        )
        overlay._load(layers, rows)
        garbage = await workers.quick(overlay._prepare_root, {row[0] for row in layers})
        for path in garbage:
            overlay._discard(path)
        return overlay

    async def aclose(self) -> None:
        """Wait for removals under way and let go of the directory. Safe to call twice."""
        await self._background.drain()
        await self._background.aclose()
        self._mounts.close()

    async def prepare(self, key: str, parent: str | None = None) -> None:
        """See `Snapshotter.prepare`."""
        await self._create(key, "active", parent)

    async def view(self, key: str, parent: str | None = None) -> None:
        """See `Snapshotter.view`."""
        await self._create(key, "view", parent)

    async def mount(self, key: str, target: Path, *, readonly: bool = False) -> None:
        """See `Snapshotter.mount`. A cancelled call leaves nothing mounted."""
        node = self.node(key)
        if node.kind == "committed":
            raise Invalid(f"snapshot {key} is committed: make a view of it to mount it")
        faults.point("snapshot.mount")
        mount = workers.quick(self._mounts.mount, self._plan(node), target, readonly or node.kind == "view")
        try:
            # To its end, as a thread cannot be stopped: a caller that undoes this must not come before it.
            await shielded(mount)
        except asyncio.CancelledError:
            await shielded(workers.quick(unmount, target))
            raise

    async def unmount(self, target: Path) -> None:
        """See `Snapshotter.unmount`."""
        await workers.quick(unmount, target)

    async def commit(self, name: str, key: str) -> None:
        """See `Snapshotter.commit`. A cancelled commit still ends."""
        node = self._active(key)
        self._reserve(name)
        try:
            await shielded(self._commit(name, node), limit_s=COMMIT_LIMIT_S)
        finally:
            self._reserved.discard(name)

    async def remove(self, key: str) -> bool:
        """See `Snapshotter.remove`. The directory itself goes in the background; `settled` waits for it.

        Whether it does: a directory that serves another snapshot too stays.
        """
        return await shielded(self._remove(self.node(key)))

    async def settled(self) -> None:
        """Wait until the directories of removed snapshots are gone from the disk."""
        await self._background.drain()

    def stat(self, key: str) -> SnapshotInfo:
        """See `Snapshotter.stat`."""
        return self.node(key).info

    def walk(self) -> list[SnapshotInfo]:
        """See `Snapshotter.walk`."""
        return [node.info for node in sorted(self._nodes.values(), key=lambda node: len(self.chain(node)))]

    async def usage(self, key: str) -> Usage:
        """See `Snapshotter.usage`. A committed snapshot's is remembered, an active one's is counted."""
        layer = self.node(key).layer
        if self.node(key).kind == "committed":
            return Usage(layer.size_bytes, layer.inodes)
        return await workers.bulk(differences.usage, self.tree(layer))

    async def changes(self, key: str) -> list[Change]:
        """See `Snapshotter.changes`."""
        node = self.node(key)
        lowers = [self.tree(below.layer) for below in self.chain(node)[1:]]
        return await workers.bulk(differences.changes, self.tree(node.layer), lowers)

    def node(self, key: str) -> Node:
        """The snapshot `key`. Raises `NotFound`."""
        try:
            return self._nodes[key]
        except KeyError:
            raise NotFound(f"snapshot {key} does not exist") from None

    def chain(self, node: Node) -> list[Node]:
        """`node` and everything below it, topmost first."""
        found = [node]
        while node.parent is not None:
            node = self._nodes[node.parent]
            found.append(node)
        return found

    def tree(self, layer: LayerRow) -> Path:
        """The directory of the layer's own files."""
        return self._root / str(layer.number) / "fs"

    async def _create(self, key: str, kind: Kind, parent: str | None) -> None:
        below = self._committed(parent) if parent is not None else None
        self._reserve(key)
        number = self._take_number()
        node = Node(key, kind, parent, LayerRow(number), time.time_ns())
        self._count_child(parent, 1)
        try:
            await self._database.write(lambda db: self._make(db, node, self._root_of(below)))
        except BaseException:
            # Cancelled, the rows may still come: the removal queues up behind them.
            await shielded(self._remove(node))
            raise
        finally:
            self._reserved.discard(key)
        self._nodes[key] = node

    async def _commit(self, name: str, node: Node) -> None:
        used = await workers.bulk(self._settle, node.layer.number)
        layer = replace(node.layer, size_bytes=used.size_bytes, inodes=used.inodes)
        committed = Node(name, "committed", node.parent, layer, time.time_ns())

        def save(db: sqlite3.Connection) -> None:
            db.execute(
                "UPDATE layer SET size_bytes = ?, inodes = ? WHERE number = ?",
                (used.size_bytes, used.inodes, layer.number),
            )
            db.execute(
                "UPDATE snapshot SET key = ?, kind = 'committed', created_ns = ? WHERE key = ?",
                (name, committed.created_ns, node.key),
            )

        faults.point("snapshot.commit")
        await self._database.write(save)
        del self._nodes[node.key]
        self._nodes[name] = committed
        await workers.quick(trees.remove, self._root / str(layer.number) / "work")

    async def _remove(self, node: Node) -> bool:
        # Looked at and forgotten in one step, so that nothing is made on top of it in between.
        if self._children.get(node.key):
            raise InUse(f"snapshot {node.key} has others on top of it")
        known = self._nodes.pop(node.key, None)

        def forget(db: sqlite3.Connection) -> bool:
            db.execute("DELETE FROM snapshot WHERE key = ? AND layer = ?", (node.key, node.layer.number))
            (shared,) = db.execute("SELECT COUNT(*) FROM snapshot WHERE layer = ?", (node.layer.number,)).fetchone()
            if not shared:
                db.execute("DELETE FROM layer WHERE number = ?", (node.layer.number,))
            return not shared

        try:
            try:
                last = await self._database.write(forget)
            except sqlite3.OperationalError:
                if node.kind != "active":
                    raise
                # A full disk: what goes anyway makes the room that forgetting it takes.
                await workers.bulk(trees.remove, self._root / str(node.layer.number) / "fs")
                last = await self._database.write(forget)
        except sqlite3.Error:
            if known is not None:
                self._nodes[node.key] = known
            raise
        self._count_child(node.parent, -1)
        if last:
            if node.layer.diff_id is not None:
                self._by_diff.pop(node.layer.diff_id, None)
            self._discard(self._root / str(node.layer.number))
        return last

    def _make(self, db: sqlite3.Connection, node: Node, like: Path | None) -> None:
        """The directories, then the rows: in the writer's thread, as three `mkdir` are cheaper than a change of thread."""
        trees.make_layer(self._root / str(node.layer.number), like)
        faults.point("snapshot.prepare")
        db.execute("INSERT INTO layer VALUES (?, NULL, 1, 0, 0, 0)", (node.layer.number,))
        db.execute(
            "INSERT INTO snapshot VALUES (?, ?, ?, ?, ?)",
            (node.key, node.kind, node.parent, node.layer.number, node.created_ns),
        )

    def by_diff(self, diff_id: str) -> LayerRow | None:
        """The unpacked layer that is the same on every base."""
        return self._by_diff.get(diff_id)

    def recipe(self, layer: LayerRow) -> Path:
        """Where the layer's recipe is, when it has one."""
        return self._root / str(layer.number) / "recipe"

    @asynccontextmanager
    async def stage(self) -> AsyncIterator[LayerRow]:
        """A layer directory without a row, to be filled. Unless `adopt` took it over, it is gone afterwards."""
        number = self._take_number()
        layer = LayerRow(number)
        try:
            await shielded(workers.quick(trees.make_layer, self._root / str(number), None))
            yield layer
        finally:
            if number not in self._adopted:
                self._discard(self._root / str(number))
            self._adopted.discard(number)

    @asynccontextmanager
    async def looked_at(self, parent: str, *, writable: bool = False) -> AsyncIterator[tuple[Path, LayerRow]]:
        """What `parent` shows, mounted for a while, with a layer on top that a writer may `adopt`."""
        async with self.stage() as layer:
            node = Node("", "active" if writable else "view", parent, layer, 0)
            like = self._root_of(self.node(parent))
            target = self._root / "mnt" / str(layer.number)
            try:
                await shielded(workers.quick(self._mount_on_top, node, like, target))
                yield target, layer
            finally:
                await shielded(workers.quick(_unmount_and_remove, target))

    async def adopt(self, key: str, parent: str | None, layer: LayerRow) -> None:
        """Make `layer`, staged or known already, a committed snapshot. One that exists is left as it is."""
        if parent is not None:
            self._committed(parent)
        await shielded(self._adopt(Node(key, "committed", parent, layer, time.time_ns())))

    async def _adopt(self, node: Node) -> None:
        # One at a time: the same layer, or the same stack, may come from two sides at once.
        async with self._adopting:
            if node.key not in self._nodes:
                await self._take_over(node)

    async def _take_over(self, node: Node) -> None:
        layer = node.layer
        if layer.diff_id is not None and (known := self._by_diff.get(layer.diff_id)) is not None:
            node = replace(node, layer=known)

        def save(db: sqlite3.Connection) -> None:
            if node.layer is layer:
                row = (layer.number, layer.diff_id, layer.rooted, layer.recipe, layer.size_bytes, layer.inodes)
                db.execute("INSERT INTO layer VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (number) DO NOTHING", row)
            db.execute(
                "INSERT INTO snapshot VALUES (?, ?, ?, ?, ?)",
                (node.key, node.kind, node.parent, node.layer.number, node.created_ns),
            )

        self._count_child(node.parent, 1)
        try:
            faults.point("snapshot.adopt")
            await self._database.write(save)
        except BaseException:
            self._count_child(node.parent, -1)
            raise
        self._nodes[node.key] = node
        if node.layer is layer:
            self._adopted.add(layer.number)
        if node.layer.diff_id is not None:
            self._by_diff[node.layer.diff_id] = node.layer

    def _mount_on_top(self, node: Node, like: Path | None, target: Path) -> None:
        trees.remove(self._root / str(node.layer.number))
        trees.make_layer(self._root / str(node.layer.number), like)
        target.mkdir()
        self._mounts.mount(self._plan(node), target, node.kind == "view")

    def _plan(self, node: Node) -> Plan:
        # A layer may come twice in a stack, which overlayfs refuses: what the lower one shows, the upper one shows too.
        lowers = list(dict.fromkeys(f"{below.layer.number}/fs" for below in self.chain(node)[1:])) + ["empty"]
        own = f"{node.layer.number}/fs"
        if node.kind == "view":
            return Plan([own, *lowers], None, None)
        return Plan(lowers[:-1] or lowers, own, f"{node.layer.number}/work")

    def _root_of(self, node: Node | None) -> Path | None:
        """The directory whose mode and owner `/` has when `node` is on top."""
        if node is None:
            return None
        chain = self.chain(node)
        return self.tree(next((below.layer for below in chain if below.layer.rooted), chain[-1].layer))

    def _settle(self, number: int) -> Usage:
        tree = self._root / str(number) / "fs"
        sync_file_system(tree)
        used = differences.usage(tree)
        # The directory around it stays too; the work directory goes.
        return Usage(used.size_bytes + tree.parent.stat().st_blocks * 512, used.inodes + 1)

    def _active(self, key: str) -> Node:
        node = self.node(key)
        if node.kind != "active":
            raise Invalid(f"snapshot {key} is not active")
        return node

    def _committed(self, key: str) -> Node:
        node = self.node(key)
        if node.kind != "committed":
            raise Invalid(f"snapshot {key} is not committed: nothing can stand on it")
        return node

    def _reserve(self, key: str) -> None:
        if key in self._nodes or key in self._reserved:
            raise Conflict(f"snapshot {key} exists already")
        self._reserved.add(key)

    def _count_child(self, parent: str | None, change: int) -> None:
        if parent is not None:
            self._children[parent] = self._children.get(parent, 0) + change

    def _take_number(self) -> int:
        self._next += 1
        return self._next - 1

    def _load(
        self, layers: list[tuple[int, str | None, int, int, int, int]], rows: list[tuple[str, Kind, str, int, int]]
    ) -> None:
        by_number = {row[0]: LayerRow(row[0], row[1], bool(row[2]), bool(row[3]), row[4], row[5]) for row in layers}
        self._by_diff = {row.diff_id: row for row in by_number.values() if row.diff_id is not None}
        for key, kind, parent, number, created_ns in rows:
            self._nodes[key] = Node(key, kind, parent, by_number[number], created_ns)
            self._count_child(parent, 1)

    def _prepare_root(self, known: set[int]) -> list[Path]:
        self._root.mkdir(parents=True, exist_ok=True)
        self._root.chmod(0o711)
        trees.spread_apart(self._root)
        (self._root / "empty").mkdir(exist_ok=True)
        (self._root / "mnt").mkdir(mode=0o700, exist_ok=True)
        for mount in (self._root / "mnt").iterdir():
            unmount(mount)
            mount.rmdir()
        self._mounts = OverlayMounts(self._root)
        numbers = [int(path.name) for path in self._root.iterdir() if path.name.isdigit()]
        self._next = max([0, *known, *numbers]) + 1
        return [self._root / str(number) for number in numbers if number not in known]

    def _discard(self, path: Path) -> None:
        self._background.start(_remove(path), name=f"remove {path.name}")


def _unmount_and_remove(target: Path) -> None:
    unmount(target)
    if target.exists():
        target.rmdir()


async def _remove(path: Path) -> None:
    # Cancelled only when the daemon stops: the next start collects the rest.
    await asyncio.sleep(0)
    await workers.bulk(trees.remove, path)
