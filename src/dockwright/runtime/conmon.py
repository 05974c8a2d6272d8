"""The monitor of one container: conmon holds its stdio, log spool and exit code while the daemon may come and go.

Files in the bundle directory, which conmon has as its working directory:

    config.json     the OCI spec
    conmon.pid      conmon's pid
    init.pid        the container's first process, in the host's pid namespace
    attach          SOCK_SEQPACKET: packets out are one byte (2 stdout, 3 stderr) then data; bytes in go to stdin
    ctl             FIFO: "1 HEIGHT WIDTH\\n" resizes the terminal, "2 0 0\\n" reopens the log spool
    exits/ID        the exit code, written once everything the container said has been passed on
    oom             exists when the kernel killed something for want of memory

Source: conmon 2.1 (`src/cli.c`, `ctrl.c`, `conn_sock.c`), observed.
"""

from __future__ import annotations

import os
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

import msgspec

from dockwright import workers
from dockwright.errors import Conflict, HostFailure, Unavailable
from dockwright.runtime import migration, programs
from dockwright.runtime.oci import start_error
from dockwright.runtime.pidfd import Process
from dockwright.runtime.seam import Runtime

CREATE_LIMIT_S = 120.0
# conmon 2.1 frees a client's buffer and looks into it once more when a write to that client failed before its end was read,
# as with one that vanishes, or all of them when the daemon is killed. Memory that was given back to the kernel by then
# is conmon's death, and its container's; it gives none back.
_HEAP = {"MALLOC_TRIM_THRESHOLD_": str(1 << 40)}


@dataclass(frozen=True)
class MonitorOptions:
    """How conmon holds the container. `log_spool` None keeps no log."""

    terminal: bool = False
    stdin: bool = False
    keep_stdin_open: bool = False
    log_spool: Path | None = None


class Monitor:
    """A running conmon and the container it holds."""

    def __init__(self, bundle: Path, container_id: str, conmon: Process, pid: int) -> None:
        self.bundle = bundle
        self.pid = pid
        self._id = container_id
        self._conmon = conmon
        self.closed = False
        self._init = Process.hold(pid) or Process.gone(pid)

    @property
    def conmon_pid(self) -> int:
        return self._conmon.pid

    async def wait(self) -> int | None:
        """The container's exit code, once it has ended; None when conmon itself died and could not say."""
        await self._conmon.wait()
        return await workers.quick(read_exit_code, self.bundle, self._id)

    def signal(self, number: int) -> bool:
        """Signal the container's first process; False when it has ended."""
        return self._init.signal(number)

    def connect(self) -> socket.socket:
        """A new attach connection (non-blocking). Raises `Conflict` when the container has just ended."""
        return _connect(self.bundle / "attach")

    async def resize(self, height: int, width: int) -> None:
        """Resize the container's terminal. Raises `Conflict` when it has ended."""
        await workers.quick(_control, self.bundle / "ctl", f"1 {height} {width}\n".encode())

    def out_of_memory(self) -> bool:
        """Whether the kernel killed one of the container's processes for want of memory."""
        return (self.bundle / "oom").exists()

    def close(self) -> None:
        """Stop watching; the container and conmon go on. Safe to call twice."""
        self.closed = True
        self._conmon.close()
        self._init.close()


