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

_ERRNO_WORDS = re.compile(
    r"permission denied|is a directory|no such file or directory|operation not permitted|invalid argument", re.I
)
_GONE = re.compile(
    r"does not exist|no such process|container not running|not found|already stopped|is stopped|cannot open directory"
    r"|cannot rm state directory",  # crun: another one of it was faster
    re.I,
)

_COMMAND = re.compile(
    r"executable file [`'\"]?(.*?)[`'\"]? (?:not found|in \$PATH)|exec: \"(.*?)\"|open executable.*?`(.*?)`"
)
_CREATE_FAILED = "failed to create task for container: OCI runtime create failed: "
_ABSENT = "no such file or directory"
_DENIED = "permission denied"


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


def start_error(message: str, command: str | None = None, head: str = _CREATE_FAILED) -> StartFailed:
    """Docker's wording and exit code for a runtime's refusal: clients derive 127 and 126 from the text.

    docker/cli maps "executable file not found" and "no such file or directory" to 127, "permission denied" to 126, all in lower
    case. `command` is what was to be executed, where the caller knows it: crun does not always name it; `head` begins the text.
    """
    text = _plain(message.strip().splitlines()[-1] if message.strip() else "no message")
    lower = text.lower()
    if "executable" in lower or "exec:" in lower:
        named = _COMMAND.search(text) if command is None else None
        name = next((part for part in named.groups() if part), "") if named else command
        if name is not None and (reason := _unrunnable(lower, name)):
            why, code = reason
            return StartFailed(f'{head}exec: "{name}": {why}: unknown', code)
    code = 127 if _ABSENT in lower else 126 if _DENIED in lower or "is a directory" in lower else 125
    return StartFailed(f"{head}{text}: unknown", code)


def _unrunnable(text: str, name: str) -> tuple[str, int] | None:
    """Why a command cannot be executed, in Docker's words, and the exit code that goes with it."""
    # crun's "operation not permitted" is a directory; an empty command is one too, the working directory.
    refused = _DENIED in text or "operation not permitted" in text
    if not name or _ABSENT in text or "not found" in text:
        return (f"stat {name}: {_ABSENT}" if "/" in name else "executable file not found in $PATH"), 127
    return (_DENIED, 126) if refused else None


def _plain(text: str) -> str:
    """The kernel's reasons in lower case, as Docker's clients look for them; crun says them as strerror(3) does."""
    return _ERRNO_WORDS.sub(lambda found: found[0].lower(), text)
