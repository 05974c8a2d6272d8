"""Tar streams confined to a root: image layers, container exports, copies into and out of containers.

What belongs here: the tar format, compression on the way in, paths that never leave their root, the bridge between the
event loop and blocking archive code. What does not: what an archive means to an image or a container.

The code that reads and writes tar is our own: unpacking 40,000 files spends 0.45 s in it and 1.7 s in the kernel (GNU tar
and bsdtar need the same 1.7 s), the standard library's needs 3.2 s altogether, and libarchive resolves paths by name in a
working directory that all threads share, where `openat2` cannot confine it. Small files are made by two threads beside the
reading one (`creating.py`), as most of their time is the kernel's.
"""

from dockwright.archive.bridge import consume, produce, run
from dockwright.archive.copy import PathStat, export, read, real_path, stat_path, write
from dockwright.archive.fingerprinting import Fingerprints, Seen, fingerprints
from dockwright.archive.layers import Layer, apply_layer, hide_base, pack_layer, unpack_layer
from dockwright.archive.recipe import replay
from dockwright.archive.root import Root
from dockwright.archive.selection import (
    Chosen,
    Dress,
    LeavesOut,
    Selection,
    nothing,
    pack_files,
    pack_selection,
    place,
    place_archive,
)
from dockwright.archive.source import Source, Tapped, decompressed, is_packed, is_tar
from dockwright.archive.taking import take_layer

__all__ = [
    "Chosen",
    "Dress",
    "Fingerprints",
    "Layer",
    "LeavesOut",
    "PathStat",
    "Root",
    "Seen",
    "Selection",
    "Source",
    "Tapped",
    "apply_layer",
    "consume",
    "decompressed",
    "export",
    "fingerprints",
    "hide_base",
    "is_packed",
    "is_tar",
    "nothing",
    "pack_files",
    "pack_layer",
    "pack_selection",
    "place",
    "place_archive",
    "produce",
    "read",
    "real_path",
    "replay",
    "run",
    "stat_path",
    "take_layer",
    "unpack_layer",
    "write",
]
