"""The documents of an image: layers as they are wanted, configuration, manifest, and an index where there is more than one
thing to say. All of them are stored, under the lease, before anything leads to them."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from dockwright.build.outputs import statements
from dockwright.build.outputs.output import Annotation, Compression, Format, Place
from dockwright.build.outputs.result import Part, Result
from dockwright.errors import Invalid
from dockwright.image.leases import Lease
from dockwright.image.products import Products
from dockwright.oci import Descriptor, Digest, Index, Manifest, Platform, Reference, mediatypes, write
from dockwright.tasks import first

# Where BuildKit looks for an inline cache, in the configuration.
INLINE_CACHE = "moby.buildkit.cache.v0"
PARALLEL = 3
_DOCKER = {
    mediatypes.OCI_LAYER: mediatypes.DOCKER_LAYER,
    mediatypes.OCI_LAYER_GZIP: mediatypes.DOCKER_LAYER_GZIP,
    mediatypes.OCI_CONFIG: mediatypes.DOCKER_CONFIG,
    mediatypes.OCI_MANIFEST: mediatypes.DOCKER_MANIFEST,
    mediatypes.OCI_INDEX: mediatypes.DOCKER_INDEX,
}
_OCI = {docker: oci for oci, docker in _DOCKER.items()}
_FOREIGN = (".foreign.", ".nondistributable.")


@dataclass(frozen=True)
class Written:
    """An image, written down: an index or a manifest; `config` is the configuration's digest where there is one alone."""

    target: Descriptor
    config: Digest | None


async def write_down(
    products: Products, lease: Lease, result: Result, form: Format, names: Sequence[Reference]
) -> Written:
    """Store the documents of `result` in the form `form`. Raises `Invalid` for what does not go together."""
    loud = form.inline_attestations or any(not one.inline_only for part in result.parts for one in part.attestations)
    if loud and not form.oci and any(part.attestations for part in result.parts):
        raise Invalid("attestations conflict with oci-mediatypes=false")
    index = result.several or len(result.parts) > 1 or (loud and any(part.attestations for part in result.parts))
    _check(form.annotations, result, index=index)
    images = [await _image(products, lease, part, form) for part in result.parts]
    if not index:
        return images[0]
    attested = [
        await statements.manifest(products, lease, part, image.target, names, artifact=form.artifact)
        for part, image in zip(result.parts, images, strict=True)
        if part.attestations and form.oci
    ]
    annotations = _of(form.annotations, "index", None)
    body = Index(
        media_type=_type(mediatypes.OCI_INDEX, form),
        manifests=(*(image.target for image in images), *attested),
        annotations=annotations or msgspec.UNSET,
    )
    target = await products.document(lease, write(body), body.media_type)
    about = _of(form.annotations, "index-descriptor", None)
    return Written(msgspec.structs.replace(target, annotations=about or None), None)


async def layers(
    products: Products, lease: Lease, tree: Sequence[tuple[Descriptor, Digest]], wanted: Compression
) -> list[Descriptor]:
    """Layers (blob and diff ID) as `wanted`. One that is compressed already keeps its compression unless forced."""
    slots = asyncio.Semaphore(PARALLEL)

    async def convert(layer: Descriptor, diff_id: Digest) -> Descriptor:
        plain = msgspec.structs.replace(layer, media_type=_OCI.get(layer.media_type, layer.media_type))
        await lease.hold([layer.digest])
        if not _is_to_be_converted(layer, wanted):
            return plain
        kind: mediatypes.Compression = "" if wanted.kind is None or wanted.kind == "uncompressed" else wanted.kind
        async with slots:
            return await products.compressed(lease, layer, diff_id, kind, wanted.level)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(convert(layer, diff_id)) for layer, diff_id in tree]
    except BaseExceptionGroup as failed:
        raise first(failed) from None
    return [task.result() for task in tasks]


async def _image(products: Products, lease: Lease, part: Part, form: Format) -> Written:
    pairs = list(zip(part.tree.layers, part.tree.diff_ids, strict=True))
    found = await layers(products, lease, pairs, form.compression)
    body = write(part.config)
    if part.cache:
        body = _with_cache(body, part.cache)
    config = await products.document(lease, body, _type(mediatypes.OCI_CONFIG, form))
    manifest = Manifest(
        config,
        tuple(_as(layer, form) for layer in found),
        media_type=_type(mediatypes.OCI_MANIFEST, form),
        annotations=_of(form.annotations, "manifest", part.platform) or msgspec.UNSET,
    )
    target = await products.document(lease, write(manifest), manifest.media_type, part.platform)
    about = _of(form.annotations, "manifest-descriptor", part.platform)
    return Written(msgspec.structs.replace(target, annotations=about or None), config.digest)


def _is_to_be_converted(layer: Descriptor, wanted: Compression) -> bool:
    if wanted.kind is None or any(word in layer.media_type for word in _FOREIGN):
        return False
    now = mediatypes.layer_compression(layer.media_type) or "uncompressed"
    return now != wanted.kind and (now == "uncompressed" or wanted.force)


def _as(layer: Descriptor, form: Format) -> Descriptor:
    media_type = _type(layer.media_type, form)
    if not form.oci and media_type == mediatypes.OCI_LAYER_ZSTD:
        raise Invalid(
            "a layer is compressed with zstd, for which oci-mediatypes=false has no type: add force-compression"
        )
    return msgspec.structs.replace(layer, media_type=media_type)


def as_docker(media_type: str) -> str:
    """Docker's media type for the same thing, where there is one."""
    return _DOCKER.get(media_type, media_type)


def _type(media_type: str, form: Format) -> str:
    return media_type if form.oci else as_docker(media_type)


def _with_cache(config: bytes, cache: bytes) -> bytes:
    """The configuration with an inline cache, which its types do not know."""
    document = msgspec.json.decode(config)
    document[INLINE_CACHE] = base64.b64encode(cache).decode()
    return msgspec.json.encode(document, order="deterministic")


def _of(annotations: Sequence[Annotation], place: Place, platform: Platform | None) -> dict[str, str]:
    """The annotations for a place; those for one platform win over those for all."""
    fitting = [one for one in annotations if one.place == place and one.platform in (None, platform)]
    return {one.name: one.value for one in sorted(fitting, key=lambda one: one.platform is not None)}


def _check(annotations: Sequence[Annotation], result: Result, *, index: bool) -> None:
    platforms = {str(part.platform) for part in result.parts}
    for one in annotations:
        if one.platform is not None and str(one.platform) not in platforms:
            raise Invalid(f"annotation {one.name} is for {one.platform}, which the build does not have")
        if one.place in ("index", "index-descriptor") and not index:
            raise Invalid(f"annotation {one.name} is for an index, and the image is for a single platform without one")
