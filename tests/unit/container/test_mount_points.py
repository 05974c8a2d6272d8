"""Binds, Mounts, volumes and tmpfs: how they are written, and which one wins."""

from __future__ import annotations

import pytest

from dockwright.container.config import BindOptions, Config, HostConfig, Mount, TmpfsOptions, VolumeOptions
from dockwright.container.mounts import MountPoint, parse_bind, resolve
from dockwright.errors import Conflict, DockwrightError, Invalid


def none(_: str) -> list[MountPoint]:
    return []


@pytest.mark.parametrize(
    ("text", "kind", "source", "destination", "rw"),
    [
        ("/a:/b", "bind", "/a", "/b", True),
        ("/a:/b:ro", "bind", "/a", "/b", False),
        ("/a//c/../d:/b/:rw,z", "bind", "/a/d", "/b", True),
        ("name:/b", "volume", "", "/b", True),
        ("name:/b:ro,nocopy", "volume", "", "/b", False),
        ("/b", "volume", "", "/b", True),
        ("/a:/b:rshared", "bind", "/a", "/b", True),
    ],
)
def test_binds(text: str, kind: str, source: str, destination: str, rw: bool) -> None:
    point = parse_bind(text)
    assert (point.type, point.source, point.destination, point.rw) == (kind, source, destination, rw)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "/a:",
        ":/b",
        "/a:b",
        "/a:/",
        "a b:/c",
        "/a:/b:nope",
        "/a:/b:ro:x",
        "name:/b:rshared",
        "../a:/b",
        "/a:/b/../..",
    ],
)
def test_binds_that_are_none(text: str) -> None:
    with pytest.raises(Invalid):
        parse_bind(text)


def test_what_is_asked_for_wins_over_volumes_from_over_the_image() -> None:
    config = Config(volumes={"/a": {}, "/b": {}, "/c": {}})
    host = HostConfig(binds=["/host:/a"], volumes_from=["other:ro"])
    other = [MountPoint(type="volume", name="theirs", destination="/b"), MountPoint(type="tmpfs", destination="/t")]
    found = {point.destination: point for point in resolve(config, host, lambda _: other)}
    assert found["/a"].type == "bind"
    assert (found["/b"].name, found["/b"].rw) == ("theirs", False)
    assert found["/c"].anonymous
    assert "/t" not in found


def test_a_destination_named_twice_is_refused() -> None:
    with pytest.raises(Conflict, match="Duplicate mount point: /b"):
        resolve(Config(), HostConfig(binds=["/a:/b", "/c:/b/"]), none)


def test_parents_come_before_what_is_mounted_in_them() -> None:
    host = HostConfig(binds=["/x:/a/b/c", "/y:/a"], tmpfs={"/a/b": ""})
    assert [point.destination for point in resolve(Config(), host, none)] == ["/a", "/a/b", "/a/b/c"]


@pytest.mark.parametrize(
    "mount",
    [
        Mount(type="bind", target="/b"),
        Mount(type="bind", source="a", target="/b"),
        Mount(type="bind", source="/a", target="b"),
        Mount(type="bind", source="/a", target="/b", volume_options=VolumeOptions()),
        Mount(type="bind", source="/a", target="/b", bind_options=BindOptions(propagation="odd")),
        Mount(type="volume", source="a/b", target="/b"),
        Mount(type="tmpfs", source="x", target="/b"),
        Mount(type="tmpfs", target="/b", tmpfs_options=TmpfsOptions(size_bytes=-1)),
        Mount(type="odd", target="/b"),
        Mount(type="volume"),
    ],
)
def test_mounts_that_are_refused(mount: Mount) -> None:
    with pytest.raises(DockwrightError):
        resolve(Config(), HostConfig(mounts=[mount]), none)


def test_tmpfs_options_are_kept_and_unknown_ones_refused() -> None:
    (point,) = resolve(Config(), HostConfig(tmpfs={"/t": "size=1m,mode=700,exec"}), none)
    assert point.options == ["nosuid", "nodev", "size=1m", "mode=700", "exec"]
    with pytest.raises(Invalid, match="invalid tmpfs option"):
        resolve(Config(), HostConfig(tmpfs={"/t": "frobnicate"}), none)
