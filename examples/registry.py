"""Copy an image, every platform of it, from one registry to another, without an engine or a daemon:

    python examples/registry.py SOURCE TARGET         python examples/registry.py debian:12 localhost:5000/debian:12

Names and passwords are taken from REGISTRY_USERNAME and REGISTRY_PASSWORD, for the target.
"""

import asyncio
import os
import sys

from dockwright.credentials import Credentials
from dockwright.distribution import Registries, Repository
from dockwright.oci import Descriptor, mediatypes, read_index, read_manifest, reference


async def copy(source: Repository, target: Repository, wanted: str | Descriptor, tag: str = "") -> Descriptor:
    """Copy one manifest and all it reaches, deepest first: what a registry holds is always whole."""
    descriptor, content = await source.manifest(wanted)
    if descriptor.media_type in mediatypes.INDEXES:
        for child in read_index(content).manifests or ():
            await copy(source, target, child)
    else:
        manifest = read_manifest(content)
        async with asyncio.TaskGroup() as group:
            for blob in {manifest.config, *(manifest.layers or ())}:
                group.create_task(copy_blob(source, target, blob))
    await target.push_manifest(tag or descriptor.digest, descriptor, content)
    return descriptor


async def copy_blob(source: Repository, target: Repository, blob: Descriptor) -> None:
    """The bytes run from one registry to the other; none of them touches a disk."""
    same_registry = source.name.domain == target.name.domain
    outcome = await target.push_blob(
        blob,
        lambda offset: source.blob(blob, offset),
        mount_from=[source.name.path] if same_registry else [],
    )
    print(f"{blob.digest[7:19]} {outcome}, {blob.size} bytes")


async def main(source: str, target: str) -> None:
    origin, copied = reference.parse(source).tagged, reference.parse(target).tagged
    account = Credentials(os.environ.get("REGISTRY_USERNAME", ""), os.environ.get("REGISTRY_PASSWORD", ""))
    async with Registries() as registries:
        descriptor = await copy(
            registries.repository(origin),
            registries.repository(copied, account),
            origin.digest or origin.tag or "",
            copied.tag or "",
        )
    print(f"{copied.familiar}: {descriptor.digest}")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3]))
