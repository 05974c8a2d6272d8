"""Keeping images within bounds, with a clock of the test's own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tests.archives import files as tar_files
from tests.archives import stream
from tests.engine.image.conftest import Host, opened

from dockwright.errors import NotFound
from dockwright.image import ImageUser, Retention
from dockwright.image.retention import RECENT_S, choose, enforce, keep_within
from dockwright.image.sizes import Footprint
from dockwright.oci import Digest

HOUR_NS = 3600 * 10**9


def nobody() -> Sequence[ImageUser]:
    return []


def used(times: dict[str, int]) -> Callable[[Digest], int]:
    return lambda digest: times[digest]


def footprints(**images: dict[str, int]) -> dict[Digest, Footprint]:
    return {
        Digest(name): Footprint({Digest(part): size for part, size in parts.items()}) for name, parts in images.items()
    }


def chosen(policy: Retention, now_h: int, times_h: dict[str, int], **images: dict[str, int]) -> list[str]:
    times = {name: hour * HOUR_NS for name, hour in times_h.items()}
    return list(choose(footprints(**images), used(times), policy, now_h * HOUR_NS))


def test_the_least_recently_used_go_first_until_the_rest_fits() -> None:
    images = {name: {name: 100} for name in ("a", "b", "c")}
    times = {"a": 3, "b": 1, "c": 2}
    assert chosen(Retention(max_size_bytes=300), 9, times, **images) == []
    assert chosen(Retention(max_size_bytes=299), 9, times, **images) == ["b"]
    assert chosen(Retention(max_size_bytes=150), 9, times, **images) == ["b", "c"]
    assert chosen(Retention(max_size_bytes=0), 9, times, **images) == ["b", "c", "a"]


def test_what_is_shared_comes_free_with_its_last_image() -> None:
    images = {"a": {"base": 900, "a": 10}, "b": {"base": 900, "b": 10}, "c": {"c": 500}}
    assert chosen(Retention(max_size_bytes=1000), 9, {"a": 1, "b": 2, "c": 3}, **images) == ["a", "b"]


def test_what_was_not_used_for_long_goes_whatever_its_size() -> None:
    images = {name: {name: 1} for name in ("a", "b", "c")}
    times = {"a": 1, "b": 5, "c": 8}
    assert chosen(Retention(keep_for_s=3 * 3600), 9, times, **images) == ["a", "b"]
    assert chosen(Retention(keep_for_s=8 * 3600), 9, times, **images) == []
    assert chosen(Retention(max_size_bytes=2, keep_for_s=8 * 3600), 9, times, **images) == ["a"]


def test_what_was_used_within_the_last_minutes_stays() -> None:
    now = 9 * HOUR_NS
    times = {"a": now - (RECENT_S - 1) * 10**9, "b": now - (RECENT_S + 1) * 10**9}
    found = choose(footprints(a={"a": 5}, b={"b": 5}), used(times), Retention(0, 0.001), now)
    assert found == ["b"]


async def make(host: Host, name: str) -> Digest:
    return await host.images.import_(stream(tar_files({"file": os.urandom(20_000).hex()})), name)


async def names(host: Host) -> set[str]:
    return {tag for line in await host.images.list_() for tag in line.repo_tags or ["none"]}


@pytest.mark.root
async def test_images_go_with_events_and_their_room_comes_free(host: Host) -> None:
    store = host.images._store
    ids = [await make(host, f"x:{number}") for number in range(4)]
    now = store.records.last_used_ns(ids[3])
    for number, image in enumerate(ids[:3]):
        await store.records.touch([image], now + (number + 1) * HOUR_NS)
    await host.images.tag("x:3", "also:1")
    running = [ImageUser(ids[3], "c" * 64, True)]
    before = (await host.images.disk_usage()).layers_size
    report = await enforce(store, Retention(max_size_bytes=before * 5 // 8), lambda: running, now + 9 * HOUR_NS)
    assert await names(host) == {"x:2", "x:3", "also:1"}
    assert report.space_reclaimed > 80_000
    assert [event.action for event in await host.heard()][-5:] == ["untag", "delete", "untag", "delete", "prune"]
    await enforce(store, Retention(keep_for_s=1), lambda: running, now + 9 * HOUR_NS)
    assert await names(host) == {"x:3", "also:1"}
    await enforce(store, Retention(keep_for_s=1), nobody, now + 9 * HOUR_NS + 60 * 10**9)
    assert await names(host) == {"x:3", "also:1"}, "its container is gone, but was there a minute ago"
    assert (await enforce(store, Retention(), nobody, now + 99 * HOUR_NS)).images_deleted is None
    await enforce(store, Retention(keep_for_s=1), nobody, now + 99 * HOUR_NS)
    assert await names(host) == set()


@pytest.mark.root
async def test_asking_for_an_image_keeps_it_over_a_restart(host: Host, tmp_path: Path) -> None:
    first, second = await make(host, "x:1"), await make(host, "x:2")
    later = host.images._store.records.last_used_ns(second) + 5 * HOUR_NS
    await host.images._store.records.touch([first], later)
    async with opened(tmp_path / "root") as again:
        records = again.images._store.records
        assert records.last_used_ns(first) == later > records.last_used_ns(second)
        await enforce(again.images._store, Retention(keep_for_s=3600), nobody, later + 60 * 10**9)
        assert await names(again) == {"x:1"}


@pytest.mark.root
async def test_an_image_asked_for_at_the_last_moment_stays(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = await make(host, "x:1"), await make(host, "x:2")
    store = host.images._store
    now = store.records.last_used_ns(second) + 9 * HOUR_NS
    from dockwright.image import removal

    real = removal.discard

    async def and_meanwhile(*arguments: object) -> object:
        await store.records.touch([second], now)
        return await real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(removal, "discard", and_meanwhile)
    await enforce(store, Retention(keep_for_s=1), nobody, now)
    assert await names(host) == {"x:2"}
    with pytest.raises(NotFound):
        await host.images.resolve(first)


@pytest.mark.root
async def test_each_image_that_comes_makes_room_for_itself(host: Host) -> None:
    store = host.images._store
    await make(host, "x:1")
    hours = 0

    def clock() -> int:
        return store.records.last_used_ns(next(iter(store.records.images))) + hours * HOUR_NS if hours else 0

    async with asyncio.TaskGroup() as group:
        task = group.create_task(keep_within(store, Retention(max_size_bytes=0), nobody, clock=clock))
        while store.records.added.is_set():
            await asyncio.sleep(0)
        assert await names(host) == {"x:1"}
        hours = 9
        await make(host, "x:2")
        while (
            await names(host) == {"x:1", "x:2"} or not await host.heard() or (await host.heard())[-1].action != "prune"
        ):
            await asyncio.sleep(0.01)
        task.cancel()
    assert (await host.heard())[-1].action == "prune"
