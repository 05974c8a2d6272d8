"""Two trees side by side."""

from __future__ import annotations

import os
import random
import shutil
import stat
from pathlib import Path

import pytest
from tests.engine.snapshot.test_changes import mutate

from dockwright.errors import Unsupported
from dockwright.snapshot import compare_trees, touched
from dockwright.snapshot.comparing import TreeChange
from dockwright.snapshot.snapshotter import ChangeKind

pytestmark = pytest.mark.root

A, M, D = ChangeKind.ADDED, ChangeKind.MODIFIED, ChangeKind.DELETED


@pytest.fixture
def trees(tmp_path: Path) -> tuple[Path, Path]:
    old, new = tmp_path / "old", tmp_path / "new"
    for tree in (old, new):
        tree.mkdir(mode=0o755)
    return old, new


def test_what_one_tree_has_alone_is_told_with_all_below_it(trees: tuple[Path, Path]) -> None:
    old, new = trees
    (old / "gone/deep").mkdir(parents=True)
    (old / "gone/deep/file").write_text("123")
    (new / "come").mkdir()
    (new / "come/file").write_text("12345")
    (new / "come/link").symlink_to("/nowhere")
    assert compare_trees(old, new) == [
        TreeChange(A, "/come", 0, 0),
        TreeChange(A, "/come/file", 0, 5),
        TreeChange(A, "/come/link", 0, 0),
        TreeChange(D, "/gone", 0, 0),
        TreeChange(D, "/gone/deep", 0, 0),
        TreeChange(D, "/gone/deep/file", 3, 0),
    ]


def test_how_a_name_differs_is_told(trees: tuple[Path, Path]) -> None:
    for tree in trees:
        for name in ("mode", "owner", "size", "content", "attributes", "times"):
            (tree / name).write_text("1234")
        (tree / "target").symlink_to("/one")
        os.mknod(tree / "device", stat.S_IFCHR, os.makedev(1, 3))
        (tree / "type").mkdir()
        (tree / "type/inside").write_text("x")
        (tree / "directory").mkdir()
    old, new = trees
    (new / "mode").chmod(0o4755)
    os.chown(new / "owner", 5, 6)
    (new / "size").write_text("12345")
    (new / "content").write_text("4321")
    os.setxattr(new / "attributes", "user.x", b"1")
    os.utime(new / "times", ns=(0, 0))
    (new / "target").unlink()
    (new / "target").symlink_to("/two")
    (new / "device").unlink()
    os.mknod(new / "device", stat.S_IFCHR, os.makedev(1, 5))
    shutil.rmtree(new / "type")
    (new / "type").write_text("now a file")
    (new / "directory").chmod(0o700)
    new.chmod(0o711)
    assert [(change.kind, change.path, change.what) for change in compare_trees(old, new)] == [
        (M, "/", ("mode",)),
        (M, "/attributes", ("attributes",)),
        (M, "/content", ("content",)),
        (M, "/device", ("device",)),
        (M, "/directory", ("mode",)),
        (M, "/mode", ("mode",)),
        (M, "/owner", ("owner",)),
        (M, "/size", ("size",)),
        (M, "/target", ("target",)),
        (M, "/type", ("type",)),
        (D, "/type/inside", ()),
    ]


def test_links_lead_nowhere(trees: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("secret")
    for tree in trees:
        (tree / "out").symlink_to(tmp_path / "outside")
    assert compare_trees(*trees) == []


def test_a_tree_without_end_is_refused(trees: tuple[Path, Path]) -> None:
    here = os.open(trees[0], os.O_RDONLY)
    for _ in range(400):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    with pytest.raises(Unsupported, match="nested deeper"):
        compare_trees(*trees)
    with pytest.raises(Unsupported, match="nested deeper"):
        touched([trees[0]])


def test_upper_directories_tell_where_to_look(trees: tuple[Path, Path]) -> None:
    one, two = trees
    (one / "etc/deep").mkdir(parents=True)
    (one / "etc/deep/file").touch()
    os.mknod(one / "etc/deleted", stat.S_IFCHR, 0)
    (two / "etc/deep").mkdir(parents=True)
    os.setxattr(two / "etc/deep", "trusted.overlay.opaque", b"y")
    assert touched([one]) == {"etc": {"deep": {"file": None}, "deleted": None}}
    assert touched([one, two]) == {"etc": {"deep": None, "deleted": None}}
    assert touched([two, one]) == {"etc": {"deep": None, "deleted": None}}


@pytest.mark.parametrize("seed", range(6))
def test_a_tree_made_equal_by_what_is_told_is_equal(trees: tuple[Path, Path], seed: int) -> None:
    old, new = trees
    chance = random.Random(seed)
    for tree in trees:
        for _ in range(60):
            mutate(tree, chance)
    for change in reversed(compare_trees(old, new)):
        path = old / change.path[1:]
        if change.kind is D or change.what == ("type",):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    for change in compare_trees(old, new):
        source, path = new / change.path[1:], old / change.path[1:]
        if source.is_dir() and not source.is_symlink():
            path.mkdir(exist_ok=True)
            shutil.copystat(source, path)
            os.chown(path, source.stat().st_uid, source.stat().st_gid)
            continue
        path.unlink(missing_ok=True)
        os.system(f"cp -a '{source}' '{path}'")
    assert compare_trees(old, new) == []
