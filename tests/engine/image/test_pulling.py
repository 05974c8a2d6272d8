"""Pulling from a registry that notes what it is asked."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import aclosing
from pathlib import Path

import pytest
from tests.archives import files, member, stream, tar_of
from tests.engine.image.conftest import Host, opened
from tests.recording import CONFIG, INDEX, LAYER, MANIFEST, Recording, described, digest_of

from dockwright import faults
from dockwright.errors import Corrupt, DockwrightError, HostFailure, Invalid, NotFound, Unsupported
from dockwright.image import TransferLimits

pytestmark = pytest.mark.root

BASE = files({"etc/base": "base", "usr/bin/tool": "tool"})
TOP = files({"srv/top": "top"})


def noise(size: int, name: str = "noise") -> bytes:
    """A layer that no compression makes small."""
    return tar_of(member(name, os.urandom(size)))


def statuses(messages: list[object], id: str) -> list[str]:
    """What was said about a layer, each word once."""
    return list(dict.fromkeys(message.status for message in messages if message.id == id))


def blobs_of(registry: Recording, repository: str, tag: str) -> list[str]:
    """The layers' digests."""
    return [layer["digest"] for layer in json.loads(registry.manifests[repository, tag][1])["layers"]]


def left(host: Host) -> tuple[list[str], list[str], list[str]]:
    """Names in the blob store, ingests and layer directories."""
    return (
        sorted(os.listdir(host.root / "content/blobs/sha256")),
        sorted(os.listdir(host.root / "content/ingest")),
        sorted(name for name in os.listdir(host.root / "snapshots") if name.isdigit()),
    )


NOTHING: tuple[list[str], list[str], list[str]] = ([], [], [])


@pytest.mark.parametrize("compression", ["", "+gzip", "+zstd"])
async def test_a_pulled_image_is_what_the_registry_has(host: Host, registry: Recording, compression: str) -> None:
    image = registry.put_image("some/thing", "v1", [BASE, TOP], compression=compression, Labels={"a": "b"})
    name = f"{registry.address}/some/thing:v1"
    said = await host.pulled(name)
    assert (said[0].status, said[0].id) == ("Pulling from some/thing", "v1")
    for layer in blobs_of(registry, "some/thing", "v1"):
        words = statuses(said, layer[7:19])
        assert words[0] == "Pulling fs layer"
        assert words[-5:] == ["Downloading", "Verifying Checksum", "Download complete", "Extracting", "Pull complete"]
    assert [one.status for one in said[-2:]] == [
        f"Digest: {image['digest']}",
        f"Status: Downloaded newer image for {name}",
    ]
    assert (await host.images.inspect(name)).id == image["digest"]
    assert await host.files(name) == {"etc/base": "base", "usr/bin/tool": "tool", "srv/top": "top"}
    event = (await host.heard())[-1]
    assert (event.type, event.action, event.actor_id) == ("image", "pull", name)
    assert event.attributes == {"a": "b", "name": f"{registry.address}/some/thing"}


async def test_every_document_and_blob_is_kept_byte_for_byte(host: Host, registry: Recording) -> None:
    registry.put_image("thing", "latest", [BASE, TOP], docker=True)
    await host.pulled(f"{registry.address}/thing")
    for digest, content in [
        *registry.blobs.items(),
        (registry_digest(registry), registry.manifests["thing", "latest"][1]),
    ]:
        assert (host.root / "content/blobs/sha256" / digest[7:]).read_bytes() == content


def registry_digest(registry: Recording) -> str:
    return digest_of(registry.manifests["thing", "latest"][1])


async def test_an_image_that_is_here_is_up_to_date_and_nothing_is_fetched(host: Host, registry: Recording) -> None:
    image = registry.put_image("thing", "latest", [BASE])
    name = f"{registry.address}/thing:latest"
    await host.pulled(name)
    registry.asked.clear()
    said = await host.pulled(name)
    assert [message.status for message in said] == [
        "Pulling from thing",
        f"Digest: {image['digest']}",
        f"Status: Image is up to date for {name}",
    ]
    assert registry.blob_requests() == []
    by_digest = f"{registry.address}/thing@{image['digest']}"
    assert (await host.pulled(by_digest))[-1].status == f"Status: Downloaded newer image for {by_digest}"
    assert (await host.pulled(by_digest))[-1].status == f"Status: Image is up to date for {by_digest}"
    assert (await host.images.inspect(by_digest)).id == image["digest"]
    assert registry.blob_requests() == []


