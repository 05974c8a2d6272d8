"""Bringing a container's process to life, step by step, each with its undo; and undoing it all after the end.

Every step passes a fault point; after a failure at any of them nothing is left, and the same start may be tried again.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec.structs import replace

from dockwright import cgroup, faults, rooted, workers
from dockwright.container import endpoints, hostfiles, links, mounting
from dockwright.container.mounts import MountPoint
from dockwright.container.others import Others
from dockwright.container.parts import Parts
from dockwright.container.record import Record
from dockwright.container.spec import build as specification
from dockwright.errors import HostFailure, Invalid, Unsupported
from dockwright.network import Attachment
from dockwright.runtime import CompiledFilters, Monitor, MonitorOptions, Runtime
from dockwright.undo import UndoStack


@dataclass
class Live:
    """A container whose process exists: its monitor, and the undo of everything that was acquired for it."""

    monitor: Monitor
    runtime: Runtime
    held: UndoStack

    @property
    def pid(self) -> int:
        """The first process, in the host's pid namespace."""
        return self.monitor.pid


@dataclass(frozen=True)
class Start:
    """One start of one container. `on_created` runs between the runtime's create and start: attached clients connect there."""

    parts: Parts
    record: Record
    others: Others
    spool: Path | None
    on_created: Callable[[Monitor], Awaitable[None]]

    async def run(self) -> Live:
        """Start the process. Raises `StartFailed`, `Conflict` (ports), `Invalid`, `Unsupported`, `HostFailure`.

        A failed or cancelled start leaves nothing behind.
        """
        parts, record = self.parts, self.record
        spec = record.spec
        runtime = parts.runtime(spec.host.runtime)
        rootfs = parts.paths.rootfs(record.id)
        async with UndoStack() as undo:
            await prepare_undo(parts, record, undo)
            faults.point("start.directories")
            await workers.quick(self._make_directories, rootfs)
            faults.point("start.mount")
            await parts.snapshots.mount(record.id, rootfs)
            faults.point("start.volumes")
            points = await mounting.mount_volumes(parts, record)
            faults.point("start.network")
            linked = links.holding(parts, record, self.others.record_of)
            attachment, network = await self._network()
            faults.point("start.files")
            files = await workers.quick(hostfiles.write, parts, record, attachment, links.hosts(linked))
            faults.point("start.specification")
            env = links.environment(record, linked)
            profile = await workers.quick(self._write_bundle, rootfs, points, network, files, env, runtime.filters)
            faults.point("start.create")
            undo.push_undo(self._delete, runtime)
            monitor = await parts.conmon.create(
                runtime, record.id, parts.paths.bundle(record.id), self._monitor_options()
            )
            undo.callback(monitor.close)
            self._check_donors()
            faults.point("start.attach")
            await self.on_created(monitor)
            faults.point("start.run")
            await runtime.start(record.id)
            faults.point("start.started")
            if profile and runtime.filters is not None and not runtime.filters.annotation(profile):
                await workers.quick(runtime.filters.learn, profile, record.id)
            return Live(monitor, runtime, undo.release())

    def _make_directories(self, rootfs: Path) -> None:
        rootfs.mkdir(parents=True, exist_ok=True)
        self.parts.paths.home(self.record.id).mkdir(parents=True, exist_ok=True)
        if self.record.spec.host.ipc_mode == "shareable":
            mounting.mount_shared_memory(
                self.parts.paths.bundle(self.record.id) / "shm", self.record.spec.host.shm_size
            )

    async def _network(self) -> tuple[Attachment | None, str | None]:
        """The attachment, and the namespace for the specification: a path, "" for a new one, None for the host's."""
        spec, networks = self.record.spec, self.parts.networks
        mode = spec.host.network_mode
        if mode == "host" and not spec.config.network_disabled:
            return None, None
        if mode.startswith("container:"):
            return None, f"/proc/{self.others.process_of(mode.partition(':')[2])}/ns/net"
        request = endpoints.attach_request(self.record, networks, self.parts.defaults)
        attachment = await networks.attach(self.record.id, request)
        return attachment, str(attachment.netns_path)

    def _write_bundle(
        self,
        rootfs: Path,
        points: list[MountPoint],
        network: str | None,
        files: dict[str, str],
        env: list[str],
        filters: CompiledFilters | None,
    ) -> bytes:
        """Write the specification and return its seccomp profile, b"" without one. `env` comes before the container's own."""
        spec, defaults, paths = self.record.spec, self.parts.defaults, self.parts.paths
        bundle = paths.bundle(self.record.id)
        if spec.config.working_dir:
            _make_working_directory(rootfs, spec.config.working_dir)
        wants_init = spec.host.init if spec.host.init is not None else defaults.init
        if wants_init and not defaults.init_path:
            raise Unsupported("--init needs an init program: install catatonit or tini")
        around = specification.Surroundings(
            rootfs=rootfs,
            hostname=hostfiles.hostname(self.record),
            cgroup_path=cgroup_path(self.parts, self.record),
            network=network,
            points=mounting.like_below(rootfs, points),
            host_files=files,
            process_of=self.others.process_of,
            shm_source=self._shared_memory(bundle),
            init=defaults.init_path if wants_init else "",
            default_ulimits=defaults.ulimits,
            no_new_privileges=defaults.no_new_privileges,
            seccomp_profile=defaults.seccomp_profile,
        )
        config = replace(spec.config, env=[*env, *(spec.config.env or [])]) if env else spec.config
        built = specification.build(config, spec.host, around)
        profile = msgspec.json.encode(built["linux"]["seccomp"]) if "seccomp" in built["linux"] else b""
        if profile and filters is not None and (ready := filters.annotation(profile)):
            built["annotations"] = ready | built.get("annotations", {})
        (bundle / "config.json").write_bytes(msgspec.json.encode(built))
        return profile

    def _shared_memory(self, bundle: Path) -> str:
        mode = self.record.spec.host.ipc_mode
        if mode == "host":
            return "/dev/shm"
        if mode == "shareable":
            return str(bundle / "shm")
        if mode.startswith("container:"):
            return self._donated_shared_memory(mode.partition(":")[2])
        return ""

    def _donated_shared_memory(self, donor_id: str) -> str:
        """The /dev/shm of a container that shares its own. It must run, and must have been told to share."""
        self.others.process_of(donor_id)
        source = self.parts.paths.bundle(donor_id) / "shm"
        if not source.is_dir():
            raise Invalid(
                f"container {donor_id}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)"
            )
        return str(source)

    def _check_donors(self) -> None:
        """A container whose namespaces are shared was named by its pid: it must still be that process."""
        host = self.record.spec.host
        for mode in (host.network_mode, host.pid_mode, host.ipc_mode):
            if mode.startswith("container:"):
                self.others.process_of(mode.partition(":")[2])

    def _monitor_options(self) -> MonitorOptions:
        config = self.record.spec.config
        return MonitorOptions(
            terminal=config.tty,
            stdin=config.open_stdin,
            keep_stdin_open=config.tty or not config.stdin_once,  # a terminal may be left and come back to
            log_spool=self.spool,
        )

    async def _delete(self, runtime: Runtime) -> None:
        await runtime.delete(self.record.id, force=True)


