"""What one image has and another has not."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.archives import files, stream
from tests.engine.image.conftest import Host

from dockwright import snapshot
from dockwright.errors import NotFound
from dockwright.image import Commit, ImageDifference
from dockwright.image.packages import installed
from dockwright.oci import RunConfig

pytestmark = pytest.mark.root

DPKG = """\
Package: libc6
Status: install ok installed
Architecture: amd64
Multi-Arch: same
Version: {version}
Description: GNU C Library
 Package: not this one
 Version: 9

Package: removed
Status: deinstall ok config-files
Architecture: all
Version: 1
"""
APK = "C:Q1\nP:musl\nV:1.2.4-r2\nA:x86_64\nF:lib\nR:ld-musl-x86_64.so.1\n\nP:busybox\nV:1.36.1-r5\nA:x86_64\n"


def told(found: ImageDifference) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(one.kind, one.path, one.what) for one in found.files]


async def test_images_on_one_base_are_compared_above_it(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    await host.images.import_(stream(files({"etc/a": "1", "etc/b": "2", "usr/big": "x" * 5000})), "base")
    async with host.mounted((await host.images.resolve("base")).snapshot) as root:
        (root / "etc/a").unlink()
        (root / "etc/b").write_text("two")
        (root / "usr/new").write_text("12345")
    await host.images.commit("work", "base", Commit(RunConfig()), "top")
    await host.snapshots.remove("work")
    looked_at: list[object] = []
    real = snapshot.compare_trees

    def watched(before: Path, after: Path, where: snapshot.Touched | None = None) -> list[snapshot.TreeChange]:
        looked_at.append(where)
        return real(before, after, where)

    monkeypatch.setattr("dockwright.image.comparing.compare_trees", watched)
    found = await host.images.compare("base", "top")
    assert told(found) == [
        ("removed", "/etc/a", ()),
        ("changed", "/etc/b", ("size",)),
        ("added", "/usr/new", ()),
    ]
    assert looked_at == [{"etc": {"a": None, "b": None}, "usr": {"new": None}}]
    assert [one.kind for one in (await host.images.compare("top", "base")).files] == ["added", "changed", "removed"]
    assert (found.files[1].size_before, found.files[1].size_after) == (1, 3)
    assert told(await host.images.compare("top", "top")) == []
    assert str(host.root) not in Path("/proc/self/mounts").read_text()


async def test_images_with_nothing_in_common_are_compared_whole(host: Host) -> None:
    await host.images.import_(stream(files({"same": "1", "one": "1"})), "one")
    await host.images.import_(stream(files({"same": "1", "two": "1"})), "two")
    found = await host.images.compare("one", "two")
    assert told(found) == [("removed", "/one", ()), ("added", "/two", ())]
    await host.images.import_(stream(b""), "empty")
    assert [one.kind for one in (await host.images.compare("empty", "one")).files] == ["added", "added"]
    with pytest.raises(NotFound, match="No such image: three:latest"):
        await host.images.compare("one", "three")


async def test_packages_are_told_with_their_versions(host: Host) -> None:
    await host.images.import_(stream(files({"var/lib/dpkg/status": DPKG.format(version="2.36-9")})), "old")
    more = DPKG.format(version="2.36-10") + "\nPackage: new\nArchitecture: all\nVersion: 1:0~rc1\n"
    await host.images.import_(stream(files({"var/lib/dpkg/status": more, "lib/apk/db/installed": APK})), "new")
    found = await host.images.compare("old", "new")
    assert [
        (one.kind, one.name, one.architecture, one.version_before, one.version_after) for one in found.packages
    ] == [
        ("added", "busybox", "x86_64", "", "1.36.1-r5"),
        ("changed", "libc6", "amd64", "2.36-9", "2.36-10"),
        ("added", "musl", "x86_64", "", "1.2.4-r2"),
        ("added", "new", "all", "", "1:0~rc1"),
    ]


def test_distroless_images_have_a_file_for_each_package(tmp_path: Path) -> None:
    parts = tmp_path / "var/lib/dpkg/status.d"
    parts.mkdir(parents=True)
    (parts / "base").write_text("Package: base-files\nArchitecture: amd64\nVersion: 12.4\n")
    (parts / "base.md5sums").write_text("Package: none\nVersion: 1\n")
    assert installed(tmp_path) == {("base-files", "amd64"): "12.4"}


def test_package_lists_that_are_hostile_tell_nothing(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("Package: secret\nVersion: 1\n")
    tree = tmp_path / "tree"
    (tree / "var/lib/dpkg").mkdir(parents=True)
    (tree / "var/lib/dpkg/status").symlink_to("../../../../outside")
    (tree / "lib/apk/db").mkdir(parents=True)
    (tree / "lib/apk/db/installed").write_bytes(b"\xff\xfe:\0\nP:\nV\n\n\n" * 100)
    assert installed(tree) == {}
