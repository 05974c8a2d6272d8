"""A layer under another compression: gzip with a fixed header, zstd, or none. The same layer gives the same bytes."""

from __future__ import annotations

import zlib
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Protocol, cast

import zstandard

from dockwright import archive, faults, workers
from dockwright.content.partial import Partial
from dockwright.errors import Corrupt, Unavailable
from dockwright.image.leases import Lease
from dockwright.image.store import Store
from dockwright.oci import Descriptor, Digest, mediatypes
from dockwright.oci import digest as digests
from dockwright.undo import UndoStack

_CHUNK = 1024 * 1024
_TYPES = {"": mediatypes.OCI_LAYER, "gzip": mediatypes.OCI_LAYER_GZIP, "zstd": mediatypes.OCI_LAYER_ZSTD}
# zlib's own choice, and Go's.
_GZIP_LEVEL, _ZSTD_LEVEL = 6, 3
_GZIP_HEADER = 31


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


class _Plain:
    def compress(self, data: bytes, /) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""


async def compressed(
    store: Store, lease: Lease, layer: Descriptor, diff_id: Digest, kind: mediatypes.Compression, level: int | None
) -> Descriptor:
    """`layer`, whose tar has the digest `diff_id`, as a blob in the store of compression `kind` ("" is none), held by `lease`.

    `level` None is the usual one. Raises `NotFound` when the layer is not to be had any more, `Corrupt` for a bad blob.
    """
    if kind == "" and (store.layers.regenerable(diff_id) or layer.digest == diff_id):
        await lease.hold([diff_id])
        size_bytes = layer.size if layer.digest == diff_id else await workers.bulk(_tar_bytes, store, diff_id)
        return Descriptor(_TYPES[kind], diff_id, size_bytes)
    if not store.layers.regenerable(diff_id) and not await workers.quick(store.blobs.path(layer.digest).exists):
        await store.bring(layer)
    working = _Work()
    async with UndoStack() as undo:
        partial = await workers.quick(store.blobs.begin)
        undo.push_undo(workers.quick, partial.discard)
        await archive.run(
            lambda: working.fill(partial, _chunks(store, layer, diff_id), diff_id, kind, level), working.stop
        )
        digest = await workers.quick(partial.verify)
        await lease.hold([digest])
        faults.point("image.compress")
        await workers.bulk(partial.commit, digest)
    return Descriptor(_TYPES[kind], digest, partial.offset)


class _Work:
    """One compression, which can be stopped."""

    def __init__(self) -> None:
        self._stopped = False

    def stop(self) -> None:
        self._stopped = True

    def fill(
        self,
        partial: Partial,
        chunks: Generator[bytes, None, None],
        diff_id: Digest,
        kind: mediatypes.Compression,
        level: int | None,
    ) -> None:
        """Blocking."""
        state = digests.hasher()
        compressor = _compressor(kind, level)
        with closing(chunks):
            for chunk in chunks:
                if self._stopped:
                    raise Unavailable("compressing a layer was given up")
                state.update(chunk)
                partial.write(compressor.compress(chunk))
        partial.write(compressor.flush())
        if digests.finished(state) != diff_id:
            raise Corrupt(f"layer has the diff ID {digests.finished(state)}, expected {diff_id}")


def _compressor(kind: mediatypes.Compression, level: int | None) -> _Compressor:
    match kind:
        case "gzip":
            return zlib.compressobj(_GZIP_LEVEL if level is None else level, zlib.DEFLATED, _GZIP_HEADER)
        case "zstd":
            made = zstandard.ZstdCompressor(level or _ZSTD_LEVEL)
            return cast(_Compressor, made.compressobj())
    return _Plain()


def _chunks(store: Store, layer: Descriptor, diff_id: Digest) -> Generator[bytes, None, None]:
    if store.layers.regenerable(diff_id):
        return store.layers.tar(diff_id)
    return _decompressed(store.blobs.path(layer.digest))


def _decompressed(path: Path) -> Generator[bytes, None, None]:
    with path.open("rb") as file:
        source = archive.decompressed(file)
        while chunk := source.read(_CHUNK):
            yield chunk


def _tar_bytes(store: Store, diff_id: Digest) -> int:
    return sum(len(chunk) for chunk in store.layers.tar(diff_id))