async def test_layers_of_another_image_are_not_fetched_again(host: Host, registry: Recording) -> None:
    registry.put_image("one", "latest", [BASE])
    registry.put_image("two", "latest", [BASE, TOP])
    base, top = blobs_of(registry, "two", "latest")
    await host.pulled(f"{registry.address}/one")
    registry.asked.clear()
    said = await host.pulled(f"{registry.address}/two")
    assert statuses(said, base[7:19]) == ["Already exists"]
    assert registry.blob_requests(base) == []
    assert len(registry.blob_requests(top)) == 1
    assert (await host.files(f"{registry.address}/two"))["srv/top"] == "top"


async def test_a_layer_known_by_its_diff_id_is_not_fetched_in_another_compression(
    host: Host, registry: Recording
) -> None:
    registry.put_image("one", "latest", [BASE], compression="+zstd")
    registry.put_image("two", "latest", [BASE, TOP])
    await host.pulled(f"{registry.address}/one")
    base, _ = blobs_of(registry, "two", "latest")
    await host.pulled(f"{registry.address}/two")
    assert registry.blob_requests(base) == []
    assert (await host.files(f"{registry.address}/two"))["etc/base"] == "base"


async def test_all_tags_of_a_repository(host: Host, registry: Recording) -> None:
    for tag in ("a", "b", "c"):
        registry.put_image("thing", tag, [BASE, files({tag: tag})])
    said = await host.pulled(f"{registry.address}/thing", all_tags=True)
    assert [one.id for one in said if one.status == "Pulling from thing"] == ["a", "b", "c"]
    assert said[-1].status == f"Status: Downloaded newer image for {registry.address}/thing"
    assert len(await host.images.list_()) == 3
    with pytest.raises(Invalid, match="tag can't be used with --all-tags/-a"):
        await host.pulled(f"{registry.address}/thing:a", all_tags=True)


class TestIndexes:
    async def test_the_host_s_platform_is_brought_and_the_index_kept(self, host: Host, registry: Recording) -> None:
        index = put_index(registry)
        name = f"{registry.address}/many"
        await host.pulled(name)
        assert (await host.images.inspect(name)).id == index["digest"]
        assert "amd64" in await host.files(name)
        stored = left(host)[0]
        assert index["digest"][7:] in stored
        assert len(stored) == 1 + 3 + 3  # the index, the image, its attestation

    async def test_another_platform_is_added_later(self, host: Host, registry: Recording) -> None:
        put_index(registry)
        name = f"{registry.address}/many"
        await host.pulled(name)
        said = await host.pulled(name, platform="linux/arm64")
        assert said[-1].status.startswith("Status: Downloaded newer image")
        assert (await host.images.inspect(name, "linux/arm64")).architecture == "arm64"
        assert (await host.images.inspect(name)).architecture == "amd64"
        assert len(await host.images.list_()) == 1

    async def test_a_platform_that_is_not_there_is_refused_in_dockers_words(
        self, host: Host, registry: Recording
    ) -> None:
        put_index(registry)
        with pytest.raises(NotFound, match="no matching manifest for linux/s390x in the manifest list entries"):
            await host.pulled(f"{registry.address}/many", platform="linux/s390x")
        registry.put_image("one", "latest", [BASE])
        with pytest.raises(
            NotFound, match="does not match the specified platform: wanted linux/s390x, actual: linux/amd64"
        ):
            await host.pulled(f"{registry.address}/one", platform="linux/s390x")
        assert left(host) == NOTHING

    async def test_children_that_do_not_say_what_they_run_on_are_asked(self, host: Host, registry: Recording) -> None:
        arm = registry.put_image("many", "", [files({"arm": ""})], platform={"architecture": "arm64", "os": "linux"})
        amd = registry.put_image("many", "", [files({"amd": ""})])
        nested = registry.put_manifest("many", "", index_of(amd))
        registry.put_manifest("many", "latest", index_of(arm, nested))
        await host.pulled(f"{registry.address}/many")
        assert list(await host.files(f"{registry.address}/many")) == ["amd"]

    async def test_an_index_of_endless_indexes_is_not_followed_for_ever(self, host: Host, registry: Recording) -> None:
        nested = [registry.put_manifest("many", "", index_of() | {"annotations": {"n": str(n)}}) for n in range(200)]
        registry.put_manifest("many", "latest", index_of(*nested))
        with pytest.raises(NotFound, match="no matching manifest"):
            await host.pulled(f"{registry.address}/many")
        assert len(registry.asked) < 50
        assert left(host) == NOTHING


