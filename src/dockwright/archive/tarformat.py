"""The tar format, without I/O: 512-byte headers to entries and back.

Read: v7, ustar, pax (POSIX.1-2001) and GNU long names, base-256 numbers and sparse files. Written: ustar, with a pax
header before it where a value does not fit. Names are bytes throughout: tar does not say what they are encoded in.
"""

from __future__ import annotations

import functools
import struct
import zlib
from dataclasses import dataclass, field

from dockwright.errors import Corrupt, Invalid

BLOCK = 512
END = bytes(2 * BLOCK)

REGULAR, HARDLINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO = b"0", b"1", b"2", b"3", b"4", b"5", b"6"
CONTIGUOUS, OLD_REGULAR = b"7", b"\0"
PAX, PAX_GLOBAL, SOLARIS_PAX = b"x", b"g", b"X"
GNU_LONGNAME, GNU_LONGLINK, GNU_SPARSE = b"L", b"K", b"S"

_HEADER = struct.Struct("100s8s8s8s12s12s8sc100s6s2s32s32s8s8s155s12x")
_SPARSE_MAP = b"GNU.sparse.map"
_XATTR = b"SCHILY.xattr."
_SPACES = 8 * ord(" ")  # what the checksum field counts as
_ADLER = 65521


@dataclass(slots=True)
class Entry:
    """One member. `size` is the length of its data in the archive; `real_size` that of the file, longer when sparse."""

    name: bytes
    kind: bytes = REGULAR
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    size: int = 0
    mtime_ns: int = 0
    target: bytes = b""
    major: int = 0
    minor: int = 0
    xattrs: dict[bytes, bytes] = field(default_factory=dict)
    # Pieces of a sparse file as (offset, length); None for a plain file.
    sparse: list[tuple[int, int]] | None = None
    real_size: int = 0


@dataclass(slots=True)
class Overrides:
    """What extension headers say about the next entry."""

    pax: dict[bytes, bytes] = field(default_factory=dict)
    name: bytes | None = None
    target: bytes | None = None
    sparse: list[bytes] = field(default_factory=list)


def parse_header(block: bytes | memoryview) -> Entry | None:
    """One header block; None for a block of zeros. Raises `Corrupt` on a wrong checksum or number."""
    fields = _HEADER.unpack(block)
    (name, mode, uid, gid, size, mtime, checksum, kind, target, magic, _, _, _, major, minor, prefix) = fields
    if not checksum.strip(b"\0 "):
        if bytes(block).strip(b"\0"):
            raise Corrupt("tar header without a checksum")
        return None
    _check_sum(block, checksum)
    name = _text(name)
    if magic == b"ustar\0" and prefix[0]:
        name = _text(prefix) + b"/" + name
    entry = Entry(
        name,
        kind,
        _number(mode) & 0o7777,
        _number(uid),
        _number(gid),
        _number(size),
        _number(mtime) * 10**9,
        _text(target),
    )
    if kind in (CHARACTER, BLOCK_DEVICE):
        entry.major, entry.minor = _number(major), _number(minor)
    elif kind in (OLD_REGULAR, CONTIGUOUS):
        # v7 had no type for directories: the name's slash tells.
        entry.kind = DIRECTORY if kind == OLD_REGULAR and name.endswith(b"/") else REGULAR
    if entry.size < 0:
        raise Corrupt(f"tar entry {name!r} has a negative size")
    return entry


def parse_pax(data: bytes, into: Overrides) -> None:
    """Add the records of a pax header. Raises `Corrupt`."""
    position = 0
    while position < len(data) and data[position] != 0:
        space = data.find(b" ", position, position + 21)
        length = int(data[position:space]) if space > position and data[position:space].isdigit() else 0
        end = position + length
        if not position < space < end <= len(data) or data[end - 1] != 0x0A:
            raise Corrupt("malformed pax header")
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if not equals:
            raise Corrupt("malformed pax header")
        if key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"):
            into.sparse.append(value)
        else:
            into.pax[key] = value
        position = end


def apply(entry: Entry, over: Overrides) -> None:
    """Give `entry` what its extension headers say. Raises `Corrupt`."""
    if over.name is not None:
        entry.name = over.name
    if over.target is not None:
        entry.target = over.target
    if over.pax:
        _apply_pax(entry, over.pax)
    if over.sparse or _SPARSE_MAP in over.pax:
        values = over.sparse or over.pax[_SPARSE_MAP].split(b",")
        _set_sparse(entry, [_decimal(value) for value in values], over.pax.get(b"GNU.sparse.size"))


