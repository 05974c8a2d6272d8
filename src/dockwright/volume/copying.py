"""Trees copied whole, and a directory's content exchanged for another without the directory itself: blocking.

An exchange survives a kill at any instruction. Its steps are told apart by the name of one directory inside the root:

    .dockwright-staged      being filled: worth nothing yet
    .dockwright-leaving     complete; what the root holds moves into its `out`
    .dockwright-entering    the root is empty; what its `in` holds moves into the root
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from dockwright import faults
from dockwright.errors import HostFailure

STAGED, _LEAVING, _ENTERING = ".dockwright-staged", ".dockwright-leaving", ".dockwright-entering"
_OURS = frozenset((STAGED, _LEAVING, _ENTERING))


def copy_tree(source: Path, target: Path, what: str) -> None:
    """Copy the content of the directory `source`, and its owner, mode and times, to the directory `target`.

    Data is shared where the file system can (reflink) and copied else. Raises `HostFailure` naming `what`.
    """
    # GNU cp keeps owners, modes, times, xattrs, holes and hard links.
    copied = subprocess.run(
        ["cp", "-a", "--reflink=auto", f"{source}/.", str(target)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if copied.returncode:
        raise HostFailure(f"{what}: {copied.stderr.decode(errors='replace').strip()[:1000]}")


def tree_size(root: Path) -> int:
    """Bytes on disk, as du counts them: hard links once. What vanishes meanwhile is not counted."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for directory, names, files in os.walk(root):
        for name in [*names, *files]:
            try:
                status = os.lstat(os.path.join(directory, name))
            except OSError:
                continue
            if (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                total += status.st_blocks * 512
    return total


def is_empty(root: Path) -> bool:
    """Whether a directory holds nothing but what a file system puts there itself."""
    return all(name == "lost+found" or name in _OURS for name in os.listdir(root))


def stage(root: Path) -> Path:
    """A fresh directory to be filled with what `root` shall hold; `exchange` puts it in place."""
    shutil.rmtree(root / STAGED, ignore_errors=True)
    (root / STAGED).mkdir(mode=0o700)
    (root / STAGED / "in").mkdir(mode=0o755)
    return root / STAGED / "in"


def exchange(root: Path) -> None:
    """Put what was staged in place of what `root` holds."""
    faults.point("volume.exchange")
    (root / STAGED).rename(root / _LEAVING)
    finish(root)


def finish(root: Path) -> None:
    """End an exchange that was begun, or forget one that was not complete. Fine when there is none."""
    if (root / _LEAVING).exists():
        _leave(root)
    if (root / _ENTERING).exists():
        _enter(root)
    if (root / STAGED).exists():
        shutil.rmtree(root / STAGED)


def _leave(root: Path) -> None:
    out = root / _LEAVING / "out"
    out.mkdir(exist_ok=True)
    for name in os.listdir(root):
        if name not in _OURS:
            os.rename(root / name, out / name)
            faults.point("volume.leaving")
    (root / _LEAVING).rename(root / _ENTERING)


def _enter(root: Path) -> None:
    incoming = root / _ENTERING / "in"
    for name in os.listdir(incoming):
        os.rename(incoming / name, root / name)
        faults.point("volume.entering")
    status = os.stat(incoming)
    os.chown(root, status.st_uid, status.st_gid)
    shutil.copystat(incoming, root)
    shutil.rmtree(root / _ENTERING)
