"""The seam to where blobs are kept that are not this engine's: registries, directories, content stores of clients.

Build caches are there, and image layouts.

A place that is read:      await place.manifest(), then place.blob(descriptor) for what turns out to be wanted
A place that is written:   place.put(descriptor, open) for each blob, then place.finish(descriptor, content), once

Readers verify nothing: whoever reads knows the digests. Both raise the errors of what they speak to (`NotFound`,
`Unavailable`, `Unauthorized`, ...). The conformance test is `tests/engine/build/test_blob_places.py`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Protocol

from dockwright.oci import Descriptor

# A blob's bytes from an offset on.
OpenBlob = Callable[[int], AsyncGenerator[bytes, None]]


class Reader(Protocol):
    """Where a cache is read from. Any method may run in several tasks at once."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    async def manifest(self) -> tuple[Descriptor, bytes]:
        """The cache's manifest or index, or an image's."""
        ...

    async def document(self, descriptor: Descriptor) -> bytes:
        """A small blob, or a manifest that the first one names, as a whole."""
        ...

    def blob(self, descriptor: Descriptor) -> AsyncGenerator[bytes, None]:
        """A layer's bytes. Close the generator when you stop early."""
        ...


class Writer(Protocol):
    """Where a cache is written to."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    async def put(self, descriptor: Descriptor, open_blob: OpenBlob) -> None:
        """Bring a blob there; `open_blob` is not asked where it is there already."""
        ...

    async def finish(self, descriptor: Descriptor, content: bytes) -> None:
        """Put the manifest or index there, under the place's name: the cache is complete."""
        ...
