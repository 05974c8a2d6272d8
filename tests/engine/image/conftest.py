"""An image manager on a data root of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.archives import stream
from tests.images import busybox_tar
from tests.recording import Recording, recording

from dockwright.content import LocalBlobs
from dockwright.distribution import Registries, RegistryOptions
from dockwright.events import EVENT_SCHEMA, Event, Events
from dockwright.image import IMAGE_SCHEMA, Images, Progress, TransferLimits
from dockwright.snapshot import SNAPSHOT_SCHEMA, Overlay
from dockwright.store import Database


@dataclass
class Host:
    """Everything of one data root."""

    root: Path
    database: Database
    blobs: LocalBlobs
    snapshots: Overlay
    events: Events
    images: Images

    async def pulled(self, name: str, **how: Any) -> list[Progress]:
        """Pull, and everything that was told."""
        async with aclosing(self.images.pull(name, **how)) as progress:
            return [message async for message in progress]

    async def pushed(self, name: str, **how: Any) -> list[Progress]:
        """Push, and everything that was told."""
        async with aclosing(self.images.push(name, **how)) as progress:
            return [message async for message in progress]

    async def heard(self) -> list[Event]:
        """All events so far."""
        return await self.events._history(0, None)

    @asynccontextmanager
    async def mounted(self, parent: str | None) -> AsyncIterator[Path]:
        """A writable snapshot called `work`, mounted; it stays afterwards."""
        await self.snapshots.prepare("work", parent)
        async with self.mounted_again() as target:
            yield target

    @asynccontextmanager
    async def mounted_again(self) -> AsyncIterator[Path]:
        """The snapshot `work`, mounted."""
        target = self.root / "mounted"
        target.mkdir(exist_ok=True)
        await self.snapshots.mount("work", target)
        try:
            yield target
        finally:
            await self.snapshots.unmount(target)

    async def files(self, name: str) -> dict[str, str]:
        """The regular files of an image, by path."""
        image = await self.images.resolve(name)
        async with self.mounted(image.snapshot) as target:
            found = {
                str(path.relative_to(target)): path.read_text(errors="replace")
                for path in sorted(target.rglob("*"))
                if path.is_file() and not path.is_symlink()
            }
        await self.snapshots.remove("work")
        return found


@asynccontextmanager
async def opened(
    root: Path, limits: TransferLimits | None = None, *, drop_unpacked: bool = False
) -> AsyncIterator[Host]:
    """Open a data root; closing it leaves the files."""
    root.mkdir(exist_ok=True)
    database = await Database.open(root / "state.db", [EVENT_SCHEMA, SNAPSHOT_SCHEMA, IMAGE_SCHEMA])
    blobs = await LocalBlobs.open_at(root / "content")
    snapshots = await Overlay.open_at(root / "snapshots", database)
    events = Events(database)
    registries = Registries(RegistryOptions(first_delay_s=0.001, max_delay_s=0.01))
    images = await Images.open(database, blobs, snapshots, events, registries, limits, drop_unpacked=drop_unpacked)
    try:
        yield Host(root, database, blobs, snapshots, events, images)
    finally:
        await images.aclose()
        await registries.aclose()
        await snapshots.aclose()
        await database.aclose()


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    async with opened(tmp_path / "root") as one:
        yield one


@pytest.fixture
async def registry() -> AsyncIterator[Recording]:
    async with recording() as one:
        yield one


@pytest.fixture
async def other_registry() -> AsyncIterator[Recording]:
    async with recording() as one:
        yield one


@pytest.fixture
async def busybox(host: Host, tmp_path: Path) -> Host:
    """A host that has `busybox:latest`."""
    await host.images.import_(
        stream(busybox_tar(tmp_path / "busybox.tar").read_bytes(), size=1 << 16), "busybox", changes=['CMD ["sh"]']
    )
    return host
