"""One more process in a running container, its stdio on pipes or a terminal that the daemon holds.

The runtime's `exec` is our child and ends with the process's exit code (8 ms; 13 ms under a conmon of its own). It outlives
the daemon; only its stdio, whose other end was a client of that daemon, is gone then.
"""

from __future__ import annotations

import array
import asyncio
import fcntl
import os
import signal
import socket
import struct
import subprocess
import termios
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import msgspec

from dockwright import faults, workers
from dockwright.errors import StartFailed
from dockwright.runtime import migration, programs
from dockwright.runtime.oci import start_error
from dockwright.runtime.pidfd import Process
from dockwright.runtime.seam import Runtime

PID_LIMIT_S = 30.0
SETTLE_INTERVAL_S = 0.001
EXEC_FAILED = "OCI runtime exec failed: "


@dataclass(frozen=True)
class ExecRequest:
    """`process` is the OCI `process` object; `directory` holds this exec's files; unattached stdio is /dev/null."""

    exec_id: str
    container_id: str
    process: dict[str, Any]
    directory: Path
    stdin: bool = False
    stdout: bool = False
    stderr: bool = False


class ExecProcess:
    """A started exec. File descriptors are -1 where not attached; whoever takes one over sets it to -1.

    With a terminal, `terminal` is its master end and the three others are -1.
    """

    def __init__(self, child: subprocess.Popen[bytes], request: ExecRequest, terminal: int, own_terminal: bool) -> None:
        self._child = child
        self._request = request
        self._own_terminal = own_terminal
        self._pid_file = request.directory / "pid"
        self._ran = False
        self._ended = Process.gone(child.pid)
        self.terminal = terminal
        self.stdin, self.stdout, self.stderr = _detach(child.stdin), _detach(child.stdout), _detach(child.stderr)

    @classmethod
    async def start(cls, runtime: Runtime, request: ExecRequest) -> ExecProcess:
        """Run the process. Raises `HostFailure` when the runtime cannot be executed.

        That the *command* cannot be executed is known only when the runtime ends: see `wait`.
        """
        faults.point("exec.start")
        started = await programs.wait_in_thread(_start, runtime, request)
        started._ended = Process.hold(started._child.pid) or Process.gone(started._child.pid)
        return started

    async def wait(self) -> tuple[int, str]:
        """The exit code, and the runtime's complaint when it could not run the command (126 or 127 then)."""
        await self._ended.wait()
        code = self._child.wait()  # it has ended: this only reaps
        complaint = await workers.quick(self._complaint) if code else ""
        if complaint:
            error = start_error(complaint, self._request.process["args"][0], EXEC_FAILED)
            return error.exit_code if error.exit_code != 125 else 126, str(error)
        return (128 - code if code < 0 else code), ""

    def ran(self) -> bool:
        """Whether the command was executed: until then, what comes on stderr are the runtime's words, not its."""
        if not self._ran:
            self._ran = os.path.exists(self._pid_file)
        return self._ran

    async def settled(self) -> bool:
        """Wait until it is known whether the command was executed; whether it was."""
        while not self.ran():
            if self._child.poll() is not None:
                return self.ran()
            await asyncio.sleep(SETTLE_INTERVAL_S)
        return True

    async def pid(self) -> int:
        """The process's pid on the host, 0 when it never ran or its pid is not known any more."""
        return await workers.quick(self._read_pid)

    def take_terminal(self) -> int:
        """A descriptor of the terminal's master for the caller to own, -1 without one; ours stays for `resize`."""
        if self.terminal < 0:
            return -1
        fd = os.dup(self.terminal)
        os.set_blocking(fd, False)
        return fd

    def resize(self, height: int, width: int) -> None:
        """Resize the terminal; does nothing without one."""
        if self.terminal < 0:
            return
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        if self._own_terminal and self._child.poll() is None:
            self._child.send_signal(signal.SIGWINCH)

    def close(self) -> None:
        """Close what nobody took over, and stop watching. Safe to call twice."""
        self._ended.close()
        for name in ("stdin", "stdout", "stderr", "terminal"):
            fd = getattr(self, name)
            setattr(self, name, -1)
            if fd >= 0:
                os.close(fd)

    def _read_pid(self) -> int:
        try:
            return int(self._pid_file.read_text())
        except (FileNotFoundError, ValueError):
            return 0

    def _complaint(self) -> str:
        # The runtime writes the pid file once the command runs: with it, the code is the command's own.
        if self._read_pid():
            return ""
        try:
            return (self._request.directory / "runtime.log").read_text(errors="replace")
        except FileNotFoundError:
            return ""


