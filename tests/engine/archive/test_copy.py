"""Copies into and out of a tree."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import shutil
import tarfile
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.archives import member, stream, tar_of
from tests.images import BUSYBOX

from dockwright import archive
from dockwright.archive import bridge
from dockwright.errors import Corrupt, Invalid, NotFound

pytestmark = pytest.mark.root


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("outside")
    root = tmp_path / "tree"
    (root / "etc/deep").mkdir(parents=True)
    (root / "etc/passwd").write_text("inside")
    (root / "etc/deep/file").write_text("deep")
    (root / "absolute").symlink_to("/etc/passwd")
    (root / "climbing").symlink_to("../../../../etc/passwd")
    (root / "folder").symlink_to("/etc/deep")
    (root / "chain").symlink_to("folder")
    return root


async def listed(chunks: AsyncIterator[bytes]) -> dict[str, bytes | None]:
    data = b"".join([chunk async for chunk in chunks])
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {
            info.name: (tar.extractfile(info).read() if info.isreg() else None)  # type: ignore[union-attr]
            for info in tar
        }


async def test_what_is_copied_out_is_named_after_its_last_name(tree: Path) -> None:
    assert await listed(archive.read(tree, "/etc/passwd")) == {"passwd": b"inside"}
    assert await listed(archive.read(tree, "etc")) == {
        "etc": None,
        "etc/deep": None,
        "etc/deep/file": b"deep",
        "etc/passwd": b"inside",
    }
    assert await listed(archive.read(tree, "/etc/../etc/./deep/")) == {"deep": None, "deep/file": b"deep"}
    assert await listed(archive.read(tree, "/../../etc/passwd")) == {"passwd": b"inside"}


async def test_names_begin_as_the_docker_cli_expects_them(tree: Path) -> None:
    for path, first in (("/", b"/\0"), ("/.", b"./\0"), ("/etc/.", b"./\0"), ("/etc/", b"etc/\0")):
        assert (await anext(archive.read(tree, path))).startswith(first)
    assert [(await archive.stat_path(tree, path)).name for path in ("/", "/.", "/etc/", "/etc/.")] == [
        "/",
        ".",
        "etc",
        ".",
    ]


async def test_a_link_is_copied_as_a_link_unless_its_directory_is_asked_for(tree: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(b"".join([chunk async for chunk in archive.read(tree, "/chain")]))) as tar:
        assert [(info.name, info.linkname) for info in tar] == [("chain", "folder")]
    assert await listed(archive.read(tree, "/chain/")) == {"chain": None, "chain/file": b"deep"}
    assert await listed(archive.read(tree, "/chain/.")) == {".": None, "./file": b"deep"}
    assert await listed(archive.read(tree, "/folder/file")) == {"file": b"deep"}


async def test_the_whole_tree_is_exported_and_works_by_descriptor(tree: Path) -> None:
    fd = os.open(tree, os.O_RDONLY)
    try:
        names = await listed(archive.export(fd))
    finally:
        os.close(fd)
    assert sorted(names) == [
        "absolute",
        "chain",
        "climbing",
        "etc",
        "etc/deep",
        "etc/deep/file",
        "etc/passwd",
        "folder",
    ]


async def test_stat_tells_go_modes_and_where_links_lead(tree: Path) -> None:
    (tree / "etc/passwd").chmod(0o4755)
    os.utime(tree / "etc/passwd", ns=(0, 1_700_000_000_000_000_007))
    assert await archive.stat_path(tree, "/etc/passwd") == ("passwd", 6, 1 << 23 | 0o755, 1_700_000_000_000_000_007, "")
    (tree / "etc").chmod(0o1777)
    found = await archive.stat_path(tree, "/etc/")
    assert (found.name, found.mode) == ("etc", 1 << 31 | 1 << 20 | 0o777)
    assert (await archive.stat_path(tree, "/")).name == "/"
    for link, target in (("absolute", "/etc/passwd"), ("climbing", "/etc/passwd"), ("chain", "/etc/deep")):
        found = await archive.stat_path(tree, link)
        assert (found.link_target, found.mode) == (target, 1 << 27 | 0o777)


@pytest.mark.parametrize("path", ["/none", "/etc/passwd/x", "/none/../x/y", "/" + "n" * 300])
async def test_what_is_not_there_is_not_found(tree: Path, path: str) -> None:
    with pytest.raises(NotFound, match="Could not find the file"):
        await archive.stat_path(tree, path)
    with pytest.raises(NotFound):
        await anext(archive.read(tree, path))
    with pytest.raises((NotFound, Invalid)):
        await archive.write(tree, path, stream(tar_of()))


async def test_a_file_is_no_place_to_unpack_in(tree: Path) -> None:
    with pytest.raises(Invalid, match="extraction point is not a directory"):
        await archive.write(tree, "/etc/passwd", stream(tar_of()))
    with pytest.raises(Invalid):
        await archive.stat_path(tree, "/etc/passwd/")


async def test_what_is_copied_in_arrives_with_owner_mode_and_time(tree: Path) -> None:
    data = tar_of(member("new/x", b"content", uid=5, gid=6, mode=0o640), member("deep", kind="dir", mode=0o700))
    await archive.write(tree, "/chain/..", stream(gzip.compress(data)))
    await archive.write(tree, "/chain", stream(data, size=7))
    found = (tree / "etc/deep/new/x").stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o7777, found.st_mtime) == (5, 6, 0o640, 1_700_000_000)
    assert (tree / "new/x").read_bytes() == b"content"
    await archive.write(tree, "/", stream(data), owner=(7, 8))
    assert ((tree / "new/x").stat().st_uid, (tree / "deep").stat().st_gid) == (7, 8)


async def test_nothing_that_is_copied_in_gets_out(tree: Path) -> None:
    await archive.write(
        tree, "/", stream(tar_of(member("etc/passwd", b"1"), member("l", kind="link", linkname="/etc")))
    )
    await archive.write(tree, "/l", stream(tar_of(member("passwd", b"2"))))
    for bad in ("../passwd", "deep/../../x"):
        with pytest.raises(Invalid, match="outside"):
            await archive.write(tree, "/l", stream(tar_of(member(bad, b"3"))))
    with pytest.raises(Invalid, match="hard link"):
        await archive.write(tree, "/etc", stream(tar_of(member("h", kind="hard", linkname="nothing"))))
    assert (tree / "etc/passwd").read_text() == "2"
    assert (tree.parent / "etc/passwd").read_text() == "outside"
    assert os.listdir(tree.parent / "etc") == ["passwd"]


async def test_directories_and_files_replace_each_other_only_when_allowed(tree: Path) -> None:
    over_directory, over_file = tar_of(member("etc", b"x")), tar_of(member("passwd", kind="dir"))
    with pytest.raises(Invalid, match='cannot overwrite directory "/etc" with non-directory "/etc"'):
        await archive.write(tree, "/", stream(over_directory), no_overwrite_dir_non_dir=True)
    with pytest.raises(Invalid, match="cannot overwrite non-directory"):
        await archive.write(tree, "/etc", stream(over_file), no_overwrite_dir_non_dir=True)
    await archive.write(tree, "/etc", stream(over_file))
    assert (tree / "etc/passwd").is_dir()
    await archive.write(tree, "/", stream(over_directory))
    assert (tree / "etc").read_bytes() == b"x"


async def test_a_stream_that_breaks_off_is_told_as_such(tree: Path) -> None:
    class Gone(Exception):
        pass

    async def broken() -> AsyncIterator[bytes]:
        yield tar_of(member("x", b"x" * 100_000))[:50_000]
        raise Gone

    with pytest.raises(Gone):
        await archive.write(tree, "/", broken())
    with pytest.raises(Corrupt):
        await archive.write(tree, "/", stream(tar_of(member("x", b"x" * 100_000))[:50_000]))


async def test_a_reader_that_stops_stops_the_work(tree: Path) -> None:
    before = threading.active_count()
    (tree / "big").write_bytes(os.urandom(20_000_000))
    chunks = archive.read(tree, "/big")
    await anext(chunks)
    await chunks.aclose()  # type: ignore[attr-defined]
    assert threading.active_count() <= before + 1


async def test_a_slow_reader_holds_back_the_worker() -> None:
    made = 0

    def endless() -> AsyncIterator[bytes]:
        nonlocal made
        while True:
            made += 1
            yield bytes(100_000)

    chunks = bridge.produce(endless)  # type: ignore[arg-type]
    await anext(chunks)
    await asyncio.sleep(0.1)
    assert made < 40
    await chunks.aclose()  # type: ignore[attr-defined]


async def test_a_cancelled_write_stops_and_leaves_no_thread(tree: Path) -> None:
    started = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield tar_of(member("x", b"x" * 100))[:700]
        started.set()
        await asyncio.sleep(3600)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(archive.write(tree, "/", endless()))
        await started.wait()
        task.cancel()
    for thread in [thread for thread in threading.enumerate() if thread.name == "archive transfer"]:
        thread.join(10)  # it has told its result, and may still be on its way out
        assert not thread.is_alive()


async def test_a_process_root_is_copied_with_its_mounts(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "bin").mkdir(parents=True)
    (tree / "mnt").mkdir()
    shutil.copy(BUSYBOX, tree / "bin/busybox")
    (tree / "out").symlink_to("/mnt")
    script = (
        f"mount -t tmpfs none {tree}/mnt && echo seen > {tree}/mnt/file && "
        f"exec chroot {tree} /bin/busybox sh -c 'echo up; read x'"
    )
    process = await asyncio.create_subprocess_exec(
        *("unshare", "--mount", "sh", "-c", script), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"up\n"
    root = Path(f"/proc/{process.pid}/root")
    try:
        assert await listed(archive.read(root, "/out/file")) == {"file": b"seen\n"}
        await archive.write(root, "/out", stream(tar_of(member("new", b"1"))))
        assert (await archive.stat_path(root, "/mnt/new")).size_bytes == 1
    finally:
        process.kill()
        await process.wait()
    assert os.listdir(tree / "mnt") == []
