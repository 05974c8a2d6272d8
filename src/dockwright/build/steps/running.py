"""The RUN steps of builds: one command, in a container of its own that no list shows, its changes kept in a snapshot.

The OCI runtime is our child and ends with the command's exit code; a step dies with the daemon that ran it, and what it had
acquired is undone by the next start (`Runner.clear`).
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from dockwright import cgroup, faults, workers
from dockwright.build.lending.lender import Lender
from dockwright.build.planning.graph import Execute
from dockwright.build.steps import lent, stubs
from dockwright.container import hostfiles
from dockwright.container.config import Config, HostConfig, Ulimit
from dockwright.container.mounts import MountPoint
from dockwright.container.parts import Parts
from dockwright.container.spec import build as specification
from dockwright.container.starting import remove_directory
from dockwright.errors import HostFailure, InUse, Invalid, StartFailed
from dockwright.network import AttachRequest, Join
from dockwright.runtime import Runtime, programs, strays
from dockwright.runtime.pidfd import Process
from dockwright.undo import UndoStack, shielded

Output = Callable[[bytes], None]
# What BuildKit calls its own.
HOSTNAME = "buildkitsandbox"
_CHUNK = 64 * 1024
# How long processes that were killed may take to go.
CGROUP_LIMIT_S = 5.0
log = logging.getLogger(__name__)


class StepFailed(StartFailed):
    """A RUN whose command ended with another code than 0. `image_id` is what was kept of its tree, where that was asked for."""

    image_id = ""

    def __init__(self, message: str, exit_code: int, command: str = "") -> None:
        """`command` is what ran; empty where nothing could."""
        super().__init__(message, exit_code)
        self.command = command

    @property
    def process(self) -> str:
        """What BuildKit says of it."""
        if not self.command:
            return str(self)
        quoted = msgspec.json.encode(self.command).decode()
        return f"process {quoted} did not complete successfully: exit code: {self.exit_code}"


@dataclass(frozen=True)
class Limits:
    """What a build may say about the containers of its steps."""

    extra_hosts: tuple[str, ...] = ()
    shm_size: int = 0
    memory: int = 0
    memory_swap: int = 0
    cpu_quota: int = 0
    cpu_period: int = 0
    cpu_shares: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    ulimits: tuple[Ulimit, ...] = ()
    cgroup_parent: str = ""
    # As `--security-opt` of a container has them.
    security_options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """One run of a command: `variables` are lent to it, and come after its own."""

    vertex: Execute
    points: list[MountPoint]
    variables: list[str]
    limits: Limits
    network: str | None

    def env(self) -> list[str]:
        """Its own variables win over what is lent to it by a name that it did not choose."""
        own = [*self.vertex.env, *self.vertex.unkeyed]
        agent = f"{lent.AGENT_VARIABLE}="
        has_agent = any(one.startswith(agent) for one in own)
        return own + [one for one in self.variables if not (has_agent and one.startswith(agent))]


class Runner:
    """Runs steps. `directory` is on the exec root; `parts` are the engine's."""

    def __init__(self, parts: Parts, directory: Path) -> None:
        self._parts, self._directory = parts, directory

    async def clear(self) -> None:
        """At the engine's start: undo what steps of a former daemon had acquired."""
        steps = await workers.quick(_names, self._directory)
        await workers.bulk(strays.end, [self._directory / step_id for step_id in steps])
        for step_id in steps:
            async with UndoStack() as undo:
                # At the bottom, so that the runtime has ended what is in it before.
                undo.push_undo(self._remove_cgroup, self._cgroup(step_id))
                self._prepare_undo(undo, step_id)

    @asynccontextmanager
    async def changed(self, below: str | None) -> AsyncIterator[tuple[str, Path]]:
        """A writable snapshot on `below` and where it is mounted, for as long as the context lasts."""
        step_id = "build-" + secrets.token_hex(16)
        rootfs = self._directory / step_id / "rootfs"
        async with UndoStack(limit_s=None) as undo:  # a step may have written very many files
            self._prepare_undo(undo, step_id)
            await workers.quick(rootfs.mkdir, parents=True)
            await self._parts.snapshots.prepare(step_id, below)
            faults.point("build.mount")
            await self._parts.snapshots.mount(step_id, rootfs)
            yield step_id, rootfs

    async def unmount(self, rootfs: Path) -> None:
        """Take away the mount that `changed` gave: what was changed is all that is wanted now."""
        await self._parts.snapshots.unmount(rootfs)

    async def run(
        self,
        step_id: str,
        rootfs: Path,
        vertex: Execute,
        points: list[MountPoint],
        limits: Limits,
        output: Output,
        lender: Lender,
    ) -> None:
        """Run the command of `vertex` in the snapshot that `changed` gave; what it says goes to `output`.

        Raises `StepFailed`, `Invalid` (no such user), `HostFailure`. Cancelled, the command is killed.
        """
        runtime = self._parts.runtime(None)
        network = await self._network(step_id, vertex.network)
        async with lent.borrowed(lender, [one.mount for one in vertex.mounts], self._directory / step_id) as given:
            step = Step(vertex, [*points, *given.points], given.variables, limits, network)
            targets = await workers.quick(self._write_bundle, step_id, rootfs, step)
            made = await workers.quick(stubs.look, rootfs, targets)
            faults.point("build.run")
            code, complaint = await self._execute(step_id, runtime, self._cgroup(step_id, limits.cgroup_parent), output)
            await workers.quick(stubs.clear, rootfs, made)
        if complaint:
            raise StepFailed(f"failed to run {' '.join(vertex.arguments)!r}: {complaint}", 127)
        if code:
            command = " ".join(vertex.arguments)
            raise StepFailed(f"The command '{command}' returned a non-zero code: {code}", code, command)

    def _prepare_undo(self, undo: UndoStack, step_id: str) -> None:
        parts, folder = self._parts, self._directory / step_id
        undo.push_undo(workers.bulk, remove_directory, folder)
        undo.push_undo(self._forget, step_id)
        undo.push_undo(parts.snapshots.unmount, folder / "rootfs")
        undo.push_undo(parts.snapshots.unmount, folder / lent.SECRETS)
        undo.push_undo(parts.networks.detach, step_id)
        undo.push_undo(parts.runtime(None).delete, step_id, force=True)

    async def _forget(self, step_id: str) -> None:
        for found in self._parts.snapshots.walk():
            if found.key == step_id or found.key.startswith(f"{step_id}."):
                await self._parts.snapshots.remove(found.key)

    async def _remove_cgroup(self, path: str) -> None:
        """Once what was killed in it has gone; one that stays is told in the log, and keeps nobody from starting."""
        deadline = time.monotonic() + CGROUP_LIMIT_S
        while True:
            try:
                await workers.quick(cgroup.remove, self._parts.cgroups, path)
                return
            except InUse as error:
                if time.monotonic() > deadline:
                    log.warning("%s", error)
                    return
                await asyncio.sleep(0.02)

    async def _network(self, step_id: str, mode: str) -> str | None:
        networks = self._parts.networks
        if mode == "host":
            return None
        name = "bridge" if mode in ("", "default") else mode
        return str((await networks.attach(step_id, AttachRequest(step_id, (Join(name),)))).netns_path)

    def _cgroup(self, step_id: str, parent: str = "") -> str:
        parent = parent or self._parts.defaults.cgroup_parent
        return f"/{parent.strip('/')}/{step_id}"

    def _write_bundle(self, step_id: str, rootfs: Path, step: Step) -> list[str]:
        """Write the specification; where it mounts something."""
        vertex, limits = step.vertex, step.limits
        folder = self._directory / step_id
        files = self._files(folder, step_id, vertex, limits)
        config = Config(
            user=vertex.user,
            env=step.env(),
            cmd=list(vertex.arguments),
            working_dir=vertex.working_dir,
        )
        host = HostConfig(
            network_mode=vertex.network,
            privileged=vertex.security == "insecure",
            shm_size=limits.shm_size,
            memory=limits.memory,
            memory_swap=limits.memory_swap,
            cpu_quota=limits.cpu_quota,
            cpu_period=limits.cpu_period,
            cpu_shares=limits.cpu_shares,
            cpuset_cpus=limits.cpuset_cpus,
            cpuset_mems=limits.cpuset_mems,
            ulimits=list(limits.ulimits),
            security_opt=list(limits.security_options),
            ipc_mode="private",
            cgroupns_mode=self._parts.defaults.cgroupns_mode,
        )
        around = specification.Surroundings(
            rootfs=rootfs,
            hostname=vertex.hostname or HOSTNAME,
            cgroup_path=self._cgroup(step_id, limits.cgroup_parent),
            network=step.network,
            points=step.points,
            host_files=files,
            process_of=_no_process,
            default_ulimits=self._parts.defaults.ulimits,
            seccomp_profile=self._parts.defaults.seccomp_profile,
        )
        built = specification.build(config, host, around)
        (folder / "config.json").write_bytes(msgspec.json.encode(built))
        return [mount["destination"] for mount in built["mounts"]]

    def _files(self, folder: Path, step_id: str, vertex: Execute, limits: Limits) -> dict[str, str]:
        defaults, of_host = self._parts.defaults, vertex.network == "host"
        attachment = self._parts.networks.attachment(step_id)
        texts = {
            "hosts": hostfiles.hosts(
                defaults, attachment, vertex.hostname or HOSTNAME, extra_hosts=limits.extra_hosts, of_host=of_host
            ),
            "resolv.conf": hostfiles.resolv_conf(defaults, attachment, of_host=of_host),
        }
        for name, text in texts.items():
            (folder / name).write_text(text)
        found = {f"/etc/{name}": str(folder / name) for name in texts}
        if vertex.script:
            (folder / "script").write_text(vertex.script)
            (folder / "script").chmod(0o755)
            found[vertex.arguments[0]] = str(folder / "script")
        return found

    async def _execute(self, step_id: str, runtime: Runtime, group: str, output: Output) -> tuple[int, str]:
        """The exit code, and what the runtime said when it could not run the command at all."""
        folder = self._directory / step_id
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        spawned: list[subprocess.Popen[bytes]] = []
        ended: Process | None = None
        try:
            try:
                await programs.wait_in_thread(_spawn, runtime, step_id, folder, writing, spawned)
            finally:
                os.close(writing)
            (child,) = spawned
            ended = Process.hold(child.pid) or Process.gone(child.pid)
            await _copy_output(reading, output)
            await ended.wait()
        except BaseException:
            if spawned:
                await shielded(self._kill(step_id, runtime, spawned[0], group))
            raise
        finally:
            os.close(reading)
            if ended is not None:
                ended.close()
        code = child.wait()  # it has ended: this only reaps
        complaint = await workers.quick(_complaint, folder) if code else ""
        return (code if code >= 0 else 128 - code), complaint

    async def _kill(self, step_id: str, runtime: Runtime, child: subprocess.Popen[bytes], group: str) -> None:
        try:
            await runtime.kill(step_id, signal.SIGKILL)
        except HostFailure as error:
            log.debug("step %s: %s: its deletion ends it", step_id, error)  # it had not come far enough to be known
        child.kill()
        await programs.wait_in_thread(child.wait)
        # A runtime writes down what it knows of a container only after the command has begun: one that was killed before
        # leaves a command, and a cgroup, that no verb of it finds.
        await workers.quick(cgroup.kill, self._parts.cgroups, group)
        await self._remove_cgroup(group)


