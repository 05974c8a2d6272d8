"""Manifests and indexes by tag and digest: asked for, and held against what they claim to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from dockwright import faults
from dockwright.distribution import ranges, tokens
from dockwright.distribution.backoff import persistently
from dockwright.distribution.options import RegistryOptions
from dockwright.distribution.peer import Peer
from dockwright.distribution.refusals import PASSING, Refusal, pull_error
from dockwright.distribution.wire import read_limited
from dockwright.errors import Corrupt, DockwrightError, Invalid
from dockwright.oci import Descriptor, Digest, Reference, detect, mediatypes, reference
from dockwright.oci import digest as digests

LIMIT_BYTES = 8 * 1024 * 1024
ACCEPT = ", ".join(
    (mediatypes.OCI_INDEX, mediatypes.DOCKER_INDEX, mediatypes.OCI_MANIFEST, mediatypes.DOCKER_MANIFEST, "*/*;q=0.1")
)
_KNOWN = mediatypes.INDEXES | mediatypes.MANIFESTS


@dataclass(frozen=True)
class Target:
    """Which manifest of a repository: by `tag`, or by `digest`; `expected` is the descriptor that named it."""

    repository: Reference
    tag: str = ""
    digest: Digest | None = None
    expected: Descriptor | None = None

    @property
    def path(self) -> str:
        """Below the endpoint's base."""
        return f"{self.repository.path}/manifests/{self.digest or self.tag}"

    @property
    def scopes(self) -> tokens.Scopes:
        """What reading it needs."""
        return frozenset({tokens.repository_scope(self.repository.path, "pull")})

    def explain(self, refusal: Refusal, what: str, retry_after_s: float | None) -> DockwrightError:
        """The error for a refusal, naming what was asked for as Docker does."""
        name = self.repository.with_digest(self.digest) if self.digest else self.repository.with_tag(self.tag)
        return pull_error(refusal, name, what, retry_after_s)


def target(repository: Reference, wanted: str | Descriptor) -> Target:
    """What a caller names: a tag, a digest or a descriptor. Raises `Invalid`."""
    if isinstance(wanted, Descriptor):
        return Target(repository, digest=digests.parse(wanted.digest), expected=wanted)
    if ":" in wanted:
        return Target(repository, digest=digests.parse(wanted))
    return Target(repository, tag=reference.parse_tag(wanted))


async def resolve(peer: Peer, options: RegistryOptions, wanted: Target) -> Descriptor:
    """The descriptor of a manifest: from its headers where they tell all of it, else from the document."""
    if descriptor := await persistently(options, f"resolve {wanted.path}", lambda: _head(peer, wanted)):
        return descriptor
    return (await get(peer, options, wanted))[0]


async def get(peer: Peer, options: RegistryOptions, wanted: Target) -> tuple[Descriptor, bytes]:
    """The document and its descriptor, verified. Raises `Corrupt`, and `Invalid` for a format that is not supported."""

    async def attempt() -> tuple[Descriptor, bytes]:
        faults.point("registry.manifest")
        url = peer.url(wanted.path)
        async with peer.request("GET", url, wanted.scopes, {"Accept": ACCEPT}) as response:
            if response.status != 200:
                await peer.refuse(response, wanted.explain)
            content = await read_limited(response, LIMIT_BYTES, f'Get "{url.with_query(None)}"')
            return judge(wanted, response.headers, content), content

    return await persistently(options, f"manifest {wanted.path}", attempt)


def judge(wanted: Target, headers: Mapping[str, str], content: bytes) -> Descriptor:
    """The descriptor of a document that was sent for `wanted`. Raises `Corrupt` where it is another than was promised."""
    expected = wanted.expected
    if expected is not None and len(content) != expected.size:
        raise Corrupt(f"manifest {expected.digest} has {len(content)} bytes instead of {expected.size}")
    promised = wanted.digest or _promised(headers)
    digest = promised or digests.of(content)
    digests.verify(digest, content)
    media_type = _media_type(headers.get("Content-Type", ""), content)
    if expected is not None and expected.media_type in _KNOWN and media_type != expected.media_type:
        raise Corrupt(f"manifest {digest} is of type {media_type} instead of {expected.media_type}")
    return Descriptor(media_type, digest, len(content))


async def _head(peer: Peer, wanted: Target) -> Descriptor | None:
    faults.point("registry.resolve")
    async with peer.request("HEAD", peer.url(wanted.path), wanted.scopes, {"Accept": ACCEPT}) as response:
        if response.status in PASSING:
            await peer.refuse(response)
        if response.status != 200:
            return None  # an answer to HEAD holds no error body: the GET that follows tells why
        digest, size = _promised(response.headers), ranges.length(response.headers.get("Content-Length", ""))
        media_type = _bare(response.headers.get("Content-Type", ""))
    if wanted.digest and digest and algorithms_agree(digest, wanted.digest) and digest != wanted.digest:
        raise Corrupt(f"{peer.endpoint.host} names {digest} where {wanted.digest} was asked for")
    digest = wanted.digest or digest
    if digest is None or not size or media_type not in _KNOWN or size > LIMIT_BYTES:
        return None
    return Descriptor(media_type, digest, size)


def algorithms_agree(one: Digest, other: Digest) -> bool:
    """Whether two digests can be compared at all."""
    return digests.algorithm(one) == digests.algorithm(other)


def _promised(headers: Mapping[str, str]) -> Digest | None:
    text = headers.get("Docker-Content-Digest", "")
    try:
        return digests.parse(text) if text else None
    except Invalid:
        raise Corrupt("the registry names a manifest's digest that is none") from None


def _media_type(header: str, content: bytes) -> str:
    """The type a document states itself, else the header's where the document has that shape.

    A document that could be read as two kinds is refused (CVE-2021-41190).
    """
    declared, shape = _bare(header), detect(content)
    if declared not in _KNOWN or declared == shape:
        return shape
    if _states_type(content):
        raise Corrupt(f"the registry sends a manifest of type {shape} as {declared}")
    if (declared in mediatypes.INDEXES) != (shape in mediatypes.INDEXES):
        raise Corrupt(f"the registry sends what is no {declared} as one")
    return declared


class _Typed(msgspec.Struct, rename="camel"):
    media_type: str = ""


def _states_type(content: bytes) -> bool:
    return bool(msgspec.json.decode(content, type=_Typed).media_type)


def _bare(header: str) -> str:
    return header.partition(";")[0].strip().lower()


async def put(peer: Peer, options: RegistryOptions, wanted: Target, descriptor: Descriptor, content: bytes) -> bool:
    """Store a manifest. Returns whether the registry took note of its subject (`OCI-Subject`), or it has none."""
    scopes = frozenset({tokens.repository_scope(wanted.repository.path, "pull", "push")})

    async def attempt() -> bool:
        faults.point("registry.put")
        headers = {"Content-Type": descriptor.media_type}
        async with peer.request("PUT", peer.url(wanted.path), scopes, headers, lambda: content) as response:
            if response.status not in (200, 201, 202):
                await peer.refuse(response)
            got = _promised(response.headers)
            if got and algorithms_agree(got, descriptor.digest) and got != descriptor.digest:
                raise Corrupt(f"the registry stored {descriptor.digest} as {got}")
            return "OCI-Subject" in response.headers

    return await persistently(options, f"push of {wanted.path}", attempt)
