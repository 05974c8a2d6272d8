"""Small files are made by threads: what comes out is what one after the other gives."""

from __future__ import annotations

import io
import os
import random
import tarfile
from pathlib import Path

import pytest
from tests.archives import member, tar_of

from dockwright.archive import pack_layer, replay, unpack_layer
from dockwright.archive.creating import THREADS
from dockwright.errors import Invalid

pytestmark = pytest.mark.root

MANY = 500


def _unpacked(tmp_path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    tree = tmp_path / "tree"
    tree.mkdir()
    unpack_layer(io.BytesIO(tar_of(*members)), tree)
    return tree


def _opened_below(root: Path) -> list[str]:
    """What this process has open there; it may have other descriptors, which come and go."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{number}"))
        except FileNotFoundError:
            continue  # that of the list itself
    return [path for path in found if path.startswith(f"{root}/")]


def test_many_files_of_many_directories(tmp_path: Path) -> None:
    members = [
        member(f"d{number % 37}/f{number}", b"%d" % number, uid=number, mode=0o600 + number % 64, mtime=number)
        for number in range(MANY)
    ]
    tree, recipe = tmp_path / "tree", tmp_path / "recipe"
    tree.mkdir()
    layer = unpack_layer(io.BytesIO(tar_of(*members)), tree, recipe)
    assert _opened_below(tmp_path) == []
    assert layer.regenerable
    assert b"".join(replay(recipe, tree)) == tar_of(*members)
    for number in range(MANY):
        path = tree / f"d{number % 37}/f{number}"
        found = path.stat()
        assert path.read_bytes() == b"%d" % number
        assert (found.st_uid, found.st_mode & 0o7777, found.st_mtime) == (number, 0o600 + number % 64, number)


def test_what_comes_twice_is_what_came_last(tmp_path: Path) -> None:
    members = [member(f"d/f{number}", b"first") for number in range(MANY)]
    order = list(range(MANY))
    random.Random(7).shuffle(order)
    members += [member(f"d/f{number}", b"second") for number in order[::2]]
    tree = _unpacked(tmp_path, *members)
    assert {number for number in range(MANY) if (tree / f"d/f{number}").read_bytes() == b"second"} == set(order[::2])


def test_a_link_to_a_file_that_was_read_a_moment_ago(tmp_path: Path) -> None:
    members = []
    for number in range(MANY):
        members += [member(f"d{number % 5}/f{number}", b"%d" % number)]
        if number % 3 == 0:
            members += [member(f"e/l{number}", kind="hard", linkname=f"d{number % 5}/f{number}")]
    tree = _unpacked(tmp_path, *members)
    assert all((tree / f"e/l{n}").samefile(tree / f"d{n % 5}/f{n}") for n in range(0, MANY, 3))


def test_files_and_directories_take_each_others_place(tmp_path: Path) -> None:
    many = [member(f"m/f{number}", b"") for number in range(MANY)]
    tree = _unpacked(
        tmp_path,
        *many,
        member("a", b"file"),
        member("a", kind="dir"),
        member("a/x", b"x"),
        member("b/c", b"gone"),
        member("b", b"file"),
        member("s", b"file"),
        member("s", kind="link", linkname="a"),
        member("s/y", b"y"),
        member("gone", b"kept"),
        member(".wh.gone", b""),
    )
    assert sorted(os.listdir(tree / "a")) == ["x", "y"]
    assert (tree / "b").read_bytes() == b"file"
    assert (tree / "gone").read_bytes() == b"kept"


def test_what_one_thread_cannot_make_ends_it_all(tmp_path: Path) -> None:
    members = [member(f"d{number % 7}/f{number}", b"x") for number in range(MANY)]
    with pytest.raises(Invalid, match="name too long"):
        _unpacked(tmp_path, *members[:250], member("n" * 300, b"x"), *members[250:])
    assert _opened_below(tmp_path) == []


def test_more_is_read_than_made_only_within_bounds(tmp_path: Path) -> None:
    big = bytes(range(256)) * 200
    tree = _unpacked(tmp_path, *(member(f"d{number % THREADS}/f{number}", big) for number in range(MANY)))
    assert all((tree / f"d{n % THREADS}/f{n}").read_bytes() == big for n in range(MANY))
    packed = io.BytesIO(b"".join(pack_layer(tree)))
    with tarfile.open(fileobj=packed) as tar:
        assert len(tar.getmembers()) == MANY + THREADS + 1
