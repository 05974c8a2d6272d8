"""The places there are in this process: repositories of registries, and directories that are OCI image layouts."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from dockwright import workers
from dockwright.build.blobs import OpenBlob
from dockwright.distribution import Repository
from dockwright.errors import Corrupt, HostFailure, Invalid, NotFound
from dockwright.image import Image
from dockwright.image.loading import REF_ANNOTATION
from dockwright.image.products import Products
from dockwright.image.saving import LAYOUT
from dockwright.oci import Descriptor, Index, Reference, mediatypes, read_index, write
from dockwright.oci import digest as digests
from dockwright.undo import UndoStack

DOCUMENT_LIMIT = 8 * 1024 * 1024
_CHUNK = 1024 * 1024


@dataclass(frozen=True)
class RegistryPlace:
    """The tag of `reference` in a repository: `Reader` and `Writer`."""

    repository: Repository
    reference: Reference

    @property
    def name(self) -> str:
        """See `Reader.name`."""
        return self.reference.familiar

    async def manifest(self) -> tuple[Descriptor, bytes]:
        """See `Reader.manifest`."""
        return await self.repository.manifest(self.reference.digest or self.reference.tag or "latest")

    async def document(self, descriptor: Descriptor) -> bytes:
        """See `Reader.document`."""
        if descriptor.media_type in mediatypes.MANIFESTS | mediatypes.INDEXES:
            return (await self.repository.manifest(descriptor))[1]
        return await self.repository.document(descriptor)

    def blob(self, descriptor: Descriptor) -> AsyncGenerator[bytes, None]:
        """See `Reader.blob`."""
        return self.repository.blob(descriptor)

    async def put(self, descriptor: Descriptor, open_blob: OpenBlob) -> None:
        """See `Writer.put`."""
        await self.repository.push_blob(descriptor, open_blob)

    async def finish(self, descriptor: Descriptor, content: bytes) -> None:
        """See `Writer.finish`."""
        await self.repository.push_manifest(self.reference.tag or "latest", descriptor, content)


@dataclass(frozen=True)
class StorePlace:
    """An image of this engine's store: a `Reader`."""

    products: Products
    image: Image

    @property
    def name(self) -> str:
        """See `Reader.name`."""
        return next((name.familiar for name in self.image.names), self.image.id)

    async def manifest(self) -> tuple[Descriptor, bytes]:
        """See `Reader.manifest`."""
        return self.image.row.target, await self.products.read(self.image.id)

    async def document(self, descriptor: Descriptor) -> bytes:
        """See `Reader.document`."""
        return await self.products.read(descriptor.digest)

    def blob(self, descriptor: Descriptor) -> AsyncGenerator[bytes, None]:
        """See `Reader.blob`."""
        return self.products.blob(descriptor)


@dataclass(frozen=True)
class DirectoryPlace:
    """An OCI image layout at `path`: `Reader` and `Writer`. Of several manifests in it, the one tagged `tag` is meant, or that
    of `digest`; what other tags mean stays."""

    path: Path
    tag: str = "latest"
    digest: str = ""

    @classmethod
    def at(cls, path: str, tag: str = "latest", digest: str = "") -> DirectoryPlace:
        """On this process's own disk: for `parse_from` and `parse_to` of an embedded engine."""
        return cls(Path(path), tag, digest)

    @property
    def name(self) -> str:
        """See `Reader.name`."""
        return str(self.path)

    async def manifest(self) -> tuple[Descriptor, bytes]:
        """See `Reader.manifest`. Raises `NotFound`, `Invalid`."""
        index = await workers.quick(self._index)
        found = [one for one in index.manifests or () if self._is_meant(one)]
        if not found:
            raise NotFound(f"{self.path} holds no cache tagged {self.tag}")
        return found[0], await self.document(found[0])

    async def document(self, descriptor: Descriptor) -> bytes:
        """See `Reader.document`."""
        if descriptor.size > DOCUMENT_LIMIT:
            raise Corrupt(f"{descriptor.digest} is longer than {DOCUMENT_LIMIT} bytes")
        async with aclosing(self.blob(descriptor)) as chunks:
            return digests.verify(descriptor.digest, b"".join([chunk async for chunk in chunks]))

    async def blob(self, descriptor: Descriptor) -> AsyncGenerator[bytes, None]:
        """See `Reader.blob`."""
        fd = await workers.quick(self._open, descriptor)
        offset = 0
        try:
            while chunk := await workers.bulk(os.pread, fd, _CHUNK, offset):
                offset += len(chunk)
                yield chunk
        finally:
            os.close(fd)

    async def put(self, descriptor: Descriptor, open_blob: OpenBlob) -> None:
        """See `Writer.put`."""
        path = self._blob(descriptor)
        if await workers.quick(path.exists):
            return
        part = path.with_name(f".{path.name}.part")
        state = digests.hasher(descriptor.digest)
        async with UndoStack() as undo:
            await workers.quick(_make_directory, part.parent)
            undo.push_undo(workers.quick, part.unlink, missing_ok=True)
            file = await workers.quick(_create, part)
            undo.push_undo(workers.quick, file.close)
            async with aclosing(open_blob(0)) as chunks:
                async for chunk in chunks:
                    await workers.bulk(state.update, chunk)
                    await workers.bulk(file.write, chunk)
            if digests.finished(state) != descriptor.digest:
                raise Corrupt(f"content has the digest {digests.finished(state)}, expected {descriptor.digest}")
            await workers.quick(file.close)
            await workers.quick(part.replace, path)

    async def finish(self, descriptor: Descriptor, content: bytes) -> None:
        """See `Writer.finish`."""

        async def chunks(offset: int) -> AsyncGenerator[bytes, None]:
            yield content[offset:]

        await self.put(descriptor, chunks)
        await workers.quick(self._write_index, descriptor)

    def _is_meant(self, one: Descriptor) -> bool:
        if self.digest:
            return one.digest == self.digest
        return (one.annotations or {}).get(REF_ANNOTATION, "latest") == self.tag

    def _index(self) -> Index:
        try:
            content = (self.path / "index.json").read_bytes()
        except OSError as error:
            raise NotFound(f"{self.path}/index.json: {error.strerror}") from error
        return read_index(content)

    def _write_index(self, descriptor: Descriptor) -> None:
        try:
            others = [one for one in self._index().manifests or () if not self._is_meant(one)]
        except (NotFound, Invalid):
            others = []
        tagged = msgspec.structs.replace(descriptor, annotations={REF_ANNOTATION: self.tag})
        for name, content in (("oci-layout", LAYOUT), ("index.json", write(Index(manifests=(*others, tagged))))):
            part = self.path / f".{name}.part"
            part.write_bytes(content)
            part.replace(self.path / name)

    def _blob(self, descriptor: Descriptor) -> Path:
        digest = digests.parse(descriptor.digest)
        return self.path / "blobs" / digests.algorithm(digest) / digests.encoded(digest)

    def _open(self, descriptor: Descriptor) -> int:
        try:
            return os.open(self._blob(descriptor), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise NotFound(f"{self._blob(descriptor)}: {error.strerror}") from error


def _make_directory(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HostFailure(f"{path}: {error.strerror}") from error


def _create(path: Path) -> BinaryIO:
    try:
        return path.open("wb")
    except OSError as error:
        raise HostFailure(f"{path}: {error.strerror}") from error
