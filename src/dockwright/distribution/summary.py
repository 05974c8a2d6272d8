"""What a registry holds under a name: the descriptor and the platforms, without the layers."""

from __future__ import annotations

from dataclasses import dataclass

from dockwright.distribution.repository import Repository
from dockwright.oci import Descriptor, Platform, mediatypes, read_config, read_index, read_manifest


@dataclass(frozen=True)
class Summary:
    """`descriptor` is what the name leads to; `platforms` are those of its images, in the index's order."""

    descriptor: Descriptor
    platforms: list[Platform]


async def summarize(repository: Repository, tag_or_digest: str) -> Summary:
    """Ask for the manifest and, where it is a single image's, for its configuration. Raises as `Repository.manifest`."""
    descriptor, content = await repository.manifest(tag_or_digest)
    if descriptor.media_type in mediatypes.INDEXES:
        children = read_index(content).manifests or ()
        return Summary(descriptor, [child.platform for child in children if child.platform is not None])
    config = read_manifest(content).config
    if config.media_type not in mediatypes.CONFIGS:
        return Summary(descriptor, [])  # an artifact: it runs nowhere
    return Summary(descriptor, [(await platform_of(repository, config))])


async def platform_of(repository: Repository, config: Descriptor) -> Platform:
    """The platform that an image's configuration names."""
    return read_config(await repository.document(config)).platform
