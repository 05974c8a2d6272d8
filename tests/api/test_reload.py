"""SIGHUP: daemon.json is read again, what may change changes, the rest is told in the log."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.wire import Api
from tests.host import Daemon
from tests.registries import registry

pytestmark = pytest.mark.root

LIMIT_S = 20.0


class Reloadable:
    """A daemon with a configuration file, and how to change it."""

    def __init__(self, daemon: Daemon, path: Path) -> None:
        self.daemon = daemon
        self.api = Api(str(daemon.socket))
        self.path = path

    def reload(self, document: Any) -> None:
        """Write the file, and wait until the daemon has said what it made of it."""
        self.path.write_text(document if isinstance(document, str) else json.dumps(document))
        told = self._told()
        os.kill(self.daemon.pid, signal.SIGHUP)
        self.wait(lambda: self._told() > told)

    def _told(self) -> int:
        text = self.log()
        return text.count("the configuration was read again") + text.count("the configuration stays as it was")

    def log(self) -> str:
        return self.daemon.log.read_text()

    def info(self) -> dict[str, Any]:
        found: dict[str, Any] = self.api.ok("GET", "/info").json
        return found

    def events(self) -> list[dict[str, Any]]:
        now = time.time()
        filters = json.dumps({"type": ["daemon"]})
        query = {"since": f"{now - 3600:.3f}", "until": f"{now + 1:.3f}", "filters": filters}
        return self.api.ok("GET", "/events", query=query).lines

    @staticmethod
    def wait(holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + LIMIT_S
        while not holds():
            assert time.monotonic() < deadline, "the daemon did not take notice"
            time.sleep(0.01)


@pytest.fixture
def daemon_with_file(scratch: Path, request: pytest.FixtureRequest) -> Iterator[Reloadable]:
    name = f"dwh{abs(hash(request.node.nodeid)) % 10**8}"
    root = scratch / name
    root.mkdir()
    path = root / "daemon.json"
    path.write_text(json.dumps({"labels": ["a=b"], "debug": False}))
    with Daemon(root, name, f"--config-file={path}") as running:
        yield Reloadable(running, path)


def test_what_may_change_changes_and_an_event_tells(daemon_with_file: Reloadable) -> None:
    here = daemon_with_file
    before = here.info()
    assert (before["Debug"], before["Labels"], before["RegistryConfig"]["Mirrors"]) == (False, ["a=b"], [])
    other = "runc" if before["DefaultRuntime"] == "crun" else "crun"
    here.reload(
        {
            "debug": True,
            "labels": ["c=d"],
            "live-restore": False,
            "shutdown-timeout": 3,
            "insecure-registries": ["r:5000"],
            "registry-mirrors": {"docker.io": ["https://m.example"], "quay.io": ["https://q.example"]},
            "max-concurrent-downloads": 2,
            "max-concurrent-uploads": 1,
            "max-download-attempts": 2,
            "runtimes": {"mine": {"path": before["Runtimes"][other]["path"]}},
            "default-runtime": "mine",
            "features": {"containerd-snapshotter": True},
        }
    )
    found = here.info()
    assert (found["Debug"], found["Labels"], found["LiveRestoreEnabled"]) == (True, ["c=d"], False)
    assert found["RegistryConfig"]["Mirrors"] == ["https://m.example/"]
    assert found["RegistryConfig"]["IndexConfigs"]["r:5000"]["Secure"] is False
    assert found["RegistryConfig"]["IndexConfigs"]["quay.io"]["Mirrors"] == ["https://q.example/"]
    assert found["DefaultRuntime"] == "mine"
    assert set(found["Runtimes"]) == {*before["Runtimes"], "mine"}
    (event,) = here.events()
    assert (event["Action"], event["Actor"]["ID"]) == ("reload", found["ID"])
    told = event["Actor"]["Attributes"]
    assert (told["debug"], told["labels"], told["max-concurrent-downloads"]) == ("true", '["c=d"]', "2")
    assert "DEBUG" in here.log()
    # What is gone from the file is as if it had never been there.
    here.reload({})
    found = here.info()
    assert (found["Debug"], found["Labels"], found["Runtimes"].keys()) == (False, [], before["Runtimes"].keys())
    assert found["RegistryConfig"]["Mirrors"] == []


@pytest.mark.parametrize(
    "document",
    [
        "{",
        "[]",
        {"nonsense": 1},
        {"registry-mirrors": ["nonsense"], "labels": ["x=y"]},
        {"labels": ["x=y"], "runtimes": {"none": {"path": "/nonexistent"}}},
        {"labels": ["x=y"], "default-runtime": "none"},
        {"data-root": "/elsewhere", "labels": ["x=y"]},
    ],
)
def test_a_file_that_is_wrong_changes_nothing(daemon_with_file: Reloadable, document: Any) -> None:
    here = daemon_with_file
    before = here.info()
    here.reload(document)
    after = here.info()
    same = ("Labels", "Debug", "RegistryConfig", "Runtimes", "DefaultRuntime")
    assert [after[name] for name in same] == [before[name] for name in same]
    assert here.events() == []
    assert "the configuration stays as it was" in here.log()


def test_what_needs_a_restart_is_told(daemon_with_file: Reloadable) -> None:
    here = daemon_with_file
    here.reload({"mtu": 1400, "labels": ["new=1"]})
    assert "a new value of mtu takes effect at the next start" in here.log()
    assert here.info()["Labels"] == ["new=1"]


def test_a_registry_that_became_insecure_or_mirrored_is_asked_that_way(
    daemon_with_file: Reloadable, scratch: Path, busybox_image: Path
) -> None:
    here = daemon_with_file
    here.daemon.import_image(busybox_image, "busybox:latest")
    with registry(scratch / "reload-mirror") as mirror:
        name = mirror.name("library/tool")
        here.api.ok("POST", f"/images/busybox/tag?repo={name}&tag=1")
        assert "aux" in here.api.ok("POST", f"/images/{name}/push?tag=1").lines[-1]
        target = "/images/create?fromImage=far.invalid/library/tool&tag=1"
        assert here.api("POST", target).status == 503
        here.reload({"registry-mirrors": {"far.invalid": [mirror.url]}})
        assert here.api.ok("POST", target).lines[-1]["status"].endswith("far.invalid/library/tool:1")


def test_hangups_in_a_row_are_all_heard(daemon_with_file: Reloadable) -> None:
    here = daemon_with_file
    for number in range(20):
        here.path.write_text(json.dumps({"labels": [f"number={number}"]}))
        os.kill(here.daemon.pid, signal.SIGHUP)
    here.wait(lambda: here.info()["Labels"] == ["number=19"])
