"""The drivers of volumes: local ones of each kind, and plugins."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.engine.volume.conformance import Discovers, KeepsData, VolumeDriverConformance
from tests.volume_plugin import Plugin

from dockwright.errors import Conflict, HostFailure, Invalid, NotFound, Unavailable
from dockwright.volume import LocalVolumes, Plugins, VolumeDriver
from dockwright.volume.hostmounts import mounted
from dockwright.volume.plugin import Address, PluginVolumes

pytestmark = pytest.mark.root


class TestLocal(KeepsData):
    @pytest.fixture
    def driver(self, tmp_path: Path) -> VolumeDriver:
        return LocalVolumes(tmp_path / "volumes")


class TestLocalInMemory(VolumeDriverConformance):
    options = {"type": "tmpfs", "device": "tmpfs", "o": "size=1m,nosuid"}
    refused = {"type": "tmpfs"}

    @pytest.fixture
    def driver(self, tmp_path: Path) -> VolumeDriver:
        return LocalVolumes(tmp_path / "volumes")


class TestPlugin(KeepsData, Discovers):
    @pytest.fixture
    async def driver(self, plugin: Plugin) -> AsyncIterator[VolumeDriver]:
        driver = PluginVolumes("test", Address(socket=str(plugin.socket)))
        yield driver
        await driver.aclose()


@pytest.fixture
def plugin(scratch: Path, tmp_path: Path) -> Iterator[Plugin]:
    with Plugin(scratch / "plugins" / "test.sock", tmp_path / "plugin") as running:
        yield running
    running.socket.unlink()


@pytest.fixture
async def plugins(plugin: Plugin) -> AsyncIterator[Plugins]:
    found = Plugins((plugin.socket.parent,))
    yield found
    await found.aclose()


async def test_a_volume_with_mount_options_is_mounted_while_somebody_uses_it(tmp_path: Path) -> None:
    driver = LocalVolumes(tmp_path / "volumes")
    await driver.create("data", {"type": "tmpfs", "device": "tmpfs"})
    path = await driver.mount("data", "one")
    await driver.mount("data", "two")
    await driver.unmount("data", "one")
    assert mounted(path)
    # A driver of the next daemon, told who went on.
    after = LocalVolumes(tmp_path / "volumes")
    await after.adopt("data", "two")
    await after.mount("data", "three")
    await after.unmount("data", "three")
    assert mounted(path)
    await after.unmount("data", "two")
    assert not mounted(path)


async def test_what_is_bound_into_a_volume_outlives_it(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source/file").write_text("kept")
    driver = LocalVolumes(tmp_path / "volumes")
    await driver.create("data", {"type": "none", "device": str(tmp_path / "source"), "o": "bind"})
    await driver.mount("data", "one")
    await driver.remove("data")
    assert (tmp_path / "source/file").read_text() == "kept"


async def test_a_volume_with_something_foreign_mounted_in_it_is_not_removed(tmp_path: Path) -> None:
    driver = LocalVolumes(tmp_path / "volumes")
    await driver.create("data", {})
    inside = await driver.mount("data", "one") / "inside"
    inside.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", inside], check=True)
    try:
        (inside / "file").touch()
        with pytest.raises(Conflict, match="is mounted there"):
            await driver.remove("data")
        assert (inside / "file").exists()
    finally:
        subprocess.run(["umount", inside], check=True)
    await driver.remove("data")


async def test_a_password_is_not_told_when_a_mount_fails(tmp_path: Path) -> None:
    driver = LocalVolumes(tmp_path / "volumes")
    options = {"type": "cifs", "device": "//127.0.0.1/share", "o": "addr=127.0.0.1,username=me,password=secret"}
    await driver.create("data", options)
    with pytest.raises(Invalid) as failed:
        await driver.mount("data", "one")
    assert "secret" not in str(failed.value)
    assert "username=me" in str(failed.value)


async def test_a_network_address_that_does_not_resolve_is_told(tmp_path: Path) -> None:
    driver = LocalVolumes(tmp_path / "volumes")
    await driver.create("data", {"type": "nfs", "device": ":/export", "o": "addr=no-such-host.invalid,rw"})
    with pytest.raises(Invalid, match="error resolving passed in network volume address"):
        await driver.mount("data", "one")


async def test_a_size_without_quotas_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="quota size requested but no quota support"):
        await LocalVolumes(tmp_path / "volumes").create("data", {"size": "1m"})
    assert list((tmp_path / "volumes").iterdir()) == []


@pytest.fixture
def with_quotas(tmp_path: Path) -> Iterator[Path]:
    """A small file system that has project quotas."""
    image, place = tmp_path / "image", tmp_path / "quotas"
    with image.open("wb") as file:
        file.truncate(64 << 20)
    made = subprocess.run(
        ["mkfs.ext4", "-q", "-O", "quota,project", "-E", "quotatype=prjquota", image], capture_output=True, check=False
    )
    place.mkdir()
    if (
        made.returncode
        or subprocess.run(["mount", "-o", "loop,prjquota", image, place], capture_output=True, check=False).returncode
    ):
        pytest.skip("the kernel's project quotas of ext4 (CONFIG_QFMT_V2), or loop devices, are missing")
    yield place
    subprocess.run(["umount", place], check=True)


async def test_a_size_is_a_limit_where_the_file_system_has_project_quotas(with_quotas: Path) -> None:
    driver = LocalVolumes(with_quotas / "volumes")
    await driver.create("small", {"size": "1m"})
    await driver.create("large", {"size": "8m"})
    await driver.create("free", {})
    small = await driver.mount("small", "one")
    (small / "directory").mkdir()
    (small / "directory/fits").write_bytes(b"x" * (512 << 10))
    with pytest.raises(OSError, match="quota exceeded|No space left"):
        (small / "directory/too-much").write_bytes(b"x" * (1 << 20))
    (await driver.mount("large", "one") / "file").write_bytes(b"x" * (4 << 20))
    (await driver.mount("free", "one") / "file").write_bytes(b"x" * (4 << 20))
    for name in ("small", "large", "free"):
        await driver.remove(name)
    await driver.create("again", {"size": "2m"})
    (await driver.mount("again", "one") / "file").write_bytes(b"x" * (1 << 20))


async def test_plugins_are_found_by_socket_and_by_specification(
    plugins: Plugins, plugin: Plugin, tmp_path: Path
) -> None:
    directory = plugin.socket.parent
    (directory / "other.spec").write_text(f"unix://{plugin.socket}\n")
    (directory / "third.json").write_text(f'{{"Name": "third", "Addr": "unix://{plugin.socket}"}}')
    (directory / "bad.json").write_text("{")
    try:
        assert await plugins.names() == ["bad", "other", "test", "third"]
        for name in ("test", "test:latest", "other", "third"):
            await (await plugins.get(name)).create(f"of-{name.partition(':')[0]}", {"a": "b"})
        assert [call["Name"] for call in plugin.calls("Create")] == ["of-test", "of-test", "of-other", "of-third"]
        assert plugin.calls("Create")[0]["Opts"] == {"a": "b"}
        with pytest.raises(Invalid, match=r"bad\.json"):
            await plugins.get("bad")
        for name in ("nosuch", "../test", "a/../../test"):
            with pytest.raises(NotFound, match="not found"):
                await plugins.get(name)
    finally:
        for name in ("other.spec", "third.json", "bad.json"):
            (directory / name).unlink()


async def test_a_plugin_that_was_started_again_is_asked_again(plugins: Plugins, plugin: Plugin) -> None:
    driver = await plugins.get("test")
    await driver.create("data", {})
    plugin.kill()
    with pytest.raises(Unavailable, match="volume plugin test"):
        await driver.inspect("data")
    plugin.start()
    assert (await driver.inspect("data")).status == {"kept": "by the test plugin"}
    assert await driver.scope() == "global"


async def test_what_a_plugin_refuses_is_told_in_its_words(plugins: Plugins) -> None:
    driver = await plugins.get("test")
    await driver.create("data", {"fail": "mount"})
    with pytest.raises(HostFailure, match="mount was told to fail"):
        await driver.mount("data", "one")