class Conmon:
    """Starts monitors, and finds those that a former daemon left running."""

    def __init__(self, program: Path) -> None:
        self.program = program

    async def create(self, runtime: Runtime, container_id: str, bundle: Path, options: MonitorOptions) -> Monitor:
        """Start conmon, which has `runtime` create the container of `bundle`; its process waits for `runtime.start`.

        Raises `StartFailed` with the runtime's reason; nothing is left running then, but the runtime's state of the
        container may be: `runtime.delete(force=True)` is the undo.
        """
        conmon_pid, pid = await programs.wait_in_thread(self._create, runtime, container_id, bundle, options)
        process = Process.hold(conmon_pid)
        if process is None and not exit_file(bundle, container_id).exists():
            raise HostFailure(f"conmon of {container_id[:12]} ended at once")
        return Monitor(bundle, container_id, process or Process.gone(conmon_pid), pid)

    async def adopt(self, container_id: str, bundle: Path) -> Monitor | None:
        """The monitor that a former daemon started for `bundle`, when it still runs."""
        pids = await workers.quick(_find, container_id, bundle)
        if pids is None:
            return None
        process = Process.hold(pids[0])
        return Monitor(bundle, container_id, process, pids[1]) if process else None

    def _create(self, runtime: Runtime, container_id: str, bundle: Path, options: MonitorOptions) -> tuple[int, int]:
        return _create(self._command(runtime, container_id, bundle, options), bundle)

    def _command(self, runtime: Runtime, container_id: str, bundle: Path, options: MonitorOptions) -> list[str]:
        argv = [str(self.program), "--api-version", "1", "-c", container_id, "-u", container_id, "-n", container_id]
        argv += ["-r", str(runtime.executable()), "-b", str(bundle), "-p", str(bundle / "init.pid")]
        argv += ["-P", str(bundle / "conmon.pid"), "--exit-dir", str(bundle / "exits"), "--full-attach"]
        argv += ["--no-sync-log", "--log-level", "error"]
        argv += ["-l", f"k8s-file:{options.log_spool}" if options.log_spool else "none"]
        for argument in runtime.arguments:
            argv += ["--runtime-arg", argument]
        if options.terminal:
            argv.append("-t")
        if options.stdin:
            argv.append("-i")
        if options.keep_stdin_open:
            argv.append("--leave-stdin-open")
        return argv


def exit_file(bundle: Path, container_id: str) -> Path:
    """Where conmon writes the exit code; its time is when the container ended."""
    return bundle / "exits" / container_id


def read_exit_code(bundle: Path, container_id: str) -> int | None:
    """The exit code conmon wrote, or None when it wrote none."""
    try:
        return int(exit_file(bundle, container_id).read_text())
    except (FileNotFoundError, ValueError):
        return None


def _create(argv: list[str], bundle: Path) -> tuple[int, int]:
    (bundle / "exits").mkdir(exist_ok=True)
    read_end, write_end = os.pipe()
    environment = programs.environment(bundle) | _HEAP | {"_OCI_SYNCPIPE": str(write_end)}
    try:
        try:
            launcher = subprocess.Popen(
                argv,
                cwd=bundle,
                env=environment,
                pass_fds=(write_end,),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
        finally:
            os.close(write_end)
        with launcher:
            migration.announce(launcher.pid)
            said = _read_line(read_end)
            # conmon forks: this is the parent, which ends as soon as the child runs. Its error text is for us only
            # when the child never spoke.
            launcher.wait(CREATE_LIMIT_S)
            complaint = "" if said else (launcher.stderr.read().decode(errors="replace") if launcher.stderr else "")
    except OSError as error:
        raise HostFailure(f"{argv[0]}: {error.strerror}") from error
    finally:
        os.close(read_end)
    if not said:
        raise HostFailure(f"conmon: {complaint.strip() or 'ended without a word'}")
    answer = msgspec.json.decode(said)
    if answer["data"] < 0:
        raise start_error(answer.get("message") or "", _executable(bundle))
    return int((bundle / "conmon.pid").read_text()), answer["data"]


def _executable(bundle: Path) -> str | None:
    """What the specification of `bundle` executes."""
    specification = msgspec.json.decode((bundle / "config.json").read_bytes())
    return next(iter(specification["process"]["args"]), None)


def _read_line(fd: int) -> bytes:
    said = b""
    while not said.endswith(b"\n") and (more := os.read(fd, 4096)):
        said += more
    return said


def _find(container_id: str, bundle: Path) -> tuple[int, int] | None:
    try:
        conmon_pid = int((bundle / "conmon.pid").read_text())
        pid = int((bundle / "init.pid").read_text())
        # A pid may have been reused since: the id stands among conmon's arguments.
        if container_id.encode() not in Path(f"/proc/{conmon_pid}/cmdline").read_bytes():
            return None
    except (OSError, ValueError):
        return None
    return conmon_pid, pid


def _connect(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
    # A unix socket's path holds 107 bytes: reach it through a descriptor of its directory when it is longer.
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        connection.connect(f"/proc/self/fd/{directory}/{path.name}")
    except (FileNotFoundError, ConnectionRefusedError) as error:
        connection.close()
        raise Conflict("the container has ended") from error
    except BlockingIOError as error:
        connection.close()
        raise Unavailable("too many clients attach to this container at this moment: try again") from error
    finally:
        os.close(directory)
    return connection


def _control(path: Path, line: bytes) -> None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        raise Conflict("the container has ended") from error
    try:
        os.write(fd, line)
    finally:
        os.close(fd)