async def prepare_undo(parts: Parts, record: Record, undo: UndoStack) -> None:
    """Push the undo of everything a start acquires, before it is acquired: each is safe when nothing was."""
    undo.push_undo(remove_bundle, parts, record.id)
    undo.push_undo(mounting.unmount_volumes, parts, record)
    undo.push_undo(parts.snapshots.unmount, parts.paths.rootfs(record.id))
    undo.push_undo(parts.networks.detach, record.id)


async def adopt(parts: Parts, record: Record, monitor: Monitor) -> Live:
    """Take over a container that a former daemon started."""
    runtime = parts.runtime(record.spec.host.runtime)
    undo = UndoStack()
    await prepare_undo(parts, record, undo)
    await mounting.adopt_volumes(parts, record)
    undo.push_undo(runtime.delete, record.id, force=True)
    undo.callback(monitor.close)
    return Live(monitor, runtime, undo)


async def tear_down(parts: Parts, record: Record) -> None:
    """Undo whatever a start of this container may have left, by this daemon or a former one."""
    async with UndoStack() as undo:
        await prepare_undo(parts, record, undo)
        # A runtime that died half-way may have made the cgroup and not yet the state that `delete` goes by.
        undo.push_undo(workers.quick, cgroup.remove, parts.cgroups, cgroup_path(parts, record))
        undo.push_undo(parts.runtime(record.spec.host.runtime).delete, record.id, force=True)


async def remove_bundle(parts: Parts, container_id: str) -> None:
    """Remove the bundle directory and what is still mounted below it."""
    await workers.quick(remove_directory, parts.paths.bundle(container_id))


async def remove_home(parts: Parts, container_id: str) -> None:
    """Remove log, hosts, hostname and resolv.conf."""
    await workers.bulk(mounting.remove_tree, parts.paths.home(container_id))


async def tear_down_stray(parts: Parts, container_id: str) -> None:
    """Undo what is left of a container that is no more: the daemon died after its row had gone, and before the rest had."""
    bundle = parts.paths.bundle(container_id)
    async with UndoStack() as undo:
        undo.push_undo(remove_bundle, parts, container_id)
        if path := await workers.quick(_cgroup_of, bundle):
            undo.push_undo(workers.quick, cgroup.remove, parts.cgroups, path)
        for runtime in parts.runtimes.values():
            undo.push_undo(runtime.delete, container_id, force=True)


def _cgroup_of(bundle: Path) -> str:
    """The cgroup that the specification in `bundle` names; empty when there is none that can be read."""
    try:
        return str(msgspec.json.decode((bundle / "config.json").read_bytes())["linux"]["cgroupsPath"])
    except (OSError, msgspec.DecodeError, KeyError, TypeError):
        return ""


def cgroup_path(parts: Parts, record: Record) -> str:
    """The container's cgroup below each hierarchy's root."""
    parent = record.spec.host.cgroup_parent or parts.defaults.cgroup_parent
    return f"/{parent.strip('/')}/{record.id}"


def _make_working_directory(rootfs: Path, path: str) -> None:
    root_fd = os.open(rootfs, os.O_PATH | os.O_DIRECTORY)
    try:
        os.close(rooted.make_directories(root_fd, path))
    except OSError as error:
        if error.errno == errno.ENOTDIR:
            raise Invalid(f"cannot mkdir: {path} is not a directory") from error
        raise Invalid(f"cannot use the working directory {path}: {error.strerror}") from error
    finally:
        os.close(root_fd)


def remove_directory(bundle: Path) -> None:
    """Remove a bundle and what is still mounted below it. Blocking. Raises `HostFailure`."""
    mounting.unmount_below(bundle)
    try:
        mounting.remove_tree(bundle)
    except OSError as error:
        raise HostFailure(f"{bundle}: {error.strerror}") from error
