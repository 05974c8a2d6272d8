"""What builds give: images in the store and in registries, archives, files. One conformance test over all exporters."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import subprocess
import tarfile
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from tests.engine.build.conftest import Bench, Kept, give, the
from tests.registries import registry

from dockwright import faults
from dockwright.build.outputs import DirectorySink, FileSink, parse
from dockwright.engine import Engine
from dockwright.errors import HostFailure, Invalid, NotFound, Unsupported
from dockwright.network import NetworkOptions
from dockwright.oci import Platform, mediatypes, read_index, read_manifest, reference
from dockwright.settings import Settings

pytestmark = pytest.mark.root

TEXT = "FROM busybox\nCOPY a.txt /a\nRUN echo made > /made\n"
SMALL = "FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH.txt /a\nLABEL arch=$TARGETARCH\n"
FILES: dict[str, str | bytes] = {"a.txt": "A", "amd64.txt": "for amd64", "arm64.txt": "for arm64"}
AMD, ARM = Platform("amd64", "linux"), Platform("arm64", "linux")


def inspect(path: Path, form: str = "oci-archive") -> Any:
    """What skopeo makes of an archive: its inspection."""
    done = subprocess.run(["skopeo", "inspect", f"{form}:{path}"], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


async def test_the_same_inputs_give_the_same_bytes_on_another_data_root(bench: Bench, tmp_path: Path) -> None:
    asked = [
        {"type": "oci", "annotation.a": "b"},
        {"type": "oci", "compression": "zstd", "force-compression": "true"},
        {"type": "oci", "compression": "uncompressed"},
        {"type": "docker", "name": "app:1"},
        {"type": "docker", "oci-mediatypes": "false"},
        {"type": "tar"},
    ]
    options = Settings(
        data_root=tmp_path / "other",
        exec_root=tmp_path / "exec",
        network=NetworkOptions(bridge=f"dwo{os.getpid() % 10**6}", prepared=0),
    )
    async with Engine.open(options) as engine:
        found = []
        for one in (bench, Bench(engine, bench.root)):
            sinks = [Kept() for _ in asked]
            await give(one, SMALL, *map(parse, asked, sinks))
            await give(one, SMALL, parse(asked[0], more := Kept()), platforms=(AMD, ARM))
            found.append([hashlib.sha256(sink.data).hexdigest() for sink in (*sinks, more)])
            for path in bench.root.rglob("*"):
                os.utime(path)
        assert found[0] == found[1]
        assert len(set(found[0])) == len(found[0])


async def test_archives_hold_what_they_say(bench: Bench, tmp_path: Path) -> None:
    oci, docker, plain = tmp_path / "oci.tar", tmp_path / "docker.tar", tmp_path / "plain.tar"
    built = await give(
        bench,
        TEXT,
        parse({"type": "oci", "name": "app:1", "annotation.a": "b"}, FileSink(oci)),
        parse({"type": "docker", "name": "app:2", "oci-mediatypes": "false"}, FileSink(docker)),
        parse({"type": "tar"}, FileSink(plain)),
    )
    assert built.image_id is None
    assert set(built.response) >= {"containerimage.digest", "containerimage.config.digest", "image.name"}
    seen = inspect(oci)
    assert seen["Digest"] == built.response["containerimage.digest"]
    assert inspect(docker, "docker-archive")["Layers"]
    with tarfile.open(oci) as tar:
        head = tar.extractfile("blobs/sha256/" + seen["Layers"][-1].partition(":")[2])
        assert head is not None
        assert head.read(10) == b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"  # no time, no name
    with tarfile.open(plain) as tar:
        assert tar.extractfile("made").read() == b"made\n"  # type: ignore[union-attr]
    # What was given is taken again, by its own name.
    async with aclosing(bench.engine.images.load(_chunks(docker))) as lines:
        assert [line async for line in lines] == ["Loaded image: app:2\n"]
    assert await bench.output("app:2", "cat", "/a", "/made") == "Amade\n"
    assert not list(tmp_path.glob(".*"))


async def test_layouts_and_files_go_into_directories(bench: Bench, tmp_path: Path) -> None:
    layout, files = tmp_path / "layout", tmp_path / "files"
    await give(
        bench,
        TEXT,
        parse({"type": "oci", "tar": "false", "name": "app:1"}, DirectorySink(layout)),
        parse({"type": "local"}, DirectorySink(files)),
    )
    assert inspect(layout, "oci")["Layers"]
    assert (files / "a").read_text() == "A"
    assert (files / "bin" / "busybox").stat().st_mode & 0o777 == 0o755


async def test_a_directory_is_emptied_first_where_that_is_asked_for(bench: Bench, tmp_path: Path) -> None:
    place = tmp_path / "place"
    (place / "old").mkdir(parents=True)
    (place / "a").symlink_to("old")
    for mode, left in (("copy", ["a", "old"]), ("delete", ["a"])):
        (place / "a").unlink()
        await give(bench, "FROM scratch\nCOPY a.txt /a\n", parse({"type": "local", "mode": mode}, DirectorySink(place)))
        assert sorted(path.name for path in place.iterdir()) == left
    with pytest.raises(Invalid, match="mode=some"):
        parse({"type": "local", "mode": "some"}, DirectorySink(place))


async def test_what_is_sent_alone_is_not_kept(bench: Bench) -> None:
    blobs = bench.engine.settings.data_root / "content" / "blobs" / "sha256"
    await bench.engine.images.collect()
    before = {path.name for path in blobs.iterdir()}
    await give(bench, TEXT, parse({"type": "oci"}, Kept()))
    assert {path.name for path in blobs.iterdir()} == before


async def test_several_platforms_make_an_index_and_directories_of_their_own(bench: Bench) -> None:
    layout, files = Kept(), Kept()
    built = await give(
        bench,
        SMALL,
        parse({"type": "image", "name": "both:1"}),
        parse({"type": "oci"}, layout),
        parse({"type": "local"}, files),
        platforms=(AMD, ARM),
    )
    assert {name: text.decode() for name, text in files.files.items()} == {
        "linux_amd64/a": "for amd64",
        "linux_arm64/a": "for arm64",
    }
    index = the(layout.members, json.loads(layout.members["index.json"])["manifests"][0]["digest"])
    assert [one["platform"]["architecture"] for one in index["manifests"]] == ["amd64", "arm64"]
    images = bench.engine.images
    for platform, text in ((AMD, "for amd64"), (ARM, "for arm64")):
        image = await images.resolve("both:1", platform)
        assert image.id == built.image_id
        assert image.config.architecture == platform.architecture
        assert image.config.run.labels == {"arch": platform.architecture}
        # A foreign image is a base too, as long as nothing of it is run.
        part = Kept()
        await give(
            bench,
            "FROM both:1\nCOPY a.txt /more\n",
            parse({"type": "local"}, part),
            platforms=(platform,),
        )
        assert {name: data.decode() for name, data in part.files.items()} == {"a": text, "more": "A"}
    assert len((await images.inspect("both:1", manifests=True)).manifests) == 2  # type: ignore[arg-type]
    with pytest.raises(Invalid, match="several platforms"):
        await give(bench, SMALL, parse({"type": "docker"}, Kept()), platforms=(AMD, ARM))


async def test_a_foreign_step_says_what_it_lacks_and_one_on_the_build_platform_runs(bench: Bench) -> None:
    other = Platform("s390x", "linux")
    await give(
        bench, "FROM scratch\nCOPY a.txt /a\n", parse({"type": "image", "name": "far:1"}), platforms=(AMD, other)
    )
    with pytest.raises(Unsupported, match=r"RUN true: this host is linux/.* register qemu-s390x"):
        await give(bench, "FROM far:1\nRUN true\n", platforms=(other,))
    cross = (
        "FROM --platform=$BUILDPLATFORM busybox AS build\nARG TARGETARCH\nRUN echo $TARGETARCH > /made\n"
        "FROM far:1\nCOPY --from=build /made /made\n"
    )
    sink = Kept()
    await give(bench, cross, parse({"type": "local"}, sink), platforms=(other,))
    assert sink.files == {"a": b"A", "made": b"s390x\n"}


@pytest.mark.parametrize(
    ("attributes", "why"),
    [
        ({}, "without a type"),
        ({"type": "cacheonly"}, "output type 'cacheonly'"),
        ({"type": "image", "compression": "estargz"}, "compression=estargz"),
        ({"type": "image", "compression": "gzip", "compression-level": "11"}, "compression-level=11"),
        ({"type": "image", "compression-level": "3"}, "compression-level=3"),
        ({"type": "image", "compression": "zstd", "oci-mediatypes": "false"}, "conflicts with oci-mediatypes"),
        ({"type": "image", "push": "perhaps"}, "push=perhaps"),
        ({"type": "image", "push": "true"}, "needs a name"),
        ({"type": "image", "push-by-digest": "true"}, "push-by-digest"),
        ({"type": "image", "registry.insecure": "true"}, "registry.insecure"),
        ({"type": "image", "prefer-nondist-layers": "1"}, "prefer-nondist-layers"),
        ({"type": "image", "store": "false"}, "store=false"),
        ({"type": "image", "annotation-nowhere.a": "b"}, "annotation-nowhere"),
        ({"type": "image", "colour": "red"}, "colour"),
        ({"type": "local"}, "dest=PATH"),
        ({"type": "oci", "rewrite": "1"}, "dest=PATH"),
    ],
)
async def test_an_option_that_is_not_honoured_is_refused_by_its_name(attributes: dict[str, str], why: str) -> None:
    with pytest.raises((Invalid, Unsupported), match=why):
        parse(attributes)


async def test_options_of_the_image_are_honoured(bench: Bench) -> None:
    sink = Kept()
    built = await give(
        bench,
        SMALL,
        parse(
            {
                "type": "image",
                "name": "app:1,app:2",
                "name-canonical": "true",
                "annotation.all": "1",
                "annotation[linux/amd64].one": "2",
                "annotation-manifest-descriptor.about": "3",
                "annotation-index.index": "4",
                "compression": "gzip",
                "compression-level": "9",
                "rewrite-timestamp": "true",
                "unpack": "true",
            }
        ),
        parse({"type": "oci", "annotation-index.index": "4"}, sink),
        platforms=(AMD, ARM),
    )
    image = await bench.engine.images.resolve("app:2")
    assert image.id == built.image_id
    assert f"app@{image.id}" in image.repo_digests
    assert built.response["image.name"].startswith(
        "docker.io/library/app:1,docker.io/library/app:2,docker.io/library/app@"
    )
    assert [layer.media_type[-5:] for layer in image.variant.manifest.layers or ()] == ["+gzip"]
    assert image.variant.manifest.annotations == {"all": "1", "one": "2"}
    assert (image.variant.descriptor.annotations or {})["about"] == "3"
    with pytest.raises(Invalid, match="single platform"):
        await give(bench, SMALL, parse({"type": "image", "annotation-index.a": "b"}))
    with pytest.raises(Invalid, match="rewrite-timestamp"):
        await give(bench, SMALL, parse({"type": "image", "rewrite-timestamp": "true"}), keep_times=True)
    dangling = await give(bench, SMALL, parse({"type": "image", "dangling-name-prefix": "temp"}))
    assert (await bench.engine.images.resolve(f"temp@{dangling.image_id}")).id == dangling.image_id


async def test_forced_compression_converts_the_base_too(bench: Bench) -> None:
    async def kinds(attributes: dict[str, str], text: str) -> list[str]:
        built = await give(bench, text, parse({"type": "image", "name": "it:1", **attributes}))
        image = await bench.engine.images.resolve(str(built.image_id))
        return [layer.media_type.rpartition(".")[2] for layer in image.variant.manifest.layers or ()]

    assert await kinds({"compression": "gzip"}, "FROM scratch\nCOPY a.txt /a\n") == ["tar+gzip"]
    more = "FROM it:1\nCOPY amd64.txt /b\n"
    assert await kinds({"name": "that:1"}, more) == ["tar+gzip", "tar"]
    assert await kinds({"compression": "zstd"}, more) == ["tar+gzip", "tar+zstd"]
    assert await kinds({"compression": "zstd", "force-compression": "true"}, more) == [
        "tar+zstd",
        "tar+zstd",
        "tar+zstd",
    ]


async def test_a_fault_in_an_export_leaves_no_image(bench: Bench) -> None:
    for step in ("build.export", "image.compress", "image.product"):
        with faults.armed(step), pytest.raises(HostFailure):
            await give(bench, TEXT, parse({"type": "image", "name": "app:1", "compression": "gzip"}))
        with pytest.raises(NotFound):
            await bench.engine.images.resolve("app:1")
    await give(bench, TEXT, parse({"type": "image", "name": "app:1", "compression": "gzip"}))


async def test_an_image_is_pushed_as_it_was_asked_for(bench: Bench, tmp_path: Path) -> None:
    with registry(tmp_path) as running:
        name = running.name("app:1")
        built = await give(
            bench, TEXT, parse({"type": "registry", "store": "false", "annotation.a": "b"}, names=(name,))
        )
        assert built.image_id is None
        with pytest.raises(NotFound):
            await bench.engine.images.resolve(name)
        repository = bench.engine.images.products.repository(reference.parse(name))
        descriptor, content = await repository.manifest("1")
        assert descriptor.digest == built.response["containerimage.digest"]
        manifest = read_manifest(content)
        assert {layer.media_type for layer in manifest.layers or ()} == {mediatypes.OCI_LAYER_GZIP}
        assert manifest.annotations == {"a": "b"}
        several = await give(
            bench,
            SMALL,
            parse({"type": "image", "push": "true", "push-by-digest": "true", "name": running.name("app")}),
            platforms=(AMD, ARM),
        )
        digest = several.response["containerimage.digest"]
        index = read_index((await repository.manifest(digest))[1])
        assert [one.platform for one in index.manifests or ()] == [AMD, ARM]
        assert [tag async for tag in repository.tags()] == ["1"]
        # What the registry gives back runs.
        await bench.engine.provide(name, "missing")
        assert await bench.output(name, "cat", "/made") == "made\n"


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    yield await asyncio.to_thread(path.read_bytes)
