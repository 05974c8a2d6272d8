"""An image for several platforms through every path that takes a platform."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from dockwright.oci import platform
from tests.api.wire import Answer, Api
from tests.archives import files, member, tar_of
from tests.registries import Registry, registry

pytestmark = pytest.mark.root

HERE = platform.host().architecture
OTHERS = ("s390x", "riscv64")
INDEX = "application/vnd.oci.image.index.v1+json"


def of(architecture: str) -> dict[str, str]:
    """A platform as clients since 1.48 send it."""
    return {"os": "linux", "architecture": architecture}


def layout(name: str, *architectures: str) -> bytes:
    """An OCI layout with one image under `name` for each architecture; its layer holds the architecture's name."""
    blobs: dict[str, bytes] = {}

    def blob(content: bytes, kind: str) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = content
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(content)}

    children = []
    for architecture in architectures:
        layer = files({"architecture": f"{name} {architecture}"})
        diff_id = "sha256:" + hashlib.sha256(layer).hexdigest()
        config = {"architecture": architecture, "os": "linux", "rootfs": {"type": "layers", "diff_ids": [diff_id]}}
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": blob(json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json"),
            "layers": [blob(layer, "application/vnd.oci.image.layer.v1.tar")],
        }
        made = blob(json.dumps(manifest).encode(), manifest["mediaType"])  # type: ignore[arg-type]
        children.append(made | {"platform": of(architecture)})
    index = blob(json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": children}).encode(), INDEX)
    top = {"schemaVersion": 2, "manifests": [index | {"annotations": {"io.containerd.image.name": name}}]}
    entries = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": json.dumps(top).encode(), **blobs}
    return tar_of(*(member(path, content) for path, content in entries.items()))


@pytest.fixture(scope="module")
def plain(scratch: Path) -> Iterator[Registry]:
    with registry(scratch / "platforms") as running:
        yield running


@pytest.fixture
def name(api: Api, plain: Registry, request: pytest.FixtureRequest) -> Iterator[str]:
    """An image for three platforms."""
    found = f"{plain.host}/p{abs(hash(request.node.nodeid)) % 10**8}:1"
    load(api, layout(found, HERE, *OTHERS))
    yield found
    api("DELETE", f"/images/{found}?force=1")


def load(api: Api, archive: bytes, *architectures: str) -> Answer:
    query = "&".join(f"platform={json.dumps(of(one))}" for one in architectures).replace(" ", "").replace('"', "%22")
    answer = api("POST", f"/images/load?{query}", archive)
    assert answer.status != 200 or not [line for line in answer.lines if "error" in line], answer.body
    return answer


def available(api: Api, name: str) -> set[str]:
    """The architectures whose layers are here."""
    found = api.ok("GET", f"/images/{name}/json?manifests=1").json["Manifests"]
    return {one["Descriptor"]["platform"]["architecture"] for one in found if one["Available"]}


def test_all_platforms_are_loaded_unless_some_are_named(api: Api, name: str) -> None:
    assert available(api, name) == {HERE, *OTHERS}
    api.ok("DELETE", f"/images/{name}")
    load(api, layout(name, HERE, *OTHERS), "s390x", HERE)
    assert available(api, name) == {"s390x", HERE}


def test_a_platform_that_an_archive_lacks_is_told(api: Api, plain: Registry) -> None:
    answer = api("POST", "/images/load?platform=linux/ppc64le", layout(f"{plain.host}/lacks:1", HERE))
    said = answer.message if answer.status != 200 else answer.lines[-1]["error"]
    assert "ppc64le" in said


def saved(api: Api, name: str, query: str) -> set[str]:
    """The architectures of an archive."""
    found = set()
    with tarfile.open(fileobj=BytesIO(api.ok("GET", f"/images/{name}/get{query}").body)) as archive:
        for entry in archive:
            opened = archive.extractfile(entry)
            if entry.name.startswith("blobs/sha256/") and opened is not None:
                content = opened.read()
                if content.startswith(b"{") and b'"rootfs"' in content:
                    found.add(json.loads(content)["architecture"])
    return found


def test_all_platforms_are_saved_unless_some_are_named(api: Api, name: str) -> None:
    assert saved(api, name, "") == {HERE, *OTHERS}
    assert saved(api, name, "?platform=linux/s390x") == {"s390x"}
    both = "&".join(f"platform=%7B%22os%22:%22linux%22,%22architecture%22:%22{one}%22%7D" for one in OTHERS)
    assert saved(api, name, f"?{both}") == set(OTHERS)
    assert api("GET", f"/images/{name}/get?platform=linux/ppc64le").status == 404


@pytest.mark.parametrize("verb", ["json", "history"])
def test_one_platform_is_shown(api: Api, name: str, verb: str) -> None:
    for architecture in (HERE, *OTHERS):
        answer = api.ok("GET", f"/images/{name}/{verb}", query={"platform": of(architecture)})
        if verb == "json":
            assert answer.json["Architecture"] == architecture
    assert api("GET", f"/images/{name}/{verb}", query={"platform": of("ppc64le")}).status == 404
    assert api("GET", f"/images/{name}/{verb}?platform=linux&platform=linux").status == 400


def test_platforms_and_manifests_exclude_each_other(api: Api, name: str) -> None:
    answer = api("GET", f"/images/{name}/json?manifests=1&platform=linux/s390x")
    assert answer.status == 400
    assert "conflicting options" in answer.message


def test_platforms_are_removed_alone(api: Api, name: str) -> None:
    query = {"platforms": of("s390x")}
    api.ok("DELETE", f"/images/{name}", query=query)
    assert available(api, name) == {HERE, "riscv64"}
    assert api("DELETE", f"/images/{name}", query={"platforms": of("ppc64le")}).status == 404
    assert api("DELETE", f"/images/{name}?platforms=%7B").status == 400
    assert available(api, name) == {HERE, "riscv64"}


def test_a_pushed_index_is_pulled_platform_by_platform(api: Api, name: str) -> None:
    repository, _, tag = name.rpartition(":")
    image = api.ok("GET", f"/images/{name}/json").json["Id"]
    assert "aux" in api.ok("POST", f"/images/{repository}/push?tag={tag}").lines[-1]
    found = api.ok("GET", f"/distribution/{name}/json").json
    assert found["Descriptor"]["digest"] == image
    assert [one["architecture"] for one in found["Platforms"]] == [HERE, *OTHERS]
    api.ok("DELETE", f"/images/{name}")
    for architecture, here in ((OTHERS[0], {OTHERS[0]}), (HERE, {OTHERS[0], HERE})):
        api.ok("POST", f"/images/create?fromImage={repository}&tag={tag}&platform=linux/{architecture}")
        assert available(api, name) == here
    assert api.ok("GET", f"/images/{name}/json").json["Id"] == image
    missing = api("POST", f"/images/create?fromImage={repository}&tag={tag}&platform=linux/ppc64le")
    assert missing.status == 404
    assert "ppc64le" in missing.message


def test_one_platform_is_pushed(api: Api, name: str) -> None:
    repository = name.rpartition(":")[0]
    api.ok("POST", f"/images/{name}/tag?repo={repository}&tag=one")
    api.ok("POST", f"/images/{repository}/push?tag=one", query=None)
    query = {"tag": "one", "platform": of("s390x")}
    assert "error" not in api.ok("POST", f"/images/{repository}/push", query=query).lines[-1]
    found = api.ok("GET", f"/distribution/{repository}:one/json").json
    assert [one["architecture"] for one in found["Platforms"]] == ["s390x"]
    api.ok("DELETE", f"/images/{repository}:one")


def test_the_list_shows_manifests_when_asked_for(api: Api, name: str) -> None:
    filters = json.dumps({"reference": [name]})
    (plain,) = api.ok("GET", "/images/json", query={"filters": filters}).json
    assert "Manifests" not in plain
    (full,) = api.ok(
        "GET",
        "/images/json?manifests=1&shared-size=1&digests=1&filters=" + filters.replace('"', "%22").replace(" ", ""),
    ).json
    assert len(full["Manifests"]) == 3
    assert full["SharedSize"] >= 0
    assert full["RepoDigests"]
