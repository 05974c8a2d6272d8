"""The list of images and its filters; the same filters choose what a prune removes."""

from __future__ import annotations

import fnmatch
import time
from collections.abc import Callable, Mapping, Sequence

from dockwright.errors import Invalid
from dockwright.image import describing, sizes
from dockwright.image.describing import Users
from dockwright.image.records import ImageRow
from dockwright.image.store import Store
from dockwright.image.types import ImageSummary
from dockwright.oci import ImageConfig, Reference, reference
from dockwright.units import parse_time

Filters = Mapping[str, Sequence[str]]

LIST_FILTERS = frozenset({"before", "dangling", "label", "label!", "reference", "since", "until"})
PRUNE_FILTERS = frozenset({"dangling", "label", "label!", "until"})

# Whether an image, with the configuration of its preferred variant, is meant.
Matches = Callable[[ImageRow, ImageConfig], bool]


async def summaries(
    store: Store, filters: Filters, *, intermediate: bool, shared_size: bool, manifests: bool, users: Users | None
) -> list[ImageSummary]:
    """The images that `filters` let through, the newest first; `intermediate` ones have no name and others made of them."""
    matches = await compile_filters(store, filters, LIST_FILTERS)
    footprints = await sizes.footprints(store, list(store.records.images.values()))
    shared = sizes.shared_bytes(footprints) if shared_size else {}
    parents = set() if intermediate else {row.parent for row in store.records.images.values()}
    found: list[tuple[int, ImageSummary]] = []
    for digest, used in footprints.items():
        row = store.records.images.get(digest)
        if row is None:
            continue  # removed meanwhile
        config = await _config(store, row)
        if not matches(row, config) or (digest in parents and not store.records.names(digest)):
            continue
        line = describing.summary(store, row, config, used)
        if "reference" in filters:
            _narrow(line, row, store, filters["reference"])
        if shared_size:
            line.shared_size = shared[digest]
        if users is not None:
            line.containers = len(users.get(digest, ()))
        if manifests:
            line.manifests = await describing.manifests(store, row, users or {})
        found.append((describing.created_ns(config.created), line))
    return [line for _, line in sorted(found, key=lambda pair: pair[0], reverse=True)]


async def compile_filters(store: Store, filters: Filters, known: frozenset[str]) -> Matches:
    """One predicate for all filters: the values of one are alternatives (labels excepted), the filters add up.

    Raises `Invalid` for an unknown filter or value, `NotFound` for an image that `before` or `since` names.
    """
    if unknown := sorted(set(filters) - known):
        raise Invalid(f"invalid filter '{unknown[0]}'")
    tests: list[Matches] = []
    if values := filters.get("dangling"):
        wanted = _boolean("dangling", values)
        tests.append(lambda row, _: wanted == (not store.records.names(row.digest)))
    if values := filters.get("label"):
        tests.append(lambda _, config: all(_has_label(config, value) for value in values))
    if values_not := filters.get("label!"):
        tests.append(lambda _, config: not any(_has_label(config, value) for value in values_not))
    if patterns := filters.get("reference"):
        _check_patterns(patterns)
        tests.append(lambda row, _: any(_named_like(name, patterns) for name in store.records.names(row.digest)))
    tests += await _time_tests(store, filters)
    return lambda row, config: all(test(row, config) for test in tests)


async def _time_tests(store: Store, filters: Filters) -> list[Matches]:
    tests: list[Matches] = []
    if values := filters.get("until"):
        limit_ns = min(parse_time(value, time.time_ns()) for value in values)
        tests.append(lambda _, config: describing.created_ns(config.created) < limit_ns)
    for value in filters.get("before", ()):
        other = await _created(store, value)
        tests.append(lambda _, config, other=other: describing.created_ns(config.created) < other)  # type: ignore[misc]
    for value in filters.get("since", ()):
        other = await _created(store, value)
        tests.append(lambda _, config, other=other: describing.created_ns(config.created) > other)  # type: ignore[misc]
    return tests


async def _created(store: Store, name: str) -> int:
    return describing.created_ns((await _config(store, store.find(name))).created)


async def _config(store: Store, row: ImageRow) -> ImageConfig:
    variant = await store.documents.choose(row.target)
    return variant.config if variant else ImageConfig()


def _has_label(config: ImageConfig, wanted: str) -> bool:
    key, equals, value = wanted.partition("=")
    labels = config.run.labels or {}
    return key in labels and (not equals or labels[key] == value)


def _boolean(name: str, values: Sequence[str]) -> bool:
    words = {"1": True, "true": True, "0": False, "false": False}
    meant = {words.get(value.lower()) for value in values}
    if len(meant) != 1 or None in meant:
        raise Invalid(f"invalid filter '{name}={','.join(values)}'")
    return bool(meant.pop())


def _check_patterns(patterns: Sequence[str]) -> None:
    for pattern in patterns:
        if pattern.count("[") != pattern.count("]") or not pattern:
            raise Invalid(f"invalid filter 'reference={pattern}': syntax error in pattern")


def _named_like(name: Reference, patterns: Sequence[str]) -> bool:
    """As Docker matches: the familiar name, or the familiar name with its tag; `*` stops at a slash."""
    return any(_glob(text, pattern) for pattern in patterns for text in (name.familiar, name.familiar_name, name.name))


def _glob(text: str, pattern: str) -> bool:
    parts, wanted = text.split("/"), pattern.split("/")
    return len(parts) == len(wanted) and all(map(fnmatch.fnmatchcase, parts, wanted))


def _narrow(line: ImageSummary, row: ImageRow, store: Store, patterns: Sequence[str]) -> None:
    """A list by reference shows the names that match, not all names of the image."""
    kept = [name for name in store.records.names(row.digest) if _named_like(name, patterns)]
    line.repo_tags = [name.familiar for name in kept if name.tag]
    line.repo_digests = list(dict.fromkeys(f"{name.familiar_name}@{row.digest}" for name in kept))


def parse_names(names: Sequence[str]) -> list[Reference]:
    """Names for a new image, `latest` when no tag is said. Raises `Invalid`, also for a name with a digest."""
    found = [reference.parse(name).tagged for name in names]
    if any(name.digest for name in found):
        raise Invalid("refusing to create a tag with a digest reference")
    return found
