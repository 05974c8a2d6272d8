"""Fingerprints: what counts for them, and files that are not read again."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from dockwright.archive import Chosen, Dress, Root, Seen, Selection, fingerprinting, fingerprints

ALL = Selection([Chosen(b"", b"")], Dress((0, 0), None, 0))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "d").mkdir(parents=True)
    (root / "a").write_text("A")
    (root / "d" / "b").write_text("B")
    (root / "l").symlink_to("a")
    return root


def look(tree: Path, seen: Path | None = None) -> dict[bytes, bytes]:
    """The fingerprints of the whole tree."""
    known = Seen(seen) if seen is not None else None
    with Root(tree) as root:
        found = fingerprints(root, ALL, known)
    if known is not None:
        known.keep()
    return found.digests


def test_what_files_are_does_not_depend_on_their_names_or_times(tree: Path) -> None:
    (tree / "same").write_text("A")
    os.utime(tree / "same", (1, 1))
    found = look(tree)
    assert found[b"same"] == found[b"a"] != found[b"d/b"]
    (tree / "same").chmod(0o700)
    assert look(tree)[b"same"] != found[b"same"]


def test_times_are_told_of_files_with_one_name(tree: Path) -> None:
    os.utime(tree / "a", ns=(5, 5))
    os.link(tree / "d/b", tree / "d/c")
    with Root(tree) as root:
        assert fingerprints(root, ALL).times_ns == {b"a": 5}


def test_a_file_is_not_read_again(tree: Path, tmp_path: Path) -> None:
    kept = tmp_path / "seen"
    first = look(tree, kept)
    assert first == look(tree)
    known = msgspec.msgpack.decode(kept.read_bytes(), type=dict[bytes, tuple[bytes, bytes]])
    assert set(known) == {b"a", b"d/b"}
    kept.write_bytes(msgspec.msgpack.encode({name: (mark, b"told") for name, (mark, _) in known.items()}))
    assert look(tree, kept) == first | {b"a": b"told", b"d/b": b"told"}


CHANGES: dict[str, Callable[[Path], object]] = {
    "content": lambda path: path.write_text("X"),
    "mode": lambda path: path.chmod(0o700),
    "attribute": lambda path: os.setxattr(path, "user.of", b"x"),
    "another file": lambda path: (path.unlink(), path.write_text("X")),
    "a link": lambda path: (path.unlink(), path.symlink_to("X")),
    "another name": lambda path: os.link(path, path.with_name("z")),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changed_is_read_whatever_its_time(change: str, tree: Path, tmp_path: Path) -> None:
    kept = tmp_path / "seen"
    before = look(tree, kept)
    times = (tree / "a").stat()
    CHANGES[change](tree / "a")
    if change != "a link":
        os.utime(tree / "a", ns=(times.st_atime_ns, times.st_mtime_ns))
    after = look(tree, kept)
    assert after == look(tree)
    assert change == "another name" or after[b"a"] != before[b"a"]


@pytest.mark.parametrize("content", [b"", b"nonsense", msgspec.msgpack.encode({"a": 1})])
def test_what_was_kept_may_be_lost(content: bytes, tree: Path, tmp_path: Path) -> None:
    kept = tmp_path / "seen"
    kept.write_bytes(content)
    assert look(tree, kept) == look(tree)
    assert len(msgspec.msgpack.decode(kept.read_bytes())) == 2


def test_what_cannot_be_kept_is_read_again(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "replace", full)
    assert look(tree, tmp_path / "seen") == look(tree)
    assert [path.name for path in tmp_path.iterdir()] == ["tree"]


def test_files_that_are_gone_do_not_pile_up(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprinting, "_LIMIT", 3)
    for number in range(6):
        (tree / "a").rename(tree / "t")
        (tree / "t").rename(tree / f"a{number}")
        (tree / f"a{number}").rename(tree / "a")
        (tree / f"new{number}").write_text("N")
        assert look(tree, tmp_path / "seen") == look(tree)
        (tree / f"new{number}").unlink()
        assert len(msgspec.msgpack.decode((tmp_path / "seen").read_bytes())) <= 3
