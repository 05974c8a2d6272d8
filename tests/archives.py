"""Tars for tests, with anything in them."""

from __future__ import annotations

import io
import tarfile
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

KINDS = {
    "dir": tarfile.DIRTYPE,
    "link": tarfile.SYMTYPE,
    "hard": tarfile.LNKTYPE,
    "chr": tarfile.CHRTYPE,
    "fifo": tarfile.FIFOTYPE,
}


def member(
    name: str, content: bytes | None = None, kind: str | None = None, **fields: Any
) -> tuple[tarfile.TarInfo, bytes]:
    """A file with `content`, or with `kind` something else; further `fields` are `TarInfo`'s."""
    info = tarfile.TarInfo(name)
    info.mode = 0o755 if kind == "dir" else 0o644
    info.mtime = 1_700_000_000
    if kind is not None:
        info.type = KINDS[kind]
    info.size = len(content or b"")
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content or b""


def tar_of(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """The archive of `members`, names exactly as given."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def files(content: Mapping[str, str | bytes]) -> bytes:
    """An archive of plain files, their directories included."""
    seen: list[str] = []
    members = []
    for path, text in content.items():
        parts = path.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            folder = "/".join(parts[:depth])
            if folder not in seen:
                seen.append(folder)
                members.append(member(folder, kind="dir"))
        members.append(member(path, text.encode() if isinstance(text, str) else text))
    return tar_of(*members)


async def stream(*chunks: bytes | Iterable[bytes], size: int = 10_000) -> AsyncIterator[bytes]:
    """`chunks` as an asynchronous stream, cut into pieces of `size` bytes."""
    whole = b"".join(chunk if isinstance(chunk, bytes) else b"".join(chunk) for chunk in chunks)
    for start in range(0, len(whole), size):
        yield whole[start : start + size]
