"""An OCI runtime by its command line: crun, runc, and what follows them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import msgspec

from dockwright import workers
from dockwright.errors import HostFailure, StartFailed
from dockwright.runtime import programs
from dockwright.runtime.filters import CompiledFilters
from dockwright.runtime.sealed import SealedCopy
from dockwright.runtime.seam import ContainerStatus

_ERRNO_WORDS = re.compile(r"permission denied|is a directory|no such file or directory", re.I)
_GONE = re.compile(
    r"does not exist|no such process|container not running|not found|already stopped|is stopped|cannot open directory",
    re.I,
)


class OciRuntime:
    """One runtime program with its state directory. Several containers and callers at once are fine."""

    def __init__(
        self, name: str, path: Path, state_dir: Path, *, systemd_cgroup: bool = False, extra: tuple[str, ...] = ()
    ) -> None:
        self._name = name
        self._path = path
        self._state_dir = state_dir
        # Other runtimes may look for things beside their own file, or not be able to do without it.
        self._sealed = SealedCopy(path) if name == "crun" else None
        self._filters = CompiledFilters(state_dir) if name == "crun" else None
        self._arguments = ["--root", str(state_dir), *(["--systemd-cgroup"] if systemd_cgroup else []), *extra]

    @property
    def name(self) -> str:
        return self._name

    @property
    def path(self) -> Path:
        return self._path

    def executable(self) -> Path:
        return self._sealed.path() if self._sealed is not None else self._path

    @property
    def arguments(self) -> list[str]:
        return list(self._arguments)

    @property
    def filters(self) -> CompiledFilters | None:
        return self._filters

    async def version(self) -> str:
        """What `--version` says, or "" when it cannot be run."""
        try:
            done = await programs.run([str(self._path), "--version"], limit_s=10)
        except HostFailure:
            return ""
        match = re.search(rb"version:? (\S+)", done.output)
        return match[1].decode() if match else ""

    async def start(self, container_id: str) -> None:
        if self._name == "crun" and await workers.quick(_release, self._state_dir / container_id / "exec.fifo"):
            return
        done = await self._verb("start", container_id)
        if done.code:
            raise start_error(done.errors)

    async def state(self, container_id: str) -> ContainerStatus | None:
        done = await self._verb("state", container_id)
        if done.code:
            return None
        answer = msgspec.json.decode(done.output)
        return ContainerStatus(answer["status"], answer.get("pid") or 0)

    async def kill(self, container_id: str, signal: int, *, all_processes: bool = False) -> None:
        flags = ["--all"] if all_processes else []
        done = await self._verb("kill", *flags, container_id, str(signal))
        if done.code and not _GONE.search(done.errors):
            raise HostFailure(f"{self._name} kill: {done.errors}")

    async def delete(self, container_id: str, *, force: bool = False) -> None:
        done = await self._verb("delete", *(["--force"] if force else []), container_id)
        if done.code and not _GONE.search(done.errors):
            raise HostFailure(f"{self._name} delete: {done.errors}")

    async def pause(self, container_id: str) -> None:
        await self._must("pause", container_id)

    async def resume(self, container_id: str) -> None:
        await self._must("resume", container_id)

    async def update(self, container_id: str, resources: dict[str, Any]) -> None:
        done = await programs.run(
            [str(self._path), *self._arguments, "update", "--resources", "-", container_id],
            stdin=msgspec.json.encode(resources),
        )
        if done.code:
            raise HostFailure(f"{self._name} update: {done.errors}")

    def exec_arguments(self, container_id: str, process_spec: Path, pid_file: Path) -> list[str]:
        head = [str(self._path), *self._arguments, "exec"]
        return [*head, "--process", str(process_spec), "--pid-file", str(pid_file), container_id]

    async def _must(self, *arguments: str) -> None:
        done = await self._verb(*arguments)
        if done.code:
            raise HostFailure(f"{self._name} {arguments[0]}: {done.errors}")

    async def _verb(self, *arguments: str) -> programs.Completed:
        return await programs.run([str(self._path), *self._arguments, *arguments])


def _release(fifo: Path) -> bool:
    """Do what `crun start` does, without its process (5 ms): one byte into the FIFO its created process waits on.

    crun 1.x, `libcrun_status_write_exec_fifo`. False when nobody waits there: `crun start` then says why.
    """
    try:
        fd = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fifo.unlink(missing_ok=True)
        return os.write(fd, b"\0") == 1
    except BrokenPipeError:
        return False
    finally:
        os.close(fd)


def start_error(message: str) -> StartFailed:
    """Docker's wording and exit code for a runtime's refusal: clients derive 127 and 126 from the text.

    docker/cli maps "executable file not found" and "no such file or directory" to 127, "permission denied" to 126.
    """
    text = message.strip().splitlines()[-1] if message.strip() else "no message"
    lower = text.lower()
    prefix = "failed to create task for container: OCI runtime create failed: "
    command = re.search(
        r"executable file [`'\"]?(.*?)[`'\"]? (?:not found|in \$PATH)|exec: \"(.*?)\"|open executable.*?`(.*?)`", text
    )
    name = next((part for part in command.groups() if part), "") if command else ""
    if name and ("not found in $path" in lower or "executable file not found" in lower):
        return StartFailed(f'{prefix}exec: "{name}": executable file not found in $PATH: unknown', 127)
    if "no such file or directory" in lower or "executable file not found" in lower:
        return StartFailed(f"{prefix}{_ERRNO_WORDS.sub(lambda m: m[0].lower(), text)}: unknown", 127)
    if "open executable" in lower and "operation not permitted" in lower:  # crun's words for a directory
        return StartFailed(f"{prefix}exec: permission denied: unknown", 126)
    if "permission denied" in lower or "is a directory" in lower:
        # docker/cli looks for Go's spelling, all in lower case.
        return StartFailed(f"{prefix}{_ERRNO_WORDS.sub(lambda m: m[0].lower(), text)}: unknown", 126)
    return StartFailed(f"{prefix}{text}: unknown", 125)