def index_of(*children: object) -> dict[str, object]:
    return {"schemaVersion": 2, "mediaType": INDEX, "manifests": list(children)}


def put_index(registry: Recording) -> dict[str, object]:
    """An index of two platforms, one with an attestation."""
    children = []
    for architecture in ("amd64", "arm64"):
        platform = {"architecture": architecture, "os": "linux"}
        image = registry.put_image("many", "", [files({architecture: "x"})], platform=platform)
        children.append(image | {"platform": platform})
    statement, config = b'{"about": "the first"}', b"{}"
    for blob in (statement, config):
        registry.put_blob("many", blob)
    attestation = registry.put_manifest(
        "many",
        "",
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": described(config, CONFIG),
            "layers": [described(statement, "application/vnd.in-toto+json")],
        },
    )
    annotations = {
        "vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": children[0]["digest"],
    }
    unknown = {"architecture": "unknown", "os": "unknown"}
    children.append(attestation | {"platform": unknown, "annotations": annotations})
    return registry.put_manifest("many", "latest", index_of(*children))


class TestInterruptions:
    async def test_a_broken_connection_is_resumed_where_it_broke(self, host: Host, registry: Recording) -> None:
        registry.put_image("thing", "latest", [noise(300_000)])
        (layer,) = blobs_of(registry, "thing", "latest")
        registry.cut[layer] = [100_000, 100_000]
        await host.pulled(f"{registry.address}/thing")
        ranges = [range_ for _, range_ in registry.blob_requests(layer)]
        assert len(ranges) == 3
        assert ranges[0] == ""
        assert all(range_.startswith("bytes=") for range_ in ranges[1:])

    async def test_a_cancelled_pull_is_gone_on_from_after_a_restart(self, tmp_path: Path, registry: Recording) -> None:
        registry.put_image("thing", "latest", [noise(3_000_000, "a"), noise(10_000, "b")])
        big, small = blobs_of(registry, "thing", "latest")
        name = f"{registry.address}/thing"
        registry.gate.clear()
        async with opened(tmp_path / "root") as host:
            async with aclosing(host.images.pull(name)) as progress:
                async for message in progress:
                    if message.id == small[7:19] and message.status == "Downloading":
                        break
                await registry.until_waiting(2)
                while not all(path.stat().st_size for path in (host.root / "content/ingest").iterdir()):
                    await asyncio.sleep(0.01)
            blobs, ingests, _ = left(host)
            assert blobs == []
            assert len(ingests) == 2
            assert await host.images.list_() == []
        registry.gate.set()
        registry.asked.clear()
        async with opened(tmp_path / "root") as host:
            await host.pulled(name)
            for layer in (big, small):
                ((_, range_),) = registry.blob_requests(layer)
                assert range_.startswith("bytes=")
            assert left(host)[1] == []
            assert set(await host.files(name)) == {"a", "b"}

    async def test_layers_that_are_whole_are_not_fetched_again(self, tmp_path: Path, registry: Recording) -> None:
        registry.put_image("thing", "latest", [BASE, TOP])
        name = f"{registry.address}/thing"
        async with opened(tmp_path / "root") as host:
            with faults.armed("pull.stack"), pytest.raises(HostFailure):
                await host.pulled(name)
        registry.asked.clear()
        async with opened(tmp_path / "root") as host:
            await host.pulled(name)
            assert [
                path
                for path, _ in registry.blob_requests()
                if path.split("/")[-1] in blobs_of(registry, "thing", "latest")
            ] == []
            assert (await host.files(name))["srv/top"] == "top"

    async def test_an_ingest_that_was_spoiled_is_fetched_anew(self, tmp_path: Path, registry: Recording) -> None:
        registry.put_image("thing", "latest", [noise(200_000)])
        name = f"{registry.address}/thing"
        async with opened(tmp_path / "root") as host:
            with faults.armed("pull.stack"), pytest.raises(HostFailure):
                await host.pulled(name)
            for path in (host.root / "content/ingest").iterdir():
                with path.open("r+b") as file:
                    file.seek(100_000)
                    file.write(bytes(5000))
        async with opened(tmp_path / "root") as host:
            await host.pulled(name)
            assert list(await host.files(name)) == ["noise"]
            assert left(host)[1] == []


