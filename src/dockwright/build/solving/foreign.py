"""Running programs of another architecture: whether the kernel has an interpreter for them (binfmt_misc)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dockwright.oci import Platform
from dockwright.oci import platform as platforms

REGISTRY = Path("/proc/sys/fs/binfmt_misc")
# ELF: class (1 is 32 bits), byte order (1 is little endian), machine.
_MACHINES = {
    "386": (1, 1, 3),
    "amd64": (2, 1, 62),
    "arm": (1, 1, 40),
    "arm64": (2, 1, 183),
    "loong64": (2, 1, 258),
    "mips": (1, 2, 8),
    "mipsle": (1, 1, 8),
    "mips64": (2, 2, 8),
    "mips64le": (2, 1, 8),
    "ppc64": (2, 2, 21),
    "ppc64le": (2, 1, 21),
    "riscv64": (2, 1, 243),
    "s390x": (2, 2, 22),
}
# How emulators call what Go calls otherwise.
_EMULATED = {"arm64": "aarch64", "386": "i386", "amd64": "x86_64", "mipsle": "mipsel", "loong64": "loongarch64"}


@dataclass(frozen=True)
class Interpreter:
    """What binfmt_misc runs programs with. `fixed` is its flag F: it was opened when it was registered, so that it is found
    whatever root directory a program has."""

    name: str
    path: str
    fixed: bool


def trouble(platform: Platform, registry: Path = REGISTRY) -> str:
    """Why programs for `platform` do not run here, and what to do; empty when they do. Blocking."""
    host, meant = platforms.host(), platform.normal
    if host.rank(meant) is not None or (meant.os in ("", host.os) and meant.architecture in ("", host.architecture)):
        return ""  # an image that does not say what it is for is tried, and so is another level of this processor
    if platform.os != "linux":
        return f"programs for {platform} do not run on linux"
    found = interpreter(platform, registry)
    emulator = f"qemu-{_EMULATED.get(platform.architecture, platform.architecture)}"
    if found is None:
        return (
            f"this host is {platforms.host()} and has no interpreter for {platform}: register {emulator} with binfmt_misc "
            "(packages qemu-user-static and binfmt-support), or run the step on --platform=$BUILDPLATFORM"
        )
    if not found.fixed:
        return (
            f"the interpreter {found.path} for {platform} is registered without the flag F, and is not found in a step's "
            f"root directory: register {emulator} again with that flag"
        )
    return ""


def interpreter(platform: Platform, registry: Path = REGISTRY) -> Interpreter | None:
    """What runs programs for `platform`; None when nothing does. Blocking."""
    header = _header(platform.architecture)
    if header is None or not _enabled(registry / "status"):
        return None
    for path in sorted(registry.iterdir()):
        if path.name in ("register", "status"):
            continue
        entry = _Entry(path)
        if entry.enabled and entry.fits(header):
            return Interpreter(path.name, entry.interpreter, "F" in entry.flags)
    return None


def _header(architecture: str) -> bytes | None:
    """How a program for it begins, as far as interpreters look."""
    if architecture not in _MACHINES:
        return None
    bits, order, machine = _MACHINES[architecture]
    endian = "little" if order == 1 else "big"
    return (
        b"\x7fELF"
        + bytes((bits, order, 1))
        + bytes(9)
        + (2).to_bytes(2, endian)  # type: ignore[arg-type]
        + machine.to_bytes(2, endian)  # type: ignore[arg-type]
        + (1).to_bytes(4, endian)  # type: ignore[arg-type]
    )


def _enabled(status: Path) -> bool:
    try:
        return status.read_text().strip() == "enabled"
    except OSError:
        return False


class _Entry:
    """One file of the registry: `enabled`, `interpreter PATH`, `flags: F`, `offset 0`, `magic HEX`, `mask HEX`."""

    def __init__(self, path: Path) -> None:
        self.enabled = False
        self.interpreter = self.flags = ""
        self._offset, self._magic, self._mask = 0, b"", b""
        try:
            lines = path.read_text().splitlines()
        except OSError:
            return  # gone meanwhile
        self.enabled = "enabled" in lines
        for line in lines:
            name, _, value = line.partition(" ")
            match name:
                case "interpreter":
                    self.interpreter = value
                case "flags:":
                    self.flags = value
                case "offset":
                    self._offset = int(value)
                case "magic":
                    self._magic = bytes.fromhex(value)
                case "mask":
                    self._mask = bytes.fromhex(value)

    def fits(self, header: bytes) -> bool:
        """Whether a program that begins so is given to this interpreter."""
        mask = self._mask or b"\xff" * len(self._magic)
        part = header[self._offset : self._offset + len(self._magic)]
        if not self._magic or len(part) < len(self._magic):
            return False
        return all(a & m == b & m for a, b, m in zip(part, self._magic, mask, strict=False))
