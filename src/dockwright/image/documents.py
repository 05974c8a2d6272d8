"""Indexes, manifests and configurations out of the blob store, decoded once and remembered: they never change."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from functools import cached_property

from dockwright.content import BlobStore, read
from dockwright.errors import NotFound
from dockwright.oci import (
    Descriptor,
    Digest,
    ImageConfig,
    Index,
    Manifest,
    Platform,
    chain_ids,
    detect,
    mediatypes,
    platform,
    read_config,
    read_index,
    read_manifest,
)

_REMEMBERED = 4096
_NESTING = 4
ATTESTATION = "vnd.docker.reference.type"
ATTESTED = "vnd.docker.reference.digest"


@dataclass(frozen=True)
class Variant:
    """One manifest of an image with its configuration: what a container can be made from."""

    descriptor: Descriptor
    manifest: Manifest
    config: ImageConfig

    @cached_property
    def snapshot(self) -> Digest | None:
        """The key of the snapshot of all layers; None for an image without any."""
        chain = chain_ids(self.config.diff_ids)
        return chain[-1] if chain else None

    @property
    def platform(self) -> Platform:
        """What the index says it runs on, else the configuration."""
        return self.descriptor.platform or self.config.platform

    @property
    def layers(self) -> list[tuple[Descriptor, Digest]]:
        """Each layer's blob and diff ID, base first."""
        return list(zip(self.manifest.layers or (), self.config.diff_ids, strict=False))


class Documents:
    """Reads documents by descriptor. Raises `NotFound` for what is not stored, `Invalid` or `Corrupt` for what is bad."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._known: dict[Digest, Index | Manifest | ImageConfig] = {}

    async def index_or_manifest(self, digest: Digest) -> Index | Manifest:
        """What `digest` is."""
        known = self._known.get(digest)
        if not isinstance(known, Index | Manifest):
            content = await read(self._blobs, digest)
            known = read_index(content) if detect(content) in mediatypes.INDEXES else read_manifest(content)
            self._remember(digest, known)
        return known

    async def config(self, digest: Digest) -> ImageConfig:
        """An image configuration."""
        known = self._known.get(digest)
        if not isinstance(known, ImageConfig):
            known = read_config(await read(self._blobs, digest))
            self._remember(digest, known)
        return known

    async def manifests(self, target: Descriptor, depth: int = 0) -> AsyncIterator[tuple[Descriptor, Manifest | None]]:
        """Every manifest below `target`, in the index's order; None for one that is not stored."""
        try:
            document = await self.index_or_manifest(target.digest)
        except NotFound:
            yield target, None
            return
        if isinstance(document, Manifest):
            yield target, document
        elif depth < _NESTING:
            for child in document.manifests or ():
                async for found in self.manifests(child, depth + 1):
                    yield found

    async def indexes(self, target: Descriptor, depth: int = 0) -> list[Descriptor]:
        """The indexes below `target`, itself not counted, as far as they are stored."""
        found: list[Descriptor] = []
        try:
            document = await self.index_or_manifest(target.digest)
        except NotFound:
            return found
        if isinstance(document, Index) and depth < _NESTING:
            for child in document.manifests or ():
                if child.media_type in mediatypes.INDEXES:
                    found += [child, *await self.indexes(child, depth + 1)]
        return found

    async def variants(self, target: Descriptor) -> list[Variant]:
        """The manifests below `target` that containers can be made from, as far as they are stored."""
        found = []
        async for descriptor, manifest in self.manifests(target):
            if manifest is None or is_attestation(descriptor) or manifest.config.media_type not in mediatypes.CONFIGS:
                continue
            try:
                found.append(Variant(descriptor, manifest, await self.config(manifest.config.digest)))
            except NotFound:
                continue
        return found

    async def choose(self, target: Descriptor, wanted: Platform | None = None) -> Variant | None:
        """The variant that suits `wanted` best; without, the host's, else any."""
        variants = await self.variants(target)
        if len(variants) == 1 and wanted is None:
            return variants[0]
        host = wanted or platform.host()
        ranked = [(rank, at) for at, one in enumerate(variants) if (rank := host.rank(one.platform)) is not None]
        if ranked:
            return variants[min(ranked)[1]]
        return variants[0] if variants and wanted is None else None

    async def reachable(self, target: Descriptor, depth: int = 0) -> AsyncIterator[Descriptor]:
        """Everything that `target` leads to, itself first, stored or not."""
        yield target
        try:
            document = await self.index_or_manifest(target.digest)
        except NotFound:
            return
        if isinstance(document, Manifest):
            yield document.config
            for layer in document.layers or ():
                yield layer
        elif depth < _NESTING:
            for child in document.manifests or ():
                async for found in self.reachable(child, depth + 1):
                    yield found

    async def subject(self, digest: Digest) -> Descriptor | None:
        """What the stored index or manifest `digest` says something of."""
        subject = (await self.index_or_manifest(digest)).subject
        return subject if isinstance(subject, Descriptor) else None

    def forget(self, digests: Iterable[Digest]) -> None:
        """These are no longer stored."""
        for digest in digests:
            self._known.pop(digest, None)

    def _remember(self, digest: Digest, document: Index | Manifest | ImageConfig) -> None:
        if len(self._known) >= _REMEMBERED:
            self._known.pop(next(iter(self._known)))
        self._known[digest] = document


def is_attestation(descriptor: Descriptor) -> bool:
    """Whether this manifest says something about another instead of being an image."""
    return (descriptor.annotations or {}).get(ATTESTATION) == "attestation-manifest"