class TestTogether:
    async def test_concurrent_pulls_share_one_download(self, host: Host, registry: Recording) -> None:
        registry.put_image("one", "latest", [BASE])
        registry.put_image("two", "latest", [BASE, TOP])
        base, _ = blobs_of(registry, "two", "latest")
        registry.gate.clear()
        async with asyncio.TaskGroup() as group:
            pulls = [group.create_task(host.pulled(f"{registry.address}/{name}")) for name in ("one", "two", "one")]
            await registry.until_waiting(1)
            while sum(len(flight._listeners) for flight in host.images._transfers.flights._flying.values()) < 4:
                await asyncio.sleep(0)
            registry.gate.set()
        assert all(pull.result()[-1].status.startswith("Status: Downloaded") for pull in pulls[:2])
        assert len(registry.blob_requests(base)) == 1
        assert (await host.files(f"{registry.address}/two")) == {
            "etc/base": "base",
            "usr/bin/tool": "tool",
            "srv/top": "top",
        }

    async def test_a_download_goes_on_when_the_first_who_asked_has_gone(self, host: Host, registry: Recording) -> None:
        registry.put_image("one", "latest", [BASE])
        (base,) = blobs_of(registry, "one", "latest")
        registry.gate.clear()
        first = asyncio.get_running_loop().create_task(host.pulled(f"{registry.address}/one"))
        await registry.until_waiting(1)
        async with asyncio.TaskGroup() as group:
            second = group.create_task(host.pulled(f"{registry.address}/one"))
            while max((len(f._listeners) for f in host.images._transfers.flights._flying.values()), default=0) < 2:
                await asyncio.sleep(0)
            first.cancel()
            await asyncio.wait((first,))
            registry.gate.set()
        assert second.result()[-1].status.startswith("Status: Downloaded")
        assert len(registry.blob_requests(base)) == 1

    async def test_no_more_layers_than_the_limit_are_fetched_at_a_time(
        self, tmp_path: Path, registry: Recording
    ) -> None:
        layers = [files({f"file{number}": "x"}) for number in range(8)]
        registry.put_image("one", "latest", layers)
        registry.put_image("two", "latest", [files({"other": "y"}), *layers])
        async with opened(tmp_path / "root", TransferLimits(downloads=2)) as host:
            async with asyncio.TaskGroup() as group:
                pulls = [group.create_task(host.pulled(f"{registry.address}/{name}")) for name in ("one", "two")]
            assert registry.most_at_once <= 2
            assert any(message.status == "Waiting" for pull in pulls for message in pull.result())

    async def test_a_layer_that_leans_on_its_base_serves_two_images_at_once(
        self, host: Host, registry: Recording
    ) -> None:
        # `dir` is implied: it takes what the base says, which differs.
        leaning = tar_of(member("dir/file", b"x"))
        registry.put_image("one", "latest", [tar_of(member("dir", kind="dir", mode=0o711)), leaning])
        registry.put_image("two", "latest", [tar_of(member("dir", kind="dir", mode=0o700)), leaning])
        registry.gate.clear()
        async with asyncio.TaskGroup() as group:
            for name in ("one", "two"):
                group.create_task(host.pulled(f"{registry.address}/{name}"))
            await registry.until_waiting(2)
            registry.gate.set()
        for name, mode in (("one", 0o711), ("two", 0o700)):
            image = await host.images.resolve(f"{registry.address}/{name}")
            async with host.mounted(image.snapshot) as target:
                assert (target / "dir").stat().st_mode & 0o777 == mode
                assert (target / "dir/file").read_text() == "x"
            await host.snapshots.remove("work")

    @pytest.mark.parametrize("point", ["pull.stack", "snapshot.adopt", "content.rename", "pull.record"])
    async def test_one_that_fails_at_the_end_leaves_the_shared_layers_to_the_other(
        self, host: Host, registry: Recording, point: str
    ) -> None:
        leaning = tar_of(member("dir/file", b"x"))
        for name in ("one", "two"):
            registry.put_image(name, "latest", [BASE, leaning], Labels={"name": name})
        failures = [HostFailure("the first")]

        def once() -> None:
            if failures:
                raise failures.pop()

        registry.gate.clear()
        pulls = [
            asyncio.get_running_loop().create_task(host.pulled(f"{registry.address}/{name}")) for name in ("one", "two")
        ]
        await registry.until_waiting(2)
        while sum(len(flight._listeners) for flight in host.images._transfers.flights._flying.values()) < 4:
            await asyncio.sleep(0)
        with faults.armed(point, once):
            registry.gate.set()
            await asyncio.wait(pulls)
        outcomes = [pull.exception() for pull in pulls]
        assert [str(error) for error in outcomes if error] == ["the first"]
        (image,) = await host.images.list_()
        assert await host.files(image.id) == {"etc/base": "base", "usr/bin/tool": "tool", "dir/file": "x"}
        for digest in blobs_of(registry, "one", "latest"):
            assert (host.root / "content/blobs/sha256" / digest[7:]).exists()
        for name in ("one", "two"):
            await host.pulled(f"{registry.address}/{name}")
        assert len(await host.images.list_()) == 2


