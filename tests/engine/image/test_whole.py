"""Images are kept whole: every blob that an index leads to, and what refers to it, byte for byte."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.archives import files, member, tar_of
from tests.engine.image.conftest import Host, opened
from tests.engine.image.layouts import LAYERS, Layout
from tests.engine.image.test_transport import loaded, members, saved

from dockwright.errors import InUse, Invalid, NotFound
from dockwright.image import ImageUser
from dockwright.oci import platform

pytestmark = pytest.mark.root

HERE = platform.host().architecture
PLATFORMS = (HERE, "s390x", "riscv64")


def blobs(archive: bytes) -> dict[str, bytes]:
    return {path: content for path, content in members(archive).items() if path.startswith("blobs/")}


def stored(host: Host) -> set[str]:
    return {path.name for path in (host.root / "content/blobs/sha256").iterdir()}


def name_of(descriptor: dict[str, object]) -> str:
    return str(descriptor["digest"]).partition(":")[2]


def everything(kind: str = "gzip") -> tuple[Layout, dict[str, dict[str, object]]]:
    """An image for three platforms, each attested, with a signature of the index and one of that signature."""
    layout = Layout()
    parts: dict[str, dict[str, object]] = {}
    for architecture in PLATFORMS:
        parts[architecture] = layout.image(architecture, "1" * 100_000, kind)
        parts["about " + architecture] = layout.attestation(parts[architecture])
    parts["index"] = layout.index(*parts.values(), docker=kind == "docker")
    parts["signature"] = layout.referrer(parts["index"])
    parts["countersignature"] = layout.referrer(parts["signature"], b"counter")
    layout.named(parts["index"], "multi:1")
    layout.nameless(parts["countersignature"])
    layout.nameless(parts["signature"])
    return layout, parts


@pytest.mark.parametrize("kind", LAYERS)
async def test_all_that_an_image_leads_to_comes_out_as_it_came(host: Host, tmp_path: Path, kind: str) -> None:
    layout, parts = everything(kind)
    assert await loaded(host, layout.tar()) == ["Loaded image: multi:1"]
    assert (await host.images.resolve("multi:1")).id == parts["index"]["digest"]
    assert [line.id for line in await host.images.list_()] == [parts["index"]["digest"]]
    await host.images.prune({})
    archive = await saved(host, "multi:1")
    assert blobs(archive) == layout.blobs
    async with opened(tmp_path / "other") as other:
        await loaded(other, archive)
        assert blobs(await saved(other, "multi:1")) == layout.blobs
        for architecture in PLATFORMS:
            image = await other.images.resolve("multi:1", f"linux/{architecture}")
            async with other.mounted(image.snapshot) as root:
                assert [path.name for path in root.iterdir()] == [architecture]
            await other.snapshots.remove("work")
    async with opened(tmp_path / "root") as again:
        assert blobs(await saved(again, "multi:1")) == layout.blobs


async def test_what_refers_to_an_image_goes_with_it(host: Host) -> None:
    await loaded(host, everything()[0].tar())
    await host.images.remove("multi:1")
    assert stored(host) == set()


async def test_an_artifact_is_kept_as_it_is(host: Host) -> None:
    layout = Layout()
    tar = files({"chart/values.yaml": "x" * 100_000})
    layout.named(layout.artifact(tar), "chart:1")
    assert await loaded(host, layout.tar()) == ["Loaded image: chart:1"]
    await host.images.prune({})
    assert blobs(await saved(host, "chart:1")) == layout.blobs
    assert [line.repo_tags for line in await host.images.list_()] == [["chart:1"]]
    with pytest.raises(NotFound, match="does not provide the specified platform"):
        await host.images.resolve("chart:1")
    assert len(await host.images.remove("chart:1")) == 2
    assert stored(host) == set()


async def test_an_image_and_an_artifact_may_share_a_layer(host: Host) -> None:
    layout = Layout()
    layout.named(layout.image(HERE, "1" * 100_000, "tar"), "image:1")
    layout.named(layout.artifact(files({HERE: "1" * 100_000})), "artifact:1")
    await loaded(host, layout.tar())
    await host.images.remove("image:1")
    assert await host.images.list_()
    inside = blobs(await saved(host, "artifact:1"))
    assert inside.items() <= layout.blobs.items()
    assert len(inside) == 3


async def test_schema_1_is_refused_by_name(host: Host) -> None:
    layout = Layout()
    old = {"schemaVersion": 1, "name": "library/x", "tag": "1", "fsLayers": [], "history": [], "signatures": []}
    layout.named(layout.blob(json.dumps(old).encode(), "application/vnd.docker.distribution.manifest.v1+json"), "x:1")
    with pytest.raises(Invalid, match="schema 1 is not supported"):
        await loaded(host, layout.tar())
    assert stored(host) == set()


async def test_platforms_are_saved_alone_and_the_image_keeps_its_id(host: Host, tmp_path: Path) -> None:
    layout, parts = everything()
    await loaded(host, layout.tar())
    one = blobs(await saved(host, "multi:1", platform="linux/s390x"))
    two = b"".join([chunk async for chunk in host.images.save(["multi:1"], ["linux/s390x", HERE])])
    for inside, architectures in ((one, ["s390x"]), (blobs(two), ["s390x", HERE])):
        kept = {name_of(parts[prefix + name]) for name in architectures for prefix in ("", "about ")}
        names = {path.rpartition("/")[2] for path in inside}
        assert kept | {name_of(parts["index"]), name_of(parts["signature"])} < names
        assert len(names) == 7 + 5 * len(architectures)
        assert inside.items() < layout.blobs.items()
    async with opened(tmp_path / "other") as other:
        assert await loaded(other, two) == ["Loaded image: multi:1"]
        assert (await other.images.resolve("multi:1", "linux/s390x")).id == parts["index"]["digest"]
        with pytest.raises(NotFound):
            await other.images.resolve("multi:1", "linux/riscv64")
    with pytest.raises(NotFound, match=r"does not provide the specified platform \(linux/arm/v5\)"):
        await saved(host, "multi:1", platform="linux/arm/v5")


async def test_platforms_are_loaded_alone(host: Host) -> None:
    layout, parts = everything()
    with pytest.raises(NotFound, match="linux/ppc64le"):
        await loaded(host, layout.tar(), "linux/ppc64le")
    assert stored(host) == set()
    lines = [line async for line in host.images.load(_stream(layout), ["linux/s390x", "linux/riscv64"])]
    assert lines == ["Loaded image: multi:1\n"]
    assert name_of(parts[HERE]) not in stored(host)
    assert name_of(parts["about s390x"]) in stored(host)
    with pytest.raises(NotFound):
        await host.images.resolve("multi:1", HERE)
    await loaded(host, layout.tar())
    assert blobs(await saved(host, "multi:1")) == layout.blobs
    await loaded(host, layout.tar(), "linux/s390x")
    assert blobs(await saved(host, "multi:1")) == layout.blobs


def _stream(layout: Layout) -> object:
    from tests.archives import stream

    return stream(layout.tar())


async def test_platforms_are_removed_alone(host: Host) -> None:
    layout, parts = everything()
    await loaded(host, layout.tar())
    image = (await host.images.resolve("multi:1", "linux/s390x")).id
    removed = await host.images.remove("multi:1", platforms=["linux/s390x"])
    assert {line.deleted for line in removed} == {parts["s390x"]["digest"], parts["about s390x"]["digest"]}
    assert name_of(parts["s390x"]) not in stored(host)
    assert (await host.images.resolve("multi:1")).id == image
    with pytest.raises(NotFound):
        await host.images.remove("multi:1", platforms=["linux/s390x"])
    running = [ImageUser(image, "c" * 64, True)]
    with pytest.raises(InUse, match=r"cannot be forced\) - image is being used by running container"):
        await host.images.remove("multi:1", platforms=[HERE], users=running, force=True)
    await host.images.remove("multi:1", platforms=["linux/riscv64"], users=running)
    summaries = {one.id: one.available for one in (await host.images.inspect("multi:1", manifests=True)).manifests}  # type: ignore[union-attr]
    assert [summaries[str(parts[name]["digest"])] for name in PLATFORMS] == [True, False, False]
    assert [line.untagged for line in await host.images.remove("multi:1", platforms=[HERE])] == ["multi:1", ""]
    assert stored(host) == set()


async def test_a_platform_that_another_image_has_too_is_not_removed(host: Host) -> None:
    layout = Layout()
    mine, foreign = layout.image(HERE, "1"), layout.image("s390x", "1")
    layout.named(layout.index(mine, foreign), "both:1")
    layout.named(foreign, "foreign:1")
    await loaded(host, layout.tar())
    with pytest.raises(InUse, match="another image has that manifest too"):
        await host.images.remove("both:1", platforms=["linux/s390x"])
    await host.images.resolve("both:1", "linux/s390x")


async def test_inspect_and_history_tell_of_one_platform(host: Host) -> None:
    await loaded(host, everything()[0].tar())
    assert (await host.images.inspect("multi:1", "linux/s390x")).architecture == "s390x"
    assert await host.images.history("multi:1", "linux/s390x") == []
    for verb in (host.images.inspect, host.images.history):
        with pytest.raises(NotFound, match="does not provide the specified platform"):
            await verb("multi:1", "linux/arm64/v8" if HERE != "arm64" else "linux/amd64")


async def test_a_manifest_that_was_deleted_is_forgotten(host: Host) -> None:
    layout = Layout()
    layout.named(layout.index(layout.image(HERE, "1")), "x:1")
    await loaded(host, layout.tar())
    await host.images.remove("x:1")
    for path in [path for path in layout.blobs if b'"layers"' in layout.blobs[path]]:
        del layout.blobs[path]
    with pytest.raises(NotFound, match="has nothing for this host"):
        await loaded(host, layout.tar())


async def test_a_layer_twice_in_an_archive_is_kept_once(host: Host) -> None:
    layer = files({"a": "1" * 100_000})
    config = {"architecture": HERE, "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}
    import hashlib

    config["rootfs"]["diff_ids"] = ["sha256:" + hashlib.sha256(layer).hexdigest()] * 2  # type: ignore[index]
    entry = {"Config": "c.json", "RepoTags": ["x:1"], "Layers": ["0/layer.tar", "1/layer.tar"]}
    archive = tar_of(
        member("0/layer.tar", layer),
        member("1/layer.tar", layer),
        member("c.json", json.dumps(config).encode()),
        member("manifest.json", json.dumps([entry]).encode()),
    )
    await loaded(host, archive)
    assert list(await host.files("x:1")) == ["a"]
    await host.snapshots.settled()
    assert len([path for path in (host.root / "snapshots").iterdir() if path.name.isdigit()]) == 1
