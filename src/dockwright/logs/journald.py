"""The driver `journald`: the journal's native protocol; read back through `journalctl`.

Protocol: systemd, "Native Journal Protocol": fields as `KEY=value\\n`, or `KEY\\n`, length, value for values with newlines;
an entry that does not fit in a datagram is sent as a sealed memory file.
"""

from __future__ import annotations

import array
import asyncio
import errno
import fcntl
import json
import os
import re
import shutil
import socket
import struct
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dockwright import workers
from dockwright.errors import HostFailure, Unavailable, Unsupported
from dockwright.logs import options as opts
from dockwright.logs.codec import format_time, parse_time
from dockwright.logs.record import LogInfo, Mark, Query, Record

SOCKET = Path("/run/systemd/journal/socket")
_ERR, _INFO = b"3", b"6"
_POLL_S = 0.5
_LINE_LIMIT = 4 * 1024 * 1024


class JournaldDriver:
    """Sends. `logs` goes through `read_journal`."""

    name = "journald"

    def __init__(self, info: LogInfo, options: Mapping[str, str], path: Path = SOCKET) -> None:
        """Raises `Unavailable`, in Docker's words, when there is no journal."""
        self._path = path
        self._ordinal = 0
        tag = opts.tag(info, options, opts.DEFAULT_TAG)
        self._attributes = opts.attributes(info, options)
        fields = {
            "CONTAINER_ID": info.container_id[:12],
            "CONTAINER_ID_FULL": info.container_id,
            "CONTAINER_NAME": info.name.lstrip("/"),
            "CONTAINER_TAG": tag,
            "IMAGE_NAME": info.image_name,
            "SYSLOG_IDENTIFIER": tag,
            "CONTAINER_LOG_EPOCH": os.urandom(32).hex(),
            **opts.attributes(info, options, field_name),
        }
        self._fixed = b"".join(_field(key, value.encode()) for key, value in fields.items() if key)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise Unavailable("journald is not enabled on this host") from error

    def write(self, records: Sequence[Record]) -> None:
        """See `LogDriver.write`."""
        for record in records:
            self._ordinal += 1
            self._send(self._entry(record))

    def mark(self) -> Mark:
        """See `LogDriver.mark`."""
        return Mark()

    def rotate_if_full(self) -> bool:
        """See `LogDriver.rotate_if_full`."""
        return False

    def rewind(self, mark: Mark | None) -> None:
        """See `LogDriver.rewind`."""

    def attributes(self) -> Mapping[str, str]:
        """What goes with every record."""
        return self._attributes

    def close(self) -> None:
        """See `LogDriver.close`."""
        self._socket.close()

    def _entry(self, record: Record) -> bytes:
        parts = [
            self._fixed,
            _field("PRIORITY", _ERR if record.stream == "stderr" else _INFO),
            _field("SYSLOG_TIMESTAMP", format_time(record.time_ns)),
            _field("CONTAINER_LOG_ORDINAL", str(self._ordinal).encode()),
            _field("MESSAGE", record.data.removesuffix(b"\n")),
        ]
        if record.partial:
            parts.append(_field("CONTAINER_PARTIAL_MESSAGE", b"true"))
        return b"".join(parts)

    def _send(self, entry: bytes) -> None:
        try:
            self._socket.send(entry)
        except OSError as error:
            if error.errno in (errno.EMSGSIZE, errno.ENOBUFS):
                self._send_file(entry)
            elif error.errno in (errno.ECONNREFUSED, errno.ENOTCONN, errno.ECONNRESET):
                self._socket.connect(str(self._path))  # journald was restarted
                self._socket.send(entry)
            else:
                raise

    def _send_file(self, entry: bytes) -> None:
        fd = os.memfd_create("journal-entry", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
        try:
            os.write(fd, entry)
            seals = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
            self._socket.sendmsg([], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
        finally:
            os.close(fd)


def field_name(key: str) -> str:
    """A key as the journal takes it: upper case, digits and underscores, not beginning with one."""
    return re.sub(r"[^A-Z0-9]", "_", key.upper()).lstrip("_")


def _field(key: str, value: bytes) -> bytes:
    if b"\n" in value:
        return key.encode() + b"\n" + struct.pack("<Q", len(value)) + value + b"\n"
    return key.encode() + b"=" + value + b"\n"


async def read_journal(
    container_id: str, query: Query, ended: Callable[[], bool] = lambda: False
) -> AsyncGenerator[Record, None]:
    """A container's records out of the journal; with `query.follow` until `ended`, which is asked twice a second.

    Raises `Unsupported` without `journalctl`, `HostFailure` when it fails.
    """
    program = await workers.quick(shutil.which, "journalctl")
    if program is None:
        raise Unsupported("reading the journal needs journalctl (Debian package systemd)")
    process = await asyncio.create_subprocess_exec(
        program,
        *_arguments(container_id, query),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=_LINE_LIMIT,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        while line := await _line(process.stdout, ended):
            record = _record(json.loads(line))
            if query.wants(record) and not (query.until_ns and record.time_ns > query.until_ns):
                yield record
        if not ended() and await process.wait() != 0:
            complaint = (await process.stderr.read()).decode(errors="replace").strip()
            raise HostFailure(f"journalctl: {complaint or 'failed'}")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _line(stream: asyncio.StreamReader, ended: Callable[[], bool]) -> bytes:
    while True:
        try:
            async with asyncio.timeout(_POLL_S):
                return await stream.readline()
        except TimeoutError:
            if ended():
                return b""


def _arguments(container_id: str, query: Query) -> list[str]:
    arguments = ["--output=json", "--all", "--quiet", f"CONTAINER_ID_FULL={container_id}"]
    if query.tail is not None:
        arguments.append(f"--lines={query.tail}")
    elif query.follow:
        arguments.append("--no-tail")
    if query.since_ns:
        arguments.append(f"--since=@{query.since_ns // 1_000_000_000}")
    if query.until_ns:
        arguments.append(f"--until=@{query.until_ns // 1_000_000_000 + 1}")
    if query.follow:
        arguments.append("--follow")
    return arguments


def _record(entry: dict[str, Any]) -> Record:
    message = entry.get("MESSAGE") or ""
    data = bytes(message) if isinstance(message, list) else str(message).encode()
    if "CONTAINER_PARTIAL_MESSAGE" not in entry:
        data += b"\n"
    stream = "stderr" if entry.get("PRIORITY") == _ERR.decode() else "stdout"
    stamp = entry.get("SYSLOG_TIMESTAMP")
    time_ns = parse_time(stamp.encode()) if isinstance(stamp, str) else int(entry["__REALTIME_TIMESTAMP"]) * 1000
    return Record(stream, time_ns, data)
