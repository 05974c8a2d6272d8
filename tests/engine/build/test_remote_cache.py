"""Build caches that outlive their host: written to and read from registries, directories and images."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import import_busybox
from tests.engine.build.conftest import Bench, give
from tests.registries import registry

from dockwright.build.outputs import parse as output
from dockwright.build.remote_cache import CacheFrom, CacheTo, DirectoryPlace, classic, form
from dockwright.build.remote_cache import parse_from as parsed_from
from dockwright.build.remote_cache import parse_to as parsed_to
from dockwright.engine import Engine
from dockwright.errors import Corrupt, DockwrightError, Invalid, Unsupported
from dockwright.network import NetworkOptions
from dockwright.oci import Descriptor, mediatypes, read_manifest, reference
from dockwright.oci import digest as digests
from dockwright.settings import Settings

pytestmark = pytest.mark.root

TEXT = (
    "FROM busybox AS other\nRUN echo other > /other\n"
    "FROM busybox\nCOPY a.txt /a\nRUN cat /a > /made && cat /proc/sys/kernel/random/uuid >> /made\nCOPY --from=other /other /o\nRUN echo last > /last\n"
)
EPOCH = {"SOURCE_DATE_EPOCH": "1700000000"}


def parse_from(attributes: dict[str, str]) -> CacheFrom:
    return parsed_from(attributes, DirectoryPlace.at)


def parse_to(attributes: dict[str, str]) -> CacheTo:
    return parsed_to(attributes, DirectoryPlace.at)


@pytest.fixture
async def other(bench: Bench, tmp_path: Path, busybox_image: Path) -> AsyncIterator[Bench]:
    """Another engine, which builds the same directory."""
    settings = Settings(
        data_root=tmp_path / "other",
        exec_root=tmp_path / "other-exec",
        network=NetworkOptions(bridge=f"dwo{os.getpid() % 10**6}", prepared=0),
    )
    async with Engine.open(settings) as engine:
        await import_busybox(engine, busybox_image)
        yield Bench(engine, bench.root)


async def build(bench: Bench, *, text: str = TEXT, **options: Any) -> dict[str, bool]:
    """Which steps were cached."""
    outcome = await bench.build(text, {"a.txt": "A"}, arguments=EPOCH, **options)
    return outcome.cached | {"said": outcome.said}  # type: ignore[dict-item]


def ran(cached: dict[str, bool]) -> list[str]:
    """The steps that were not cached, without the work beside them."""
    return [title for title, hit in cached.items() if title.startswith("[") and not hit]


async def test_a_registry_keeps_the_cache_for_other_hosts(bench: Bench, other: Bench, tmp_path: Path) -> None:
    with registry(tmp_path) as running:
        ref = running.name("cache:1")
        await build(bench, cache_to=[parse_to({"type": "registry", "ref": ref, "mode": "max"})], names=("app:1",))
        manifest = read_manifest((await bench.engine.images.products.repository(reference.parse(ref)).manifest("1"))[1])
        assert manifest.config.media_type == "application/vnd.buildkit.cacheconfig.v0"
        assert {layer.media_type for layer in manifest.layers or ()} == {mediatypes.OCI_LAYER_GZIP}
        assert all("containerd.io/uncompressed" in (layer.annotations or {}) for layer in manifest.layers or ())
        asked_before = len(running.requests())
        cached = await build(other, cache_from=[parse_from({"type": "registry", "ref": ref})], names=("app:1",))
        assert ran(cached) == []
        fetched = [one for one in running.requests()[asked_before:] if one.method == "GET" and "/blobs/" in one.path]
        # The configuration and a layer for each step: the base's layer is here already.
        assert len(fetched) == 1 + 5
        one, two = [await each.output("app:1", "cat", "/made", "/o", "/last") for each in (bench, other)]
        assert one == two
        # It is in the other's own cache from now on.
        assert ran(await build(other)) == []


@pytest.mark.parametrize(
    "form_of", [{}, {"image-manifest": "false"}, {"oci-mediatypes": "false", "compression": "uncompressed"}]
)
async def test_a_directory_keeps_the_cache(bench: Bench, other: Bench, tmp_path: Path, form_of: dict[str, str]) -> None:
    place = tmp_path / "cache"
    await build(bench, cache_to=[parse_to({"type": "local", "dest": str(place), "mode": "min", **form_of})])
    index = json.loads((place / "index.json").read_bytes())
    assert [one["annotations"] for one in index["manifests"]] == [{"org.opencontainers.image.ref.name": "latest"}]
    cached = await build(other, cache_from=[parse_from({"type": "local", "src": str(place)})])
    assert ran(cached) == ["[other 2/2] RUN echo other > /other"]  # min: only what is in the result
    before = {path.name for path in place.rglob("*")}
    await build(bench, cache_to=[parse_to({"type": "local", "dest": str(place), "mode": "min", **form_of})])
    assert {path.name for path in place.rglob("*")} == before


async def test_an_image_carries_the_cache_of_its_own_layers(bench: Bench, other: Bench, tmp_path: Path) -> None:
    with registry(tmp_path) as running:
        ref = running.name("app:1")
        await give(
            bench,
            TEXT,
            output({"type": "registry", "name": ref}),
            cache_to=[parse_to({"type": "inline"})],
            arguments=EPOCH,
        )
        cached = await build(other, cache_from=[parse_from({"type": "registry", "ref": ref})])
        assert ran(cached) == ["[other 2/2] RUN echo other > /other"]
        assert "last" in await other.output((await other.build(TEXT, arguments=EPOCH)).image_id, "cat", "/last")


async def test_what_is_linked_is_taken_from_a_cache_onto_another_base(
    bench: Bench, other: Bench, tmp_path: Path
) -> None:
    text, place = "FROM {0}\nCOPY --link a.txt /t/a\nRUN cat /t/a\n", tmp_path / "cache"
    await build(bench, text=text.format("busybox"), cache_to=[parse_to({"type": "local", "dest": str(place)})])
    await other.build("FROM busybox\nRUN echo more > /more\n", names=("base:1",))
    cached = await build(
        other,
        text=text.format("base:1"),
        cache_from=[parse_from({"type": "local", "src": str(place)})],
        names=("app:1",),
    )
    assert ran(cached) == ["[3/3] RUN cat /t/a"]
    assert await other.output("app:1", "cat", "/t/a", "/more") == "Amore\n"


async def test_a_cache_that_cannot_be_read_is_told_and_not_used(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    cached = await build(bench, cache_from=[parse_from({"type": "local", "src": str(tmp_path / "empty")})])
    assert "the cache is not used" in str(cached["said"])
    assert len(ran(cached)) == 5


async def test_layers_that_are_not_what_they_claim_are_not_used(bench: Bench, other: Bench, tmp_path: Path) -> None:
    place = tmp_path / "cache"
    await build(bench, cache_to=[parse_to({"type": "local", "dest": str(place), "mode": "max"})])
    manifest = read_manifest(
        (
            place / "blobs/sha256" / json.loads((place / "index.json").read_bytes())["manifests"][0]["digest"][7:]
        ).read_bytes()
    )
    for layer in manifest.layers or ():
        path = place / "blobs/sha256" / digests.encoded(layer.digest)
        path.write_bytes(path.read_bytes()[:-1] + b"!")
    cached = await build(other, cache_from=[parse_from({"type": "local", "src": str(place)})])
    assert "has the digest" in str(cached["said"])
    assert len(ran(cached)) == 5


async def test_a_cache_that_cannot_be_written_fails_the_build_unless_told_otherwise(
    bench: Bench, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    asked = {"type": "local", "dest": str(tmp_path / "file" / "below")}
    with pytest.raises(DockwrightError, match="file"):
        await build(bench, cache_to=[parse_to(asked)])
    told = await build(bench, cache_to=[parse_to({**asked, "ignore-error": "true"})])
    assert "the cache is not exported" in str(told["said"])


async def test_layers_of_a_named_image_are_used_where_its_history_fits(
    bench: Bench, other: Bench, tmp_path: Path
) -> None:
    text = (
        "FROM busybox\nENV A=1\nRUN cat /proc/sys/kernel/random/uuid > /when\nCOPY a.txt /a\nRUN cat /a /when > /both\n"
    )
    with registry(tmp_path) as running:
        ref = running.name("app:1")
        await give(bench, text, output({"type": "registry", "name": ref}), arguments=EPOCH)
        cached = await build(other, text=text, cache_from=[classic(ref)], names=("mine:1",))
        assert ran(cached) == ["[3/4] COPY a.txt /a"]
        assert await other.output("mine:1", "cat", "/both") == await bench.output(ref, "cat", "/both")
        changed = await build(other, text=text.replace("A=1", "A=2"), cache_from=[classic(ref)])
        assert len(ran(changed)) == 3


@pytest.mark.parametrize(
    ("parse", "attributes", "why"),
    [
        (parse_from, {}, "without a type"),
        (parse_from, {"type": "gha"}, "type gha"),
        (parse_from, {"type": "s3", "bucket": "b"}, "type s3"),
        (parse_from, {"type": "registry"}, "needs ref"),
        (parse_from, {"type": "local"}, "needs src"),
        (parse_from, {"type": "inline"}, "type=registry"),
        (parse_to, {"type": "local"}, "needs dest"),
        (parse_to, {"type": "azblob"}, "type azblob"),
        (parse_to, {"type": "inline", "mode": "some"}, "mode=some"),
        (parse_to, {"type": "registry", "ref": "a", "image-manifest": "true", "oci-mediatypes": "false"}, "conflicts"),
        (parse_to, {"type": "registry", "ref": "a", "compression": "estargz"}, "estargz"),
        (parse_to, {"type": "registry", "ref": "a", "ignore-error": "perhaps"}, "ignore-error=perhaps"),
        (parse_to, {"type": "registry", "ref": "a", "colour": "red"}, "colour"),
    ],
)
def test_an_option_that_is_not_honoured_is_refused_by_its_name(
    parse: Any, attributes: dict[str, str], why: str
) -> None:
    with pytest.raises((Invalid, Unsupported), match=why):
        parse(attributes)


def test_a_directory_is_read_and_written_only_through_who_it_belongs_to(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="needs a client"):
        parsed_from({"type": "local", "src": str(tmp_path)})
    with pytest.raises(Invalid, match="needs a client"):
        parsed_to({"type": "local", "dest": str(tmp_path)})


def test_options_are_read_as_clients_write_them() -> None:
    assert parse_from({"type": "registry", "ref": "app"}) == CacheFrom(reference.parse("app:latest"))
    assert parse_to({"type": "inline"}).inline
    wanted = parse_to(
        {"type": "registry", "ref": "app", "mode": "max", "compression": "zstd", "oci-mediatypes": "true"}
    )
    assert (wanted.mode, wanted.compression.kind, wanted.image_manifest) == ("max", "zstd", True)
    assert isinstance(wanted, CacheTo)


def test_a_cache_of_another_builder_is_read() -> None:
    """As BuildKit writes it: results with parents, chains, inputs that mean nothing to us."""
    blobs = [Descriptor(mediatypes.OCI_LAYER_GZIP, digests.of(bytes([one])), one) for one in range(3)]
    diff_ids = [digests.of(b"d%d" % one) for one in range(3)]
    document = {
        "layers": [
            {"blob": blobs[0].digest, "parent": -1, "annotations": {"diffID": diff_ids[0], "size": 1}},
            {"blob": blobs[1].digest, "parent": 0, "annotations": {"diffID": diff_ids[1]}},
            {"blob": blobs[2].digest, "parent": -1, "annotations": {"diffID": diff_ids[2]}},
        ],
        "records": [
            {"digest": "sha256:base"},
            {
                "digest": "sha256:top",
                "layers": [{"layer": 1, "createdAt": "x"}],
                "inputs": [[{"link": 0, "selector": "s"}]],
            },
            {"digest": "sha256:chain", "chains": [{"layers": [2, 0], "createdAt": "x"}]},
        ],
    }
    found = form.read(json.dumps(document).encode(), blobs)
    assert {key: [diff_id for _, diff_id in layers] for key, layers in found.items()} == {
        "sha256:top": diff_ids[:2],
        "sha256:chain": [diff_ids[2], diff_ids[0]],
    }
    assert form.read(form.write(found, "2020-01-01T00:00:00Z"), blobs) == found
    assert form.read(json.dumps(document).encode(), blobs[1:]) == {}


@pytest.mark.parametrize(
    "document",
    [
        "x",
        "[]",
        '{"layers": [{"blob": "b", "parent": 0}], "records": [{"digest": "d", "layers": [{"layer": 0}]}]}',
        '{"layers": [], "records": [{"digest": "d", "layers": [{"layer": 7}]}]}',
        '{"layers": [], "records": [{"digest": "d", "chains": [{"layers": [-2]}]}]}',
    ],
)
def test_a_document_that_is_no_cache_is_corrupt(document: str) -> None:
    with pytest.raises(Corrupt):
        form.read(document.encode(), [])


async def test_squashed_layers_are_one_and_hold_nothing_that_was_removed(bench: Bench) -> None:
    text = "FROM busybox\nRUN echo gone > /gone && echo kept > /kept\nRUN rm /gone && mkdir /d && echo in > /d/in\nRUN rm -r /bin/sh\n"
    outcome = await bench.build(text, names=("flat:1",), squash=True, arguments=EPOCH)
    image = await bench.engine.images.resolve(outcome.image_id)
    assert len(image.config.diff_ids) == 2
    history = image.config.history or ()
    assert sum(not one.empty_layer for one in history) == 2
    assert history[-1].comment.startswith("merge sha256:")
    assert await bench.output("flat:1", "busybox", "cat", "/kept", "/d/in") == "kept\nin\n"
    listed = await bench.output("flat:1", "busybox", "ls", "/", "/bin")
    assert "gone" not in listed
    assert "sh" not in listed.split()
    again = await bench.build(text, squash=True, arguments=EPOCH)
    assert (await bench.engine.images.resolve(again.image_id)).config.diff_ids == image.config.diff_ids
