"""kill -9 amid import, load, commit, tag, rmi and prune: afterwards everything is whole and nothing is left over."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import sys
from pathlib import Path

import pytest
from tests.archives import files, member, tar_of
from tests.engine.image import crashing
from tests.engine.image.conftest import Host, opened
from tests.engine.image.test_transport import docker_archive

pytestmark = pytest.mark.root

ROUNDS = 12


async def check(host: Host) -> None:
    """Every blob is what its name says, every directory has its row, every image can be mounted and saved."""
    for key in [info.key for info in host.snapshots.walk() if info.kind == "active"]:
        await host.snapshots.remove(key)  # the engine does that for containers it does not know
    await host.images.prune({})
    await host.snapshots.settled()
    for path in (host.root / "content/blobs/sha256").iterdir():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
    assert os.listdir(host.root / "content/ingest") == []
    numbers = {int(path.name) for path in (host.root / "snapshots").iterdir() if path.name.isdigit()}
    assert numbers == {host.snapshots.node(info.key).layer.number for info in host.snapshots.walk()}
    assert os.listdir(host.root / "snapshots/mnt") == []
    images = await host.images.list_()
    for image in images:
        async for _ in host.images.save([image.id]):
            pass
        assert await host.files(image.id)
    needed = {layer for image in images for layer in (await host.images.inspect(image.id)).root_fs.layers}
    assert len(host.snapshots.walk()) == 0 or needed


@pytest.mark.timeout(240)
async def test_a_killed_engine_leaves_whole_images_and_no_garbage(tmp_path: Path) -> None:
    archives = [
        docker_archive([files({"a": "1" * 40_000}), tar_of(member("implied/b", b"2"))]),
        docker_archive([files({"c": "3"})]),
    ]
    paths = []
    for number, archive in enumerate(archives):
        paths.append(tmp_path / f"{number}.tar")
        paths[-1].write_bytes(archive)
    for _ in range(ROUNDS):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", crashing.__name__, tmp_path / "root", *paths, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        assert await process.stdout.readline() == b"open\n"
        await asyncio.sleep(random.uniform(0.0, 0.4))
        process.kill()
        await process.wait()
        async with opened(tmp_path / "root") as host:
            await check(host)
