"""What a container used, in the Engine API's shapes (`ContainerStatsResponse`): field names are the wire's."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
from msgspec import UNSET, UnsetType

from dockwright.cgroup.hierarchy import Cgroup

_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_NO_LIMIT = 1 << 62
ZERO_TIME = "0001-01-01T00:00:00Z"


class CpuUsage(msgspec.Struct):
    """Nanoseconds; `percpu_usage` exists on v1 only."""

    total_usage: int = 0
    percpu_usage: list[int] | UnsetType = UNSET
    usage_in_kernelmode: int = 0
    usage_in_usermode: int = 0


class Throttling(msgspec.Struct):
    """`throttled_time` in nanoseconds."""

    periods: int = 0
    throttled_periods: int = 0
    throttled_time: int = 0


class CpuStats(msgspec.Struct):
    """`system_cpu_usage` is the whole host's, in nanoseconds."""

    cpu_usage: CpuUsage = msgspec.field(default_factory=CpuUsage)
    system_cpu_usage: int | UnsetType = UNSET
    online_cpus: int | UnsetType = UNSET
    throttling_data: Throttling = msgspec.field(default_factory=Throttling)


class MemoryStats(msgspec.Struct):
    """Bytes; `max_usage` on v1 only; `stats` is memory.stat."""

    usage: int | UnsetType = UNSET
    max_usage: int | UnsetType = UNSET
    stats: dict[str, int] | UnsetType = UNSET
    failcnt: int | UnsetType = UNSET
    limit: int | UnsetType = UNSET


class BlkioEntry(msgspec.Struct):
    """One operation on one device."""

    major: int
    minor: int
    op: str
    value: int


class BlkioStats(msgspec.Struct):
    """Null where the host has no such numbers; on v2 all but the first."""

    io_service_bytes_recursive: list[BlkioEntry] | None = None
    io_serviced_recursive: list[BlkioEntry] | None = None
    io_queue_recursive: list[BlkioEntry] | None = None
    io_service_time_recursive: list[BlkioEntry] | None = None
    io_wait_time_recursive: list[BlkioEntry] | None = None
    io_merged_recursive: list[BlkioEntry] | None = None
    io_time_recursive: list[BlkioEntry] | None = None
    sectors_recursive: list[BlkioEntry] | None = None


class PidsStats(msgspec.Struct):
    """`limit` is left out without one."""

    current: int | UnsetType = UNSET
    limit: int | UnsetType = UNSET


class InterfaceStats(msgspec.Struct):
    """Counters of one interface."""

    rx_bytes: int = 0
    rx_packets: int = 0
    rx_errors: int = 0
    rx_dropped: int = 0
    tx_bytes: int = 0
    tx_packets: int = 0
    tx_errors: int = 0
    tx_dropped: int = 0


class Stats(msgspec.Struct):
    """One sample. `precpu_stats` and `preread` are of the sample before, empty for the first."""

    id: str = ""
    name: str = ""
    read: str = ZERO_TIME
    preread: str = ZERO_TIME
    cpu_stats: CpuStats = msgspec.field(default_factory=CpuStats)
    precpu_stats: CpuStats = msgspec.field(default_factory=CpuStats)
    memory_stats: MemoryStats = msgspec.field(default_factory=MemoryStats)
    blkio_stats: BlkioStats = msgspec.field(default_factory=BlkioStats)
    pids_stats: PidsStats = msgspec.field(default_factory=PidsStats)
    networks: dict[str, InterfaceStats] | UnsetType = UNSET
    num_procs: int = 0
    storage_stats: dict[str, int] = msgspec.field(default_factory=dict)


def read(cgroup: Cgroup, network_pid: int | None = None) -> Stats:
    """A sample without names and times. Blocking: about fifteen small reads, 0.3 ms.

    `network_pid` is a process in the container's network namespace, None for `host` and `none`. What has ended meanwhile
    reads as zero.
    """
    stats = Stats()
    if cgroup.version == 2:
        _read_v2(cgroup, stats)
    else:
        _read_v1(cgroup, stats)
    stats.cpu_stats.system_cpu_usage, stats.cpu_stats.online_cpus = system_cpu(Path("/proc/stat").read_text())
    if network_pid is not None:
        try:
            stats.networks = parse_net_dev(Path(f"/proc/{network_pid}/net/dev").read_text())
        except (FileNotFoundError, ProcessLookupError):
            stats.networks = {}
    return stats


def system_cpu(text: str) -> tuple[int, int]:
    """Nanoseconds all processors were given, idle included, and how many there are: from `/proc/stat`."""
    total, online = 0, 0
    for line in text.splitlines():
        if line.startswith("cpu "):
            total = sum(int(field) for field in line.split()[1:8]) * _TICK_NS
        elif line.startswith("cpu"):
            online += 1
        else:
            break
    return total, online


def parse_net_dev(text: str) -> dict[str, InterfaceStats]:
    """`/proc/<pid>/net/dev` without lo."""
    found = {}
    for line in text.splitlines()[2:]:
        name, _, counters = line.partition(":")
        if name.strip() != "lo" and counters:
            n = [int(field) for field in counters.split()]
            found[name.strip()] = InterfaceStats(n[0], n[1], n[2], n[3], n[8], n[9], n[10], n[11])
    return found


