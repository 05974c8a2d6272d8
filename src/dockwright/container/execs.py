"""Execs: further processes in a running container, from create to the exit code that inspect still tells."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from dockwright import faults, workers
from dockwright.container import links
from dockwright.container.config import Wire
from dockwright.container.detach import parse as parse_keys
from dockwright.container.hostfiles import hostname
from dockwright.container.mounting import remove_tree
from dockwright.container.spec import capabilities, process, security, users
from dockwright.container.stdio import STDERR, STDOUT, Stdio
from dockwright.errors import Conflict, Invalid, StartFailed
from dockwright.runtime import ExecProcess, ExecRequest, Runtime
from dockwright.undo import shielded

if TYPE_CHECKING:
    from dockwright.container.container import Container

KEPT_ENDED = 64
RESIZE_LIMIT_S = 10.0


class ExecConfig(Wire):
    """The body of exec create (Engine API v1.51, `ExecConfig`)."""

    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    console_size: list[int] | None = None
    detach_keys: str = ""
    tty: bool = False
    env: list[str] | None = None
    cmd: list[str] | None = None
    privileged: bool = False
    user: str = ""
    working_dir: str = ""


class Exec:
    """One exec: created, running, ended. `exit_code` None until it ended; `ended` is set then."""

    def __init__(self, container: Container, config: ExecConfig) -> None:
        self.id = secrets.token_hex(32)
        self.container = container
        self.config = config
        self.started = False
        self.running = False
        self.exit_code: int | None = None
        self.error = ""
        self.pid = 0
        self.ended = asyncio.Event()
        self._begun = asyncio.Event()
        self._process: ExecProcess | None = None
        # From the moment it runs until `start` hands them to its caller.
        self._streams: Stdio | None = None

    @property
    def can_remove(self) -> bool:
        """Whether it has ended."""
        return self.exit_code is not None

    async def start(
        self, *, detach: bool, size: list[int] | None = None, before_run: Callable[[], None] | None = None
    ) -> Stdio | None:
        """Run it; the streams asked for at create, or None when detached. The caller closes them.

        `before_run` is called once it is known to be runnable, before the process exists and can say anything.
        Raises `Conflict` when it ran already or the container does not run. Whether the command could be executed is known
        at the end only: `exit_code` 126 or 127 and `error`; a detached start waits for it and raises `StartFailed`.
        """
        self.check_startable()
        live = self.container.require_live("exec")
        self.started = True
        directory = live.monitor.bundle / "execs" / self.id
        try:
            specification = await workers.quick(self._process_spec, live.pid, size)
            request = ExecRequest(
                exec_id=self.id,
                container_id=self.container.id,
                process=specification,
                directory=directory,
                stdin=self.config.attach_stdin and not detach,
                stdout=self.config.attach_stdout and not detach,
                stderr=self.config.attach_stderr and not detach,
            )
            if before_run is not None:
                before_run()
            await shielded(self._launch(live.runtime, request, detach=detach), limit_s=None)
        except BaseException:
            if self._process is not None:  # it runs, and who asked for it has gone
                if self._streams is not None:
                    self._streams.close()
                raise
            self.exit_code = 126
            self._begun.set()
            self.ended.set()
            await workers.quick(remove_tree, directory)
            raise
        stdio, self._streams = self._streams, None
        try:
            await self.container.tell(f"exec_start: {' '.join(self.config.cmd or [])}", execID=self.id)
        except BaseException:
            if stdio is not None:
                stdio.close()
            raise
        if detach and self._process is not None and not await self._process.settled():
            await self.ended.wait()
            if self.error:
                raise StartFailed(self.error, self.exit_code or 0)
        return stdio

    async def _launch(self, runtime: Runtime, request: ExecRequest, *, detach: bool) -> None:
        """Start the process and watch it: one step, so that no cancel leaves a process that nobody knows.

        Its streams are taken first: who watches it closes what is left, and it may have ended already.
        """
        self._process = await ExecProcess.start(runtime, request)
        self.running = True
        self._begun.set()
        try:
            self._streams = None if detach else self._stdio(self._process)
        finally:
            self.container.parts.background.start(
                self._watch(self._process, request.directory), name=f"exec {self.id[:12]}"
            )

    def check_startable(self) -> None:
        """Raises `Conflict` when it ran already, or its container does not run."""
        if self.started:
            what = "has already run" if self.can_remove else "is already running"
            raise Conflict(f"exec command {self.id} {what}")
        self.container.require_live("exec")

    async def resize(self, height: int, width: int) -> None:
        """Resize its terminal, waiting a while for a start that is under way. Raises `Conflict` when it does not run."""
        try:
            async with asyncio.timeout(RESIZE_LIMIT_S):
                await self._begun.wait()
        except TimeoutError:
            pass  # told below
        if not self.running or self._process is None:
            raise Conflict(f"exec {self.id} is not running")
        self._process.resize(height, width)

    async def read_pid(self) -> int:
        """Its pid on the host, 0 when it does not run."""
        if self.running and self._process is not None and not self.pid:
            self.pid = await self._process.pid()
        return self.pid if self.running else 0

    async def kill(self) -> None:
        """End it with SIGKILL and wait until it is gone."""
        pid = await self.read_pid()
        if pid:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # it ended by itself meanwhile
        await self.ended.wait()

    def let_go(self) -> None:
        """The daemon ends: stop watching, close what we hold."""
        if self._process is not None:
            self._process.close()

    async def _watch(self, running: ExecProcess, directory: Path) -> None:
        code, self.error = await running.wait()
        self.running = False
        self.exit_code = code
        running.close()
        self.ended.set()
        await workers.quick(remove_tree, directory)
        await self.container.tell("exec_die", execID=self.id, exitCode=str(code))

    def _stdio(self, running: ExecProcess) -> Stdio:
        if self.config.tty:
            # The master end stays with the process, for resize: the streams get descriptors of their own.
            fd = running.take_terminal()
            sink = fd if self.config.attach_stdin else -1
            return _ExecStdio([(fd, STDOUT)] if fd >= 0 else [], sink, self, running, terminal=True)
        sources = [(fd, stream) for fd, stream in ((running.stdout, STDOUT), (running.stderr, STDERR)) if fd >= 0]
        stdio = _ExecStdio(sources, running.stdin, self, running)
        running.stdin = running.stdout = running.stderr = -1
        return stdio

    def _process_spec(self, container_pid: int, size: list[int] | None) -> dict[str, Any]:
        config, spec = self.config, self.container.record.spec
        defaults = self.container.parts.defaults
        user = users.resolve(
            Path(f"/proc/{container_pid}/root"), config.user or spec.config.user, spec.host.group_add or []
        )
        secured = security.parse(spec.host.security_opt or [], no_new_privileges=defaults.no_new_privileges)
        held = capabilities.effective(
            spec.host.cap_add or [], spec.host.cap_drop or [], config.privileged or spec.host.privileged
        )
        built = process.build(
            spec.config,
            spec.host,
            user,
            arguments=config.cmd or [],
            environment=self._environment(user),
            no_new_privileges=secured.no_new_privileges,
            apparmor=secured.apparmor if security.apparmor_enabled() else "",
            default_ulimits=defaults.ulimits,
        )
        built["terminal"] = config.tty
        built["cwd"] = config.working_dir or spec.config.working_dir or "/"
        built["capabilities"] = process.capability_sets(held, user)
        built.pop("consoleSize", None)
        wanted = size or config.console_size
        if config.tty and wanted and any(wanted):
            built["consoleSize"] = {"height": wanted[0], "width": wanted[1]}
        faults.point("exec.specification")
        return built

    def _environment(self, user: users.User) -> list[str]:
        container = self.container
        config = container.record.spec.config
        linked = links.environment(
            container.record, links.current(container.parts, container.record, container.others.record_of)
        )
        if linked:
            config = replace(config, env=[*linked, *(config.env or [])])
        base = process.environment(config, user, hostname(container.record))
        terminal = ["TERM=xterm"] if self.config.tty else []
        return process.merge_environment(base, terminal + (self.config.env or []))


class _ExecStdio(Stdio):
    """An exec's streams, without what the runtime itself writes to them when it cannot execute the command."""

    def __init__(
        self, sources: list[tuple[int, int]], sink: int, owner: Exec, running: ExecProcess, *, terminal: bool = False
    ) -> None:
        super().__init__(sources, sink, terminal=terminal)
        self._owner = owner
        self._running = running
        self._withheld: deque[tuple[int, bytes]] = deque()

    async def read(self) -> tuple[int, bytes] | None:
        if self._withheld:
            return self._withheld.popleft()
        chunk = await super().read()
        may_be_runtime = chunk is not None and (self.terminal or chunk[0] == STDERR)
        if not may_be_runtime or await self._running.settled():
            return chunk
        while chunk is not None:
            self._withheld.append(chunk)
            chunk = await super().read()
        await self._owner.ended.wait()
        if self._owner.error:
            self._withheld.clear()
        return self._withheld.popleft() if self._withheld else None