class TestLies:
    async def test_a_blob_with_another_digest(self, host: Host, registry: Recording) -> None:
        registry.put_image("thing", "latest", [BASE])
        (layer,) = blobs_of(registry, "thing", "latest")
        honest = registry.blobs[layer]
        registry.lies[layer] = honest[:-9] + bytes(9)
        with pytest.raises(Corrupt, match="digest"):
            await host.pulled(f"{registry.address}/thing")
        await host.snapshots.settled()
        assert left(host) == NOTHING
        registry.lies.clear()
        await host.pulled(f"{registry.address}/thing")

    async def test_a_blob_that_is_no_layer_at_all(self, host: Host, registry: Recording) -> None:
        registry.put_image("thing", "latest", [BASE])
        (layer,) = blobs_of(registry, "thing", "latest")
        registry.lies[layer] = os.urandom(len(registry.blobs[layer]))
        with pytest.raises(Corrupt, match=layer):
            await host.pulled(f"{registry.address}/thing")
        await host.snapshots.settled()
        assert left(host) == NOTHING

    async def test_a_configuration_that_names_other_layers(self, host: Host, registry: Recording) -> None:
        registry.put_image("thing", "latest", [BASE])
        document = json.loads(registry.manifests["thing", "latest"][1])
        registry.put_image("thing", "other", [TOP])
        document["layers"] = json.loads(registry.manifests["thing", "other"][1])["layers"]
        registry.put_manifest("thing", "swapped", document)
        with pytest.raises(Corrupt, match="diff ID"):
            await host.pulled(f"{registry.address}/thing:swapped")
        await host.snapshots.settled()
        assert left(host) == NOTHING

    async def test_a_manifest_with_another_digest(self, host: Host, registry: Recording) -> None:
        image = registry.put_image("thing", "latest", [BASE])
        kind, content = registry.manifests["thing", "latest"]
        registry.manifests["thing", str(image["digest"])] = (kind, content.replace(b"   ", b"    "))
        with pytest.raises(Corrupt):
            await host.pulled(f"{registry.address}/thing@{image['digest']}")
        assert left(host) == NOTHING

    async def test_a_name_that_is_not_there(self, host: Host, registry: Recording) -> None:
        with pytest.raises(NotFound):
            await host.pulled(f"{registry.address}/nothing")
        assert left(host) == NOTHING

    async def test_a_layer_that_unpacks_to_nothing_good(self, host: Host, registry: Recording) -> None:
        registry.put_image("thing", "latest", [tar_of(member("../../out", b"x"))])
        with pytest.raises(Invalid):
            await host.pulled(f"{registry.address}/thing")
        await host.snapshots.settled()
        assert left(host) == NOTHING


