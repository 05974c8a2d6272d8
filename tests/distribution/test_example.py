"""The client by hand: the example copies images between registries, and skopeo agrees with what arrived."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from dockwright.distribution import Registries
from dockwright.oci import Index, describe, mediatypes, reference, write
from tests.distribution.content import image, options
from tests.registries import registry

EXAMPLE = Path(__file__).parents[2] / "examples" / "registry.py"


async def test_the_example_copies_every_platform_of_an_image(tmp_path: Path, python: str) -> None:
    if shutil.which("skopeo") is None:
        pytest.skip("skopeo is missing")
    children = [image(300_000, 10, seed=1), image(300_000, 20, seed=1)]
    index = write(Index(manifests=tuple(child.descriptor for child in children)))
    described = describe(index, mediatypes.OCI_INDEX)
    with registry(tmp_path / "one") as one, registry(tmp_path / "two", auth="htpasswd") as two:
        async with Registries(options()) as registries:
            repository = registries.repository(reference.parse(one.name("team/tool")))
            for child in children:
                await child.push(repository, child.descriptor.digest)
            await repository.push_manifest("v1", described, index)

        environment = {"REGISTRY_USERNAME": two.username, "REGISTRY_PASSWORD": two.password}
        names = one.name("team/tool:v1"), two.name("other/tool:v2")
        done = subprocess.run(
            [python, str(EXAMPLE), *names], env=os.environ | environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == f"{names[1]}: {described.digest}"
        assert sum(" uploaded, " in line for line in done.stdout.splitlines()) == 4  # the two share a layer

        layout = tmp_path / "layout"
        subprocess.run(
            [
                "skopeo",
                "copy",
                "--all",
                "--preserve-digests",
                "--src-tls-verify=false",
                f"--src-creds={two.username}:{two.password}",
            ]
            + [f"docker://{names[1]}", f"oci:{layout}:v2"],
            check=True,
            capture_output=True,
        )
        stored = json.loads((layout / "index.json").read_bytes())
        assert stored["manifests"][0]["digest"] == described.digest
        for child in children:
            for blob in (child.config, *child.layers):
                path = layout / "blobs" / "sha256" / blob.descriptor.digest.removeprefix("sha256:")
                assert path.read_bytes() == blob.content
