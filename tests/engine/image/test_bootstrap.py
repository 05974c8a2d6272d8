"""Base images from the package archive that this host has its own packages from."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.engine.image.conftest import Host, opened

from dockwright import faults
from dockwright.errors import Corrupt, HostFailure, NotFound, Unavailable, Unsupported
from dockwright.image import bootstrap, suites
from dockwright.image.progress import Progress

pytestmark = [
    pytest.mark.root,
    pytest.mark.timeout(900),
    pytest.mark.skipif(shutil.which("mmdebstrap") is None, reason="mmdebstrap is not installed"),
]


@pytest.fixture
def archive() -> None:
    """Skips where the package archive cannot be reached."""
    where = urlsplit(suites.find("debian:bookworm").mirror)
    try:
        socket.create_connection((where.hostname, where.port or 80), timeout=5).close()
    except OSError as error:
        pytest.skip(f"the package archive {where.hostname} cannot be reached: {error}")


async def made(host: Host, name: str, **options: str) -> list[Progress]:
    return [step async for step in host.images.bootstrap(name, **options)]  # type: ignore[arg-type]


def left(host: Host) -> list[str]:
    return [path.name for path in (host.root / "snapshots").iterdir() if path.name.isdigit()]


async def twice(host: Host, other: Host) -> list[list[Progress]]:
    """The same suite on two hosts, once more when the archive changed in between."""
    while True:
        async with asyncio.TaskGroup() as group:
            making = [
                group.create_task(made(host, "debian:bookworm")),
                group.create_task(made(other, "debian:12", tag="mine:1")),
            ]
        images = await host.images.resolve("debian:bookworm"), await other.images.resolve("mine:1")
        if images[0].config.created == images[1].config.created:
            return [task.result() for task in making]


async def test_the_same_archive_gives_the_same_image(host: Host, tmp_path: Path, archive: None) -> None:
    async with opened(tmp_path / "other") as other:
        steps, again = await twice(host, other)
        image = await host.images.resolve("debian:bookworm")
        assert steps[-1].aux == again[-1].aux == {"ID": image.id}
        assert (await other.images.resolve("mine:1")).id == image.id
    labels = image.config.run.labels or {}
    assert labels["org.opencontainers.image.created"] == image.config.created
    assert labels["org.opencontainers.image.version"].startswith("12")
    assert image.variant.manifest.annotations == labels
    async with host.mounted(image.snapshot) as root:
        assert "bookworm" in (root / "etc/os-release").read_text()
        assert not (root / "etc/resolv.conf").exists()
        assert "debian-archive-keyring" in (root / "etc/apt/sources.list").read_text()
        assert max(path.lstat().st_mtime for path in root.rglob("*")) <= os.stat(root).st_mtime + 1
    await host.snapshots.remove("work")
    await host.snapshots.settled()
    assert "import" in [event.action for event in await host.heard()]


async def test_a_suite_that_is_not_there_is_not_found(host: Host, archive: None) -> None:
    with pytest.raises(NotFound, match="has no suite nonesuch"):
        await made(host, "debian:nonesuch")
    await host.snapshots.settled()
    assert left(host) == []


async def test_an_archive_that_its_key_did_not_sign_is_refused(
    host: Host, archive: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from dataclasses import replace

    keyring = tmp_path / "other.gpg"
    keyring.write_bytes(Path("/usr/share/keyrings/debian-archive-removed-keys.gpg").read_bytes())
    other = replace(suites.DISTRIBUTIONS["debian"], keyring=keyring)
    monkeypatch.setitem(suites.DISTRIBUTIONS, "debian", other)
    with pytest.raises(Corrupt, match="is not signed by"):
        await made(host, "debian:bookworm")


async def test_an_archive_out_of_reach_is_unavailable(host: Host) -> None:
    with pytest.raises(Unavailable, match="cannot be read"):
        await made(host, "debian:bookworm", mirror="http://127.0.0.1:9/debian")


async def test_a_missing_tool_or_key_is_named_with_its_package(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(suites.DISTRIBUTIONS["ubuntu"].keyring.__class__, "exists", lambda self: False)
        with pytest.raises(Unsupported, match="install the package ubuntu-keyring"):
            await made(host, "ubuntu:noble")
    monkeypatch.setattr(bootstrap, "_PATH", "/nowhere")
    with pytest.raises(Unsupported, match="install the package mmdebstrap"):
        await made(host, "debian:bookworm")


async def test_a_bootstrap_given_up_leaves_nothing(host: Host, archive: None) -> None:
    async def until_it_runs() -> None:
        async for step in host.images.bootstrap("debian:bookworm"):
            if step.status.startswith("Downloading"):
                running.set()

    running = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(until_it_runs())
        await running.wait()
        task.cancel()
    await host.snapshots.settled()
    assert left(host) == []
    assert str(host.root) not in Path("/proc/self/mounts").read_text()


async def test_a_program_that_fails_is_told_with_its_reason(
    host: Host, archive: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with faults.armed("image.bootstrap"), monkeypatch.context() as patch:
        patch.setattr(bootstrap, "_command", lambda wanted, scratch: ["sh", "-c", "echo 'E: it broke' >&2; exit 3"])
        with pytest.raises(HostFailure, match="bootstrapping bookworm failed: it broke"):
            await made(host, "debian:bookworm")
