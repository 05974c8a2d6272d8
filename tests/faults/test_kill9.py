"""kill -9 of the daemon at random moments under load: afterwards everything agrees and nothing is lost."""

from __future__ import annotations

import os
import random
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
import requests
from tests.host import Daemon

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

ROUNDS = 50
WORKERS = 3
PARENT = f"/dwfaults{os.getpid()}"


@pytest.fixture
def victim(scratch: Path, busybox_image: Path) -> Iterator[Daemon]:
    with Daemon(scratch / "victim", f"dwk{os.getpid()}", f"--cgroup-parent={PARENT}") as running:
        running.import_image(busybox_image, "busybox:latest")
        yield running
    for parent in Path("/sys/fs/cgroup").glob(f"*{PARENT}"):
        parent.rmdir()


class Load:
    """Clients that create, start, exec, stop and remove until told to end; they remember what was answered."""

    def __init__(self, daemon: Daemon, seed: int) -> None:
        self._daemon = daemon
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.kept: set[str] = set()
        self._threads = [threading.Thread(target=self._work, args=(seed * WORKERS + n,)) for n in range(WORKERS)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _work(self, seed: int) -> None:
        choose = random.Random(seed)
        client = self._daemon.client()
        try:
            while not self._stop.is_set():
                self._cycle(client.api, choose)
        except (docker.errors.APIError, requests.exceptions.RequestException, OSError):
            pass  # the daemon was killed under us
        finally:
            client.close()

    def _cycle(self, api: docker.APIClient, choose: random.Random) -> None:
        host = api.create_host_config(network_mode=choose.choice(["none", "bridge"]))
        created = api.create_container("busybox", ["sleep", "600"], host_config=host)["Id"]
        with self._lock:
            self.kept.add(created)
        api.start(created)
        run = api.exec_create(created, ["echo", "x"])
        api.exec_start(run["Id"])
        if choose.random() < 0.3:
            return  # it stays, running
        api.stop(created, timeout=0)
        if choose.random() < 0.3:
            return  # it stays, stopped
        with self._lock:
            self.kept.discard(created)  # from here on either outcome is right
        api.remove_container(created, force=True)


def assert_agreement(daemon: Daemon) -> dict[str, bool]:
    """State, processes, mounts, namespaces and cgroups tell the same; returns which containers run."""
    client = daemon.client()
    try:
        found = {entry["Id"]: client.api.inspect_container(entry["Id"]) for entry in client.api.containers(all=True)}
    finally:
        client.close()
    running = {key for key, shown in found.items() if shown["State"]["Running"]}
    for key in running:
        pid = found[key]["State"]["Pid"]
        assert pid and os.path.exists(f"/proc/{pid}"), f"{key}: running without a process"
    exec_root = daemon.root / "exec"
    assert {entry.name for entry in (exec_root / "containers").iterdir()} == running
    assert {entry.name for entry in (daemon.root / "data" / "containers").iterdir()} <= set(found)
    mounts = Path("/proc/self/mountinfo").read_text()
    mounted = set(re.findall(rf"{re.escape(str(exec_root))}/containers/([0-9a-f]+)/rootfs", mounts))
    assert mounted == running
    cgroups = {entry.name for entry in Path(f"/sys/fs/cgroup/pids{PARENT}").iterdir() if entry.is_dir()}
    assert cgroups == running
    return {key: key in running for key in found}


def settled_agreement(daemon: Daemon) -> dict[str, bool]:
    """What ends in the background may take a moment; what disagrees after that is a fault."""
    deadline = time.monotonic() + 5
    while True:
        try:
            return assert_agreement(daemon)
        except AssertionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def test_fifty_rounds_of_kill_9_lose_nothing_and_leak_nothing(victim: Daemon) -> None:
    choose = random.Random(20)
    kept: set[str] = set()
    for number in range(ROUNDS):
        with Load(victim, number) as load:
            time.sleep(choose.uniform(0.02, 0.6))
            victim.kill()
        kept |= load.kept
        victim.start()
        states = settled_agreement(victim)
        assert kept <= set(states), f"round {number}: lost {kept - set(states)}"
        if number % 5 == 4:
            client = victim.client()
            for key, runs in states.items():
                if runs:  # attach, logs and exec work again on what was kept running
                    run = client.api.exec_create(key, ["echo", "alive"])
                    assert client.api.exec_start(run["Id"]) == b"alive\n"
                client.api.remove_container(key, force=True)
            client.close()
            kept.clear()
