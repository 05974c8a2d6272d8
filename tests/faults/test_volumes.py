"""kill -9 of the daemon, and of a plugin, in the middle of what is done to volumes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest
from tests.api.wire import Api
from tests.host import Daemon
from tests.volume_plugin import Plugin

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def _plugin(scratch: Path) -> Iterator[Plugin]:
    with Plugin(scratch / "vp" / "test.sock", scratch / "plugin") as running:
        yield running


@pytest.fixture
def plugin(_plugin: Plugin) -> Iterator[Plugin]:
    """The plugin, with nothing in it."""
    yield _plugin
    if not _plugin.running:
        _plugin.start()
    (_plugin.root / "calls").unlink(missing_ok=True)


@pytest.fixture(scope="module")
def _victim(scratch: Path, busybox_image: Path, _plugin: Plugin) -> Iterator[Daemon]:
    name = f"dwv{os.getpid()}"
    with Daemon(scratch / name, name, f"--plugin-directory={_plugin.socket.parent}") as running:
        running.import_image(busybox_image, "busybox:latest")
        yield running


@pytest.fixture
def victim(_victim: Daemon, plugin: Plugin) -> Iterator[Daemon]:
    """A daemon to be killed and started again at will, with no container and no volume."""
    yield _victim
    api = Api(str(_victim.socket))
    for entry in api.ok("GET", "/containers/json?all=1").json:
        api.remove(entry["Id"])
    if not plugin.running:
        plugin.start()
    for name in names(api):
        for snapshot in api.ok("GET", f"/volumes/{name}/snapshots").json:
            api.ok("DELETE", f"/volumes/{name}/snapshots/{snapshot['Tag']}")
        api.ok("DELETE", f"/volumes/{name}?force=1")


def killed_at(daemon: Daemon, point: str, method: str, path: str, body: Any = None) -> None:
    """Make the daemon kill itself where `point` is passed, while it answers this request; then start it again."""
    daemon.stop()
    daemon.environment["DOCKWRIGHT_FAULTS"] = f"{point}:kill"
    daemon.start()
    with suppress(OSError, HTTPException):
        Api(str(daemon.socket))(method, path, body)
    assert daemon._process is not None
    daemon._process.wait(20)
    daemon.environment.clear()
    daemon.start()


def mountpoint(api: Api, name: str) -> Path:
    return Path(api.ok("GET", f"/volumes/{name}").json["Mountpoint"])


def names(api: Api) -> list[str]:
    return [volume["Name"] for volume in api.ok("GET", "/volumes").json["Volumes"]]


def shown(root: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in root.iterdir()}


@pytest.mark.parametrize(
    ("point", "restored"),
    [("volume.exchange", False), ("volume.leaving", True), ("volume.entering", True)],
)
def test_a_restore_that_was_begun_is_ended_by_the_next_daemon_or_never_was(
    victim: Daemon, point: str, restored: bool
) -> None:
    api = Api(str(victim.socket))
    api.ok("POST", "/volumes/create", {"Name": "data"})
    root = mountpoint(api, "data")
    for name in "abcde":
        (root / name).write_text("old")
    api.ok("POST", "/volumes/data/snapshots?tag=one")
    for name in "abcxyz":
        (root / name).write_text("new")
    before = shown(root)
    writer = api.run("sleep", "1000", HostConfig={"Binds": ["data:/data"]})
    killed_at(victim, point, "POST", "/volumes/data/restore?tag=one")
    assert shown(root) == (dict.fromkeys("abcde", "old") if restored else before)
    # It stood still when the daemon died, and goes on.
    assert api.ok("GET", f"/containers/{writer}/json").json["State"]["Status"] == "running"
    ran = api.ok("POST", f"/containers/{writer}/exec", {"Cmd": ["ls", "/data"], "AttachStdout": True}).json["Id"]
    assert api.ok("POST", f"/exec/{ran}/start", {}).body
    api.ok("POST", "/volumes/data/restore?tag=one")
    assert shown(root) == dict.fromkeys("abcde", "old")


def test_a_container_that_stood_still_for_a_daemon_that_died_goes_on(victim: Daemon) -> None:
    api = Api(str(victim.socket))
    container = api.run("sh", "-c", "while :; do date +%N > /data/now; done", HostConfig={"Binds": ["data:/data"]})
    root = mountpoint(api, "data")
    paused = api.run("sleep", "1000")
    api.ok("POST", f"/containers/{paused}/pause")
    killed_at(victim, "container.still", "POST", "/volumes/data/snapshots?tag=one")
    before = (root / "now").read_text()
    while (root / "now").read_text() == before:
        time.sleep(0.01)
    states = [api.ok("GET", f"/containers/{name}/json").json["State"]["Status"] for name in (container, paused)]
    assert states == ["running", "paused"]


def test_a_volume_that_was_not_finished_never_was(victim: Daemon) -> None:
    api = Api(str(victim.socket))
    api.ok("POST", "/volumes/create", {"Name": "data"})
    (mountpoint(api, "data") / "file").write_text("kept")
    killed_at(victim, "volume.copy", "POST", "/volumes/data/clone?name=copy")
    assert names(api) == ["data"]
    assert [path.name for path in (victim.root / "data/volumes").iterdir() if path.name != ".snapshots"] == ["data"]
    api.ok("POST", "/volumes/data/clone?name=copy")
    assert shown(mountpoint(api, "copy")) == {"file": "kept"}


@pytest.mark.parametrize("point", ["volume.going", "volume.removed"])
def test_a_removal_that_was_begun_is_ended(victim: Daemon, point: str) -> None:
    api = Api(str(victim.socket))
    api.ok("POST", "/volumes/create", {"Name": "data"})
    (mountpoint(api, "data") / "file").write_text("gone")
    killed_at(victim, point, "DELETE", "/volumes/data")
    assert names(api) == []
    assert [path.name for path in (victim.root / "data/volumes").iterdir() if path.name != ".snapshots"] == []


@pytest.mark.parametrize("point", ["volume.rename", "volume.renamed"])
def test_a_rename_that_was_begun_is_ended_everywhere(victim: Daemon, point: str) -> None:
    api = Api(str(victim.socket))
    container = api.create("cat", "/data/file", HostConfig={"Binds": ["data:/data"]})
    (mountpoint(api, "data") / "file").write_text("kept")
    api.ok("POST", "/volumes/data/snapshots?tag=one")
    killed_at(victim, point, "POST", "/volumes/data/rename?name=other")
    assert names(api) == ["other"]
    found = api.ok("GET", f"/containers/{container}/json").json
    assert found["HostConfig"]["Binds"] == ["other:/data"]
    assert found["Mounts"][0]["Source"] == str(mountpoint(api, "other"))
    assert [one["Tag"] for one in api.ok("GET", "/volumes/other/snapshots").json] == ["one"]
    assert api("DELETE", "/volumes/other").status == 409
    api.ok("POST", f"/containers/{container}/start")
    assert api.wait(container) == 0
    api.ok("POST", "/volumes/other/restore?tag=one")


@pytest.mark.parametrize("point", ["volume.fill", "create.persist"])
def test_a_create_that_was_not_finished_leaves_no_anonymous_volume(victim: Daemon, point: str) -> None:
    api = Api(str(victim.socket))
    body = {"Image": "busybox", "Cmd": ["true"], "Volumes": {"/home": {}}, "HostConfig": {"Binds": ["named:/etc"]}}
    killed_at(victim, point, "POST", "/containers/create", body)
    assert names(api) == ["named"]
    assert api.ok("GET", "/containers/json?all=1").json == []
    container = api.create("cat", "/etc/passwd", Volumes={"/home": {}}, HostConfig={"Binds": ["named:/etc"]})
    assert (mountpoint(api, "named") / "passwd").exists()
    api.ok("POST", f"/containers/{container}/start")
    assert api.wait(container) == 0


def test_a_removal_with_volumes_that_was_begun_takes_the_anonymous_ones(victim: Daemon) -> None:
    api = Api(str(victim.socket))
    kept = api.create(Volumes={"/kept": {}})
    kept_volume = api.ok("GET", f"/containers/{kept}/json").json["Mounts"][0]["Name"]
    api.ok("DELETE", f"/containers/{kept}")
    doomed = api.create(Volumes={"/data": {}})
    killed_at(victim, "remove.release", "DELETE", f"/containers/{doomed}?v=1")
    assert names(api) == [kept_volume]


def test_a_mounted_volume_lives_with_its_containers_across_daemons_and_goes_with_the_last(victim: Daemon) -> None:
    api = Api(str(victim.socket))
    api.ok("POST", "/volumes/create", {"Name": "memory", "DriverOpts": {"type": "tmpfs", "device": "tmpfs"}})
    running = api.run("sleep", "1000", HostConfig={"Binds": ["memory:/m"]})
    dying = api.run("sleep", "1000", HostConfig={"Binds": ["memory:/m"]})
    root = mountpoint(api, "memory")
    (root / "file").write_text("kept")
    pid = api.ok("GET", f"/containers/{dying}/json").json["State"]["Pid"]
    victim.kill()
    os.kill(pid, 9)
    victim.start()
    assert api.wait(dying) == 137
    assert (root / "file").read_text() == "kept"
    third = api.run("cat", "/m/file", HostConfig={"Binds": ["memory:/m"]})
    assert api.wait(third) == 0
    assert api("DELETE", "/volumes/memory").status == 409
    for container in (running, dying, third):
        api.remove(container)
    assert not root.is_mount()
    api.ok("DELETE", "/volumes/memory")


def test_a_plugin_keeps_volumes_for_containers(victim: Daemon, plugin: Plugin) -> None:
    api = Api(str(victim.socket))
    found = api.ok("POST", "/volumes/create", {"Name": "far", "Driver": "test", "DriverOpts": {"a": "b"}}).json
    assert (found["Driver"], found["Scope"], found["Options"]) == ("test", "global", {"a": "b"})
    assert plugin.calls("Create") == [{"verb": "Create", "Name": "far", "Opts": {"a": "b"}}]
    assert api.ok("GET", "/volumes/far").json["Status"] == {"kept": "by the test plugin"}
    container = api.run("sh", "-c", "echo kept > /data/file; sleep 1000", HostConfig={"Binds": ["far:/data"]})
    assert plugin.users("far") == [container]
    assert api("DELETE", "/volumes/far").status == 409
    kept = plugin.root / "volumes/far/data/file"
    while not kept.exists() or not kept.read_text():
        time.sleep(0.01)
    api.ok("POST", f"/containers/{container}/stop?t=0")
    while plugin.users("far"):
        time.sleep(0.01)
    reader = api.run("cat", "/data/file", HostConfig={"Binds": ["far:/data"]})
    assert api.wait(reader) == 0
    for name in (container, reader):
        api.remove(name)
    api.ok("DELETE", "/volumes/far")
    assert plugin.calls("Remove")[-1]["Name"] == "far"
    assert "test" in api.ok("GET", "/info").json["Plugins"]["Volume"]


def test_volumes_that_a_plugin_has_by_itself_are_listed_used_and_copied(victim: Daemon, plugin: Plugin) -> None:
    api = Api(str(victim.socket))
    home = plugin.root / "volumes" / "own"
    (home / "data").mkdir(parents=True)
    (home / "options").write_text("{}")
    (home / "data/file").write_text("theirs")
    (row,) = api.ok("GET", "/volumes").json["Volumes"]
    assert (row["Name"], row["Driver"], row["CreatedAt"]) == ("own", "test", "2024-01-02T03:04:05Z")
    reader = api.run("cat", "/data/file", HostConfig={"Binds": ["own:/data"]})
    assert api.wait(reader) == 0
    api.ok("POST", "/volumes/own/snapshots?tag=one")
    (home / "data/file").write_text("changed")
    api.ok("POST", "/volumes/own/restore?tag=one")
    assert (home / "data/file").read_text() == "theirs"
    assert api("POST", "/volumes/own/rename?name=x").status == 501
    plugin.kill()
    answer = api.ok("GET", "/volumes").json
    assert [row["Name"] for row in answer["Volumes"]] == ["own"]
    assert "out of reach" in answer["Warnings"][0]
    plugin.start()


def test_a_plugin_that_refuses_or_dies_fails_the_start_and_nothing_else(victim: Daemon, plugin: Plugin) -> None:
    api = Api(str(victim.socket))
    assert api("POST", "/volumes/create", {"Name": "x", "Driver": "test", "DriverOpts": {"unknown": "1"}}).status == 500
    assert names(api) == []
    api.ok("POST", "/volumes/create", {"Name": "bad", "Driver": "test", "DriverOpts": {"fail": "mount"}})
    container = api.create(
        "true",
        HostConfig={"Mounts": [{"Type": "volume", "Source": "bad", "Target": "/m", "VolumeOptions": {"NoCopy": True}}]},
    )
    answer = api("POST", f"/containers/{container}/start")
    assert answer.status == 500
    assert "mount was told to fail" in answer.message
    api.ok("POST", "/volumes/create", {"Name": "good", "Driver": "test"})
    running = api.run("sleep", "1000", HostConfig={"Binds": ["good:/m"]})
    plugin.kill()
    answer = api("POST", "/volumes/create", {"Name": "later", "Driver": "test"})
    assert answer.status == 503
    api.ok("POST", f"/containers/{running}/stop?t=0")
    plugin.start()
    api.remove(running)
    api.remove(container)
    for name in ("bad", "good"):
        api.ok("DELETE", f"/volumes/{name}")


def test_a_plugin_that_has_gone_for_good_keeps_its_volume_until_it_is_forced_out(
    victim: Daemon, plugin: Plugin
) -> None:
    api = Api(str(victim.socket))
    api.ok("POST", "/volumes/create", {"Name": "lost", "Driver": "test"})
    plugin.kill()
    plugin.socket.unlink()
    assert api("DELETE", "/volumes/lost").status == 404
    assert names(api) == ["lost"]
    api.ok("DELETE", "/volumes/lost?force=1")
    assert names(api) == []


@pytest.mark.parametrize("point", ["update.mount", "update.persist", "update.detached"])
def test_a_mount_that_was_coming_or_going_when_the_daemon_died_is_gone(
    victim: Daemon, tmp_path: Path, point: str
) -> None:
    api = Api(str(victim.socket))
    container = api.run("sleep", "1000")
    pid = api.ok("GET", f"/containers/{container}/json").json["State"]["Pid"]
    update, adding = (
        f"/containers/{container}/update",
        {"MountAdd": [{"Type": "bind", "Source": str(tmp_path), "Target": "/m"}]},
    )
    leaving = point in ("update.unmount", "update.detached")
    if leaving:
        api.ok("POST", update, adding)
        assert f" {tmp_path} /m " in Path(f"/proc/{pid}/mountinfo").read_text()
    killed_at(victim, point, "POST", update, {"MountRemove": ["/m"]} if leaving else adding)
    assert " /m " not in Path(f"/proc/{pid}/mountinfo").read_text()
    found = api.ok("GET", f"/containers/{container}/json").json
    assert (found["State"]["Pid"], found["Mounts"]) == (pid, [])
    api.ok("POST", update, adding)
    assert " /m " in Path(f"/proc/{pid}/mountinfo").read_text()
