"""What tests need of the host: private daemons as processes, and what of ours the kernel holds."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import docker

START_LIMIT_S = 30.0


class Daemon:
    """A `dockwrightd` process with a root, socket and bridge of its own."""

    def __init__(self, root: Path, bridge: str, *flags: str, environment: dict[str, str] | None = None) -> None:
        self.root = root
        self.socket = root / "engine.sock"
        self.log = root / "daemon.log"
        self._flags = flags
        self._bridge = bridge
        self.environment = environment or {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def start(self, *, expect_death: bool = False) -> None:
        """Start it and wait until it answers; with `expect_death` until it has ended."""
        self.root.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    "from dockwright.api.daemon import main; main()",
                    f"--host=unix://{self.socket}",
                    f"--data-root={self.root}/data",
                    f"--exec-root={self.root}/exec",
                    f"--bridge={self._bridge}",
                    *self._flags,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | self.environment,
            )
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                if expect_death:
                    return
                raise AssertionError(
                    f"the daemon ended with {self._process.returncode}: {self.log.read_text()[-2000:]}"
                )
            if not expect_death and self._answers():
                return
            time.sleep(0.02)
        raise AssertionError(f"the daemon did not answer within {START_LIMIT_S} s: {self.log.read_text()[-2000:]}")

    def _answers(self) -> bool:
        try:
            client = self.client()
            client.ping()
            client.close()
        except (docker.errors.DockerException, OSError):
            return False
        return True

    def client(self) -> docker.DockerClient:
        """A client of the Docker SDK for Python."""
        return docker.DockerClient(base_url=self.url, version="1.51", timeout=60)

    def import_image(self, archive: Path, name: str) -> None:
        """Bring an image in from a root file system archive."""
        repository, _, tag = name.rpartition(":")
        client = self.client()
        client.api.import_image_from_file(str(archive), repository=repository, tag=tag)
        client.close()

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> int:
        """SIGTERM, and wait for the end."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(60)

    def restart(self) -> None:
        """A graceful end and a new start."""
        self.stop()
        self.start()

    def __enter__(self) -> Daemon:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        if self._process.poll() is not None:
            self.start()
        client = self.client()
        for container in client.api.containers(all=True):
            client.api.remove_container(container["Id"], force=True, v=True)
        client.close()
        self.stop()
        shutil.rmtree(self.root, ignore_errors=True)


def footprint() -> set[str]:
    """What the kernel holds that engines make: mounts, links, rule tables, cgroups, namespaces, monitors."""
    return {*_mounts(), *_links(), *_tables(), *_cgroups(), *_monitors()}


def _mounts() -> set[str]:
    with open("/proc/self/mountinfo") as table:
        targets = [line.split()[4] for line in table]
    return {f"mount {target}" for target in targets if target.startswith(("/tmp/", "/run/dockwright"))}


def _links() -> set[str]:
    links = json.loads(subprocess.run(["ip", "-j", "link"], check=True, capture_output=True).stdout)
    return {f"link {link['ifname']}" for link in links}


def _tables() -> set[str]:
    done = subprocess.run(["nft", "-j", "list", "tables"], check=False, capture_output=True)
    entries: list[dict[str, Any]] = json.loads(done.stdout or b"{}").get("nftables", [])
    return {f"nft table {entry['table']['name']}" for entry in entries if "table" in entry}


def _cgroups() -> set[str]:
    found = set()
    for parent in Path("/sys/fs/cgroup").glob("*/dockwright"):
        found |= {f"cgroup {child}" for child in parent.iterdir() if child.is_dir()}
    return found


def _monitors() -> set[str]:
    found = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if command[0].endswith(b"conmon"):
            found.add(f"conmon {entry.name}")
    return found
