"""The image manager: every verb of the Engine API about images, without HTTP."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dockwright import workers
from dockwright.content import LocalBlobs
from dockwright.credentials import Credentials
from dockwright.distribution import Registries
from dockwright.errors import Invalid, NotFound
from dockwright.events import Events
from dockwright.image import (
    bootstrap,
    building,
    collection,
    comparing,
    describing,
    listing,
    loading,
    making,
    pulling,
    pushing,
    removal,
    retention,
    saving,
    sizes,
    suites,
)
from dockwright.image.changes import apply_changes
from dockwright.image.comparing import ImageDifference
from dockwright.image.describing import Users
from dockwright.image.leases import Lease
from dockwright.image.listing import Filters
from dockwright.image.making import Commit, Import
from dockwright.image.products import Products
from dockwright.image.progress import Board, Progress
from dockwright.image.removal import ImageUser
from dockwright.image.retention import Retention
from dockwright.image.sources import Sources
from dockwright.image.store import Image, Keeper, Store
from dockwright.image.transfers import TransferLimits, Transfers
from dockwright.image.types import DeleteItem, HistoryItem, ImageInspect, ImageSummary, PruneReport
from dockwright.image.unpacking import unpack
from dockwright.oci import Descriptor, Digest, ImageConfig, Platform, RunConfig
from dockwright.oci import platform as platforms
from dockwright.snapshot import Overlay
from dockwright.store import Database
from dockwright.tasks import told


@dataclass(frozen=True)
class ImageUsage:
    """`layers_size`: bytes on the disk of all images together; `images`: their summaries with shared sizes."""

    layers_size: int
    images: list[ImageSummary]


class Images:
    """All images of an engine. Names may be familiar or full references, IDs or the beginnings of IDs."""

    def __init__(self, store: Store, transfers: Transfers) -> None:
        self._store, self._transfers = store, transfers
        self.products = Products(store, transfers)

    @classmethod
    async def open(
        cls,
        database: Database,
        blobs: LocalBlobs,
        snapshots: Overlay,
        events: Events,
        registries: Registries | None = None,
        limits: TransferLimits | None = None,
        *,
        drop_unpacked: bool = False,
        keepers: Sequence[Keeper] = (),
    ) -> Images:
        """Open the images of a data root, and collect what a crash left behind. The parts stay the caller's.

        Without `registries` nothing can be pulled or pushed. `drop_unpacked` is `Retention`'s. What `keepers` name by chain
        IDs is not collected.
        """
        store = Store(database, blobs, snapshots, events, keepers)
        await store.records.load()
        await store.collect()
        transfers = Transfers(store, Sources(database), registries, limits, drop_unpacked=drop_unpacked)
        await transfers.tidy()
        return cls(store, transfers)

    async def aclose(self) -> None:
        """Stop pulls and pushes that still run. Safe to call twice."""
        await self._transfers.aclose()

    def pull(
        self,
        name: str,
        *,
        all_tags: bool = False,
        platform: Platform | str | None = None,
        credentials: Credentials | None = None,
    ) -> AsyncGenerator[Progress, None]:
        """Bring an image here by tag or digest, or every tag of a repository. Yields what is going on, in Docker's words.

        Close the generator to give up: what was fetched is gone on from next time. Raises `Invalid`, also at once, for a bad
        name or platform; `NotFound`; `Unauthorized` and `Forbidden`; `Unavailable` for a registry that is out of reach;
        `Corrupt` for one that lies; `Unsupported` for what is no image.
        """
        return pulling.pull(
            self._transfers, name, all_tags=all_tags, platform=_platform(platform), credentials=credentials
        )

    def push(
        self,
        name: str,
        *,
        all_tags: bool = False,
        platform: Platform | str | None = None,
        credentials: Credentials | None = None,
    ) -> AsyncGenerator[Progress, None]:
        """Send an image to the registry that its name tells. Yields what is going on, in Docker's words.

        What is sent is what is stored, byte for byte: the digest there is the image's ID here. Of an image that is here for
        one of its platforms only, that one is sent, and `aux` says so. Raises as `pull` does; `Conflict` when several but
        not all platforms are here and none is asked for.
        """
        return pushing.push(
            self._transfers, name, all_tags=all_tags, platform=_platform(platform), credentials=credentials
        )

    async def set_transfer_limits(self, limits: TransferLimits) -> None:
        """Change how many layers are brought in and sent out at a time; what is under way goes on."""
        await self._transfers.set_limits(limits)

    async def resolve(self, name: str, platform: Platform | str | None = None) -> Image:
        """The image `name`, with the variant for `platform`, else for this host, else any.

        Layers that are here but not unpacked yet (another platform's) are unpacked. Raises `Invalid`; `NotFound`
        (`No such image: busybox:latest`), also when it has no variant for `platform`.
        """
        image = await self._image(name, platform)
        await self._store.records.touch([image.id], time.time_ns())
        if image.snapshot is not None and not self._store.layers.has(image.snapshot):
            await unpack(self._store, image.variant)
        return image

    def load(
        self, stream: AsyncIterable[bytes], platform: Platform | str | Sequence[Platform | str] | None = None
    ) -> AsyncGenerator[str, None]:
        """Load the images of a Docker archive or OCI layout, a tar `stream`, plain or compressed; with one or several
        platforms, of multi-platform images those alone.

        Yields a line for each (`Loaded image: busybox:latest`). Close it when you stop early (`contextlib.aclosing`).
        Raises `Invalid` or `Corrupt` for a bad archive, `NotFound` when an image lacks a platform; what was loaded before
        that stays.
        """
        return loading.load(self._store, stream, _platforms(platform))

    def save(
        self, names: Sequence[str], platform: Platform | str | Sequence[Platform | str] | None = None
    ) -> AsyncGenerator[bytes, None]:
        """A tar of images, Docker archive and OCI layout in one; with one or several platforms, of multi-platform images
        those alone. Close it when you stop early.

        Raises `NotFound` on the first step.
        """
        return saving.save(self._store, names, _platforms(platform))

    async def import_(
        self,
        stream: AsyncIterable[bytes],
        name: str = "",
        *,
        message: str = "",
        changes: Iterable[str] = (),
        platform: Platform | str | None = None,
    ) -> Digest:
        """Make an image of a root file system, a tar `stream` (plain or compressed), and name it `name` if given.

        A cancelled import leaves nothing. Raises `Invalid` or `Corrupt` for a bad name, change or archive.
        """
        names = listing.parse_names([name] if name else [])
        run = apply_changes(RunConfig(), changes)
        what = Import(run, message or "Imported from -", _platform(platform))
        image = await making.import_tar(self._store, stream, names, what)
        await self._store.publish("import", self._store.records.images[image])
        return image

    async def bootstrap(
        self, name: str, *, tag: str = "", mirror: str = "", archive_date: str = "", packages: Sequence[str] = ()
    ) -> AsyncGenerator[Progress, None]:
        """Make the base image `debian:SUITE` or `ubuntu:SUITE` (a code name or a version) from the signed package archive,
        with `packages` beyond the smallest set, and name it `tag`, by default `name`.

        The archive is read from `mirror`, else from where the host has its own packages from, else from the distribution;
        `archive_date` (`20250520T000000Z`) takes it as it was then. The same state of the archive gives the same ID.
        Yields steps, the ID in the last one's `aux`. Close it when you stop early; nothing is left then. Raises `Invalid`;
        `Unsupported` when a tool or key is missing, `NotFound` for an unknown suite, `Unavailable`, `Corrupt`.
        """
        suite = await workers.quick(suites.find, name, mirror, archive_date)
        names = listing.parse_names([tag or name])
        wanted = bootstrap.Wanted(suite, suites.checked_packages(packages), bool(archive_date), names)
        board = Board()
        work = partial(bootstrap.bootstrap, self._store, wanted, board)
        async with aclosing(told(work, board, self._transfers.background, f"bootstrap {name}")) as steps:
            async for step in steps:
                yield step

    async def commit(self, key: str, base: str | None, what: Commit, name: str = "") -> Digest:
        """Make an image of what the snapshot `key` changed on top of the image `base`, and name it `name` if given.

        With None for an image that was removed, the layers that the snapshot still stands on are the base. Raises
        `NotFound` when they cannot be made into layers again, `Invalid` for a bad name or change.
        """
        names = listing.parse_names([name] if name else [])
        below = await self.resolve(base) if base else None
        image = await making.commit(self._store, key, below, what, names)
        await self._store.publish("create", self._store.records.images[image])
        return image

    async def collect(self) -> int:
        """Delete what nothing leads to any more; the bytes that came free."""
        return await self._store.collect()

    def has_layers(self, diff_ids: tuple[Digest, ...]) -> bool:
        """Whether the stack of these layers is unpacked."""
        return building.has_layers(self._store, diff_ids)

    async def layer(
        self,
        lease: Lease,
        key: str,
        below: tuple[Digest, ...],
        latest_ns: int | None,
        complete: Callable[[Path], None] | None = None,
    ) -> tuple[Descriptor, int]:
        """See `building.layer`."""
        return await building.layer(self._store, lease, key, below, latest_ns, complete)

    async def layer_directory(self, lease: Lease, diff_ids: tuple[Digest, ...]) -> Path | None:
        """See `building.directory`."""
        return await building.directory(self._store, lease, diff_ids)

    async def chains(self) -> set[Digest]:
        """See `collection.chains`."""
        return await collection.chains(self._store)

    async def stack(self, lease: Lease, diff_ids: tuple[Digest, ...]) -> None:
        """See `building.stack`."""
        await building.stack(self._store, lease, diff_ids)

    async def assemble(
        self, lease: Lease, config: ImageConfig, layers: tuple[Descriptor, ...], names: Sequence[str]
    ) -> Image:
        """An image of layers that are unpacked, named `names`. Raises `Invalid` for a bad name."""
        named = listing.parse_names(names)
        image = await building.assemble(self._store, lease, config, layers, named)
        return await self._store.image(self._store.records.images[image])

    def lease(self) -> AbstractAsyncContextManager[Lease]:
        """A hold on content that no image leads to yet: for whoever stores blobs before calling `add`."""
        return self._store.leases.lease()

    async def add(self, target: Descriptor, names: Sequence[str] = (), platform: Platform | str | None = None) -> Image:
        """Make an image of content that is stored already (under a lease), and unpack its variant for `platform`.

        The event is the caller's to tell. Raises `NotFound` for missing content, `Invalid` or `Corrupt` for bad content.
        """
        named = listing.parse_names(names)
        variant = await self._store.documents.choose(target, _platform(platform))
        if variant is None:
            raise NotFound(f"image {target.digest} has nothing for {platform or platforms.host()}")
        await unpack(self._store, variant)
        await self._store.records.add(target, named)
        return await self._store.image(self._store.records.images[target.digest], _platform(platform))

    def blob(self, descriptor: Descriptor) -> AsyncGenerator[bytes, None]:
        """A blob of an image, byte for byte, made again where it is not kept. Raises `NotFound` on the first step."""
        return self._store.open_layer(descriptor)

    async def tag(self, name: str, new_name: str) -> None:
        """Give the image `name` the name `new_name` (with a tag, else `latest`), taking it from whoever had it."""
        row = self._store.find(name)
        (wanted,) = listing.parse_names([new_name])
        async with self._store.leases.lease() as lease:
            await self._store.hold_image(lease, row)
            await self._store.records.add(row.target, [wanted])
        await self._store.publish("tag", row, wanted.familiar)

    async def remove(
        self,
        name: str,
        *,
        force: bool = False,
        prune: bool = True,
        users: Sequence[ImageUser] = (),
        platforms: Sequence[Platform | str] = (),
    ) -> list[DeleteItem]:
        """Untag or delete; with `platforms`, delete what a multi-platform image has for those alone. `users` are the
        containers there are. Raises `NotFound`, `InUse`."""
        if platforms:
            wanted = _platforms(platforms)
            return await removal.remove_platforms(self._store, name, wanted, force=force, users=users)
        return await removal.remove(self._store, name, force=force, prune=prune, users=users)

    async def prune(self, filters: Filters, users: Sequence[ImageUser] = ()) -> PruneReport:
        """Remove unused images. Raises `Invalid` for an unknown filter."""
        return await removal.prune(self._store, filters, users)

    async def keep_within(self, policy: Retention, users: Callable[[], Sequence[ImageUser]]) -> None:
        """Keep the images within the bounds of `policy` until cancelled: now, after each that comes, and every hour. `users`
        tells the containers there are."""
        await retention.keep_within(self._store, policy, users)

    async def list_(
        self,
        filters: Filters | None = None,
        *,
        intermediate: bool = True,
        shared_size: bool = False,
        manifests: bool = False,
        users: Users | None = None,
    ) -> list[ImageSummary]:
        """The images, newest first. With `users` (container IDs by image) the summaries count containers.

        Without `intermediate`, images that have no name and others made of them are left out.
        """
        return await listing.summaries(
            self._store,
            filters or {},
            intermediate=intermediate,
            shared_size=shared_size,
            manifests=manifests,
            users=users,
        )

    async def inspect(
        self, name: str, platform: Platform | str | None = None, *, manifests: bool = False, users: Users | None = None
    ) -> ImageInspect:
        """Everything about one image. Raises `NotFound`; `Invalid` when both platform and manifests are asked for."""
        if platform is not None and manifests:
            raise Invalid("conflicting options: manifests and platform options cannot both be set")
        image = await self._image(name, platform)
        found = await describing.manifests(self._store, image.row, users or {}) if manifests else None
        return await describing.inspect(self._store, image, found)

    async def history(self, name: str, platform: Platform | str | None = None) -> list[HistoryItem]:
        """How an image was made, newest step first. Raises `NotFound`."""
        return describing.history(self._store, await self._image(name, platform))

    async def compare(self, before: str, after: str, platform: Platform | str | None = None) -> ImageDifference:
        """How the files and packages (dpkg, apk) of the image `after` differ from those of `before`, times left out.

        Raises `NotFound`; `Unsupported` for directories nested without end. A cancelled call leaves nothing mounted.
        """
        old, new = await self.resolve(before, platform), await self.resolve(after, platform)
        return await comparing.compare(self._store, old, new)

    async def descriptor(self, image_id: str) -> Descriptor | None:
        """The descriptor of the manifest that containers of the image are made from; None when the image is gone."""
        try:
            return (await self._image(image_id)).variant.descriptor
        except NotFound:
            return None

    async def unpacked_size(self, image_id: str) -> int:
        """Bytes of the image's unpacked layers on the disk; 0 when the image is gone."""
        try:
            image = await self._image(image_id)
        except NotFound:
            return 0
        return sum(sizes.layers(self._store, image.config.diff_ids).values())

    async def descendants(self, image_id: Digest) -> set[Digest]:
        """Every image built on the layers of `image_id`, itself not counted."""
        base = (await self._image(image_id)).config.diff_ids
        found = set()
        for row in list(self._store.records.images.values()):
            for variant in await self._store.documents.variants(row.target):
                own = variant.config.diff_ids
                if len(own) > len(base) > 0 and own[: len(base)] == base:
                    found.add(row.digest)
        return found - {image_id}

    async def _image(self, name: str, platform: Platform | str | None = None) -> Image:
        return await self._store.image(self._store.find(name), _platform(platform))

    async def count(self) -> int:
        """How many images there are."""
        return len(self._store.records.images)

    async def disk_usage(self, users: Users | None = None) -> ImageUsage:
        """What images take on the disk, as `du` counts it."""
        rows = list(self._store.records.images.values())
        footprints = await sizes.footprints(self._store, rows)
        summaries = await self.list_(shared_size=True, users=users or {})
        return ImageUsage(sizes.union_bytes(footprints), summaries)


def _platform(wanted: Platform | str | None) -> Platform | None:
    return platforms.parse(wanted) if isinstance(wanted, str) else wanted


def _platforms(wanted: Platform | str | Sequence[Platform | str] | None) -> list[Platform]:
    if wanted is None:
        return []
    several = [wanted] if isinstance(wanted, Platform | str) else wanted
    return [platforms.parse(one) if isinstance(one, str) else one for one in several]
