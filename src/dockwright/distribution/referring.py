"""What refers to a manifest (OCI distribution-spec 1.1, "Listing Referrers"): by API, else by the referrers tag schema."""

from __future__ import annotations

from contextlib import aclosing

import msgspec

from dockwright.distribution import listing, manifests, tokens
from dockwright.distribution.options import RegistryOptions
from dockwright.distribution.peer import Peer
from dockwright.errors import Corrupt, Forbidden, Invalid, NotFound
from dockwright.oci import Descriptor, Digest, Index, Reference, describe, mediatypes, read_index, write
from dockwright.oci import digest as digests


class _Referring(msgspec.Struct, rename="camel"):
    artifact_type: str = ""
    config: Descriptor | None = None
    subject: Descriptor | None = None
    annotations: dict[str, str] | None = None


async def referrers(
    peer: Peer, options: RegistryOptions, name: Reference, digest: Digest, artifact_type: str
) -> list[Descriptor]:
    """The descriptors that refer to `digest`; those of `artifact_type` when it is not empty."""
    try:
        found = await _by_api(peer, options, name, digest, artifact_type)
    except (NotFound, Invalid, Forbidden):
        found = _children((await _by_tag(peer, options, name, digest)) or Index())
    return [one for one in found if not artifact_type or one.artifact_type == artifact_type]


async def announce(
    peer: Peer, options: RegistryOptions, name: Reference, descriptor: Descriptor, content: bytes
) -> None:
    """Where a pushed manifest has a subject and the registry took no note of it, add it to the subject's list.

    OCI distribution-spec 1.1, "Pushing Manifests with Subject".
    """
    referring = _read(content)
    if referring.subject is None:
        return
    entry = _entry(descriptor, referring)
    known = await _by_tag(peer, options, name, referring.subject.digest)
    children = _children(known or Index())
    if any(child.digest == entry.digest for child in children):
        return
    index = write(Index(manifests=(*children, entry)))
    target = manifests.Target(name, tag=tag_of(referring.subject.digest))
    await manifests.put(peer, options, target, describe(index, mediatypes.OCI_INDEX), index)


def tag_of(digest: Digest) -> str:
    """The tag under which the referrers of `digest` are listed."""
    return f"{digests.algorithm(digest)[:32]}-{digests.encoded(digest)[:64]}"


async def _by_api(
    peer: Peer, options: RegistryOptions, name: Reference, digest: Digest, artifact_type: str
) -> list[Descriptor]:
    query = {"artifactType": artifact_type} if artifact_type else None
    url = peer.url(f"{name.path}/referrers/{digest}", query)
    found: list[Descriptor] = []
    scopes = frozenset({tokens.repository_scope(name.path, "pull")})
    async with aclosing(listing.pages(peer, options, url, scopes)) as pages:
        async for headers, body in pages:
            if not headers.get("Content-Type", "").startswith(mediatypes.OCI_INDEX):
                raise NotFound("the registry has no referrers API")
            found += _children(_index(body))
    return found


async def _by_tag(peer: Peer, options: RegistryOptions, name: Reference, digest: Digest) -> Index | None:
    try:
        descriptor, content = await manifests.get(peer, options, manifests.Target(name, tag=tag_of(digest)))
    except NotFound:
        return None
    return _index(content) if descriptor.media_type == mediatypes.OCI_INDEX else None


def _entry(descriptor: Descriptor, referring: _Referring) -> Descriptor:
    kind = referring.artifact_type or (referring.config.media_type if referring.config else "")
    return Descriptor(
        descriptor.media_type,
        descriptor.digest,
        descriptor.size,
        annotations=referring.annotations,
        artifact_type=kind or None,
    )


def _children(index: Index) -> list[Descriptor]:
    return list(index.manifests or ())


def _index(content: bytes) -> Index:
    try:
        return read_index(content)
    except Invalid as error:
        raise Corrupt(f"the registry's list of referrers: {error}") from error


def _read(content: bytes) -> _Referring:
    try:
        return msgspec.json.decode(content, type=_Referring)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"malformed manifest: {error}") from None
