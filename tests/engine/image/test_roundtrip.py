"""Trees survive load, commit, save and load: what is unpacked layer by layer elsewhere shows the same files."""

from __future__ import annotations

import os
import random
import shutil
import stat
from pathlib import Path

import pytest
from tests.archives import files, stream
from tests.engine.image.conftest import Host, opened
from tests.engine.image.test_transport import docker_archive
from tests.engine.snapshot.test_changes import mutate

from dockwright.errors import Unsupported
from dockwright.image import Commit
from dockwright.oci import RunConfig
from dockwright.snapshot.mountapi import supports_lowerdir_plus

pytestmark = pytest.mark.root


def tree(root: Path) -> dict[str, tuple[object, ...]]:
    """Everything a container can see, times to the nanosecond (directories' too). Of hard links, the first name."""
    found: dict[str, tuple[object, ...]] = {}
    first: dict[int, str] = {}
    for path in [root, *sorted(root.rglob("*"), key=os.fsencode)]:
        at = path.lstat()
        name = str(path.relative_to(root))
        content = path.read_bytes() if stat.S_ISREG(at.st_mode) else os.readlink(path) if path.is_symlink() else None
        attributes = {
            key: os.getxattr(path, key, follow_symlinks=False) for key in os.listxattr(path, follow_symlinks=False)
        }
        same_as = first.setdefault(at.st_ino, name) if at.st_nlink > 1 and not path.is_dir() else ""
        kind = (at.st_mode, at.st_uid, at.st_gid, at.st_rdev, at.st_mtime_ns)
        found[name] = (*kind, content, attributes, same_as)
    return found


async def seen(host: Host, name: str) -> dict[str, tuple[object, ...]]:
    async with host.mounted((await host.images.resolve(name)).snapshot) as root:
        found = tree(root)
    await host.snapshots.remove("work")
    return found


