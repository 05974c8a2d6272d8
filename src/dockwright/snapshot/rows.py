"""The rows behind the snapshots: layers are directories, snapshots say what stands on what."""

from __future__ import annotations

from dataclasses import dataclass

from dockwright.snapshot.snapshotter import Kind, SnapshotInfo
from dockwright.store import Schema

SNAPSHOT_SCHEMA = Schema(
    "snapshots",
    [
        # `diff_id` names layers that are the same on every base; `rooted` is 0 when the layer says nothing about `/`;
        # `recipe` is 1 when the layer's tar can be made again.
        "CREATE TABLE layer (number INTEGER PRIMARY KEY, diff_id TEXT UNIQUE, rooted INTEGER NOT NULL, recipe INTEGER NOT NULL,"
        " size_bytes INTEGER NOT NULL, inodes INTEGER NOT NULL);"
        "CREATE TABLE snapshot (key TEXT PRIMARY KEY, kind TEXT NOT NULL, parent TEXT REFERENCES snapshot (key),"
        " layer INTEGER NOT NULL REFERENCES layer (number), created_ns INTEGER NOT NULL);"
        "CREATE INDEX snapshot_parent ON snapshot (parent);"
        "CREATE INDEX snapshot_layer ON snapshot (layer)"
    ],
)

SNAPSHOT_ROWS = "SELECT key, kind, parent, layer, created_ns FROM snapshot ORDER BY created_ns"


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One directory; sizes are 0 while it is active."""

    number: int
    diff_id: str | None = None
    rooted: bool = True
    recipe: bool = False
    size_bytes: int = 0
    inodes: int = 0


@dataclass(frozen=True, slots=True)
class Node:
    """One snapshot in memory."""

    key: str
    kind: Kind
    parent: str | None
    layer: LayerRow
    created_ns: int

    @property
    def info(self) -> SnapshotInfo:
        """What others may know of it."""
        return SnapshotInfo(self.key, self.kind, self.parent, self.created_ns)
