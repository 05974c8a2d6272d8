"""Pushing to a registry that notes what it is asked."""

from __future__ import annotations

import json
import os
from contextlib import aclosing
from pathlib import Path

import pytest
from tests.archives import files, member, stream, tar_of
from tests.engine.image.conftest import Host, opened
from tests.engine.image.test_pulling import BASE, TOP, blobs_of, put_index
from tests.recording import Recording, digest_of

from dockwright import faults
from dockwright.errors import Conflict, HostFailure, Invalid, NotFound
from dockwright.image import Commit
from dockwright.oci import RunConfig

pytestmark = pytest.mark.root


async def made_here(host: Host, name: str) -> str:
    """An image of two layers, imported and committed; its ID."""
    await host.images.import_(stream(BASE), "base")
    async with host.mounted((await host.images.resolve("base")).snapshot) as target:
        (target / "srv").mkdir()
        (target / "srv/made").write_text("here")
        (target / "etc/base").unlink()
    image = await host.images.commit("work", "base", Commit(RunConfig(labels={"a": "b"})), name)
    await host.snapshots.remove("work")
    return image


def uploads(registry: Recording) -> int:
    return sum(method in ("PUT", "PATCH") and "/uploads/" in path for method, path, _ in registry.asked)


async def test_an_image_made_here_is_pushed_under_its_own_id_and_pulled_elsewhere(
    tmp_path: Path, host: Host, registry: Recording
) -> None:
    name = f"{registry.address}/made/here:v1"
    image = await made_here(host, name)
    said = await host.pushed(name)
    assert said[0].status == f"The push refers to repository [{registry.address}/made/here]"
    layers = blobs_of(registry, "made/here", "v1")
    for layer in layers:
        words = list(dict.fromkeys(message.status for message in said if message.id == layer[7:19]))
        assert words[0] == "Preparing"
        assert words[-1] == "Pushed"
    kind, content = registry.manifests["made/here", "v1"]
    assert kind == "application/vnd.oci.image.manifest.v1+json"
    assert digest_of(content) == image
    assert said[-2].status == f"v1: digest: {image} size: {len(content)}"
    assert said[-1].aux == {"Tag": "v1", "Digest": image, "Size": len(content)}
    event = (await host.heard())[-1]
    assert (event.action, event.actor_id) == ("push", name)
    assert event.attributes == {"a": "b", "name": f"{registry.address}/made/here"}
    async with opened(tmp_path / "other") as other:
        await other.pulled(name)
        assert (await other.images.inspect(name)).id == image
        assert await other.files(name) == {"usr/bin/tool": "tool", "srv/made": "here"}


async def test_what_the_registry_has_is_not_sent_again(host: Host, registry: Recording) -> None:
    name = f"{registry.address}/thing:latest"
    await made_here(host, name)
    await host.pushed(name)
    registry.asked.clear()
    said = await host.pushed(name)
    assert uploads(registry) == 0
    assert sum(message.status == "Layer already exists" for message in said) == 2


async def test_a_pulled_image_keeps_its_digest_and_mounts_its_blobs(host: Host, registry: Recording) -> None:
    image = registry.put_image("library/one", "latest", [BASE, TOP])
    await host.pulled(f"{registry.address}/library/one")
    await host.images.tag(f"{registry.address}/library/one", f"{registry.address}/two:x")
    registry.asked.clear()
    said = await host.pushed(f"{registry.address}/two:x")
    assert uploads(registry) == 0
    assert sum(message.status == "Mounted from library/one" for message in said) == 2
    assert registry.manifests["two", "x"] == registry.manifests["library/one", "latest"]
    assert said[-1].aux is not None
    assert said[-1].aux["Digest"] == image["digest"]


async def test_all_tags_of_a_repository(host: Host, registry: Recording) -> None:
    name = f"{registry.address}/thing"
    await made_here(host, f"{name}:a")
    await host.images.tag("base", f"{name}:b")
    said = await host.pushed(name, all_tags=True)
    assert [message.aux["Tag"] for message in said if message.aux] == ["a", "b"]
    assert {("thing", "a"), ("thing", "b")} <= set(registry.manifests)


async def test_names_that_mean_nothing_are_refused_in_dockers_words(host: Host, registry: Recording) -> None:
    name = f"{registry.address}/thing"
    with pytest.raises(NotFound, match=f"An image does not exist locally with the tag: {name}$"):
        await host.pushed(f"{name}:a")
    await made_here(host, f"{name}:a")
    with pytest.raises(NotFound, match=f"tag does not exist: {name}:b"):
        await host.pushed(f"{name}:b")
    with pytest.raises(Invalid, match="cannot push a digest reference"):
        await host.pushed(f"{name}@sha256:{'0' * 64}")
    with pytest.raises(Invalid, match="tag can't be used with --all-tags/-a"):
        await host.pushed(f"{name}:a", all_tags=True)


