"""A layer made of an upper directory where it lies is the one that packing and unpacking it would give."""

from __future__ import annotations

import io
import os
import socket
import stat
from pathlib import Path

import pytest

from dockwright import archive

pytestmark = pytest.mark.root

LATEST_NS = 1_600_000_000 * 10**9


def upper(root: Path) -> Path:
    """An upper directory with everything in it."""
    (root / "d" / "e").mkdir(parents=True)
    (root / "d" / "e" / "f").write_bytes(os.urandom(700_001))
    (root / "d" / "empty").touch()
    os.link(root / "d" / "e" / "f", root / "d" / "again")
    (root / "link").symlink_to("d/e")
    os.mkfifo(root / "fifo")
    os.mknod(root / "gone", stat.S_IFCHR, 0)
    os.mknod(root / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.setxattr(root / "d" / "e", "trusted.overlay.opaque", b"y")
    os.setxattr(root / "d", "trusted.overlay.origin", b"\0\0")
    os.setxattr(root / "d" / "empty", "trusted.overlay.origin", b"\0\0")
    os.setxattr(root / "d" / "empty", "user.mine", b"1")
    (root / "old").write_text("old")
    os.utime(root / "old", ns=(LATEST_NS - 5, LATEST_NS - 5))
    os.chown(root / "old", 5, 6)
    (root / "old").chmod(0o4711)
    with socket.socket(socket.AF_UNIX) as end:
        folder = os.open(root, os.O_PATH)
        end.bind(f"/proc/self/fd/{folder}/socket")
        os.close(folder)
    return root


def seen(root: Path) -> dict[str, tuple[object, ...]]:
    found = {}
    for path in [root, *root.rglob("*")]:
        at = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(at.st_mode) else None
        attributes = {
            name: os.getxattr(path, name, follow_symlinks=False) for name in os.listxattr(path, follow_symlinks=False)
        }
        time_ns = None if stat.S_ISCHR(at.st_mode) and at.st_rdev == 0 else at.st_mtime_ns
        found[str(path.relative_to(root))] = (
            at.st_mode, at.st_uid, at.st_gid, time_ns, at.st_rdev, at.st_nlink, content, str(attributes),
        )  # fmt: skip
    return found


@pytest.mark.parametrize("latest_ns", [None, LATEST_NS])
def test_the_same_tar_the_same_directory_and_a_recipe(tmp_path: Path, latest_ns: int | None) -> None:
    tree = upper(tmp_path / "upper")
    expected = b"".join(archive.pack_layer(tree, latest_ns=latest_ns))
    other = tmp_path / "other"
    other.mkdir()
    archive.unpack_layer(io.BytesIO(expected), other)
    chunks: list[bytes] = []
    layer = archive.take_layer(tree, tmp_path / "recipe", latest_ns, chunks.append)
    assert b"".join(chunks) == expected
    assert layer.independent
    assert layer.regenerable
    assert b"".join(archive.replay(tmp_path / "recipe", tree)) == expected
    assert seen(tree) == seen(other)


def test_who_stops_it_leaves_an_upper_directory(tmp_path: Path) -> None:
    tree = upper(tmp_path / "upper")

    def refuse(chunk: bytes) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        archive.take_layer(tree, tmp_path / "recipe", None, refuse)
    assert not (tmp_path / "recipe").exists()
    assert (tree / "old").read_text() == "old"
