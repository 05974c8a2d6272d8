"""The manager of volumes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from dockwright.errors import InUse, NotFound
from dockwright.events import EVENT_SCHEMA, Events
from dockwright.store import Database
from dockwright.volume import VOLUME_SCHEMA, LocalVolumes, Volumes


@pytest.fixture
async def open_volumes(tmp_path: Path) -> AsyncIterator[Callable[[], object]]:
    database = await Database.open(tmp_path / "state.db", [EVENT_SCHEMA, VOLUME_SCHEMA])

    async def open_() -> Volumes:
        volumes = Volumes(database, Events(database), {"local": LocalVolumes(tmp_path / "volumes")})
        await volumes.load()
        return volumes

    yield open_
    await database.aclose()


async def test_a_volume_in_use_is_not_removed(open_volumes) -> None:  # type: ignore[no-untyped-def]
    volumes = await open_volumes()
    volume = await volumes.create()
    assert volume.anonymous
    volumes.claim(volume.name, "container")
    with pytest.raises(InUse, match="volume is in use"):
        await volumes.remove(volume.name)
    volumes.release(volume.name, "container")
    await volumes.remove(volume.name)
    with pytest.raises(NotFound, match="no such volume"):
        volumes.get(volume.name)


async def test_volumes_are_there_after_a_restart(open_volumes) -> None:  # type: ignore[no-untyped-def]
    created = await (await open_volumes()).create("kept", labels={"a": "b"})
    assert (await open_volumes()).get("kept") == created


async def test_an_unknown_driver_is_refused(open_volumes) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(NotFound, match='plugin "nosuch" not found'):
        await (await open_volumes()).create("data", driver="nosuch")