class TestWhatIsNoImage:
    async def test_an_artifact_is_refused_in_dockers_words(self, host: Host, registry: Recording) -> None:
        chart = "application/vnd.cncf.helm.config.v1+json"
        registry.put_blob("chart", b"{}")
        document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": described(b"{}", chart), "layers": []}
        registry.put_manifest("chart", "latest", document)
        with pytest.raises(Unsupported, match=f'Encountered remote "{chart}"'.replace("+", r"\+")):
            await host.pulled(f"{registry.address}/chart")
        assert left(host) == NOTHING

    async def test_a_foreign_layer_is_refused(self, host: Host, registry: Recording) -> None:
        registry.put_image("thing", "latest", [BASE])
        document = json.loads(registry.manifests["thing", "latest"][1])
        document["layers"][0] |= {
            "mediaType": LAYER.replace("layer.", "layer.nondistributable.") + "+gzip",
            "urls": ["https://elsewhere.example/layer"],
        }
        registry.put_manifest("thing", "foreign", document)
        with pytest.raises(Unsupported, match=r"is foreign: it is to be had from https://elsewhere\.example/layer"):
            await host.pulled(f"{registry.address}/thing:foreign")
        assert left(host) == NOTHING


@pytest.mark.parametrize(
    "point",
    [
        "pull.manifest",
        "pull.layer",
        "pull.stack",
        "pull.record",
        "content.sync",
        "content.rename",
        "snapshot.layer",
        "snapshot.adopt",
    ],
)
async def test_a_step_that_fails_leaves_nothing_but_ingests(host: Host, registry: Recording, point: str) -> None:
    registry.put_image("thing", "latest", [BASE, TOP])
    with faults.armed(point), pytest.raises(HostFailure, match=point):
        await host.pulled(f"{registry.address}/thing")
    await host.snapshots.settled()
    blobs, _, layers = left(host)
    assert (blobs, layers) == ([], [])
    assert await host.images.list_() == []
    await host.pulled(f"{registry.address}/thing")
    assert (await host.files(f"{registry.address}/thing"))["srv/top"] == "top"
    assert left(host)[1] == []


async def test_blobs_may_be_dropped_once_unpacked_and_come_back_when_needed(
    tmp_path: Path, registry: Recording
) -> None:
    image = registry.put_image("thing", "latest", [BASE, TOP])
    name = f"{registry.address}/thing"
    async with opened(tmp_path / "root", drop_unpacked=True) as host:
        await host.pulled(name)
        assert len(left(host)[0]) == 2  # manifest and configuration
        assert (await host.files(name))["srv/top"] == "top"
        assert (await host.pulled(name))[-1].status.startswith("Status: Image is up to date")
        (shown,) = (await host.images.inspect(name, manifests=True)).manifests
        assert shown.available
        await host.images.tag(name, f"{registry.address}/copy")
        await host.pushed(f"{registry.address}/copy")
        saved = b"".join([chunk async for chunk in host.images.save([name])])
        await host.images.remove(name)
        assert (await host.images.inspect(f"{registry.address}/copy")).id == image["digest"]
    async with opened(tmp_path / "other") as other:
        async for _ in other.images.load(stream(saved)):
            pass
        assert await other.files(name)


async def test_an_image_of_150_layers(host: Host, registry: Recording) -> None:
    registry.put_image("deep", "latest", [files({f"file{number}": str(number)}) for number in range(150)])
    await host.pulled(f"{registry.address}/deep")
    assert len(await host.files(f"{registry.address}/deep")) == 150


async def test_whoever_stops_listening_stops_the_pull(host: Host, registry: Recording) -> None:
    registry.put_image("thing", "latest", [BASE])
    registry.gate.clear()
    async with aclosing(host.images.pull(f"{registry.address}/thing")) as progress:
        async for message in progress:
            if message.status == "Pulling fs layer":
                break
    registry.gate.set()
    assert await host.images.list_() == []
    assert not host.images._transfers.background._tasks


async def test_an_engine_without_registries_says_so(tmp_path: Path) -> None:
    async with opened(tmp_path / "root") as host:
        host.images._transfers._registries = None
        with pytest.raises(DockwrightError, match="without registries"):
            await host.pulled("thing")