class TestIndexes:
    async def test_an_index_whose_platforms_are_all_here_is_pushed_whole(self, host: Host, registry: Recording) -> None:
        index = put_index(registry)
        for platform in (None, "linux/arm64"):
            await host.pulled(f"{registry.address}/many", platform=platform)
        await host.images.tag(f"{registry.address}/many", f"{registry.address}/copy")
        said = await host.pushed(f"{registry.address}/copy")
        assert said[-1].aux == {"Tag": "latest", "Digest": index["digest"], "Size": index["size"]}
        assert registry.manifests["copy", "latest"] == registry.manifests["many", "latest"]
        for child in json.loads(registry.manifests["copy", "latest"][1])["manifests"]:
            assert registry.manifests["copy", child["digest"]] == registry.manifests["many", child["digest"]]

    async def test_of_an_index_with_one_platform_here_that_one_is_pushed(self, host: Host, registry: Recording) -> None:
        index = put_index(registry)
        await host.pulled(f"{registry.address}/many")
        await host.images.tag(f"{registry.address}/many", f"{registry.address}/copy")
        said = await host.pushed(f"{registry.address}/copy")
        assert said[-1].aux is not None
        assert said[-1].aux["manifestPushedInsteadOfIndex"] is True
        chosen = json.loads(registry.manifests["many", "latest"][1])["manifests"][0]["digest"]
        assert said[-1].aux["originalIndex"]["digest"] == index["digest"]  # type: ignore[index]
        assert said[-1].aux["selectedManifest"]["digest"] == chosen  # type: ignore[index]
        assert registry.manifests["copy", "latest"] == registry.manifests["many", chosen]

    async def test_one_platform_may_be_chosen(self, host: Host, registry: Recording) -> None:
        put_index(registry)
        for platform in (None, "linux/arm64"):
            await host.pulled(f"{registry.address}/many", platform=platform)
        await host.images.tag(f"{registry.address}/many", f"{registry.address}/copy")
        await host.pushed(f"{registry.address}/copy", platform="linux/arm64")
        chosen = json.loads(registry.manifests["many", "latest"][1])["manifests"][1]["digest"]
        assert registry.manifests["copy", "latest"] == registry.manifests["many", chosen]
        with pytest.raises(NotFound, match="does not provide the specified platform"):
            await host.pushed(f"{registry.address}/copy", platform="linux/s390x")

    async def test_several_platforms_but_not_all_need_a_choice(self, host: Host, registry: Recording) -> None:
        third = {"architecture": "s390x", "os": "linux"}
        s390x = registry.put_image("many", "", [files({"s390x": ""})], platform=third)
        index = put_index(registry)
        document = json.loads(registry.manifests["many", "latest"][1])
        document["manifests"].append(s390x | {"platform": third})
        assert registry.put_manifest("many", "latest", document) != index
        for platform in (None, "linux/arm64"):
            await host.pulled(f"{registry.address}/many", platform=platform)
        await host.images.tag(f"{registry.address}/many", f"{registry.address}/copy")
        with pytest.raises(Conflict, match="multiple matching manifests found but no specific platform requested"):
            await host.pushed(f"{registry.address}/copy")


async def test_a_blob_that_was_never_fetched_is_brought_from_where_it_is(
    host: Host, registry: Recording, other_registry: Recording
) -> None:
    registry.put_image("one", "latest", [BASE], compression="+zstd")
    registry.put_image("two", "latest", [BASE, TOP])
    await host.pulled(f"{registry.address}/one")
    await host.pulled(f"{registry.address}/two")  # its first layer is known: only named, not fetched
    await host.images.tag(f"{registry.address}/two", f"{other_registry.address}/two")
    await host.pushed(f"{other_registry.address}/two")
    assert other_registry.manifests["two", "latest"] == registry.manifests["two", "latest"]
    assert other_registry.blobs == {digest: registry.blobs[digest] for digest in other_registry.blobs}


async def test_a_blob_that_was_never_fetched_is_brought_to_be_saved(
    host: Host, registry: Recording, tmp_path: Path
) -> None:
    registry.put_image("one", "latest", [BASE], compression="+zstd")
    image = registry.put_image("two", "latest", [BASE, TOP])
    await host.pulled(f"{registry.address}/one")
    await host.pulled(f"{registry.address}/two")
    saved = b"".join([chunk async for chunk in host.images.save([f"{registry.address}/two"])])
    async with opened(tmp_path / "other") as other:
        async for _ in other.images.load(stream(saved)):
            pass
        assert (await other.images.inspect(f"{registry.address}/two")).id == image["digest"]


async def test_every_layer_on_the_way_out_is_the_stored_one_though_it_is_big(host: Host, registry: Recording) -> None:
    layer = tar_of(member("noise", os.urandom(5_000_000)), member("after", b"x"))
    await host.images.import_(stream(layer, size=1 << 16), f"{registry.address}/big")
    said = await host.pushed(f"{registry.address}/big")
    counts = [message.current for message in said if message.status == "Pushing"]
    assert counts == sorted(counts, key=lambda count: count or 0)
    assert counts[-1] == said_total(said)


def said_total(said: list[object]) -> int:
    return next(message.total for message in said if message.status == "Pushing")


@pytest.mark.parametrize("point", ["push.blob", "push.manifest"])
async def test_a_push_that_fails_gives_no_tag_and_works_the_next_time(
    host: Host, registry: Recording, point: str
) -> None:
    name = f"{registry.address}/thing:latest"
    image = await made_here(host, name)
    with faults.armed(point), pytest.raises(HostFailure, match=point):
        await host.pushed(name)
    assert registry.manifests == {}
    await host.pushed(name)
    assert digest_of(registry.manifests["thing", "latest"][1]) == image


async def test_whoever_stops_listening_stops_the_push(host: Host, registry: Recording) -> None:
    name = f"{registry.address}/thing:latest"
    await made_here(host, name)
    async with aclosing(host.images.push(name)) as progress:
        async for message in progress:
            if message.status == "Preparing":
                break
    assert not host.images._transfers.background._tasks
    assert registry.manifests == {}
