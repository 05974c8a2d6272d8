"""How much the build cache may take."""

from __future__ import annotations

import asyncio

import pytest
from tests.engine.build.conftest import Bench

from dockwright.build.policy import BuilderOptions, Rule, Space

pytestmark = pytest.mark.root

MIB = 1 << 20


async def fill(bench: Bench, *, images: bool = False) -> None:
    """Three layers of a mebibyte each, and a cache mount of one; with the `images` that were made of them."""
    for number in range(3):
        await bench.build(f"FROM busybox\nRUN dd if=/dev/urandom of=/f{number} bs=1M count=1 2>/dev/null\n")
    await bench.build(
        "FROM busybox\nRUN --mount=type=cache,target=/c dd if=/dev/urandom of=/c/f bs=1M count=1 2>/dev/null\n"
    )
    if not images:
        await bench.engine.images.prune({"dangling": ["true"]})


async def left(bench: Bench) -> list[str]:
    return [use.description.partition("/f")[2][:1] or use.kind for use in await bench.engine.builder.usage()]


async def test_the_least_recently_used_goes_until_the_rest_has_room(bench: Bench) -> None:
    await fill(bench)
    builder = bench.engine.builder
    total = sum(use.size_bytes for use in await builder.usage())
    assert (await builder.prune({}, everything=True, space=Space(max_used_bytes=total))).ids == []
    assert (await builder.prune({}, everything=True, space=Space(reserved_bytes=total, max_used_bytes=1))).ids == []
    await bench.build("FROM busybox\nRUN dd if=/dev/urandom of=/f0 bs=1M count=1 2>/dev/null\n")
    await bench.engine.images.prune({"dangling": ["true"]})
    gone = await builder.prune({}, everything=True, space=Space(max_used_bytes=total - MIB))
    assert len(gone.ids) == 1
    assert gone.freed_bytes >= MIB
    assert "1" not in await left(bench), "the first was used again"
    assert (await builder.prune({}, everything=True, space=Space(min_free_bytes=1))).ids == []
    assert len((await builder.prune({}, everything=True, space=Space(min_free_bytes=1 << 60))).ids) == 4
    assert await left(bench) == []


async def test_what_images_are_made_of_takes_no_room_of_the_cache(bench: Bench) -> None:
    await fill(bench, images=True)
    builder = bench.engine.builder
    uses = await builder.usage()
    assert [use.kind for use in uses if not use.shared] == ["exec.cachemount"]
    own = sum(use.size_bytes for use in uses if not use.shared)
    assert (await builder.prune({}, everything=True, space=Space(max_used_bytes=own))).ids == []
    assert len((await builder.prune({}, everything=False)).ids) == 1
    assert len([use for use in await builder.usage() if use.shared]) == 4
    everything = await builder.prune({}, everything=True)
    assert (len(everything.ids), everything.freed_bytes) == (4, 0)


async def test_a_cache_in_use_stays(bench: Bench) -> None:
    text = "FROM busybox\nRUN --mount=type=cache,target=/c touch /c/here; while test ! -e /c/go; do sleep 0.05; done\n"
    building = asyncio.ensure_future(bench.build(text))  # noqa: TID251 the test awaits it
    builder = bench.engine.builder
    while not (marks := list(builder.caches.glob("*/fs/here"))):
        await asyncio.sleep(0.02)
    assert (await builder.prune({}, everything=True)).ids == []
    assert [use.in_use for use in await builder.usage() if use.kind == "exec.cachemount"] == [True]
    (marks[0].parent / "go").touch()
    await building
    assert len((await builder.prune({"inuse": ["false"]}, everything=True)).ids) == 3 - 1


async def test_the_rules_of_upkeep_are_followed_in_their_order(bench: Bench) -> None:
    await fill(bench)
    builder = bench.engine.builder
    builder._options = BuilderOptions(
        rules=(
            Rule(Space(max_used_bytes=1), {"type": ["exec.cachemount"]}, unused_s=3600, everything=True),
            Rule(Space(max_used_bytes=1), {"type": ["exec.cachemount"]}, everything=True),
            Rule(Space(reserved_bytes=2 * MIB + MIB // 2, max_used_bytes=1)),
        )
    )
    first, second, third = await builder.keep_up()
    assert first.ids == []
    assert len(second.ids) == 1
    assert len(third.ids) >= 1
    assert "exec.cachemount" not in await left(bench)
    builder._options = BuilderOptions(upkeep=False)
    assert await builder.keep_up() == []
