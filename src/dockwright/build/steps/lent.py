"""What one step has of what is lent to its build: secrets as files on a tmpfs or as variables, ssh agents as sockets.

All of it goes with the step. Nothing is written below the step's own tree but the mount points, which `stubs` takes away.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from dockwright import workers
from dockwright.build.dockerfile.instructions.mounts import Mount
from dockwright.build.lending.lender import SECRET_LIMIT_BYTES, Lender
from dockwright.container.mounts import MountPoint
from dockwright.errors import HostFailure, Invalid, NotFound
from dockwright.snapshot.mountapi import unmount
from dockwright.tasks import Background
from dockwright.undo import UndoStack

# Below the step's directory on the exec root.
SECRETS = "secrets"
SECRET_MODE, AGENT_MODE = 0o400, 0o600
AGENT_VARIABLE = "SSH_AUTH_SOCK"
_PIECE_BYTES = 64 << 10
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 2, 4, 8
_libc = ctypes.CDLL(None, use_errno=True)
log = logging.getLogger(__name__)


@dataclass
class Lent:
    """What the step mounts, and the variables that it gets beside its own."""

    points: list[MountPoint] = field(default_factory=list)
    variables: list[str] = field(default_factory=list)


@asynccontextmanager
async def borrowed(lender: Lender, mounts: Iterable[Mount], folder: Path) -> AsyncIterator[Lent]:
    """What the secret and ssh mounts among `mounts` stand for, below the step's directory `folder`, while the context lasts.

    Raises `NotFound` for something that is required and that the lender does not have, `Invalid` for a secret that is too
    long or cannot be a variable, and what the lender raises.
    """
    lent = Lent()
    async with AsyncExitStack() as stack:
        files: list[tuple[Mount, bytes]] = []
        for number, mount in enumerate(mounts):
            if mount.kind == "secret":
                content = await _secret(lender, mount)
                if content is not None and mount.env:
                    lent.variables.append(f"{mount.env}={_as_text(mount.id, content)}")
                if content is not None and mount.target:
                    files.append((mount, content))
            elif mount.kind == "ssh":
                point = await _agent(stack, lender, mount, folder / f"agent-{number}")
                if point is not None:
                    lent.points.append(point)
                    if not any(one.startswith(f"{AGENT_VARIABLE}=") for one in lent.variables):
                        lent.variables.append(f"{AGENT_VARIABLE}={mount.target}")
        if files:
            lent.points += await stack.enter_async_context(_written(folder / SECRETS, files))
        yield lent


async def _secret(lender: Lender, mount: Mount) -> bytes | None:
    content = await lender.secret(mount.id)
    if content is None and mount.required:
        raise NotFound(f"secret {mount.id}: not found: the build needs it (--secret id={mount.id},src=...)")
    if content is not None and len(content) > SECRET_LIMIT_BYTES:
        raise Invalid(f"the secret {mount.id} is longer than {SECRET_LIMIT_BYTES} bytes")
    return content


def _as_text(id: str, content: bytes) -> str:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise Invalid(f"the secret {id} is no text, and cannot be a variable: mount it as a file")
    return text


@asynccontextmanager
async def _written(folder: Path, files: list[tuple[Mount, bytes]]) -> AsyncIterator[list[MountPoint]]:
    async with UndoStack() as undo:
        undo.push_undo(workers.quick, unmount, folder)
        yield await workers.quick(_write, folder, files)


def _write(folder: Path, files: list[tuple[Mount, bytes]]) -> list[MountPoint]:
    folder.mkdir(mode=0o700)
    size = sum(len(content) for _, content in files) + (len(files) + 16) * 4096
    _mount_tmpfs(folder, size)
    points = []
    for number, (mount, content) in enumerate(files):
        path = folder / str(number)
        with path.open("xb") as file:
            file.write(content)
            os.fchown(file.fileno(), max(0, mount.uid), max(0, mount.gid))
            os.fchmod(file.fileno(), mount.mode if mount.mode >= 0 else SECRET_MODE)
        points.append(MountPoint(type="bind", destination=mount.target, source=str(path), rw=False))
    return points


def _mount_tmpfs(folder: Path, size_bytes: int) -> None:
    """A tmpfs that is not swapped out, where the kernel knows how (6.4)."""
    flags = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
    data = f"mode=0700,size={size_bytes}"
    for options in (f"{data},noswap", data):
        if _libc.mount(b"secrets", os.fsencode(folder), b"tmpfs", flags, options.encode()) == 0:
            return
    raise HostFailure(f"mounting {folder}: {os.strerror(ctypes.get_errno())}")


async def _agent(stack: AsyncExitStack, lender: Lender, mount: Mount, path: Path) -> MountPoint | None:
    """A socket of the step's own at `path`, its owner and mode as asked for, that leads to the lender's agent."""
    agent = await stack.enter_async_context(lender.agent(mount.id))
    if agent is None:
        if mount.required:
            raise NotFound(f"no SSH key {mount.id!r} forwarded from the client: the build needs it (--ssh {mount.id})")
        return None
    listening = await workers.quick(_listen, path, mount)
    stack.callback(listening.close)
    relay = await stack.enter_async_context(Background(f"ssh agent {mount.id}"))
    relay.start(_serve(listening, agent, relay), name="relay")
    return MountPoint(type="bind", destination=mount.target, source=str(path))


def _listen(path: Path, mount: Mount) -> socket.socket:
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.bind(f"/proc/self/fd/{folder}/{path.name}")  # the path itself may be too long for an address
        os.chown(path, max(0, mount.uid), max(0, mount.gid))
        path.chmod(mount.mode if mount.mode >= 0 else AGENT_MODE)
        listening.listen()
        listening.setblocking(False)
    except BaseException:
        listening.close()
        raise
    finally:
        os.close(folder)
    return listening


async def _serve(listening: socket.socket, agent: Path, relay: Background) -> None:
    loop = asyncio.get_running_loop()
    while True:
        client, _ = await loop.sock_accept(listening)
        relay.start(_carry(client, agent), name="connection")


async def _carry(client: socket.socket, agent: Path) -> None:
    loop = asyncio.get_running_loop()
    folder = await workers.quick(os.open, agent.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with client, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
            for end in (client, server):
                end.setblocking(False)
            try:
                await loop.sock_connect(server, f"/proc/self/fd/{folder}/{agent.name}")
                async with asyncio.TaskGroup() as both:
                    both.create_task(_pump(client, server))
                    both.create_task(_pump(server, client))
            except* OSError as errors:
                log.debug("ssh agent %s: %s", agent, errors.exceptions[0])
    finally:
        os.close(folder)


async def _pump(source: socket.socket, sink: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    while data := await loop.sock_recv(source, _PIECE_BYTES):
        await loop.sock_sendall(sink, data)
    sink.shutdown(socket.SHUT_WR)
