"""Writing caches: what the steps of one build came to, as a manifest of its own or inside the image."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import msgspec

from dockwright import faults
from dockwright.build.blobs import Writer
from dockwright.build.cache.records import Tree
from dockwright.build.outputs import documents
from dockwright.build.outputs.result import Part
from dockwright.build.progress import Steps, Work
from dockwright.build.remote_cache import form
from dockwright.build.remote_cache.asked import CacheTo, Mode
from dockwright.build.remote_cache.form import Layers
from dockwright.build.remote_cache.importing import registry_place
from dockwright.credentials import Credentials
from dockwright.errors import DockwrightError
from dockwright.image import Images
from dockwright.image.leases import Lease
from dockwright.oci import Descriptor, Digest, Index, Manifest, describe, mediatypes, write

Records = Mapping[str, Tree]


@dataclass(frozen=True)
class CacheExporter:
    """Writes the cache of one build. `records` are its steps' results by key; `created` (RFC 3339) is told of all."""

    images: Images
    lease: Lease
    steps: Steps
    credential: Callable[[str], Awaitable[Credentials | None]]
    records: Records
    parts: Sequence[Part]
    created: str

    async def export(self, wanted: CacheTo) -> dict[str, str]:
        """Write it; what BuildKit's clients are told of it. Raises what the place raises, unless errors are ignored."""
        if wanted.inline:
            return {}  # the image has it
        with self.steps.work("exporting cache") as work:
            try:
                return await self._export(wanted, work)
            except DockwrightError as error:
                if not wanted.ignore_error:
                    raise
                work.say(f"the cache is not exported: {error}\n".encode())
                return {}

    async def _export(self, wanted: CacheTo, work: Work) -> dict[str, str]:
        writer: Writer
        if wanted.place is not None:
            writer = wanted.place
        else:
            assert wanted.reference is not None, "not inline"
            writer = await registry_place(self.images, wanted.reference, self.credential)
        chosen = _chosen(self.records, self.parts, wanted.mode)
        with work.part("preparing build cache for export"):
            results = await self._layers(chosen, wanted)
        if not results:
            work.say(b"there is nothing to export: no step made a layer\n")
            return {}
        blobs = {blob.digest: blob for layers in results.values() for blob, _ in layers}
        for blob in blobs.values():
            with work.part(f"writing layer {blob.digest}"):
                faults.point("build.cache.blob")
                await writer.put(blob, partial(self.images.products.blob_from, blob))
        config = await self._document(writer, form.write(results, self.created), form.CONFIG)
        body = self._manifest(wanted, results, config)
        described = describe(body, json.loads(body)["mediaType"])
        with work.part(f"writing cache manifest {described.digest}"):
            await writer.finish(described, body)
        return {"cache.manifest": msgspec.json.encode(described).decode()}

    async def _layers(self, chosen: Records, wanted: CacheTo) -> dict[str, Layers]:
        """Each layer once, compressed as it is wanted."""
        pairs = {
            diff_id: (layer, diff_id)
            for tree in chosen.values()
            for layer, diff_id in zip(tree.layers, tree.diff_ids, strict=True)
        }
        products = self.images.products
        found = await documents.layers(products, self.lease, list(pairs.values()), wanted.compression)
        made = dict(zip(pairs, found, strict=True))
        return {key: tuple((made[one], one) for one in tree.diff_ids) for key, tree in chosen.items()}

    def _manifest(self, wanted: CacheTo, results: Mapping[str, Layers], config: Descriptor) -> bytes:
        layers: dict[Digest, Descriptor] = {}
        for result in results.values():
            for blob, diff_id in result:
                annotations = form.layer_annotations(diff_id, self.created)
                layers[blob.digest] = msgspec.structs.replace(blob, annotations=annotations)
        ordered = tuple(layers.values())
        if wanted.image_manifest:
            return write(Manifest(config, ordered))
        if wanted.oci:
            return write(Index(manifests=(*ordered, config)))
        plain = tuple(msgspec.structs.replace(one, media_type=documents.as_docker(one.media_type)) for one in ordered)
        return write(Index(media_type=mediatypes.DOCKER_INDEX, manifests=(*plain, config)))

    async def _document(self, writer: Writer, content: bytes, media_type: str) -> Descriptor:
        async def opened(offset: int) -> AsyncGenerator[bytes, None]:
            yield content[offset:]

        described = describe(content, media_type)
        await writer.put(described, opened)
        return described


def inline(records: Records, tree: Tree, created: str) -> bytes:
    """The records to go into the configuration of an image with the layers of `tree`; empty without any."""
    found = {key: len(one.diff_ids) - 1 for key, one in records.items() if _is_below(one, tree)}
    return form.write_inline(found, created) if found else b""


def _chosen(records: Records, parts: Sequence[Part], mode: Mode) -> Records:
    if mode == "max":
        return {key: tree for key, tree in records.items() if tree.diff_ids}
    return {key: tree for key, tree in records.items() if any(_is_below(tree, part.tree) for part in parts)}


def _is_below(tree: Tree, top: Tree) -> bool:
    return bool(tree.diff_ids) and top.diff_ids[: len(tree.diff_ids)] == tree.diff_ids
