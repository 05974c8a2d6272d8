"""kill -9 amid pull, push, import, load, commit, tag, rmi and prune: afterwards everything is whole, nothing is left over,
and what was fetched is not fetched again."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import sys
from pathlib import Path

import pytest
from tests.archives import files, member, tar_of
from tests.engine.image.conftest import Host, opened
from tests.engine.image.test_transport import docker_archive
from tests.faults import image_crashing
from tests.recording import Recording, digest_of, recording

pytestmark = pytest.mark.root

ROUNDS = 30


async def check(host: Host, registry: Recording) -> None:
    """Every blob is what its name says, every directory has its row, nothing is left over."""
    for key in [info.key for info in host.snapshots.walk() if info.kind == "active"]:
        await host.snapshots.remove(key)  # the engine does that for containers it does not know
    await host.images.prune({})
    await host.snapshots.settled()
    for path in (host.root / "content/blobs/sha256").iterdir():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
    assert set(os.listdir(host.root / "content/ingest")) <= {ingest_of(digest) for digest in registry.blobs}
    numbers = {int(path.name) for path in (host.root / "snapshots").iterdir() if path.name.isdigit()}
    assert numbers == {host.snapshots.node(info.key).layer.number for info in host.snapshots.walk()}
    assert os.listdir(host.root / "snapshots/mnt") == []


async def check_images(host: Host) -> None:
    """Every image can be mounted and saved."""
    images = await host.images.list_()
    for image in images:
        async for _ in host.images.save([image.id]):
            pass
        assert await host.files(image.id)
    needed = {layer for image in images for layer in (await host.images.inspect(image.id)).root_fs.layers}
    assert len(host.snapshots.walk()) == 0 or needed


async def check_resumption(host: Host, registry: Recording) -> None:
    """Every pull ends well now, and no layer that is on the disk is asked for again."""
    ingests = {path.name: path.stat().st_size for path in (host.root / "content/ingest").iterdir()}
    whole = {digest for digest, blob in registry.blobs.items() if ingests.get(ingest_of(digest)) == len(blob)}
    registry.asked.clear()
    for number in range(image_crashing.PULLED):
        await host.pulled(f"{registry.address}/r{number}")
    fetched = {path.rpartition("/")[2] for path, _ in registry.blob_requests()}
    assert fetched.isdisjoint(whole)
    assert os.listdir(host.root / "content/ingest") == []
    await check(host, registry)


def check_registry(registry: Recording) -> None:
    """Whatever has a tag is whole."""
    assert all(digest_of(blob) == digest for digest, blob in registry.blobs.items())
    for (repository, reference), (_, content) in registry.manifests.items():
        if ":" in reference:
            assert digest_of(content) == reference, repository


def ingest_of(digest: str) -> str:
    return f"name-{hashlib.sha256(digest.encode()).hexdigest()}"


@pytest.mark.timeout(600)
async def test_a_killed_engine_leaves_whole_images_and_no_garbage(tmp_path: Path) -> None:
    archives = [
        docker_archive([files({"a": "1" * 40_000}), tar_of(member("implied/b", b"2"))]),
        docker_archive([files({"c": "3"})]),
    ]
    paths = []
    for number, archive in enumerate(archives):
        paths.append(tmp_path / f"{number}.tar")
        paths[-1].write_bytes(archive)
    async with recording() as registry:
        base = tar_of(member("base", os.urandom(400_000)))
        for number in range(image_crashing.PULLED):
            layers = [tar_of(member(f"noise{part}", os.urandom(300_000))) for part in range(number)]
            registry.put_image(f"r{number}", "latest", [base, *layers, tar_of(member("implied/x", b"x"))])
        registry.pace_s = 0.005
        for round_ in range(ROUNDS):
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                image_crashing.__name__,
                tmp_path / "root",
                registry.address,
                *paths,
                stdout=asyncio.subprocess.PIPE,
            )
            assert process.stdout is not None
            assert await process.stdout.readline() == b"open\n"
            await asyncio.sleep(random.uniform(0.0, 0.4))
            process.kill()
            await process.wait()
            async with opened(tmp_path / "root") as host:
                await check(host, registry)
                if round_ % 5 == 4:
                    await check_images(host)
                    await check_resumption(host, registry)
            check_registry(registry)
