"""What these tests push and pull: blobs of any size, and an image of them."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from pathlib import Path

from dockwright.distribution import Registries, RegistryOptions, Repository
from dockwright.oci import Descriptor, Manifest, describe, mediatypes, write
from dockwright.oci import digest as digests
from tests.registries import Registry

CHUNK = 64 * 1024


@dataclass
class Blob:
    """Bytes, their descriptor, and how often and where they were opened."""

    content: bytes = field(repr=False)  # megabytes that pytest would print
    descriptor: Descriptor
    opened: list[int]
    closed: int = 0

    async def source(self, offset: int) -> AsyncGenerator[bytes, None]:
        self.opened.append(offset)
        try:
            for start in range(offset, len(self.content), CHUNK):
                yield self.content[start : start + CHUNK]
        finally:
            self.closed += 1


def blob(size: int, seed: int = 0, media_type: str = mediatypes.OCI_LAYER) -> Blob:
    """`size` bytes that no compression helps."""
    return of(random.Random(seed).randbytes(size), media_type)


def of(content: bytes, media_type: str = mediatypes.OCI_LAYER) -> Blob:
    """`content` as a blob."""
    return Blob(content, Descriptor(media_type, digests.of(content), len(content)), [])


@dataclass
class Image:
    """A manifest and what it names."""

    descriptor: Descriptor
    content: bytes
    config: Blob
    layers: list[Blob]

    async def push(self, repository: Repository, tag: str) -> None:
        for part in (self.config, *self.layers):
            await repository.push_blob(part.descriptor, part.source)
        await repository.push_manifest(tag, self.descriptor, self.content)


def image(*sizes: int, seed: int = 0) -> Image:
    """An image with layers of these sizes."""
    layers = [blob(size, seed + number) for number, size in enumerate(sizes)]
    config = of(b'{"architecture":"amd64","os":"linux","seed":%d}' % seed, mediatypes.OCI_CONFIG)
    manifest = write(Manifest(config=config.descriptor, layers=tuple(layer.descriptor for layer in layers)))
    return Image(describe(manifest, mediatypes.OCI_MANIFEST), manifest, config, layers)


def options(certs_dir: Path | None = None, **further: object) -> RegistryOptions:
    """Options with short waits, and nothing taken from this machine."""
    quick: dict[str, object] = {"first_delay_s": 0.001, "max_delay_s": 0.002, "idle_timeout_s": 10.0}
    return RegistryOptions(certs_dirs=(certs_dir,) if certs_dir else (), **(quick | further))  # type: ignore[arg-type]


Client = Callable[[Registry], Registries]


async def read(stream: AsyncGenerator[bytes, None]) -> bytes:
    """Everything a stream gives."""
    return b"".join([chunk async for chunk in stream])


def write_referring(subject: Descriptor, artifact_type: str) -> bytes:
    """A manifest that refers to another."""
    empty = blob(0).descriptor
    return (
        b'{"schemaVersion":2,"mediaType":"%s","artifactType":"%s","config":{"mediaType":"%s","digest":"%s","size":0},'
        b'"layers":[],"subject":{"mediaType":"%s","digest":"%s","size":%d}}'
        % (
            mediatypes.OCI_MANIFEST.encode(),
            artifact_type.encode(),
            b"application/vnd.oci.empty.v1+json",
            empty.digest.encode(),
            subject.media_type.encode(),
            subject.digest.encode(),
            subject.size,
        )
    )
