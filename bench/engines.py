"""The engines under measurement: each a socket, and how its own people would talk to it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from bench import debian, memory
from bench.http import Connection, Failed

START_LIMIT_S = 60.0
CGROUP_PARENT = "/dwbench"
DOCKER = shutil.which("docker") or ""


class Engine:
    """An engine behind a unix socket. `cli` is the command line its own people use."""

    def __init__(self, name: str, socket: str, cli: list[str]) -> None:
        self.name = name
        self.socket = socket.removeprefix("unix://")
        self.cli = cli

    def connection(self) -> Connection:
        """A new connection to its API."""
        return Connection(self.socket)

    def call(self, method: str, path: str, body: object = None, /, **query: str) -> Any:
        """One API call on a connection of its own."""
        connection = self.connection()
        try:
            return connection.call(method, path, body, **query)
        finally:
            connection.close()

    def docker(self, *arguments: str) -> float:
        """Run the docker CLI against it, output discarded: seconds of wall time."""
        return self._timed([DOCKER, *arguments])

    def own(self, *arguments: str) -> float:
        """Run the engine's own CLI, output discarded: seconds of wall time."""
        return self._timed([*self.cli, *arguments])

    def create(self, image: str, command: list[str], **host: object) -> str:
        """Create a container and return its id."""
        return str(self.call("POST", "/containers/create", body(image, command, **host))["Id"])

    def start(self, container: str) -> None:
        """Start it."""
        self.call("POST", f"/containers/{container}/start")

    def remove(self, container: str) -> None:
        """Remove it by force, with its volumes; one that is gone is no error."""
        with suppress(Failed):
            self.call("DELETE", f"/containers/{container}", force="1", v="1")

    def import_image(self, archive: Path, name: str) -> float:
        """`docker import` by the API: seconds of wall time."""
        repository, _, tag = name.partition(":")
        connection = self.connection()
        began = time.perf_counter()
        with archive.open("rb") as source:
            connection.request(
                "POST",
                f"/v1.41/images/create?fromSrc=-&repo={repository}&tag={tag}",
                source,
                {"Content-Type": "application/x-tar", "Content-Length": str(archive.stat().st_size)},
            )
            answer = connection.getresponse()
            said = answer.read().decode()
        took_s = time.perf_counter() - began
        connection.close()
        if answer.status >= 400 or '"error"' in said:
            raise Failed(f"import: {answer.status} {said}")
        return took_s

    def remove_image(self, name: str) -> None:
        """Remove an image; one that is gone is no error."""
        with suppress(Failed):
            self.call("DELETE", f"/images/{name}", force="1")

    def pss_kib(self) -> int:
        """What the daemon, its helpers and its containers' monitors hold."""
        running = self.call("GET", "/containers/json")
        pids = [self.call("GET", f"/containers/{found['Id']}/json")["State"]["Pid"] for found in running]
        return memory.engine_pss_kib(memory.daemon_pid(self.socket), pids)

    def describe(self) -> str:
        """Version and storage, for the facts below the table."""
        version, info = self.call("GET", "/version"), self.call("GET", "/info")
        return f"{version['Version']}, {info['Driver']}, cgroup v{info.get('CgroupVersion', '1')}"

    def _timed(self, argv: list[str]) -> float:
        environment = os.environ | {"DOCKER_HOST": f"unix://{self.socket}", "DOCKER_CLI_HINTS": "false"}
        began = time.perf_counter()
        done = subprocess.run(
            argv, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        took_s = time.perf_counter() - began
        if done.returncode:
            raise Failed(f"{' '.join(argv[:3])}: {done.stderr.decode(errors='replace').strip()}")
        return took_s


def body(image: str, command: list[str], **host: object) -> dict[str, object]:
    """The body of a create call; `host` are fields of HostConfig."""
    return {"Image": image, "Cmd": command, "HostConfig": host}


class Given(Engine):
    """An engine that somebody else started and keeps."""

    def __init__(self, name: str, socket: str) -> None:
        super().__init__(name, socket, [DOCKER])


class Started(Engine):
    """An engine of this run: a daemon process with a root of its own. Leaving stops it and removes what it made."""

    def __init__(self, name: str, root: Path, cli: list[str]) -> None:
        super().__init__(name, str(root / "engine.sock"), cli)
        self.root = root
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        """The daemon's command line."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        """What the daemon runs with."""
        return dict(os.environ)

    def __enter__(self) -> Engine:
        (self.root / "exec").mkdir(parents=True)
        # As on an ordinary host, where it is below /run; the mount is this run's own.
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=711", "dwbench", self.root / "exec"], check=True)
        with (self.root / "log").open("wb") as log:
            self._process = subprocess.Popen(
                self.command(), env=self.environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            self._wait()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            with suppress(Failed, OSError):
                for container in self.call("GET", "/containers/json", all="1"):
                    self.remove(container["Id"])
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        _unmount_below(self.root)
        shutil.rmtree(self.root, ignore_errors=True)
        _remove_cgroups()

    def _wait(self) -> None:
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline:
            assert self._process is not None
            if self._process.poll() is not None:
                break
            try:
                self.call("GET", "/version")
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise SystemExit(f"bench: {self.name} did not start:\n{(self.root / 'log').read_text()[-3000:]}")


class Dockwright(Started):
    """Our own daemon, of the Python that runs the bench."""

    def __init__(self, root: Path) -> None:
        super().__init__("ours", root, [_script("dockwright")])

    def command(self) -> list[str]:
        return [
            _script("dockwrightd"),
            f"--host=unix://{self.socket}",
            f"--data-root={self.root}/data",
            f"--exec-root={self.root}/exec",
            f"--pidfile={self.root}/pid",
            "--bridge=dwbench1",
            "--bip=10.214.0.1/16",
            f"--cgroup-parent={CGROUP_PARENT}",
        ]


class Dockerd(Started):
    """The daemon of Debian's docker.io, with the containerd it starts: the host's, or one in a tree of its own.

    `program` is its path in such a tree; `settings` are of its daemon.json.
    """

    BRIDGE = "dwbench0"

    def __init__(self, root: Path, program: str = "dockerd", settings: dict[str, object] | None = None) -> None:
        super().__init__("dockerd", root, [DOCKER])
        self._program, self._settings = program, settings or {}

    @staticmethod
    def installed() -> bool:
        """Whether dockerd and containerd are on this host."""
        return bool(shutil.which("dockerd") and shutil.which("containerd"))

    @staticmethod
    def at(where: str) -> str:
        """The path of the one that `where` names: a path, or `debian:SUITE`, which is fetched. Raises `debian.Missing`."""
        suite = where.removeprefix("debian:")
        return where if suite == where else str(debian.dockerd(suite))

    def environment(self) -> dict[str, str]:
        beside = Path(self._program).parent
        if not beside.is_absolute():
            return dict(os.environ)
        programs = self.root / "programs"
        programs.mkdir()
        for name in ("containerd", "containerd-shim-runc-v2", "docker-init", "docker-proxy", "runc"):
            found = next((path for path in (beside / name, beside.with_name("bin") / name) if path.exists()), None)
            # One that wants another C library is left to the host's; only runc does.
            if found is not None and (name != "runc" or _runs([str(found), "--version"])):
                (programs / name).symlink_to(found)
        return os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}

    def command(self) -> list[str]:
        settings = self.root / "daemon.json"
        settings.write_text(json.dumps(self._settings))  # the host's own daemon.json is not ours to use
        for line in (
            f"link add {self.BRIDGE} type bridge",
            f"addr add 10.213.0.1/16 dev {self.BRIDGE}",
            f"link set {self.BRIDGE} up",
        ):
            subprocess.run(["ip", *line.split()], check=True)
        return [
            self._program,
            f"--host=unix://{self.socket}",
            f"--data-root={self.root}/data",
            f"--exec-root={self.root}/exec",
            f"--pidfile={self.root}/pid",
            f"--config-file={settings}",
            f"--bridge={self.BRIDGE}",
            f"--cgroup-parent={CGROUP_PARENT}",
        ]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        subprocess.run(["ip", "link", "del", self.BRIDGE], check=False, capture_output=True)


def _runs(argv: list[str]) -> bool:
    try:
        return subprocess.run(argv, capture_output=True).returncode == 0
    except OSError:
        return False


def _script(name: str) -> str:
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else name


def _unmount_below(root: Path) -> None:
    with open("/proc/self/mountinfo") as table:
        targets = [line.split()[4] for line in table]
    for target in reversed(targets):
        if target.startswith(f"{root}/"):
            subprocess.run(["umount", "--lazy", target], check=False, capture_output=True)


def _remove_cgroups() -> None:
    for parent in [Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").iterdir()]:
        found = parent / CGROUP_PARENT.strip("/")
        if found.is_dir():
            for folder, _, _ in os.walk(found, topdown=False):
                with suppress(OSError):
                    os.rmdir(folder)
