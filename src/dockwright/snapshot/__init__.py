"""File system trees on overlayfs: the seam `Snapshotter` and its implementation `Overlay`.

What belongs here: layers, what stands on what, mounting, differences, sizes. What does not: images, containers, the tar
format.
"""

from dockwright.snapshot.comparing import Touched, TreeChange, touched
from dockwright.snapshot.comparing import compare as compare_trees
from dockwright.snapshot.layers import Layers, Staged, source_of
from dockwright.snapshot.overlay import Overlay
from dockwright.snapshot.rows import SNAPSHOT_SCHEMA
from dockwright.snapshot.snapshotter import Change, ChangeKind, SnapshotInfo, Snapshotter, Usage

__all__ = [
    "SNAPSHOT_SCHEMA",
    "Change",
    "ChangeKind",
    "Layers",
    "Overlay",
    "SnapshotInfo",
    "Snapshotter",
    "Staged",
    "Touched",
    "TreeChange",
    "Usage",
    "compare_trees",
    "source_of",
    "touched",
]
