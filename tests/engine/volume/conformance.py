"""What every `VolumeDriver` does."""

from __future__ import annotations

from pathlib import Path

import pytest

from dockwright.errors import DockwrightError, NotFound
from dockwright.volume import VolumeDriver


class VolumeDriverConformance:
    """Inherit and give `driver`; `options` are of the volumes it makes, `refused` are such as it does not take."""

    options: dict[str, str] = {}
    refused: dict[str, str] = {"unknown": "option"}

    @pytest.fixture
    def driver(self, tmp_path: Path) -> VolumeDriver:
        raise NotImplementedError("the subclass gives it")

    async def test_what_is_written_is_there_for_the_next_who_mounts_it_meanwhile(self, driver: VolumeDriver) -> None:
        await driver.create("data", self.options)
        (await driver.mount("data", "one") / "file").write_text("kept")
        path = await driver.mount("data", "two")
        await driver.unmount("data", "one")
        assert (path / "file").read_text() == "kept"
        assert Path((await driver.inspect("data")).mountpoint) == path
        await driver.unmount("data", "two")

    async def test_verbs_may_be_repeated(self, driver: VolumeDriver) -> None:
        await driver.create("data", self.options)
        await driver.create("data", self.options)
        assert await driver.mount("data", "one") == await driver.mount("data", "one")
        await driver.unmount("data", "one")
        await driver.unmount("data", "one")
        await driver.unmount("data", "nobody")
        await driver.remove("data")
        await driver.remove("data")

    async def test_what_was_removed_is_gone(self, driver: VolumeDriver) -> None:
        await driver.create("data", self.options)
        (await driver.mount("data", "one") / "file").write_text("gone")
        await driver.unmount("data", "one")
        await driver.remove("data")
        with pytest.raises(DockwrightError):
            await driver.mount("data", "one")
        await driver.create("data", self.options)
        assert list((await driver.mount("data", "one")).iterdir()) == []
        await driver.unmount("data", "one")

    async def test_volumes_do_not_see_each_other(self, driver: VolumeDriver) -> None:
        await driver.create("one", self.options)
        await driver.create("two", self.options)
        (await driver.mount("one", "user") / "file").touch()
        assert list((await driver.mount("two", "user")).iterdir()) == []
        await driver.unmount("one", "user")
        await driver.unmount("two", "user")

    async def test_a_volume_that_was_never_made_is_not_found(self, driver: VolumeDriver) -> None:
        with pytest.raises(DockwrightError):
            await driver.mount("nowhere", "one")

    async def test_options_that_it_does_not_know_are_refused_and_leave_nothing(self, driver: VolumeDriver) -> None:
        with pytest.raises(DockwrightError):
            await driver.create("data", self.refused)
        with pytest.raises(DockwrightError):
            await driver.mount("data", "one")


class KeepsData(VolumeDriverConformance):
    """What drivers do whose data outlasts the last unmount: all but memory."""

    async def test_what_is_written_is_there_at_the_next_mount(self, driver: VolumeDriver) -> None:
        await driver.create("data", self.options)
        (await driver.mount("data", "one") / "file").write_text("kept")
        await driver.unmount("data", "one")
        assert (await driver.mount("data", "two") / "file").read_text() == "kept"
        await driver.unmount("data", "two")


class Discovers(VolumeDriverConformance):
    """What a driver does that knows its volumes by itself."""

    async def test_what_it_does_not_have_is_not_found(self, driver: VolumeDriver) -> None:
        with pytest.raises(NotFound):
            await driver.inspect("nowhere")