@pytest.mark.parametrize("seed", range(12))
async def test_random_layers_show_the_same_tree_after_save_and_load(host: Host, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    await host.images.import_(stream(files({"a/b/c": "1", "b/c": "2", "c/d/a": "3"})), "layer:0")
    for number in range(1, 5):
        async with host.mounted((await host.images.resolve(f"layer:{number - 1}")).snapshot) as root:
            for _ in range(30):
                mutate(root, chance)
            expected = tree(root)
        await host.images.commit("work", f"layer:{number - 1}", Commit(RunConfig()), f"layer:{number}")
        await host.snapshots.remove("work")
        assert await seen(host, f"layer:{number}") == expected
    archive = b"".join([chunk async for chunk in host.images.save(["layer"])])
    async with opened(tmp_path / "other") as other:
        async for _ in other.images.load(stream(archive)):
            pass
        for number in range(5):
            assert await seen(other, f"layer:{number}") == await seen(host, f"layer:{number}")


def everything(root: Path) -> None:
    """Change what `base` made, and make one of each thing that a file system can hold."""
    (root / "gone").unlink()
    (root / "hidden/below").unlink()
    shutil.rmtree(root / "emptied")
    (root / "emptied").mkdir()
    (root / "emptied/new").write_text("new")
    shutil.rmtree(root / "now-a-file")
    (root / "now-a-file").write_text("x")
    (root / "now-a-directory").unlink()
    (root / "now-a-directory").mkdir()
    (root / "now-a-directory/x").write_text("x")
    os.link(root / "linked", root / "etc/linked-too")
    (root / "etc/setuid").write_text("x")
    os.chown(root / "etc/setuid", 12, 34)
    (root / "etc/setuid").chmod(0o6755)
    os.setxattr(root / "etc/setuid", "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
    os.setxattr(root / "etc", "user.note", b"a=b\n\0c")
    (root / ("n" * 250)).mkdir()
    (root / ("n" * 250) / ("m" * 250)).write_text("long")
    deep = root
    for _ in range(40):
        deep = deep / ("d" * 60)
        deep.mkdir()
    (deep / "bottom").write_text("x")
    with open(os.fsencode(root) + b"/\xff\xfe not utf-8", "w") as file:
        file.write("x")
    (root / "line\nbreak").write_text("x")
    os.mknod(root / "character", stat.S_IFCHR | 0o600, os.makedev(5, 1))
    os.mknod(root / "block", stat.S_IFBLK | 0o640, os.makedev(7, 300))
    os.mkfifo(root / "fifo")
    (root / "dangling").symlink_to("../../nowhere")
    os.utime(root / "dangling", ns=(1, 1_500_000_000_000_000_001), follow_symlinks=False)
    (root / "old").touch()
    os.utime(root / "old", ns=(0, -1_500_000_000))
    (root / "far future").touch()
    os.utime(root / "far future", ns=(0, 9_000_000_000 * 10**9))
    with open(root / "sparse", "wb") as file:
        file.seek(50_000_000)
        file.write(b"end")
        file.truncate(90_000_000)
    (root / "sticky").mkdir()
    (root / "sticky").chmod(0o1777)
    os.chown(root / "sticky", 3_000_000, 4_000_000)


BASE = {
    "gone": "1",
    "hidden/below": "1",
    "emptied/a": "1",
    "emptied/b": "1",
    "now-a-file/x": "1",
    "now-a-directory": "1",
}


async def test_all_that_a_file_system_holds_survives(host: Host, tmp_path: Path) -> None:
    base = tmp_path / "base.tar"
    await host.images.import_(stream(files(BASE | {"linked": "1", "etc/conf": "1"})), "start")
    base.write_bytes(b"".join([chunk async for chunk in host.images.save(["start"])]))
    async with opened(tmp_path / "first") as first:
        async for _ in first.images.load(stream(base.read_bytes())):
            pass
        async with first.mounted((await first.images.resolve("start")).snapshot) as root:
            everything(root)
            expected = tree(root)
        await first.images.commit("work", "start", Commit(RunConfig()), "all")
        await first.snapshots.remove("work")
        assert await seen(first, "all") == expected
        archive = b"".join([chunk async for chunk in first.images.save(["all"])])
        assert (await first.images.disk_usage()).layers_size < 2_000_000, "what is sparse stays so"
    async with opened(tmp_path / "second") as second:
        async for _ in second.images.load(stream(archive, size=1 << 20)):
            pass
        assert await seen(second, "all") == expected
        assert (await second.images.disk_usage()).layers_size < 2_000_000
        assert b"".join([chunk async for chunk in second.images.save(["all"])]) == archive


async def test_a_commit_reads_what_was_changed_and_nothing_below(host: Host) -> None:
    await host.images.import_(stream(files({"etc/a": "1" * 100_000, "etc/b": "2"})), "base")
    async with host.mounted((await host.images.resolve("base")).snapshot) as root:
        (root / "etc/b").unlink()
        (root / "etc/c").write_text("3")
    below = host.snapshots.tree(host.snapshots.node(str((await host.images.resolve("base")).snapshot)).layer)
    below.rename(below.with_name("elsewhere"))
    try:
        await host.images.commit("work", "base", Commit(RunConfig()), "top")
    finally:
        below.with_name("elsewhere").rename(below)
    await host.snapshots.remove("work")
    assert await host.files("top") == {"etc/a": "1" * 100_000, "etc/c": "3"}


def stack(count: int) -> bytes:
    """An image of `count` layers, each with a file of its own and one that all change."""
    return docker_archive([files({f"layers/{number:03}": str(number), "last": str(number)}) for number in range(count)])


async def test_an_image_of_150_layers_shows_them_all_and_comes_out_as_it_came(host: Host, tmp_path: Path) -> None:
    async for _ in host.images.load(stream(stack(150))):
        pass
    found = await host.files("old:1")
    assert found.pop("last") == "149"
    assert found == {f"layers/{number:03}": str(number) for number in range(150)}
    expected = await seen(host, "old:1")
    archive = b"".join([chunk async for chunk in host.images.save(["old:1"])])
    async with opened(tmp_path / "other") as other:
        async for _ in other.images.load(stream(archive, size=1 << 20)):
            pass
        assert await seen(other, "old:1") == expected


async def test_as_many_layers_as_the_kernel_takes_and_not_one_more(host: Host) -> None:
    if not supports_lowerdir_plus():
        pytest.skip("the kernel's overlayfs has no lowerdir+ (Linux 6.7)")
    async for _ in host.images.load(stream(stack(500), size=1 << 20)):
        pass
    assert len(await host.files("old:1")) == 501
    with pytest.raises(Unsupported, match="501 layers are too many to be mounted: overlayfs takes 500"):
        async for _ in host.images.load(stream(stack(501), size=1 << 20)):
            pass


async def test_the_old_way_to_mount_takes_what_a_page_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dockwright.snapshot.mountapi.supports_lowerdir_plus", lambda: False)
    async with opened(tmp_path / ("long " * 40)) as host:
        async for _ in host.images.load(stream(stack(150))):
            pass
        assert len(await host.files("old:1")) == 151
        monkeypatch.setattr("dockwright.snapshot.mountapi._PAGE", 1024)
        with pytest.raises(Unsupported, match=r"too many for this kernel's mount\(2\)"):
            await host.files("old:1")
        await host.snapshots.remove("work")