def _apply_pax(entry: Entry, pax: dict[bytes, bytes]) -> None:
    entry.name = pax.get(b"GNU.sparse.name") or pax.get(b"path") or entry.name
    entry.target = pax.get(b"linkpath") or entry.target
    if (value := pax.get(b"size")) is not None:
        entry.size = _decimal(value)
    if (value := pax.get(b"uid")) is not None:
        entry.uid = _decimal(value)
    if (value := pax.get(b"gid")) is not None:
        entry.gid = _decimal(value)
    if (value := pax.get(b"mtime")) is not None:
        entry.mtime_ns = _time_ns(value)
    for key, value in pax.items():
        if key.startswith(_XATTR):
            entry.xattrs[key[len(_XATTR) :]] = value


def parse_old_sparse(entry: Entry, pieces: bytes, real_size: bytes) -> None:
    """The piece table of a GNU sparse header (type S): 24 bytes a piece. Raises `Corrupt`."""
    numbers = []
    for start in range(0, len(pieces) - 23, 24):
        if not pieces[start : start + 24].strip(b"\0"):
            break
        numbers += [_number(pieces[start : start + 12]), _number(pieces[start + 12 : start + 24])]
    _set_sparse(entry, numbers, b"%d" % _number(real_size))
    entry.kind = REGULAR


def set_sparse_map(entry: Entry, numbers: list[int], over: Overrides) -> None:
    """The piece table of pax sparse format 1.0, which stands before the data. Raises `Corrupt`."""
    _set_sparse(entry, numbers, over.pax.get(b"GNU.sparse.realsize"))


def _set_sparse(entry: Entry, numbers: list[int], real_size: bytes | None) -> None:
    if len(numbers) % 2 or real_size is None:
        raise Corrupt(f"malformed map of the sparse file {entry.name!r}")
    entry.sparse = list(zip(numbers[::2], numbers[1::2], strict=True))
    entry.real_size = _decimal(real_size)
    end = 0
    for offset, length in entry.sparse:
        if offset < end or length < 0 or offset + length > entry.real_size:
            raise Corrupt(f"malformed map of the sparse file {entry.name!r}")
        end = offset + length


def encode(entry: Entry, *, subsecond: bool = True) -> bytes:
    """The header blocks of `entry`; times are cut to whole seconds without `subsecond`."""
    header = _ustar(entry)
    pax = _pax_records(entry, subsecond)
    if not pax:
        return header
    body = b"".join(pax)
    extension = Entry(b"PaxHeaders.0/" + entry.name.rstrip(b"/")[-80:], PAX, 0o644, size=len(body))
    return _ustar(extension) + body + padding(len(body)) + header


def padding(size: int) -> bytes:
    """What fills the last block of `size` bytes of data."""
    return bytes(-size % BLOCK)


def _pax_records(entry: Entry, subsecond: bool) -> list[bytes]:
    records = []
    if len(entry.name) > 100:
        records.append(_record(b"path", entry.name))
    if len(entry.target) > 100:
        records.append(_record(b"linkpath", entry.target))
    if entry.size > 0o77777777777:
        records.append(_record(b"size", b"%d" % entry.size))
    if entry.uid > 0o7777777:
        records.append(_record(b"uid", b"%d" % entry.uid))
    if entry.gid > 0o7777777:
        records.append(_record(b"gid", b"%d" % entry.gid))
    seconds, rest = divmod(entry.mtime_ns, 10**9)
    if seconds < 0 or seconds > 0o77777777777 or (rest and subsecond):
        records.append(_record(b"mtime", _decimal_time(entry.mtime_ns if subsecond else seconds * 10**9)))
    if entry.xattrs:
        records += [_record(_XATTR + key, value) for key, value in sorted(entry.xattrs.items())]
    return records


