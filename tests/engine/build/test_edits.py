"""Single changes to a tree: nothing of them leads out of it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from dockwright.build.planning.graph import Edit, NewDirectory, NewLink, Remove, Scratch, WriteFile
from dockwright.build.solving import edits
from dockwright.errors import DockwrightError, Invalid, NotFound

pytestmark = pytest.mark.root
TIME_NS = 1_600_000_000 * 10**9
BASE = Scratch()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with a link to `outside`, which lies beside it, absolute and relative."""
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc/passwd").write_text("app:x:7:8::/:/bin/sh\n")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").write_text("untouched")
    (root / "absolute").symlink_to(tmp_path / "outside")
    (root / "relative").symlink_to("../outside")
    return root


def _write(path: str, content: bytes = b"new", owner: str = "") -> WriteFile:
    return WriteFile(title="mkfile", base=BASE, path=path, content=content, mode=0o640, owner=owner)


def test_files_directories_and_links_have_owner_mode_and_time(tree: Path) -> None:
    edits.apply(NewDirectory(title="", base=BASE, path="/a/b", mode=0o1750, parents=True, owner="app"), tree, TIME_NS)
    edits.apply(_write("/a/b/c", owner="3:4"), tree, TIME_NS)
    edits.apply(NewLink(title="", base=BASE, path="/a/l", target="/a/b/c", owner="app:9"), tree, TIME_NS)
    for name, owner, mode in (("a/b", (7, 8), 0o1750), ("a/b/c", (3, 4), 0o640), ("a/l", (7, 9), 0o777)):
        found = (tree / name).lstat()
        assert (found.st_uid, found.st_gid) == owner
        assert stat.S_IMODE(found.st_mode) == mode
        assert name == "a/b" or found.st_mtime_ns == TIME_NS
    assert os.readlink(tree / "a/l") == "/a/b/c"
    edits.apply(_write("/a/l", b"in place of the link"), tree, None)
    assert not (tree / "a/l").is_symlink()
    assert (tree / "a/b/c").read_bytes() == b"new"


@pytest.mark.parametrize("folder", ["absolute", "relative", "../../outside", "/../outside"])
def test_no_path_leads_out_of_the_tree(folder: str, tree: Path) -> None:
    changes: list[Edit] = [
        _write(f"{folder}/file"),
        NewLink(title="", base=BASE, path=f"{folder}/file", target="x"),
        Remove(title="", base=BASE, path=f"{folder}/file", wildcards=True),
        Remove(title="", base=BASE, path=f"{folder}/*", wildcards=True),
        NewDirectory(title="", base=BASE, path=f"{folder}/sub", mode=0o755),
    ]
    for change in changes:
        try:
            edits.apply(change, tree, None)
        except DockwrightError:
            pass  # where the link leads there is nothing inside the tree
    assert [path.name for path in (tree.parent / "outside").iterdir()] == ["file"]
    assert (tree.parent / "outside/file").read_text() == "untouched"


def test_removing_takes_links_and_not_what_they_lead_to(tree: Path) -> None:
    edits.apply(Remove(title="", base=BASE, path="/[ar]*", wildcards=True), tree, None)
    assert sorted(path.name for path in tree.iterdir()) == ["etc"]
    assert (tree.parent / "outside/file").exists()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (_write("/nowhere/file"), NotFound),
        (_write("/etc"), Invalid),
        (_write("/etc/passwd/x"), Invalid),
        (NewDirectory(title="", base=BASE, path="/etc", mode=0o755), Invalid),
        (NewLink(title="", base=BASE, path="/etc/passwd", target="x"), Invalid),
        (Remove(title="", base=BASE, path="/nowhere"), NotFound),
        (Remove(title="", base=BASE, path="/"), Invalid),
        (Remove(title="", base=BASE, path="..", missing_ok=True), Invalid),
        (_write("/a", owner="nobody-there"), Invalid),
    ],
)
def test_what_cannot_be_done_is_said(change: Edit, error: type[Exception], tree: Path) -> None:
    with pytest.raises(error):
        edits.apply(change, tree, None)
    assert sorted(path.name for path in tree.iterdir()) == ["absolute", "etc", "relative"]


def test_what_may_be_missing_is_fine(tree: Path) -> None:
    edits.apply(Remove(title="", base=BASE, path="/nowhere/at/all", missing_ok=True), tree, None)
    edits.apply(Remove(title="", base=BASE, path="/etc/none*", wildcards=True), tree, None)
    edits.apply(NewDirectory(title="", base=BASE, path="/etc", mode=0o700, parents=True), tree, None)
    assert stat.S_IMODE((tree / "etc").stat().st_mode) != 0o700


def test_what_an_edit_is_does_not_depend_on_what_people_are_told() -> None:
    one, other = _write("/a"), WriteFile(title="another", base=Scratch(), path="/a", content=b"new", mode=0o640)
    assert edits.asked(one) == edits.asked(other)
    assert edits.asked(one) != edits.asked(_write("/a", b"other"))
