"""Attestations in an image: in-toto statements, in a manifest of their own beside the image's in the index.

BuildKit's "Image attestation storage"; in-toto attestation framework, Statement v1; package URLs of type docker.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

import msgspec

from dockwright.build.outputs.result import Attestation, Part
from dockwright.image.documents import ATTESTATION, ATTESTED
from dockwright.image.leases import Lease
from dockwright.image.products import Products
from dockwright.oci import (
    Descriptor,
    ImageConfig,
    Manifest,
    Platform,
    Reference,
    RootFS,
    mediatypes,
    write,
)
from dockwright.oci import digest as digests

STATEMENT = "application/vnd.in-toto+json"
PREDICATE_TYPE = "in-toto.io/predicate-type"
ARTIFACT_TYPE = "application/vnd.docker.attestation.manifest.v1+json"
# What has nothing to run says so.
UNKNOWN = Platform("unknown", "unknown")
_STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
_EMPTY = "application/vnd.oci.empty.v1+json"


async def manifest(
    products: Products, lease: Lease, part: Part, image: Descriptor, names: Sequence[Reference], *, artifact: bool
) -> Descriptor:
    """Store what is attested of `image`, made of `part` and called `names`; the descriptor for the index."""
    subjects: list[dict[str, object]] = [
        {"name": package_url(name, part.platform), "digest": digest_set(image.digest)} for name in names
    ]
    layers = [await _statement(products, lease, one, subjects) for one in part.attestations]
    if artifact:
        config = await products.document(lease, b"{}", _EMPTY)
        config = msgspec.structs.replace(config, data="e30=")
        subject = Descriptor(image.media_type, image.digest, image.size)
        body = Manifest(config, tuple(layers), artifact_type=ARTIFACT_TYPE, subject=subject)
    else:
        root = RootFS(diff_ids=tuple(layer.digest for layer in layers))
        plain = ImageConfig(UNKNOWN.architecture, UNKNOWN.os, config=None, rootfs=root)
        body = Manifest(await products.document(lease, write(plain), mediatypes.OCI_CONFIG), tuple(layers))
    described = await products.document(lease, write(body), mediatypes.OCI_MANIFEST, UNKNOWN)
    annotations = {ATTESTATION: "attestation-manifest", ATTESTED: str(image.digest)}
    return msgspec.structs.replace(described, annotations=annotations)


def statement(one: Attestation, subjects: Sequence[dict[str, object]]) -> bytes:
    """The in-toto statement: `one` said of `subjects`."""
    body = {
        "_type": _STATEMENT_TYPE,
        "predicateType": one.predicate_type,
        "subject": list(subjects),
        "predicate": msgspec.Raw(one.predicate),
    }
    return msgspec.json.encode(body)


def digest_set(digest: str) -> dict[str, str]:
    """A digest as in-toto has it."""
    return {digests.algorithm(digests.parse(digest)): digests.encoded(digests.parse(digest))}


def package_url(name: Reference, platform: Platform | None = None) -> str:
    """`pkg:docker/library-less/name@tag?platform=linux%2Famd64`, as BuildKit names images."""
    path = "/".join(quote(part, safe="") for part in name.familiar_name.split("/"))
    version = f"@{quote(name.tag, safe='')}" if name.tag else ""
    qualifiers = [f"digest={name.digest}"] if name.digest else []
    if platform is not None:
        qualifiers.append(f"platform={quote(str(platform), safe='')}")
    return f"pkg:docker/{path}{version}" + (f"?{'&'.join(qualifiers)}" if qualifiers else "")


async def _statement(
    products: Products, lease: Lease, one: Attestation, subjects: Sequence[dict[str, object]]
) -> Descriptor:
    described = await products.document(lease, statement(one, subjects), STATEMENT)
    return msgspec.structs.replace(described, annotations={PREDICATE_TYPE: one.predicate_type})
