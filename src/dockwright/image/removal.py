"""Removing images: what may go, in which order, and Docker's words for what may not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dockwright import faults
from dockwright.errors import InUse
from dockwright.image.documents import Variant
from dockwright.image.listing import PRUNE_FILTERS, Filters, compile_filters
from dockwright.image.records import ImageRow
from dockwright.image.selecting import select
from dockwright.image.store import Store
from dockwright.image.types import DeleteItem, PruneReport
from dockwright.oci import Digest, ImageConfig, Platform, Reference, reference


@dataclass(frozen=True)
class ImageUser:
    """A container, and the ID of the image it was made from."""

    image_id: Digest
    container_id: str
    running: bool


async def remove(store: Store, asked: str, *, force: bool, prune: bool, users: Sequence[ImageUser]) -> list[DeleteItem]:
    """Take a name away, and with the last one, or when asked by ID, the image.

    Raises `NotFound`, and `InUse` with Docker's wording when something speaks against it; nothing is changed then.
    `prune` also removes parents that are left without name and use.
    """
    row = store.find(asked)
    names = store.records.names(row.digest)
    using = [user for user in users if user.image_id == row.digest]
    if not _is_id(row.digest, asked):
        meant = _meant(store, asked, names)
        if len(meant) < len(names):
            return await _untag(store, row, meant)
        if using and not force:
            raise InUse(
                f'conflict: unable to remove repository reference "{asked}" (must force) - '
                f"container {using[0].container_id[:12]} is using its referenced image {_short(row.digest)}"
            )
        if any(user.running for user in using):
            return await _untag(store, row, names)  # the name alone can be forced away: the image stays, dangling
    else:
        _check(row.digest, names, using, force=force)
    done = await discard(store, row)
    if prune:
        done += await _prune_parents(store, row, users)
    await store.collect()
    return done


async def prune(store: Store, filters: Filters, users: Sequence[ImageUser]) -> PruneReport:
    """Remove images that no container uses: dangling ones, or all of them with the filter `dangling=false`."""
    meant = _rest(filters) if _all(filters) else {"dangling": ["true"], **filters}
    matches = await compile_filters(store, meant, PRUNE_FILTERS)
    used = {user.image_id for user in users}
    removed: list[DeleteItem] = []
    for row in list(store.records.images.values()):
        if row.digest in used or not matches(row, await _config(store, row)):
            continue
        removed += await discard(store, row)
    freed = await store.collect()
    await store.events.publish("image", "prune", "", reclaimed=str(freed))
    return PruneReport(removed or None, freed)


async def discard(store: Store, row: ImageRow) -> list[DeleteItem]:
    """Take every name of an image away, and then the image, whoever uses it."""
    done = await _untag(store, row, store.records.names(row.digest))
    return done + await _delete(store, row)


async def remove_platforms(
    store: Store, asked: str, platforms: Sequence[Platform], *, force: bool, users: Sequence[ImageUser]
) -> list[DeleteItem]:
    """Delete what an image has for `platforms` alone; the image, and its ID, stay. When nothing else of it is here, it goes
    as with `remove`.

    Raises `NotFound` for a platform that is not here, `InUse`.
    """
    row = store.find(asked)
    names = store.records.names(row.digest)
    selection = await select(store, row.target, platforms, names[0].familiar if names else row.digest)
    left = {variant.descriptor.digest for variant in await store.documents.variants(row.target)}
    if left <= {one.descriptor.digest for one in selection.variants}:
        return await remove(store, asked, force=force, prune=True, users=users)
    using = [user for user in users if user.image_id == row.digest]
    own = await store.documents.choose(row.target)
    if own is not None and own.descriptor.digest in {one.digest for one in selection.manifests}:
        _check(row.digest, [], using, force=force)
    stored = {descriptor.digest async for descriptor, document in store.documents.manifests(row.target) if document}
    gone = [one.digest for one in selection.manifests if one.digest in stored]
    faults.point("image.forget")
    if kept := await store.drop_manifests(gone, of=row):
        raise InUse(
            f"conflict: unable to delete {_short(kept[0])} (cannot be forced) - another image has that manifest too"
        )
    for digest in gone:
        await store.events.publish("image", "delete", digest, name=names[0].familiar if names else row.digest)
    await store.collect()
    return [DeleteItem(deleted=digest) for digest in gone]


async def _untag(store: Store, row: ImageRow, names: list[Reference]) -> list[DeleteItem]:
    faults.point("image.untag")
    await store.records.untag(names)
    for name in names:
        await store.publish("untag", row, name.familiar)
    return [DeleteItem(untagged=name.familiar) for name in names]


async def _delete(store: Store, row: ImageRow) -> list[DeleteItem]:
    faults.point("image.delete")
    await store.publish("delete", row, row.digest)
    await store.records.remove(row.digest)
    return [DeleteItem(deleted=row.digest)]


async def _prune_parents(store: Store, row: ImageRow, users: Sequence[ImageUser]) -> list[DeleteItem]:
    done: list[DeleteItem] = []
    in_use = {user.image_id for user in users}
    while row.parent is not None and (parent := store.records.images.get(row.parent)) is not None:
        others = any(other.parent == parent.digest for other in store.records.images.values())
        if store.records.names(parent.digest) or parent.digest in in_use or others:
            break
        done += await _delete(store, parent)
        row = parent
    return done


def _check(image: Digest, names: list[Reference], using: list[ImageUser], *, force: bool) -> None:
    """Raise what speaks against deleting the image: first what no force overcomes."""
    short = _short(image)
    for user in using:
        if user.running:
            raise InUse(
                f"conflict: unable to delete {short} (cannot be forced) - "
                f"image is being used by running container {user.container_id[:12]}"
            )
    if force:
        return
    if len(names) > 1:
        raise InUse(
            f"conflict: unable to delete {short} (must be forced) - image is referenced in multiple repositories"
        )
    if using:
        raise InUse(
            f"conflict: unable to delete {short} (must be forced) - "
            f"image is being used by stopped container {using[0].container_id[:12]}"
        )


def _meant(store: Store, asked: str, names: list[Reference]) -> list[Reference]:
    """The name; of `name@digest` every name that the image has in that repository."""
    parsed = reference.parse(asked).tagged
    if store.records.target(parsed) is not None:
        return [parsed]
    return [name for name in names if name.name == parsed.name]


def _is_id(image: Digest, asked: str) -> bool:
    return image.startswith(asked) or image.partition(":")[2].startswith(asked)


def _short(image: Digest) -> str:
    return image.partition(":")[2][:12]


def _all(filters: Filters) -> bool:
    return [value.lower() for value in filters.get("dangling", ())] in (["false"], ["0"])


def _rest(filters: Filters) -> Filters:
    return {key: value for key, value in filters.items() if key != "dangling"}


async def _config(store: Store, row: ImageRow) -> ImageConfig:
    variant: Variant | None = await store.documents.choose(row.target)
    return variant.config if variant else ImageConfig()
