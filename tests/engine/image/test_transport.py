"""Saving and loading, held against skopeo."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.archives import files, member, stream, tar_of
from tests.engine.image.conftest import Host, opened

from dockwright import faults
from dockwright.errors import Corrupt, HostFailure, Invalid, NotFound, Unsupported
from dockwright.image import Commit
from dockwright.oci import RunConfig

pytestmark = pytest.mark.root

skopeo = pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")


async def saved(host: Host, *names: str, platform: str | None = None) -> bytes:
    return b"".join([chunk async for chunk in host.images.save(names, platform)])


async def loaded(host: Host, archive: bytes, platform: str | None = None) -> list[str]:
    return [line.strip() async for line in host.images.load(stream(archive, size=100_000), platform)]


def members(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {info.name: tar.extractfile(info).read() for info in tar if info.isreg()}  # type: ignore[union-attr]


async def two_layers(host: Host, name: str = "two") -> str:
    await host.images.import_(stream(files({"etc/a": "1", "etc/b": "2", "keep": "x" * 70_000})), "base")
    async with host.mounted((await host.images.resolve("base")).snapshot) as root:
        (root / "etc/a").unlink()
        (root / "etc/c").write_text("3")
    image = await host.images.commit("work", "base", Commit(RunConfig(cmd=("x",))), name)
    await host.snapshots.remove("work")
    return image


def empty(host: Host) -> bool:
    left = [path for path in (host.root / "content").rglob("*") if path.is_file()]
    return not left and not [path for path in (host.root / "snapshots").iterdir() if path.name.isdigit()]


@pytest.fixture
async def other(tmp_path: Path) -> AsyncIterator[Host]:
    async with opened(tmp_path / "other") as one:
        yield one


async def test_what_is_saved_is_loaded_with_the_same_id(host: Host, other: Host) -> None:
    image = await two_layers(host)
    archive = await saved(host, "two", "base:latest")
    assert await loaded(other, archive) == ["Loaded image: two:latest", "Loaded image: base:latest"]
    assert (await other.images.resolve("two")).id == image
    assert await other.files("two") == await host.files("two")
    assert list(await other.files("two")) == ["etc/b", "etc/c", "keep"]
    assert await saved(other, "two", "base:latest") == archive
    assert [event.action for event in await other.heard()] == ["load", "load", "save", "save"]


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
async def test_compressed_archives_are_loaded(host: Host, other: Host, compress: object) -> None:
    await two_layers(host)
    assert await loaded(other, compress(await saved(host, "two"))) == ["Loaded image: two:latest"]  # type: ignore[operator]


async def test_every_blob_of_an_archive_has_the_digest_of_its_name(host: Host) -> None:
    await two_layers(host)
    inside = members(await saved(host, "two"))
    for path, content in inside.items():
        if path.startswith("blobs/"):
            assert path == "blobs/sha256/" + hashlib.sha256(content).hexdigest()
    assert json.loads(inside["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    (entry,) = json.loads(inside["manifest.json"])
    assert entry["RepoTags"] == ["two:latest"]
    assert {entry["Config"], *entry["Layers"]} < set(inside)


async def test_a_repository_is_saved_with_all_tags_and_an_id_without(host: Host) -> None:
    image = await two_layers(host, "repo:1")
    await host.images.tag("repo:1", "repo:2")
    (entry,) = json.loads(members(await saved(host, "repo"))["manifest.json"])
    assert entry["RepoTags"] == ["repo:1", "repo:2"]
    (entry,) = json.loads(members(await saved(host, image))["manifest.json"])
    assert entry["RepoTags"] is None
    with pytest.raises(NotFound, match="No such image: none:latest"):
        await saved(host, "repo", "none")


def docker_archive(layers: list[bytes], diff_ids: list[str] | None = None, **changes: object) -> bytes:
    """What `docker save` wrote before version 25."""
    diff_ids = diff_ids or ["sha256:" + hashlib.sha256(layer).hexdigest() for layer in layers]
    config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    body = json.dumps(config).encode()
    name = hashlib.sha256(body).hexdigest() + ".json"
    paths = [f"{number:064x}/layer.tar" for number in range(len(layers))]
    entry = {"Config": name, "RepoTags": ["old:1", "old:2"], "Layers": paths} | changes
    return tar_of(
        *(member(path, layer) for path, layer in zip(paths, layers, strict=True)),
        *(member(path.replace("layer.tar", "VERSION"), b"1.0") for path in paths),
        member(name, body),
        member("manifest.json", json.dumps([entry]).encode()),
        member("repositories", b"{}"),
    )


async def test_an_old_docker_archive_is_loaded_and_kept_once(host: Host) -> None:
    layers = [files({"a": "1" * 50_000, "b": "1"}), tar_of(member(".wh.b", b""), member("c", b"2"))]
    assert await loaded(host, docker_archive(layers)) == ["Loaded image: old:1", "Loaded image: old:2"]
    assert list(await host.files("old:1")) == ["a", "c"]
    kept = [path.stat().st_size for path in (host.root / "content").rglob("*") if path.is_file()]
    assert len(kept) == 2
    assert sum(kept) < 2000
    inside = members(await saved(host, "old:1"))
    assert inside["blobs/sha256/" + hashlib.sha256(layers[0]).hexdigest()] == layers[0]


async def test_layers_that_are_links_to_others_are_found(host: Host) -> None:
    layer = files({"a": "1"})
    archive = docker_archive([layer])
    link = member("again/layer.tar", kind="link", linkname=f"../{0:064x}/layer.tar")
    entry = {"Config": "c.json", "RepoTags": None, "Layers": ["again/layer.tar"]}
    config = next(
        content for path, content in members(archive).items() if path.endswith(".json") and path != "manifest.json"
    )
    again = tar_of(
        *((member(f"{0:064x}/layer.tar", layer)), link, member("c.json", config)),
        member("manifest.json", json.dumps([entry]).encode()),
    )
    (line,) = await loaded(host, again)
    assert line.startswith("Loaded image ID: sha256:")


async def test_compressed_layers_are_kept_as_they_came(host: Host) -> None:
    tar = files({"a": "1" * 50_000})
    packed = gzip.compress(tar)
    await loaded(host, docker_archive([packed], ["sha256:" + hashlib.sha256(tar).hexdigest()]))
    assert list(await host.files("old:1")) == ["a"]
    assert members(await saved(host, "old:1"))["blobs/sha256/" + hashlib.sha256(packed).hexdigest()] == packed


async def test_a_layer_is_shared_however_it_came(host: Host) -> None:
    tar = files({"a": "1" * 50_000})
    await loaded(host, docker_archive([tar]))
    await loaded(host, docker_archive([gzip.compress(tar)], ["sha256:" + hashlib.sha256(tar).hexdigest()]))
    await loaded(host, docker_archive([files({"z": "1"}), tar]))
    await host.snapshots.settled()
    assert len([path for path in (host.root / "snapshots").iterdir() if path.name.isdigit()]) == 2


async def test_directories_that_a_layer_implies_take_after_the_base(host: Host) -> None:
    base = tar_of(
        member("usr", kind="dir", mode=0o2750, uid=5),
        member("usr/lib", kind="dir", mode=0o711, pax_headers={"SCHILY.xattr.user.x": "1"}),
        member("lib", kind="link", linkname="usr/lib"),
        member("etc", kind="dir", mode=0o700),
    )
    implied = tar_of(member("usr/lib/new", b"1"), member("etc/.wh.none", b""))
    await loaded(host, docker_archive([base, implied]))
    async with host.mounted((await host.images.resolve("old:1")).snapshot) as root:
        assert ((root / "usr").stat().st_mode & 0o7777, (root / "usr").stat().st_uid) == (0o2750, 5)
        assert (root / "usr/lib").stat().st_mode & 0o7777 == 0o711
        assert (root / "etc").stat().st_mode & 0o7777 == 0o700
        assert (root / "lib/new").read_text() == "1"
    await host.snapshots.remove("work")


async def test_a_layer_goes_through_the_links_of_its_base(host: Host) -> None:
    base = tar_of(
        member("usr", kind="dir"),
        member("usr/lib", kind="dir"),
        member("lib", kind="link", linkname="usr/lib"),
        member("usr/lib/old", b"old"),
        member("usr/lib/gone", b"gone"),
    )
    top = tar_of(
        member("lib/new", b"new"), member("lib/.wh.gone", b""), member("hard", kind="hard", linkname="usr/lib/old")
    )
    await loaded(host, docker_archive([base, top]))
    async with host.mounted((await host.images.resolve("old:1")).snapshot) as root:
        assert (root / "lib").is_symlink()
        assert sorted(path.name for path in (root / "usr/lib").iterdir()) == ["new", "old"]
        assert (root / "hard").read_text() == "old"
    await host.snapshots.remove("work")
    again = members(await saved(host, "old:1"))
    assert again["blobs/sha256/" + hashlib.sha256(top).hexdigest()] == top


async def test_an_opaque_root_hides_all_that_is_below(host: Host) -> None:
    base, top = (
        files({"a/x": "1", "b": "1", "c": "1"}),
        tar_of(member(".wh..wh..opq", b""), member("a", kind="dir"), member("c", b"2")),
    )
    await loaded(host, docker_archive([base, top]))
    assert await host.files("old:1") == {"c": "2"}
    await saved(host, "old:1")


async def test_what_another_package_stored_becomes_an_image(host: Host, other: Host) -> None:
    await two_layers(host)
    image = await host.images.resolve("two")
    manifest = image.variant.manifest
    async with other.images.lease() as lease:
        for descriptor in (image.row.target, manifest.config, *(manifest.layers or ())):
            await lease.hold([descriptor.digest])
            async with other.blobs.ingest() as ingest:
                async for chunk in host.images.blob(descriptor):
                    await ingest.write(chunk)
                await ingest.commit(descriptor.digest, descriptor.size)
        await other.images.prune({})
        assert (await other.images.add(image.row.target, ["pulled:1"])).id == image.id
    await other.images.prune({})
    assert await other.files("pulled:1") == await host.files("two")


BAD = {
    "no archive": b"this is no archive at all" * 100,
    "empty": tar_of(),
    "neither kind": tar_of(member("x", b"1")),
    "no configuration": docker_archive([files({"a": "1"})], Config="none.json"),
    "no layer": docker_archive([files({"a": "1"})], Layers=["none/layer.tar"]),
    "too few layers": docker_archive([files({"a": "1"})], Layers=[]),
    "climbing layer path": docker_archive([files({"a": "1"})], Layers=["../../../etc/passwd"]),
    "another layer than promised": docker_archive([files({"a": "1"})], ["sha256:" + "1" * 64]),
    "a layer that is no tar": docker_archive([b"x" * 2000]),
    "a bad name": docker_archive([files({"a": "1"})], RepoTags=["UPPER:1"]),
    "malformed manifest": tar_of(member("manifest.json", b"{")),
    "malformed index": tar_of(member("oci-layout", b"{}"), member("index.json", b"[]")),
    "missing blob": tar_of(
        member("oci-layout", b"{}"),
        member("index.json", b'{"manifests":[{"mediaType":"x","size":1,"digest":"sha256:' + b"1" * 64 + b'"}]}'),
    ),
    "a blob that lies": tar_of(member("blobs/sha256/" + "1" * 64, b"x")),
    "cut short": docker_archive([files({"a": "1" * 10_000})])[:9_000],
    "manifest that points to itself": tar_of(member("manifest.json", kind="link", linkname="manifest.json")),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_archive_is_refused_and_leaves_nothing(host: Host, name: str) -> None:
    with pytest.raises((Invalid, Corrupt)):
        await loaded(host, BAD[name])
    await host.snapshots.settled()
    assert empty(host)
    assert await host.images.list_() == []


async def test_an_archive_of_ancient_times_is_refused_by_name(host: Host) -> None:
    with pytest.raises(Unsupported, match="a Docker before"):
        await loaded(host, tar_of(member("repositories", b"{}")))


@pytest.mark.parametrize("step", ["image.load", "image.unpack", "content.rename", "snapshot.layer", "snapshot.adopt"])
async def test_a_load_that_fails_leaves_nothing_and_succeeds_the_next_time(host: Host, step: str) -> None:
    archive = docker_archive([files({"a": "1"}), files({"b": "2"})])
    with faults.armed(step), pytest.raises(HostFailure):
        await loaded(host, archive)
    await host.snapshots.settled()
    assert empty(host)
    await loaded(host, archive)
    assert list(await host.files("old:1")) == ["a", "b"]


async def test_a_cancelled_load_leaves_nothing(host: Host) -> None:
    stuck = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield docker_archive([files({"a": "1" * 50_000})])[:40_000]
        stuck.set()
        await asyncio.sleep(3600)

    async def run() -> None:
        async for _ in host.images.load(endless()):
            pass

    async with asyncio.TaskGroup() as group:
        task = group.create_task(run())
        await stuck.wait()
        task.cancel()
    await host.snapshots.settled()
    assert empty(host)


async def test_a_load_cancelled_while_it_unpacks_leaves_nothing(host: Host) -> None:
    archive = docker_archive([tar_of(*(member(f"f{number}", b"x" * 5_000) for number in range(3_000)))])

    async def run() -> None:
        async for _ in host.images.load(stream(archive, size=1 << 20)):
            pass

    for delay in (0.05, 0.1, 0.15, 0.2):
        async with asyncio.TaskGroup() as group:
            task = group.create_task(run())
            await asyncio.sleep(delay)
            task.cancel()
        if task.cancelled():
            await host.snapshots.settled()
            assert empty(host)


def oci_index(host_arch: str, foreign: str) -> bytes:
    """A layout with one name for two platforms."""
    blobs: dict[str, bytes] = {}

    def blob(content: bytes, media_type: str) -> dict[str, object]:
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        blobs["blobs/" + digest.replace(":", "/")] = content
        return {"mediaType": media_type, "digest": digest, "size": len(content)}

    children = []
    for architecture in (foreign, host_arch):
        tar = files({architecture: "1"})
        config = {
            "architecture": architecture,
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [blob(tar, "x")["digest"]]},
        }
        del blobs["blobs/sha256/" + hashlib.sha256(tar).hexdigest()]
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": blob(json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json"),
            "layers": [blob(gzip.compress(tar, mtime=0), "application/vnd.oci.image.layer.v1.tar+gzip")],
            "unknown": "kept",
        }
        child = blob(json.dumps(manifest).encode(), "application/vnd.oci.image.manifest.v1+json")
        children.append(child | {"platform": {"os": "linux", "architecture": architecture}})
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": children}
    top = blob(json.dumps(index).encode(), "application/vnd.oci.image.index.v1+json")
    top["annotations"] = {"io.containerd.image.name": "docker.io/library/multi:1"}
    layout = {"schemaVersion": 2, "manifests": [top]}
    return tar_of(
        member("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'),
        member("index.json", json.dumps(layout).encode()),
        *(member(path, content) for path, content in blobs.items()),
    )


async def test_an_index_keeps_all_platforms_byte_for_byte(host: Host) -> None:
    from dockwright.oci import platform

    here = platform.host().architecture
    archive = oci_index(here, "s390x")
    assert await loaded(host, archive) == ["Loaded image: multi:1"]
    assert (await host.images.resolve("multi:1")).config.architecture == here
    assert await host.files("multi:1") == {here: "1"}
    before = {path: content for path, content in members(archive).items() if path.startswith("blobs/")}
    after = {
        path: content for path, content in members(await saved(host, "multi:1")).items() if path.startswith("blobs/")
    }
    assert after == before
    foreign = await host.images.resolve("multi:1", "linux/s390x")
    async with host.mounted(foreign.snapshot) as root:
        assert [path.name for path in root.iterdir()] == ["s390x"]
    await host.snapshots.remove("work")
    kinds = [(one.kind, one.available) for one in await _manifests(host)]
    assert kinds == [("image", True), ("image", True)]
    only = members(await saved(host, "multi:1", platform="linux/s390x"))
    assert len([path for path in only if path.startswith("blobs/")]) == 4  # the index stays, and with it the image's ID
    assert json.loads(only["index.json"])["manifests"][0]["digest"] == foreign.id
    with pytest.raises(NotFound):
        await saved(host, "multi:1", platform="linux/riscv64")
    with pytest.raises(NotFound):
        await loaded(host, archive, "linux/riscv64")


async def _manifests(host: Host) -> list[object]:
    found = await host.images.inspect("multi:1", manifests=True)
    assert isinstance(found.manifests, list)
    return list(found.manifests)


@skopeo
async def test_skopeo_reads_what_is_saved_and_writes_what_is_loaded(host: Host, other: Host, tmp_path: Path) -> None:
    await two_layers(host)
    (tmp_path / "two.tar").write_bytes(await saved(host, "two"))

    def copy(source: str, target: str) -> None:
        subprocess.run(
            ["skopeo", "--insecure-policy", "copy", source, target], check=True, capture_output=True, timeout=60
        )

    copy(f"docker-archive:{tmp_path}/two.tar", f"oci-archive:{tmp_path}/layout.tar:two:5")
    copy(f"oci-archive:{tmp_path}/two.tar", f"docker-archive:{tmp_path}/again.tar:again:latest")
    assert await loaded(other, (tmp_path / "layout.tar").read_bytes()) == ["Loaded image: two:5"]
    assert await loaded(other, (tmp_path / "again.tar").read_bytes()) == ["Loaded image: again:latest"]
    assert await other.files("two:5") == await other.files("again") == await host.files("two")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.integers(0, 12_000), st.binary(min_size=1, max_size=6), st.booleans())
async def test_any_damage_is_survived(host: Host, at: int, patch: bytes, cut: bool) -> None:
    good = docker_archive([files({"a": "1"})])
    archive = good[:at] + patch + (b"" if cut else good[at + len(patch) :])
    try:
        await loaded(host, archive)
    except (Invalid, Corrupt, NotFound):
        pass
