"""Layers: unpacking, packing, recipes."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import random
import stat
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.archives import KINDS, member, tar_of

from dockwright.archive import decompressed, pack_layer, replay, unpack_layer
from dockwright.archive.layers import Layer
from dockwright.archive.source import drain
from dockwright.errors import Corrupt, Invalid

pytestmark = pytest.mark.root

HOSTILE = {
    "climbs out": [member("../evil", b"x")],
    "climbs out in the middle": [member("a", kind="dir"), member("a/../../evil", b"x")],
    "hard link to outside": [member("x", kind="hard", linkname="../../outside/secret")],
    "whiteout of the parent": [member("a/.wh...", b"")],
    "whiteout of itself": [member("a/.wh..", b"")],
    "whiteout of nothing": [member("a/.wh.", b"")],
    "file as a directory": [member("a", b"x"), member("a/b", b"x")],
    "link in a circle": [
        member("a", kind="link", linkname="b"),
        member("b", kind="link", linkname="a"),
        member("a/x", b"x"),
    ],
    "endless name": [member("d/" * 3000 + "x", b"x")],
    "component too long": [member("n" * 300, b"x")],
}
CONFINED = {
    "absolute name": [member("/outside/evil", b"x")],
    "absolute symbolic link": [member("l", kind="link", linkname="/outside"), member("l/evil", b"x")],
    "climbing symbolic link": [member("l", kind="link", linkname="../../../../outside"), member("l/evil", b"x")],
    "chained symbolic links": [
        member("a", kind="link", linkname="b"),
        member("b", kind="link", linkname="../outside"),
        member("a/evil", b"x"),
    ],
    "link through /proc": [member("l", kind="link", linkname="/proc/self/root"), member("l/outside/evil", b"x")],
    "hard link to a link to outside": [
        member("l", kind="link", linkname="/outside/secret"),
        member("h", kind="hard", linkname="l"),
        member("h", b"overwritten"),
    ],
    "file over a link to outside": [member("l", kind="link", linkname="/outside/secret"), member("l", b"overwritten")],
    "directory over a link to outside": [
        member("l", kind="link", linkname="/outside"),
        member("l", kind="dir", mode=0o777),
        member("l/evil", b"x"),
    ],
    "whiteout through a link": [member("l", kind="link", linkname="/outside"), member("l/.wh.secret", b"")],
    "opaque mark through a link": [member("l", kind="link", linkname="/outside"), member("l/.wh..wh..opq", b"")],
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "jail").mkdir()
    (tmp_path / "jail" / "tree").mkdir()
    return tmp_path / "jail" / "tree"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_text("secret")
    return folder


def unpack(archive: bytes, tree: Path, recipe: Path | None = None) -> Layer:
    return unpack_layer(io.BytesIO(archive), tree, recipe)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_layer_is_refused(name: str, tree: Path, outside: Path) -> None:
    with pytest.raises(Invalid):
        unpack(tar_of(*HOSTILE[name]), tree)
    assert os.listdir(outside) == ["secret"]
    assert (outside / "secret").read_text() == "secret"
    assert os.listdir(tree.parent) == ["tree"]


@pytest.mark.parametrize("name", CONFINED)
def test_a_hostile_layer_stays_inside(name: str, tree: Path, outside: Path) -> None:
    unpack(tar_of(*CONFINED[name]), tree)
    assert os.listdir(outside) == ["secret"]
    assert (outside / "secret").read_text() == "secret"
    assert (outside / "secret").stat().st_nlink == 1
    assert outside.stat().st_mode & 0o777 != 0o777
    assert os.listdir(tree.parent) == ["tree"]


def test_a_hard_link_that_leaves_the_layer_is_left_for_the_base(tree: Path) -> None:
    layer = unpack(tar_of(member("x", kind="hard", linkname="/etc/passwd")), tree)
    assert layer.links == [(b"x", b"etc/passwd")]
    assert not layer.independent
    assert os.listdir(tree) == []


def test_device_nodes_are_made_as_such_and_nothing_is_opened(tree: Path) -> None:
    unpack(
        tar_of(member("null", kind="chr", devmajor=1, devminor=3, mode=0o666), member("f", kind="fifo", mode=0o600)),
        tree,
    )
    found = (tree / "null").lstat()
    assert (stat.S_ISCHR(found.st_mode), found.st_rdev, stat.S_IMODE(found.st_mode)) == (True, os.makedev(1, 3), 0o666)
    assert stat.S_ISFIFO((tree / "f").lstat().st_mode)


def test_a_bomb_of_zeros_takes_no_room(tree: Path) -> None:
    size = 3 * 1024**3
    header = tarfile.TarInfo("zeros")
    header.size = size
    compressor = zstandard.ZstdCompressor().compressobj()
    bomb = compressor.compress(header.tobuf())
    for _ in range(size // 2**24):
        bomb += compressor.compress(bytes(2**24))
    bomb += compressor.compress(bytes(1024)) + compressor.flush()
    unpack_layer(decompressed(io.BytesIO(bomb)), tree)
    found = (tree / "zeros").stat()
    assert found.st_size == size
    assert found.st_blocks < 1000


def test_a_bomb_of_headers_is_refused(tree: Path) -> None:
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 5 * 1024**3
    with pytest.raises(Corrupt, match="limit"):
        unpack(header.tobuf(format=tarfile.GNU_FORMAT) + bytes(1024), tree)


def test_whiteouts_become_overlayfs_marks(tree: Path) -> None:
    unpack(
        tar_of(
            member("d", kind="dir"),
            member("d/.wh.gone", b""),
            member("o", kind="dir"),
            member("o/.wh..wh..opq", b""),
            member("o/new", b"x"),
            member(".wh..wh.plnk", kind="dir"),
        ),
        tree,
    )
    found = (tree / "d" / "gone").lstat()
    assert stat.S_ISCHR(found.st_mode)
    assert found.st_rdev == 0
    assert os.getxattr(tree / "o", "trusted.overlay.opaque") == b"y"
    assert sorted(os.listdir(tree)) == ["d", "o"]


@pytest.mark.parametrize("reverse", [False, True])
def test_a_name_deleted_and_made_again_hides_what_was_below(tree: Path, reverse: bool) -> None:
    members = [[member(".wh.d", b"")], [member("d", kind="dir"), member("d/x", b"x")]]
    layer = unpack(tar_of(*(one for part in (members[::-1] if reverse else members) for one in part)), tree)
    assert os.getxattr(tree / "d", "trusted.overlay.opaque") == b"y"
    assert (tree / "d" / "x").read_bytes() == b"x"
    assert layer.independent


def test_a_name_deleted_with_something_put_below_it_is_a_new_directory(tree: Path) -> None:
    layer = unpack(tar_of(member(".wh.d", b""), member("d/x", b"x")), tree)
    assert os.getxattr(tree / "d", "trusted.overlay.opaque") == b"y"
    assert layer.independent


def test_directories_that_are_only_implied_are_told(tree: Path) -> None:
    layer = unpack(tar_of(member("usr/bin/x", b"x"), member("usr", kind="dir", mode=0o700)), tree)
    assert layer.implied == [b"usr/bin"]
    assert unpack(tar_of(member("var/.wh.x", b"")), tree).implied == [b"var"]


def test_overlayfs_attributes_of_an_archive_are_not_taken_over(tree: Path) -> None:
    headers = {"SCHILY.xattr.trusted.overlay.redirect": "/etc", "SCHILY.xattr.user.mine": "1"}
    unpack(tar_of(member("d", kind="dir", pax_headers=headers)), tree)
    assert os.listxattr(tree / "d") == ["user.mine"]


def fill(tree: Path) -> None:
    """Everything a file system can hold."""
    (tree / "etc").mkdir()
    (tree / "etc/file").write_bytes(b"content" * 1000)
    os.utime(tree / "etc/file", ns=(1, 1_600_000_000_123_456_789))
    (tree / "etc/empty").touch()
    (tree / "etc/setuid").write_text("x")
    os.chown(tree / "etc/setuid", 12, 34)
    (tree / "etc/setuid").chmod(0o6755)
    os.link(tree / "etc/file", tree / "hard")
    (tree / "link").symlink_to("/etc/file")
    (tree / ("n" * 250)).mkdir()
    (tree / ("n" * 250) / ("m" * 250)).write_text("long")
    with open(os.fsencode(tree) + b"/\xff\xfe not utf-8", "w") as file:
        file.write("x")
    (tree / "big owner").touch()
    os.chown(tree / "big owner", 3_000_000, 4_000_000)
    os.setxattr(tree / "etc/file", "user.note", b"a=b\n\0c")
    os.setxattr(tree / "etc/setuid", "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
    os.mknod(tree / "device", stat.S_IFCHR | 0o600, os.makedev(5, 1))
    os.mkfifo(tree / "fifo")
    os.utime(tree / "link", ns=(1, 1_500_000_000_000_000_001), follow_symlinks=False)
    (tree / "old").touch()
    os.utime(tree / "old", ns=(0, -1_500_000_000))
    with open(tree / "sparse", "wb") as file:
        file.seek(5_000_000)
        file.write(b"end")
    os.mknod(tree / "etc/deleted", stat.S_IFCHR, 0)
    os.utime(tree / "etc/deleted", (1, 1))
    (tree / "opaque").mkdir(mode=0o1777)
    os.setxattr(tree / "opaque", "trusted.overlay.opaque", b"y")
    tree.chmod(0o751)


def listing(tree: Path) -> dict[str, object]:
    found: dict[str, object] = {}
    for path in [tree, *sorted(tree.rglob("*"), key=lambda path: os.fsencode(path))]:
        at = path.lstat()
        attributes = {
            name: os.getxattr(path, name, follow_symlinks=False) for name in os.listxattr(path, follow_symlinks=False)
        }
        content = path.read_bytes() if stat.S_ISREG(at.st_mode) else os.readlink(path) if path.is_symlink() else None
        found[str(path.relative_to(tree))] = (
            *(at.st_mode, at.st_uid, at.st_gid, at.st_rdev, at.st_mtime_ns if not stat.S_ISCHR(at.st_mode) else 0),
            *(at.st_nlink, attributes, content),
        )
    return found


def test_a_tree_packed_and_unpacked_is_equal(tmp_path: Path, tree: Path) -> None:
    fill(tree)
    packed = b"".join(pack_layer(tree))
    (tmp_path / "copy").mkdir()
    layer = unpack(packed, tmp_path / "copy", tmp_path / "recipe")
    assert listing(tmp_path / "copy") == listing(tree)
    assert layer == Layer(rooted=True, regenerable=True)
    assert b"".join(pack_layer(tmp_path / "copy")) == packed
    assert b"".join(replay(tmp_path / "recipe", tmp_path / "copy")) == packed
    assert (tmp_path / "copy" / "sparse").stat().st_blocks < 200


def test_gnu_tar_agrees_with_what_is_packed(tmp_path: Path, tree: Path) -> None:
    fill(tree)
    (tree / "old").unlink()
    (tree / "etc/deleted").unlink()
    (tmp_path / "x.tar").write_bytes(b"".join(pack_layer(tree)))
    subprocess.run(["tar", "-tf", tmp_path / "x.tar"], check=True, capture_output=True)
    (tmp_path / "gnu").mkdir()
    subprocess.run(["tar", "--xattrs", "--xattrs-include=*", "-xpf", "x.tar", "-C", "gnu"], cwd=tmp_path, check=True)
    (tmp_path / "gnu/opaque/.wh..wh..opq").unlink()
    os.utime(tmp_path / "gnu/opaque", ns=((tree / "opaque").stat().st_mtime_ns,) * 2)
    os.removexattr(tree / "opaque", "trusted.overlay.opaque")
    os.utime(tree / "opaque", ns=((tmp_path / "gnu/opaque").stat().st_mtime_ns,) * 2)
    assert listing(tmp_path / "gnu") == listing(tree)


@pytest.mark.parametrize(
    "options", [["--format=gnu", "-S"], ["--format=posix", "-S"], ["--format=posix", "-S", "--sparse-version=0.1"]]
)
def test_what_gnu_tar_writes_is_read_sparse_files_too(tmp_path: Path, tree: Path, options: list[str]) -> None:
    source = tmp_path / "source"
    source.mkdir()
    with open(source / "sparse", "wb") as file:
        for offset in range(40):
            file.seek(offset * 200_000)
            file.write(b"piece %d" % offset)
        file.truncate(9_000_000)
    (source / ("l" * 120)).symlink_to("t" * 150)
    subprocess.run(["tar", "-S", *options, "-cf", tmp_path / "x.tar", "-C", source, "."], check=True)
    unpack((tmp_path / "x.tar").read_bytes(), tree)
    assert (tree / "sparse").read_bytes() == (source / "sparse").read_bytes()
    assert (tree / "sparse").stat().st_blocks < 2000
    assert os.readlink(tree / ("l" * 120)) == "t" * 150


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress, zstandard.compress])
def test_compressed_layers_are_read_and_cut_ones_refused(tree: Path, compress: object) -> None:
    archive = tar_of(member("x", random.Random(1).randbytes(3_000_000)))
    packed: bytes = compress(archive)  # type: ignore[operator]
    unpack_layer(decompressed(io.BytesIO(packed)), tree)
    assert (tree / "x").stat().st_size == 3_000_000
    for cut in (len(packed) // 2, len(packed) - 3):
        with pytest.raises(Corrupt):
            drain(decompressed(io.BytesIO(packed[:cut])))
    twice = decompressed(io.BytesIO(compress(b"one") + compress(b"two")))  # type: ignore[operator]
    assert b"".join(iter(twice.read, b"")) == b"onetwo"


@pytest.mark.parametrize("cut", [1, 511, 512, 700, 1024, 1500])
def test_a_layer_that_ends_too_early_is_corrupt(tree: Path, cut: int) -> None:
    with pytest.raises(Corrupt):
        unpack(tar_of(member("x" * 200, b"y" * 1000))[:cut], tree)


@pytest.mark.parametrize("left", [0, 1, 510, 511])
def test_an_archive_may_end_with_the_last_entrys_data(tree: Path, left: int) -> None:
    whole = tar_of(member("x", b"y"))
    unpack(whole[: 513 + left], tree)
    assert (tree / "x").read_bytes() == b"y"


def test_an_empty_archive_is_an_empty_layer(tree: Path) -> None:
    for archive in (b"", bytes(512), bytes(1024), bytes(10240)):
        unpack(archive, tree)
    assert os.listdir(tree) == []


names = st.sampled_from(["a", "b", "a/b", "a/b/c", "./a", "a/.wh.b", ".wh.a", "a/.wh..wh..opq", "b/x", "/b", "./"])
members = st.tuples(names, st.sampled_from([None, *KINDS]), st.binary(max_size=40), names)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(members, max_size=8), st.binary(max_size=30))
def test_a_recipe_makes_the_same_bytes_or_there_is_none(
    tmp_path: Path, entries: list[tuple[str, str | None, bytes, str]], tail: bytes
) -> None:
    archive = (
        tar_of(
            *(
                member(name, content if kind is None else None, kind, linkname=target)
                for name, kind, content, target in entries
            )
        )
        + tail
    )
    tree = Path(tempfile.mkdtemp(dir=tmp_path))
    try:
        layer = unpack(archive, tree, tmp_path / "recipe")
    except (Invalid, Corrupt):
        assert not (tmp_path / "recipe").exists()
        return
    if layer.regenerable:
        assert b"".join(replay(tmp_path / "recipe", tree)) == archive


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=2000), st.integers(0, 1500), st.binary(min_size=1, max_size=8))
def test_any_bytes_are_a_layer_or_an_error_of_ours(tmp_path: Path, noise: bytes, at: int, patch: bytes) -> None:
    good = tar_of(member("a" * 150, b"x" * 100), member("d", kind="dir", pax_headers={"SCHILY.xattr.user.x": "1"}))
    for archive in (
        noise,
        good[:at] + patch + good[at + len(patch) :],
        b"\x1f\x8b" + noise,
        b"\x28\xb5\x2f\xfd" + noise,
    ):
        tree = Path(tempfile.mkdtemp(dir=tmp_path))
        try:
            unpack_layer(decompressed(io.BytesIO(archive)), tree)
        except (Invalid, Corrupt):
            pass
