"""The seam to an OCI runtime (runc's command-line interface, which crun, youki, runsc and kata follow).

A container's life through it:

    monitor = await conmon.create(runtime, id, bundle, options)   # runtime create, held by the monitor
    await runtime.start(id)
    await runtime.kill(id, signal.SIGTERM)
    code = await monitor.wait()
    await runtime.delete(id)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import msgspec

from dockwright.runtime.filters import CompiledFilters


class ContainerStatus(msgspec.Struct, frozen=True):
    """What the runtime says of a container: `status` is creating, created, running, stopped or paused; `pid` 0 if none."""

    status: str
    pid: int


class Runtime(Protocol):
    """Start, signal and delete containers described by OCI bundles. Every verb but `start` is safe to repeat."""

    @property
    def name(self) -> str:
        """The name in `HostConfig.Runtime` and `info`: crun, runc, …"""

    @property
    def path(self) -> Path:
        """The program."""

    def executable(self) -> Path:
        """What to execute for create and exec: the program or a copy of it that needs no protection; blocking."""

    @property
    def arguments(self) -> list[str]:
        """Global arguments before the verb: where the runtime keeps its state, cgroup manager."""

    @property
    def filters(self) -> CompiledFilters | None:
        """Seccomp programs it can be given ready-made; None where it always compiles."""

    async def start(self, container_id: str) -> None:
        """Let the created process go. Raises `StartFailed` when the runtime says no."""

    async def state(self, container_id: str) -> ContainerStatus | None:
        """The runtime's view; None when it knows no such container."""

    async def kill(self, container_id: str, signal: int, *, all_processes: bool = False) -> None:
        """Send `signal` to the first process, or to all. Nothing happens when there is none any more."""

    async def delete(self, container_id: str, *, force: bool = False) -> None:
        """Forget the container and remove its cgroup; `force` kills what still runs. Unknown ids are fine."""

    async def pause(self, container_id: str) -> None:
        """Freeze all processes. Raises `HostFailure`."""

    async def resume(self, container_id: str) -> None:
        """Thaw all processes. Raises `HostFailure`."""

    async def update(self, container_id: str, resources: dict[str, Any]) -> None:
        """Apply OCI `linux.resources` to a running container. Raises `HostFailure`."""

    def exec_arguments(self, container_id: str, process_spec: Path, pid_file: Path) -> list[str]:
        """The command that runs one more process as `process_spec` (OCI `process`) says and ends with its exit code."""