def _spawn(runtime: Runtime, step_id: str, folder: Path, writing: int, spawned: list[subprocess.Popen[bytes]]) -> None:
    """Put into `spawned` what was started: a caller that was cancelled meanwhile has to end it."""
    argv = [str(runtime.executable()), "--log", str(folder / "runtime.log"), *runtime.arguments]
    argv += ["run", "--bundle", str(folder), "--pid-file", str(folder / "pid"), step_id]
    try:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=writing,
            env=programs.environment(folder),
            start_new_session=True,
        )
    except OSError as error:
        raise HostFailure(f"{argv[0]}: {error.strerror}") from error
    spawned.append(child)


async def _copy_output(reading: int, output: Output) -> None:
    """Everything the command says, until nobody holds the other end any more."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(reading, ready.set)
    try:
        while True:
            try:
                chunk = os.read(reading, _CHUNK)
            except BlockingIOError:
                ready.clear()
                await ready.wait()
                continue
            if not chunk:
                return
            output(chunk)
    finally:
        loop.remove_reader(reading)


def _complaint(folder: Path) -> str:
    """What the runtime said; nothing when the command ran: the code is its own then."""
    if (folder / "pid").exists():
        return ""
    try:
        return (folder / "runtime.log").read_text(errors="replace").strip()[-2000:]
    except FileNotFoundError:
        return ""


def _no_process(container_id: str) -> int:
    raise Invalid(f"a build step shares nothing with container {container_id}")


def _names(directory: Path) -> list[str]:
    directory.mkdir(mode=0o711, parents=True, exist_ok=True)
    return [entry.name for entry in directory.iterdir()]