def _record(key: bytes, value: bytes) -> bytes:
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    if len(str(length)) != len(str(rest)):
        length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def _ustar(entry: Entry) -> bytes:
    seconds = entry.mtime_ns // 10**9
    fits = 0 <= seconds <= 0o77777777777
    begin = b"%s%07o\0%07o\0%07o\0%011o\0%011o\0" % (
        entry.name[:100].ljust(100, b"\0"),
        entry.mode,
        entry.uid if entry.uid <= 0o7777777 else 0,
        entry.gid if entry.gid <= 0o7777777 else 0,
        entry.size if entry.size <= 0o77777777777 else 0,
        seconds if fits else 0,
    )
    end, total = _ustar_end(entry.kind, entry.target[:100], entry.major & 0o7777777, entry.minor & 0o7777777)
    return b"%s%06o\0 %s" % (begin, _sum(begin) + _SPACES + total, end)


@functools.lru_cache(maxsize=64)
def _ustar_end(kind: bytes, target: bytes, major: int, minor: int) -> tuple[bytes, int]:
    """What comes after the checksum, and its part of that."""
    end = b"%s%sustar\x0000%s%07o\0%07o\0" % (kind, target.ljust(100, b"\0"), bytes(64), major, minor)
    end = end.ljust(BLOCK - 156, b"\0")
    return end, _sum(end)


def _sum(data: bytes) -> int:
    # Adler-32's lower half is the sum plus one, modulo 65521, which 512 bytes below 128 do not reach.
    return (zlib.adler32(data) & 0xFFFF) - 1 if data.isascii() else sum(data)


def _check_sum(block: bytes | memoryview, checksum: bytes) -> None:
    """Adler-32's lower half is the sum of the bytes plus one, modulo 65521, and zlib computes it fast."""
    wanted = _number(checksum)
    total = (zlib.adler32(block) & 0xFFFF) - (zlib.adler32(checksum) & 0xFFFF) + _SPACES
    if (total - wanted) % _ADLER == 0:
        return
    # Some old programs summed signed characters.
    data = bytes(block)
    signed = sum(byte - 256 if byte > 127 else byte for byte in data[:148] + b" " * 8 + data[156:])
    if signed != wanted:
        raise Corrupt("tar header with a wrong checksum")


def _text(data: bytes) -> bytes:
    end = data.find(b"\0")
    return data if end < 0 else data[:end]


def _number(data: bytes) -> int:
    if data[0] & 0x80:  # GNU base-256
        value = int.from_bytes(data, "big")
        bits = 8 * len(data)
        return value - (1 << bits) if data[0] == 0xFF else value & ((1 << (bits - 1)) - 1)
    end = data.find(b"\0")
    digits = (data if end < 0 else data[:end]).strip(b" ")
    try:
        return int(digits, 8) if digits else 0
    except ValueError:
        raise Corrupt(f"malformed number {data!r} in a tar header") from None


def _decimal(value: bytes) -> int:
    if not value.isdigit() or len(value) > 19:
        raise Corrupt(f"malformed number {value[:40]!r} in a pax header")
    return int(value)


def _time_ns(value: bytes) -> int:
    whole, _, fraction = value.partition(b".")
    digits = whole.removeprefix(b"-")
    if not digits.isdigit() or len(digits) > 18 or (fraction and not fraction.isdigit()):
        raise Corrupt(f"malformed time {value[:40]!r} in a pax header")
    part = int(fraction[:9].ljust(9, b"0"))
    return -(int(digits) * 10**9 + part) if whole.startswith(b"-") else int(digits) * 10**9 + part


def _decimal_time(time_ns: int) -> bytes:
    sign = b"-" if time_ns < 0 else b""
    whole, part = divmod(abs(time_ns), 10**9)
    return sign + (b"%d.%09d" % (whole, part)).rstrip(b"0").rstrip(b".")


def checked_name(name: bytes) -> bytes:
    """`name` as a path relative to the archive's root, `b""` for the root itself.

    Lexical, as Docker does it: `./a//b/../c` is `a/c`. Raises `Invalid` for a name that climbs out or holds a NUL.
    """
    if b"\0" in name:
        raise Invalid(f"tar entry {name!r} has a NUL in its name")
    parts: list[bytes] = []
    for part in name.split(b"/"):
        if part == b"..":
            if not parts:
                raise Invalid(f"tar entry {name.decode(errors='replace')!r} is outside of the archive's root")
            parts.pop()
        elif part not in (b"", b"."):
            parts.append(part)
    return b"/".join(parts)
