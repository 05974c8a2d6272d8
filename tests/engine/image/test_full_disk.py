"""A disk that is full: a clear error, nothing left behind, and everything works again when there is room."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.archives import files, member, stream, tar_of
from tests.engine.image.conftest import opened
from tests.engine.image.test_transport import docker_archive
from tests.recording import Recording

from dockwright.errors import HostFailure

pytestmark = pytest.mark.root


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "none", disk], check=True)
    yield disk
    subprocess.run(["umount", disk], check=True)


async def test_what_does_not_fit_is_refused_and_leaves_room(small_disk: Path) -> None:
    big = tar_of(*(member(f"file{number}", os.urandom(500_000)) for number in range(16)))
    async with opened(small_disk / "root") as host:
        for _ in range(2):
            with pytest.raises(HostFailure, match="No space left"):
                await host.images.import_(stream(big), "big")
            with pytest.raises(HostFailure, match="No space left"):
                async for _line in host.images.load(stream(docker_archive([big]))):
                    pass
            await host.snapshots.settled()
        await host.images.import_(stream(files({"x": "x" * 1_000_000})), "small")
        assert len((await host.files("small"))["x"]) == 1_000_000
        await host.images.remove("small")
        await host.snapshots.settled()


async def test_a_pull_that_does_not_fit_leaves_room_and_works_when_there_is_some(
    small_disk: Path, registry: Recording
) -> None:
    registry.put_image("big", "latest", [tar_of(member(f"file{number}", os.urandom(1_500_000))) for number in range(3)])
    registry.put_image("small", "latest", [files({"x": "x" * 100_000})])
    async with opened(small_disk / "root") as host:
        for _ in range(2):
            with pytest.raises(HostFailure, match="No space left"):
                await host.pulled(f"{registry.address}/big")
            await host.snapshots.settled()
        await host.pulled(f"{registry.address}/small")
        assert len((await host.files(f"{registry.address}/small"))["x"]) == 100_000
        subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
        await host.pulled(f"{registry.address}/big")
        assert len(await host.files(f"{registry.address}/big")) == 3
