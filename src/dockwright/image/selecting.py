"""Which manifests of an image are meant by platforms: those that suit them, and what is attested of those."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dockwright.image.documents import ATTESTED, Variant, is_attestation
from dockwright.image.store import Store, lacking
from dockwright.oci import Descriptor, Digest, Platform


@dataclass(frozen=True)
class Selection:
    """`variants`: one for each platform asked for, without doubles; `others`: manifests that are not meant."""

    variants: list[Variant]
    manifests: list[Descriptor]
    others: list[Descriptor]


async def select(store: Store, target: Descriptor, platforms: Sequence[Platform], called: str) -> Selection:
    """The manifests below `target` for `platforms`; `called` is the image's name. Raises `NotFound` for a platform that it
    does not have, or that is not stored."""
    variants: dict[Digest, Variant] = {}
    for wanted in platforms:
        variant = await store.documents.choose(target, wanted)
        if variant is None:
            raise lacking(called, wanted)
        variants[variant.descriptor.digest] = variant
    manifests: list[Descriptor] = []
    others: list[Descriptor] = []
    async for descriptor, _ in store.documents.manifests(target):
        about = (descriptor.annotations or {}).get(ATTESTED) if is_attestation(descriptor) else descriptor.digest
        (manifests if about in variants else others).append(descriptor)
    return Selection(list(variants.values()), manifests, others)