def _start(runtime: Runtime, request: ExecRequest) -> ExecProcess:
    request.directory.mkdir(parents=True, exist_ok=True)
    spec = request.directory / "process.json"
    spec.write_bytes(msgspec.json.encode(request.process))
    argv = runtime.exec_arguments(request.container_id, spec, request.directory / "pid")
    argv[:1] = [str(runtime.executable()), "--log", str(request.directory / "runtime.log")]
    if not request.process.get("terminal"):
        child = _spawn(argv, request)
        migration.announce(child.pid)
        return ExecProcess(child, request, -1, own_terminal=False)
    if runtime.name == "crun":
        return _start_with_console_socket(argv, request)
    return _start_on_own_terminal(argv, request)


def _spawn(argv: list[str], request: ExecRequest) -> subprocess.Popen[bytes]:
    def end(attached: bool) -> int:
        return subprocess.PIPE if attached else subprocess.DEVNULL

    return subprocess.Popen(
        argv,
        stdin=end(request.stdin),
        stdout=end(request.stdout),
        stderr=end(request.stderr),
        env=programs.environment(request.directory),
        start_new_session=True,
    )


def _start_with_console_socket(argv: list[str], request: ExecRequest) -> ExecProcess:
    """crun hands the terminal over a socket and still waits for the process; runc refuses that without --detach."""
    path = request.directory / "console"
    directory = os.open(request.directory, os.O_PATH | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(f"/proc/self/fd/{directory}/console")
            listener.listen(1)
            verb = argv.index("exec")
            argv[verb + 1 : verb + 1] = ["--tty", "--console-socket", f"/proc/self/fd/{directory}/console"]
            child = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(directory,),
                env=programs.environment(request.directory),
                start_new_session=True,
            )
            migration.announce(child.pid)
            terminal = _receive_terminal(listener, child)
    finally:
        os.close(directory)
        path.unlink(missing_ok=True)
    return ExecProcess(child, request, terminal, own_terminal=False)


def _receive_terminal(listener: socket.socket, child: subprocess.Popen[bytes]) -> int:
    listener.settimeout(0.2)
    waited_s = 0.0
    while waited_s < PID_LIMIT_S:
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            if child.poll() is not None:
                return -1  # `wait` tells why
            waited_s += 0.2
            continue
        with connection:
            connection.settimeout(PID_LIMIT_S)
            _, ancillary, _, _ = connection.recvmsg(4096, socket.CMSG_SPACE(4))
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                return int(array.array("i", data[:4])[0])
        break
    child.kill()
    raise StartFailed(f"no terminal from the runtime within {PID_LIMIT_S:g} s", 126)


def _start_on_own_terminal(argv: list[str], request: ExecRequest) -> ExecProcess:
    """The runtime copies between the container's terminal and one of ours, and follows SIGWINCH."""
    master, slave = os.openpty()
    try:
        argv.insert(argv.index("exec") + 1, "--tty")
        size = request.process.get("consoleSize")
        if size:
            fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", size["height"], size["width"], 0, 0))
        environment = programs.environment(request.directory)
        child = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True)
    except BaseException:
        os.close(master)
        raise
    finally:
        os.close(slave)
    return ExecProcess(child, request, master, own_terminal=True)


def _detach(pipe: IO[bytes] | None) -> int:
    if pipe is None:
        return -1
    fd = os.dup(pipe.fileno())
    pipe.close()
    os.set_blocking(fd, False)
    return fd