class Execs:
    """The execs of one container. Ended ones are remembered for inspect, the last `KEPT_ENDED` of them."""

    def __init__(self, container: Container) -> None:
        self._container = container
        self._execs: dict[str, Exec] = {}

    async def create(self, config: ExecConfig) -> Exec:
        """A new exec. Raises `Conflict` when the container does not run, `Invalid` without a command."""
        if not config.cmd:
            raise Invalid("no exec command specified")
        parse_keys(config.detach_keys)
        self._container.require_live("exec")
        created = Exec(self._container, config)
        self._execs[created.id] = created
        ended = [found for found in self._execs.values() if found.can_remove]
        for old in ended[:-KEPT_ENDED]:
            del self._execs[old.id]
        await self._container.tell(f"exec_create: {' '.join(config.cmd)}", execID=created.id)
        return created

    def get(self, exec_id: str) -> Exec | None:
        """An exec by its whole id or a unique prefix."""
        if exec_id in self._execs:
            return self._execs[exec_id]
        found = [value for key, value in self._execs.items() if key.startswith(exec_id)]
        return found[0] if len(found) == 1 else None

    def ids(self) -> list[str]:
        """Those that have not ended."""
        return [key for key, value in self._execs.items() if not value.can_remove]

    def container_ended(self) -> None:
        """What was created and never started can never run."""
        for found in list(self._execs.values()):
            if not found.started:
                del self._execs[found.id]

    def close(self) -> None:
        """The daemon ends."""
        for found in self._execs.values():
            found.let_go()
