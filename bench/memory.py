"""How much memory an engine holds: PSS, in which shared pages count once over all who share them."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

_UCRED = struct.Struct("iII")


def daemon_pid(path: str) -> int:
    """Who listens on a unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.connect(path)
        return int(_UCRED.unpack(probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))[0])


def engine_pss_kib(daemon: int, container_pids: list[int]) -> int:
    """The daemon, its descendants (containerd), and whoever holds the containers: the parents (shim, conmon) of
    their first processes. The containers' own processes are not counted."""
    parents = _parents()
    holders = {parents[pid] for pid in container_pids if pid in parents} - {0, 1}
    own = {pid for pid in parents if pid == daemon or _descends(pid, daemon, parents)}
    contained = {pid for pid in own | holders if any(pid == c or _descends(pid, c, parents) for c in container_pids)}
    return sum(_pss_kib(pid) for pid in (own | holders) - contained)


def forget_peak(daemon: int) -> None:
    """Begin a new measurement of peaks (`proc(5)`, `clear_refs`)."""
    for pid in _family(daemon):
        Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_kib(daemon: int) -> int:
    """The most that the daemon and its descendants (containerd) had resident since `forget_peak`."""
    return sum(_peak_kib(pid) for pid in _family(daemon))


def _family(daemon: int) -> list[int]:
    parents = _parents()
    return [pid for pid in parents if pid == daemon or _descends(pid, daemon, parents)]


def _peak_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)


def _parents() -> dict[int, int]:
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            found[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    return found


def _descends(pid: int, ancestor: int, parents: dict[int, int]) -> bool:
    while pid := parents.get(pid, 0):
        if pid == ancestor:
            return True
    return False


def _pss_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
