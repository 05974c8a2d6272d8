"""Reading caches: which results they hold, by key. Layers are fetched when a step turns out to want them, and verified then.

A cache that cannot be read is told and left out: a build without it takes longer, and is no other.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from dockwright.build.blobs import Reader
from dockwright.build.outputs.documents import INLINE_CACHE
from dockwright.build.planning.created_by import past
from dockwright.build.progress import Steps
from dockwright.build.remote_cache import form
from dockwright.build.remote_cache.asked import CacheFrom
from dockwright.build.remote_cache.form import Layers
from dockwright.build.remote_cache.places import RegistryPlace, StorePlace
from dockwright.credentials import Credentials
from dockwright.errors import Corrupt, DockwrightError, NotFound
from dockwright.image import Images
from dockwright.image.documents import is_attestation
from dockwright.oci import (
    Descriptor,
    Digest,
    ImageConfig,
    Index,
    Manifest,
    Reference,
    chain_ids,
    detect,
    mediatypes,
    read_config,
    read_index,
    read_manifest,
)

# An index may name any number of images; so many are looked at.
_LOOKED_AT = 32


@dataclass(frozen=True)
class Found:
    """A result in a cache, and where its layers are to be had."""

    layers: Layers
    reader: Reader


@dataclass
class Imported:
    """All results of the caches of one build. The first cache that has one wins."""

    _by_key: dict[str, Found] = field(default_factory=dict)
    _by_history: dict[tuple[Digest | None, str], Found] = field(default_factory=dict)

    def find(self, key: str) -> Found | None:
        """The result of the step with this key."""
        return self._by_key.get(key)

    def find_by_history(self, below: Digest | None, said: str) -> Found | None:
        """The result of a step on the tree `below`, whose history up to it has the digest `said`."""
        return self._by_history.get((below, said))

    def add(self, results: dict[str, Layers], reader: Reader) -> None:
        """Results by key."""
        for key, layers in results.items():
            self._by_key.setdefault(key, Found(layers, reader))

    def add_image(self, config: ImageConfig, layers: Layers, reader: Reader) -> None:
        """Every step of an image's history that made a layer."""
        chains: list[Digest | None] = [None, *chain_ids(config.diff_ids)]
        history = config.history or ()
        number = 0
        for position, one in enumerate(history):
            if one.empty_layer or number >= len(layers):
                continue
            key = (chains[number], past(history[: position + 1]))
            number += 1
            self._by_history.setdefault(key, Found(layers[:number], reader))

    def __len__(self) -> int:
        return len(self._by_key) + len(self._by_history)


@dataclass(frozen=True)
class Importing:
    """Reads the caches of one build."""

    images: Images
    credential: Callable[[str], Awaitable[Credentials | None]]
    steps: Steps

    async def read(self, wanted: Sequence[CacheFrom]) -> Imported:
        """What all of them hold."""
        imported = Imported()
        for one in wanted:
            name = one.place.name if one.place else one.reference.familiar if one.reference else ""
            with self.steps.work(f"importing cache manifest from {name}") as work:
                try:
                    reader = one.place or await self._place(one)
                    await _Reading(imported, reader, by_history=one.by_history).read()
                except DockwrightError as error:
                    work.say(f"the cache is not used: {error}\n".encode())
        return imported

    async def _place(self, one: CacheFrom) -> Reader:
        assert one.reference is not None, "a cache is at a place or has a name"
        if one.by_history:
            try:
                return StorePlace(self.images.products, await self.images.resolve(str(one.reference)))
            except NotFound:
                pass
        return await registry_place(self.images, one.reference, self.credential)


async def registry_place(
    images: Images, name: Reference, credential: Callable[[str], Awaitable[Credentials | None]]
) -> RegistryPlace:
    """The tag `name` in its registry, in the name of whoever builds."""
    return RegistryPlace(images.products.repository(name, await credential(name.domain)), name)


@dataclass(frozen=True)
class _Reading:
    imported: Imported
    reader: Reader
    by_history: bool

    async def read(self) -> None:
        descriptor, content = await self.reader.manifest()
        await self._document(descriptor, content)

    async def _document(self, descriptor: Descriptor, content: bytes) -> None:
        if detect(content) in mediatypes.MANIFESTS:
            await self._manifest(read_manifest(content))
            return
        index = read_index(content)
        config = next((one for one in index.manifests or () if one.media_type == form.CONFIG), None)
        if config is not None:
            body = await self.reader.document(config)
            self.imported.add(form.read(body, index.manifests or ()), self.reader)
            return
        async for manifest in self._images(index):
            await self._manifest(manifest)

    async def _images(self, index: Index) -> AsyncIterator[Manifest]:
        children = [one for one in index.manifests or () if one.media_type in mediatypes.MANIFESTS]
        for child in [one for one in children if not is_attestation(one)][:_LOOKED_AT]:
            try:
                yield read_manifest(await self.reader.document(child))
            except NotFound:
                continue  # a platform that is not kept there

    async def _manifest(self, manifest: Manifest) -> None:
        if manifest.config.media_type == form.CONFIG:
            body = await self.reader.document(manifest.config)
            self.imported.add(form.read(body, manifest.layers or ()), self.reader)
        elif manifest.config.media_type in mediatypes.CONFIGS:
            await self._image(manifest, await self.reader.document(manifest.config))

    async def _image(self, manifest: Manifest, body: bytes) -> None:
        config = read_config(body)
        if len(config.diff_ids) != len(manifest.layers or ()):
            raise Corrupt(f"{self.reader.name} has other layers than its configuration")
        layers = tuple(zip(manifest.layers or (), config.diff_ids, strict=True))
        cache = _inline(body)
        if cache:
            self.imported.add(form.read_inline(cache, layers), self.reader)
        if self.by_history:
            self.imported.add_image(config, layers, self.reader)


class _WithCache(msgspec.Struct):
    cache: str = msgspec.field(name=INLINE_CACHE, default="")


def _inline(config: bytes) -> bytes:
    """The records in a configuration. Raises `Corrupt`."""
    try:
        return base64.b64decode(msgspec.json.decode(config, type=_WithCache).cache, validate=True)
    except (msgspec.DecodeError, ValueError) as error:
        raise Corrupt(f"malformed inline cache: {error}") from error
