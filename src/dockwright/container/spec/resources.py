"""Limits: `HostConfig` resources as OCI `linux.resources`."""

from __future__ import annotations

from typing import Any

from dockwright.container.config import Resources, ThrottleDevice
from dockwright.container.spec import devices


def build(limits: Resources) -> dict[str, Any]:
    """OCI `linux.resources` without the device rules; only what was asked for is there. Raises `Invalid`."""
    found: dict[str, Any] = {}
    for key, part in (
        ("memory", _memory(limits)),
        ("cpu", _cpu(limits)),
        ("blockIO", _block_io(limits)),
    ):
        if part:
            found[key] = part
    if limits.pids_limit is not None and limits.pids_limit > 0:  # without it the cgroup's own "max" stays
        found["pids"] = {"limit": limits.pids_limit}
    return found


def _memory(limits: Resources) -> dict[str, Any]:
    memory: dict[str, Any] = {}
    if limits.memory:
        memory["limit"] = limits.memory
        # Docker: swap unset means as much swap again as memory; the cgroup counts both together.
        memory["swap"] = limits.memory_swap or limits.memory * 2
    elif limits.memory_swap:
        memory["swap"] = limits.memory_swap
    if limits.memory_reservation:
        memory["reservation"] = limits.memory_reservation
    if limits.kernel_memory_tcp:
        memory["kernelTCP"] = limits.kernel_memory_tcp
    if limits.memory_swappiness is not None and limits.memory_swappiness >= 0:
        memory["swappiness"] = limits.memory_swappiness
    if limits.oom_kill_disable:
        memory["disableOOMKiller"] = True
    return memory


def _cpu(limits: Resources) -> dict[str, Any]:
    cpu: dict[str, Any] = {}
    if limits.nano_cpus:
        cpu["period"] = 100_000
        cpu["quota"] = limits.nano_cpus * 100_000 // 1_000_000_000
    for key, value in (
        ("shares", limits.cpu_shares),
        ("quota", max(0, limits.cpu_quota)),  # negative is none
        ("period", limits.cpu_period),
        ("realtimeRuntime", limits.cpu_realtime_runtime),
        ("realtimePeriod", limits.cpu_realtime_period),
        ("cpus", limits.cpuset_cpus),
        ("mems", limits.cpuset_mems),
    ):
        if value:
            cpu[key] = value
    return cpu


def _block_io(limits: Resources) -> dict[str, Any]:
    block: dict[str, Any] = {}
    if limits.blkio_weight:
        block["weight"] = limits.blkio_weight
    if limits.blkio_weight_device:
        block["weightDevice"] = [
            dict(zip(("major", "minor"), devices.number(entry.path), strict=True), weight=entry.weight)
            for entry in limits.blkio_weight_device
        ]
    for key, entries in (
        ("throttleReadBpsDevice", limits.blkio_device_read_bps),
        ("throttleWriteBpsDevice", limits.blkio_device_write_bps),
        ("throttleReadIOPSDevice", limits.blkio_device_read_iops),
        ("throttleWriteIOPSDevice", limits.blkio_device_write_iops),
    ):
        if entries:
            block[key] = [_throttle(entry) for entry in entries]
    return block


def _throttle(entry: ThrottleDevice) -> dict[str, int]:
    major, minor = devices.number(entry.path)
    return {"major": major, "minor": minor, "rate": entry.rate}
