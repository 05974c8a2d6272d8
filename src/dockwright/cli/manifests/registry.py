"""The way to a registry without the engine: manifests are looked up and lists pushed from here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from dockwright.cli.manifests.documents import list_document, list_media_type
from dockwright.cli.manifests.store import Entry, entry_of
from dockwright.cli.registry_auth import credentials
from dockwright.cli.session import Session
from dockwright.distribution import Registries, RegistryOptions, Repository, platform_of
from dockwright.errors import Invalid, NotFound
from dockwright.oci import Descriptor, Digest, Platform, Reference, describe, mediatypes, read_index, read_manifest

T = TypeVar("T")


@dataclass(frozen=True)
class Found:
    """What a registry has under a name: `content` as it is there."""

    descriptor: Descriptor
    content: bytes

    @property
    def is_list(self) -> bool:
        return self.descriptor.media_type in mediatypes.INDEXES


class Registry:
    """Looks up and pushes, with the credentials that are stored for each registry. Each call has a connection of its own."""

    def __init__(self, session: Session, *, insecure: bool) -> None:
        """`insecure` lets every registry that is asked lack TLS or a known certificate."""
        self._session = session
        self._insecure = insecure

    def find(self, name: Reference) -> Found:
        """What `name` leads to. Raises `NotFound` with Docker's wording."""
        return self._with(name, lambda repository: _find(repository, name))

    def entry(self, name: Reference) -> Entry:
        """The manifest of an image. Raises `Invalid` when it is a list, `NotFound`."""

        async def work(repository: Repository) -> Entry:
            found = await _find(repository, name)
            if found.is_list:
                raise Invalid(f"{name} is a manifest list")
            return await _entry(repository, str(name), found)

        return self._with(name, work)

    def children(self, name: Reference, found: Found) -> list[Entry]:
        """The manifests of a list, each fetched; lists within it are left out."""

        async def work(repository: Repository) -> list[Entry]:
            entries = []
            for child in read_index(found.content).manifests or ():
                if child.media_type not in mediatypes.MANIFESTS:
                    continue
                _, content = await repository.manifest(child)
                own = f"{name.name}:{name.tag}@{child.digest}" if name.tag else f"{name.name}@{child.digest}"
                platform = child.platform or await platform_of(repository, read_manifest(content).config)
                entries.append(entry_of(own, content, child.media_type, platform))
            return entries

        return self._with(name, work)

    def push(self, name: Reference, entries: list[Entry], pushed: Callable[[str, Digest], None]) -> Digest:
        """Push a list with its manifests; blobs of other repositories of the registry are mounted. Tells each manifest."""
        return asyncio.run(self._push(name, entries, pushed))

    def _with(self, name: Reference, work: Callable[[Repository], Awaitable[T]]) -> T:
        async def run() -> T:
            async with self._registries(name) as registries:
                return await work(registries.repository(name, credentials(self._session, name.domain)))

        return asyncio.run(run())

    def _registries(self, name: Reference) -> Registries:
        return Registries(RegistryOptions(insecure=(name.domain,) if self._insecure else ()))

    async def _push(self, name: Reference, entries: list[Entry], pushed: Callable[[str, Digest], None]) -> Digest:
        from dockwright.oci import reference

        who = credentials(self._session, name.domain)
        async with self._registries(name) as registries:
            target = registries.repository(name, who)
            for entry in entries:
                source = reference.parse(entry.name)
                if source.domain != name.domain:
                    raise Invalid(
                        "cannot use source images from a different registry than the target image: "
                        f"{source.domain} != {name.domain}"
                    )
                if source.name != name.name:
                    await _bring_blobs(registries.repository(source, who), source, target, entry)
                await target.push_manifest(entry.descriptor.digest, entry.descriptor, entry.content)
                pushed(f"{name.name}@{entry.descriptor.digest}", entry.descriptor.digest)
            content = list_document(entries)
            descriptor = describe(content, list_media_type(entries))
            await target.push_manifest(name.tag or descriptor.digest, descriptor, content)
        return descriptor.digest


async def _find(repository: Repository, name: Reference) -> Found:
    try:
        return Found(*await repository.manifest(name.digest or name.tag or ""))
    except NotFound:
        raise NotFound(f"no such manifest: {name}") from None


async def _entry(repository: Repository, name: str, found: Found) -> Entry:
    platform: Platform = await platform_of(repository, read_manifest(found.content).config)
    return entry_of(name, found.content, found.descriptor.media_type, platform)


async def _bring_blobs(source: Repository, name: Reference, target: Repository, entry: Entry) -> None:
    """Every blob of a manifest into the repository of the list: mounted, or carried where the registry does not mount."""
    manifest = read_manifest(entry.content)
    for blob in {one.digest: one for one in (manifest.config, *(manifest.layers or ()))}.values():

        def open_at(offset: int, blob: Descriptor = blob) -> AsyncGenerator[bytes, None]:
            return source.blob(blob, offset)

        await target.push_blob(blob, open_at, mount_from=(name.path,))
