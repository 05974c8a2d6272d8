"""Debian with three layers of real packages and everything that file systems can hold: pushed to a real registry, pulled
elsewhere, committed there, pushed and pulled again, the trees stay equal."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from tests.archives import stream
from tests.engine.image.conftest import Host, opened
from tests.registries import registry

from dockwright.image import Commit
from dockwright.oci import RunConfig

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]

PACKAGES = (("hello",), ("iputils-ping", "less"), ("sudo",))
Tree = dict[bytes, tuple[object, ...]]


def tree(root: Path) -> Tree:
    """Everything that can be seen of a tree: types, owners, times, attributes, contents, and which names are one file."""
    found: Tree = {}
    first: dict[int, bytes] = {}
    top = os.fsencode(root)
    for folder, folders, names in os.walk(top):
        for path in [folder, *(os.path.join(folder, name) for name in (*folders, *names))]:
            at = os.lstat(path)
            regular = stat.S_ISREG(at.st_mode)
            content = digest(path) if regular else os.readlink(path) if stat.S_ISLNK(at.st_mode) else None
            attributes = {
                name: os.getxattr(path, name, follow_symlinks=False)
                for name in os.listxattr(path, follow_symlinks=False)
                if not name.startswith("trusted.overlay.")
            }
            short = os.path.relpath(path, top)
            same = first.setdefault(at.st_ino, short) if regular and at.st_nlink > 1 else None
            found[short] = (
                *(at.st_mode, at.st_uid, at.st_gid, at.st_mtime_ns, at.st_rdev, at.st_size if regular else 0),
                *(content, tuple(sorted(attributes.items())), same),
            )
    return found


def digest(path: bytes) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


async def seen(host: Host, name: str) -> Tree:
    async with host.mounted((await host.images.resolve(name)).snapshot) as root:
        found = tree(root)
    await host.snapshots.remove("work")
    return found


def install(root: Path, *packages: str) -> None:
    """Install packages, as a Dockerfile would."""
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive"}
    environment |= {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    resolver = root / "etc/resolv.conf"
    shutil.copyfile("/etc/resolv.conf", resolver)
    update = [] if any((root / "var/lib/apt/lists").glob("*Packages*")) else [["apt-get", "-qq", "update"]]
    for command in (*update, ["apt-get", "-qq", "--no-install-recommends", "install", *packages]):
        done = subprocess.run(["chroot", root, *command], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    resolver.unlink()


def everything(root: Path) -> None:
    """What a layer may hold beside plain files."""
    shutil.rmtree(root / "usr/share/doc")  # made anew: opaque
    (root / "usr/share/doc").mkdir()
    (root / "usr/share/doc/new").write_text("new")
    (root / "etc/issue").unlink()
    shutil.rmtree(root / "usr/share/man", ignore_errors=True)
    odd = root / "odd"
    odd.mkdir(mode=0o3751)
    (odd / "file").write_text("x" * 1000)
    os.link(odd / "file", odd / "hard link")
    os.link(root / "etc/hostname" if (root / "etc/hostname").exists() else odd / "file", odd / "link to below")
    os.setxattr(odd / "file", "user.note", b"\x00\xffbinary")
    os.setxattr(odd, "user.note", b"of a directory")
    with (odd / "sparse").open("wb") as sparse:
        sparse.seek(50 << 20)
        sparse.write(b"end")
    os.mknod(odd / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    os.mknod(odd / "disk", 0o600 | stat.S_IFBLK, os.makedev(7, 99))
    os.mkfifo(odd / "pipe")
    (odd / "setuid").write_text("#!")
    (odd / "setuid").chmod(0o6755)
    (odd / ("n" * 255)).write_text("long name")
    deep = odd.joinpath(*["d" * 100] * 8)
    deep.mkdir(parents=True)
    (deep / "file").write_text("long path")
    (deep / "link").symlink_to("t" * 1000)
    with open(os.fsencode(odd) + b"/not \xff\xfe utf-8", "w") as file:
        file.write("x")
    (odd / "new\nline").write_text("x")
    os.utime(odd / "file", ns=(0, 1_234_567_890_123_456_789))
    os.utime(odd / "setuid", ns=(0, -1_500_000_000))
    os.lchown(deep / "link", 12345, 4_000_000_000)


async def test_trees_survive_push_and_pull_through_a_real_registry(host: Host, debian: Path, tmp_path: Path) -> None:
    with registry(tmp_path) as running:
        first, second = f"{running.host}/debian:packages", f"{running.host}/debian:more"
        await host.images.import_(stream(debian.read_bytes(), size=1 << 20), "debian")
        below = "debian"
        for packages in PACKAGES:
            async with host.mounted((await host.images.resolve(below)).snapshot) as root:
                install(root, *packages)
                if packages == PACKAGES[-1]:
                    everything(root)
            await host.images.commit("work", below, Commit(RunConfig()), first)
            await host.snapshots.remove("work")
            below = first
        expected = await seen(host, first)
        assert any(b"security.capability" in str(entry).encode() for entry in expected.values())
        await host.pushed(first)
        async with opened(tmp_path / "second") as other:
            await other.pulled(first)
            assert (await other.images.inspect(first)).id == (await host.images.inspect(first)).id
            assert differences(await seen(other, first), expected) == {}
            async with other.mounted((await other.images.resolve(first)).snapshot) as root:
                assert (root / "odd/sparse").stat().st_blocks * 512 < 1 << 20
                shutil.rmtree(root / "odd")
                (root / "usr/bin/hello").rename(root / "usr/bin/hallo")
                done = subprocess.run(["chroot", root, "hallo"], capture_output=True, text=True)
                assert done.stdout == "Hello, world!\n"
            await other.images.commit("work", first, Commit(RunConfig()), second)
            await other.snapshots.remove("work")
            expected = await seen(other, second)
            await other.pushed(second)
        await host.pulled(second)
        assert differences(await seen(host, second), expected) == {}


def differences(one: Tree, other: Tree) -> dict[bytes, tuple[object, object]]:
    return {
        path: (one.get(path), other.get(path)) for path in one.keys() | other.keys() if one.get(path) != other.get(path)
    }
