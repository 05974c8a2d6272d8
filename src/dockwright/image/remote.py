"""An image in a registry: its documents brought into the store, and which of its variants is meant.

Everything is kept byte for byte under its digest, and held by the lease before it is stored.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

import msgspec

from dockwright import faults, workers
from dockwright.content import put
from dockwright.distribution import Repository
from dockwright.errors import Corrupt, Invalid, NotFound, Unsupported
from dockwright.image.documents import ATTESTED, Variant, is_attestation
from dockwright.image.leases import Lease
from dockwright.image.store import Store
from dockwright.oci import Descriptor, Digest, ImageConfig, Index, Manifest, Platform, detect, mediatypes
from dockwright.oci import digest as digests
from dockwright.oci import platform as platforms
from dockwright.oci.config import CONFIG_LIMIT

# An attestation is a document about an image; what is bigger is none, and is left where it is.
ATTESTATION_LIMIT = 32 * 1024 * 1024
_NESTING = 4
# An index may name any number of others, and of children that do not say what they run on; so many are looked at.
_LOOKED_AT = 32


@dataclass(frozen=True)
class Selected:
    """What a pull brings: `target` is what the name refers to, `variant` the manifest for one platform below it."""

    target: Descriptor
    variant: Variant
    attestations: list[Descriptor]


class Remote:
    """Documents of one repository, read by way of the store."""

    def __init__(self, store: Store, repository: Repository, lease: Lease) -> None:
        self._store, self._repository, self._lease = store, repository, lease
        self._nested = 0

    async def select(self, target: Descriptor, wanted: Platform | None, called: str) -> Selected:
        """The variant below `target` for `wanted`, else for this host; of an image without an index any will do then.

        Raises `NotFound` with Docker's wording when there is none, `Unsupported` for what is no image.
        """
        faults.point("pull.manifest")
        target, document = await self.document(target)
        if isinstance(document, Manifest):
            variant = await self._variant(target, document)
            if wanted is not None and wanted.rank(variant.platform) is None:
                raise NotFound(
                    f"image with reference {called} was found but does not match the specified platform: "
                    f"wanted {wanted}, actual: {variant.platform}"
                )
            return Selected(target, variant, [])
        children = [child async for child in self._leaves(document, 0)]
        variant = await self._best(children, wanted or platforms.host())
        about = [
            child
            for child in children
            if is_attestation(child) and (child.annotations or {}).get(ATTESTED) == variant.descriptor.digest
        ]
        return Selected(target, variant, about[:_LOOKED_AT])

    async def document(self, descriptor: Descriptor) -> tuple[Descriptor, Index | Manifest]:
        """An index or a manifest, and its descriptor with the media type that it really has."""
        await self._lease.hold([descriptor.digest])
        if not await self._stored(descriptor.digest):
            _, content = await self._repository.manifest(descriptor)
            digests.verify(descriptor.digest, content)
            descriptor = msgspec.structs.replace(descriptor, media_type=detect(content), size=len(content))
            await put(self._store.blobs, content)
        return descriptor, await self._store.documents.index_or_manifest(descriptor.digest)

    async def attestation(self, descriptor: Descriptor) -> None:
        """An attestation with everything it says. One that the registry lacks, or that is too big, is left out."""
        try:
            _, document = await self.document(descriptor)
            if isinstance(document, Manifest):
                blobs = (document.config, *(document.layers or ()))
                if sum(blob.size for blob in blobs) <= ATTESTATION_LIMIT:
                    for blob in blobs:
                        await self.small(blob)
        except NotFound:
            return

    async def small(self, blob: Descriptor) -> None:
        """A blob as a whole, with nothing done to it."""
        await self._lease.hold([blob.digest])
        if await self._stored(blob.digest):
            return
        async with self._store.blobs.ingest() as ingest, aclosing(self._repository.blob(blob)) as chunks:
            async for chunk in chunks:
                await ingest.write(chunk)
            await ingest.commit(blob.digest, blob.size)

    async def _variant(self, descriptor: Descriptor, manifest: Manifest) -> Variant:
        if manifest.config.media_type not in mediatypes.CONFIGS:
            kind = manifest.artifact_type or manifest.config.media_type
            raise Unsupported(f'Encountered remote "{kind}"(unknown) when fetching')
        return Variant(descriptor, manifest, await self._config(manifest.config))

    async def _config(self, descriptor: Descriptor) -> ImageConfig:
        if descriptor.size > CONFIG_LIMIT:
            raise Invalid(f"image configuration of {descriptor.size} bytes: the limit is {CONFIG_LIMIT}")
        await self.small(descriptor)
        return await self._store.documents.config(descriptor.digest)

    async def _leaves(self, index: Index, depth: int) -> AsyncIterator[Descriptor]:
        for child in index.manifests or ():
            if child.media_type not in mediatypes.INDEXES:
                yield child
            elif depth < _NESTING and self._nested < _LOOKED_AT:
                self._nested += 1
                _, below = await self.document(child)
                if isinstance(below, Index):
                    async for leaf in self._leaves(below, depth + 1):
                        yield leaf

    async def _best(self, children: list[Descriptor], wanted: Platform) -> Variant:
        """The child that suits `wanted` best. One that does not say what it runs on is asked by its configuration."""
        images = [child for child in children if not is_attestation(child) and child.media_type in mediatypes.MANIFESTS]
        ranked = [
            (rank, at)
            for at, child in enumerate(images)
            if child.platform is not None and (rank := wanted.rank(child.platform)) is not None
        ]
        if ranked:
            return await self._child(images[min(ranked)[1]])
        for child in [child for child in images if child.platform is None][:_LOOKED_AT]:
            try:
                variant = await self._child(child)
            except Unsupported:
                continue  # an artifact beside the images
            if wanted.rank(variant.platform) is not None:
                return variant
        raise NotFound(
            f"no matching manifest for {wanted} in the manifest list entries: no match for platform in manifest: not found"
        )

    async def _child(self, child: Descriptor) -> Variant:
        descriptor, document = await self.document(child)
        if not isinstance(document, Manifest):
            raise Corrupt(f"{child.digest} is an index, its parent says {child.media_type}")
        return await self._variant(descriptor, document)

    async def _stored(self, digest: Digest) -> bool:
        return await workers.quick(self._store.blobs.path(digest).exists)
