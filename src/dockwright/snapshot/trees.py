"""Directories of layers: making them, removing them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from dockwright.errors import HostFailure

# Up to this many entries are removed here; more, or anything nested deeply, by rm(1): it costs a process, but it neither
# holds the interpreter nor runs out of stack.
_SMALL = 200
_SHALLOW = 20


def make_layer(layer: Path, like: Path | None) -> None:
    """Make `layer/fs` and `layer/work`; the root of the tree gets mode, owner, attributes and time of `like`."""
    layer.mkdir(mode=0o700)
    root = layer / "fs"
    root.mkdir()
    (layer / "work").mkdir(mode=0o700)
    if like is None:
        root.chmod(0o755)
        return
    found = like.stat()
    if (found.st_uid, found.st_gid) != (0, 0):
        os.chown(root, found.st_uid, found.st_gid)
    root.chmod(found.st_mode & 0o7777)
    for name in os.listxattr(like):
        if not name.startswith("trusted.overlay."):
            os.setxattr(root, name, os.getxattr(like, name))
    os.utime(root, ns=(found.st_mtime_ns, found.st_mtime_ns))


def remove(tree: Path) -> None:
    """Remove `tree` and all below it; nothing when it is not there. Raises `HostFailure`."""
    try:
        if _remove_small(tree, [_SMALL], _SHALLOW):
            return
    except FileNotFoundError:
        return
    except OSError as error:
        raise HostFailure(f"removing {tree}: {error}") from error
    done = subprocess.run(
        ["rm", "-rf", "--one-file-system", "--", str(tree)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise HostFailure(f"removing {tree}: {done.stderr.strip()}")


def _remove_small(directory: Path | str, budget: list[int], depth: int) -> bool:
    """Remove a tree whose size and depth stay within bounds; False, with a part of it gone, when they do not."""
    with os.scandir(directory) as entries:
        for entry in entries:
            budget[0] -= 1
            if budget[0] < 0:
                return False
            if not entry.is_dir(follow_symlinks=False):
                os.unlink(entry.path)
            elif depth == 0 or not _remove_small(entry.path, budget, depth - 1):
                return False
    os.rmdir(directory)
    return True
