"""Linux capabilities of a container: Docker's fourteen, `--cap-add`, `--cap-drop`, privileged."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from dockwright.errors import Invalid, Unsupported

# In the order of their numbers (capabilities(7), linux/capability.h).
ALL = tuple(
    "CAP_" + name
    for name in (
        "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE "
        "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT "
        "SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP "
        "MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
    ).split()
)

DEFAULT = frozenset(
    "CAP_" + name
    for name in (
        "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL "
        "AUDIT_WRITE"
    ).split()
)


@cache
def available() -> frozenset[str]:
    """The capabilities in our own bounding set: a container cannot be given more."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapBnd:"):
            bits = int(line.split()[1], 16)
            return frozenset(name for number, name in enumerate(ALL) if bits >> number & 1)
    return frozenset(ALL)


def normalize(names: Iterable[str], option: str) -> list[str]:
    """Upper-case names with their CAP_ prefix; `ALL` stays. Raises `Invalid` for one that does not exist, naming `option`."""
    found = []
    for name in names:
        full = name.upper()
        if full != "ALL":
            full = full if full.startswith("CAP_") else "CAP_" + full
            if full not in ALL:
                raise Invalid(f'invalid {option}: unknown capability: "{full}"')
        found.append(full)
    return found


def effective(add: Iterable[str], drop: Iterable[str], privileged: bool) -> list[str]:
    """The container's capabilities, in the kernel's order.

    Raises `Unsupported` when one is added by name that the engine itself does not hold.
    """
    adding, dropping = set(normalize(add, "CapAdd")), set(normalize(drop, "CapDrop"))
    if privileged:
        wanted = set(available())
    elif "ALL" in adding:
        wanted = set(available()) - dropping
    elif "ALL" in dropping:
        wanted = adding
    else:
        wanted = (set(DEFAULT) - dropping) | adding
    missing = (adding - {"ALL"}) - available()
    if missing and not privileged:
        raise Unsupported(f"{', '.join(sorted(missing))} cannot be added: the engine does not hold it on this host")
    return [name for name in ALL if name in wanted and name in available()]