def _read_v1(cgroup: Cgroup, stats: Stats) -> None:
    acct = _pairs(cgroup.read("cpuacct", "cpuacct.stat"))
    throttled = _pairs(cgroup.read("cpu", "cpu.stat"))
    per_cpu = cgroup.read("cpuacct", "cpuacct.usage_percpu").split()
    stats.cpu_stats.cpu_usage = CpuUsage(
        total_usage=_number(cgroup.read("cpuacct", "cpuacct.usage")),
        percpu_usage=[int(value) for value in per_cpu] if per_cpu else UNSET,
        usage_in_kernelmode=acct.get("system", 0) * _TICK_NS,
        usage_in_usermode=acct.get("user", 0) * _TICK_NS,
    )
    stats.cpu_stats.throttling_data = Throttling(
        throttled.get("nr_periods", 0), throttled.get("nr_throttled", 0), throttled.get("throttled_time", 0)
    )
    if usage := cgroup.read("memory", "memory.usage_in_bytes"):
        stats.memory_stats = MemoryStats(
            usage=_number(usage),
            max_usage=_number(cgroup.read("memory", "memory.max_usage_in_bytes")),
            stats=_pairs(cgroup.read("memory", "memory.stat")),
            failcnt=_number(cgroup.read("memory", "memory.failcnt")),
            limit=_limit(cgroup.read("memory", "memory.limit_in_bytes")),
        )
    stats.blkio_stats = _blkio_v1(cgroup)
    _read_pids(cgroup, stats)


def _read_v2(cgroup: Cgroup, stats: Stats) -> None:
    cpu = _pairs(cgroup.read("", "cpu.stat"))
    stats.cpu_stats.cpu_usage = CpuUsage(
        total_usage=cpu.get("usage_usec", 0) * 1000,
        usage_in_kernelmode=cpu.get("system_usec", 0) * 1000,
        usage_in_usermode=cpu.get("user_usec", 0) * 1000,
    )
    stats.cpu_stats.throttling_data = Throttling(
        cpu.get("nr_periods", 0), cpu.get("nr_throttled", 0), cpu.get("throttled_usec", 0) * 1000
    )
    if usage := cgroup.read("memory", "memory.current"):
        stats.memory_stats = MemoryStats(
            usage=_number(usage),
            stats=_pairs(cgroup.read("memory", "memory.stat")),
            failcnt=_pairs(cgroup.read("memory", "memory.events")).get("oom", 0),
            limit=_limit(cgroup.read("memory", "memory.max")),
        )
    stats.blkio_stats = BlkioStats(io_service_bytes_recursive=parse_io_stat(cgroup.read("blkio", "io.stat")))
    _read_pids(cgroup, stats)


def _read_pids(cgroup: Cgroup, stats: Stats) -> None:
    if current := cgroup.read("pids", "pids.current"):
        limit = cgroup.read("pids", "pids.max").strip()
        stats.pids_stats = PidsStats(int(current), int(limit) if limit.isdecimal() else UNSET)


def _blkio_v1(cgroup: Cgroup) -> BlkioStats:
    """The BFQ scheduler's numbers where it is in use, the throttling layer's otherwise, as containerd reads them."""
    found = BlkioStats([], [], [], [], [], [], [], [])
    for source in ("blkio.bfq.", "blkio.throttle.", "blkio."):
        services = parse_blkio(cgroup.read("blkio", f"{source}io_service_bytes_recursive"))
        if services:
            found.io_service_bytes_recursive = services
            found.io_serviced_recursive = parse_blkio(cgroup.read("blkio", f"{source}io_serviced_recursive"))
            break
    return found


def parse_blkio(text: str) -> list[BlkioEntry]:
    """`254:0 Read 7593984` lines of v1; the total at the end has no device."""
    found = []
    for line in text.splitlines():
        fields = line.split()
        if len(fields) == 3 and ":" in fields[0]:
            major, _, minor = fields[0].partition(":")
            found.append(BlkioEntry(int(major), int(minor), fields[1].lower(), int(fields[2])))
    return found


def parse_io_stat(text: str) -> list[BlkioEntry]:
    """`254:0 rbytes=1 wbytes=2 …` lines of v2."""
    found = []
    for line in text.splitlines():
        device, _, rest = line.partition(" ")
        major, _, minor = device.partition(":")
        values = dict(part.partition("=")[::2] for part in rest.split())
        for op, key in (("read", "rbytes"), ("write", "wbytes")):
            if key in values and minor:
                found.append(BlkioEntry(int(major), int(minor), op, int(values[key])))
    return found


def _pairs(text: str) -> dict[str, int]:
    """`key number` lines."""
    found = {}
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        if value.isdecimal():
            found[key] = int(value)
    return found


def _number(text: str) -> int:
    return int(text) if text.strip().isdecimal() else 0


def _limit(text: str) -> int:
    """A memory limit; without one, the machine's memory, as Docker shows it."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    value = int(text) if text.strip().isdecimal() else _NO_LIMIT
    return min(value, machine)
