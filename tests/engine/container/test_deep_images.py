"""Containers on images of many layers."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from tests.archives import files, stream
from tests.engine.image.test_transport import docker_archive

from dockwright.container import HostConfig
from dockwright.engine import Engine
from dockwright.errors import Unsupported

pytestmark = pytest.mark.root


async def load(engine: Engine, busybox: Path, count: int) -> None:
    """`deep:1`: busybox and `count` layers on it, each with a file of its own."""
    layers = [busybox.read_bytes(), *(files({f"layers/{number:03}": "x"}) for number in range(count))]
    async for _ in engine.images.load(stream(docker_archive(layers, RepoTags=["deep:1"]), size=1 << 20)):
        pass


async def test_an_image_of_150_layers_runs(engine: Engine, busybox_image: Path) -> None:
    assert tarfile.is_tarfile(io.BytesIO(busybox_image.read_bytes()))
    await load(engine, busybox_image, 149)
    host = HostConfig(network_mode="none")
    result = await engine.run("deep:1", ["sh", "-c", "ls /layers | wc -l; echo new > /layers/000"], host=host)
    assert (result.exit_code, result.stdout.strip(), result.stderr) == (0, b"149", b"")


async def test_an_image_that_cannot_be_mounted_is_refused_when_it_comes(engine: Engine, busybox_image: Path) -> None:
    with pytest.raises(Unsupported, match="501 layers are too many to be mounted"):
        await load(engine, busybox_image, 500)
    assert "deep:1" not in [tag for line in await engine.images.list_() for tag in line.repo_tags]
