"""What builds have in common: results by what they read, steps that several want at the same time, cache mounts."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest
from tests.engine.build.conftest import Bench, Outcome

from dockwright.build import BuildRequest, Context, Missed
from dockwright.errors import Invalid

pytestmark = pytest.mark.root

COPIED = "FROM busybox\nCOPY . /src\nRUN --mount=target=/ctx cat /ctx/a.txt > /made\n"
FILES: dict[str, str | bytes] = {"a.txt": "A", "d/b.txt": "B"}


def hits(outcome: Outcome) -> list[bool]:
    """Of each step, whether the cache had it."""
    return list(outcome.cached.values())


async def test_a_touched_file_and_a_copy_of_the_whole_context_are_known(bench: Bench, tmp_path: Path) -> None:
    await bench.build(COPIED, FILES)
    for path in (bench.root, *bench.root.rglob("*")):
        os.utime(path, (1, 1))
    assert hits(await bench.build(COPIED)) == [True, True]
    shutil.copytree(bench.root, tmp_path / "again")
    again = await asyncio.to_thread(Context.at, tmp_path / "again", "Dockerfile")
    assert hits(await bench.run(BuildRequest(text=COPIED.encode()), again)) == [True, True]


async def test_another_mode_name_or_kind_of_a_file_is_another_file(bench: Bench) -> None:
    await bench.build(COPIED, FILES)
    path = bench.root / "d" / "b.txt"
    path.chmod(0o755)
    assert hits(await bench.build(COPIED)) == [False, False]
    path.rename(bench.root / "d" / "c.txt")
    assert hits(await bench.build(COPIED)) == [False, False]
    path.symlink_to("c.txt")
    assert hits(await bench.build(COPIED)) == [False, False]
    (bench.root / "d" / "empty").mkdir()
    assert hits(await bench.build(COPIED)) == [False, False]
    assert hits(await bench.build(COPIED)) == [True, True]


async def test_what_an_ignore_file_leaves_out_is_no_matter(bench: Bench) -> None:
    await bench.build(COPIED, {**FILES, "left": "1", ".dockerignore": "left\n.dockerignore\n"})
    assert hits(await bench.build(COPIED, {"left": "2"})) == [True, True]
    assert hits(await bench.build(COPIED, {".dockerignore": "left\n.dockerignore\nnothing\n"})) == [True, True]


async def test_arguments_matter_to_the_steps_that_see_them(bench: Bench) -> None:
    text = "FROM busybox\nRUN true\nARG A\nRUN true 2\nARG HTTP_PROXY\nENV B=$A\nRUN true 3\n"
    await bench.build(text, arguments={"A": "1"})
    assert hits(await bench.build(text, arguments={"A": "1", "UNUSED": "x"})) == [True, True, True]
    assert hits(await bench.build(text, arguments={"A": "1", "NO_PROXY": "x"})) == [True, True, True]
    assert hits(await bench.build(text, arguments={"A": "2"})) == [True, False, False]


async def test_a_step_goes_on_until_nobody_wants_it_any_more(bench: Bench) -> None:
    text = (
        "FROM busybox\nRUN --mount=type=cache,target=/c touch /c/begun; while test ! -e /c/go; do sleep 0.05; done;"
        " echo x >> /c/count; cat /c/count > /count\n"
    )
    first, second = (asyncio.ensure_future(bench.build(text)) for _ in range(2))  # noqa: TID251 the test awaits them
    caches = bench.engine.builder.caches
    while not (marks := list(caches.glob("*/fs/begun"))):
        await asyncio.sleep(0.02)
    flights = bench.engine.builder._worker.flights
    while sum(len(flight._listeners) for flight in flights._flying.values()) < 2:
        await asyncio.sleep(0.02)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    (marks[0].parent / "go").touch()
    assert await bench.output((await second).image_id, "cat", "/count") == "x\n"


async def test_modes_of_sharing(bench: Bench) -> None:
    """Each step tells in a shared cache that it is there, and waits for the other or for its absence."""
    meet = (
        "FROM busybox\nRUN --mount=type=cache,id=meeting,target=/m --mount=type=cache,id={id},target=/c,sharing={mode}"
        " touch /m/{me}; for i in $(seq 600); do test -e /m/{other} && break; sleep 0.05; done; test -e /m/{other} &&"
        " touch /c/{me} && touch /m/{me}-done && for i in $(seq 600); do test -e /m/{other}-done && break; sleep 0.05; done;"
        " ls /c\n"
    )
    for mode, seen in (("shared", "a\nb\n"), ("private", "")):
        texts = [
            meet.format(id=f"of-{mode}", mode=mode, me=f"{mode}-{me}", other=f"{mode}-{other}")
            for me, other in (("a", "b"), ("b", "a"))
        ]
        outcomes = await asyncio.gather(*map(bench.build, texts))
        told = [outcome.said.replace(f"{mode}-", "") for outcome in outcomes]
        assert told == ([seen, seen] if seen else ["a\n", "b\n"])
    alone = (
        "FROM busybox\nRUN --mount=type=cache,id=one-by-one,target=/c,sharing=locked"
        " test ! -e /c/here && touch /c/here && echo {me} && sleep 0.2 && rm /c/here\n"
    )
    outcomes = await asyncio.gather(*(bench.build(alone.format(me=me)) for me in "abc"))
    assert [outcome.said for outcome in outcomes] == ["a\n", "b\n", "c\n"]


async def test_the_latest_time_may_be_the_dockerfiles(bench: Bench) -> None:
    text = "ARG SOURCE_DATE_EPOCH={0}\nFROM busybox\nCOPY a.txt /a\nRUN touch /b; stat -c %Y /a\n"
    assert (await bench.build(text.format(1_000_000_000), FILES)).said == "1000000000\n"
    given = {"arguments": {"SOURCE_DATE_EPOCH": "1100000000"}}
    assert (await bench.build(text.format(1_000_000_000), **given)).said == "1100000000\n"
    unset = await bench.build(text.format(""))
    assert int(unset.said) > 1_600_000_000, "that of the base image"
    assert hits(await bench.build(text.partition("\n")[2])) == [True, True]
    with pytest.raises(Invalid, match="invalid SOURCE_DATE_EPOCH 'yesterday'"):
        await bench.build(text.format("yesterday"))


async def test_every_kind_of_input_is_named(bench: Bench) -> None:
    """A second build differs from the first one in one thing, which it names."""
    changed = [
        ("WORKDIR /a\nRUN true\n", "WORKDIR /b\nRUN true\n", "the path changed from /a to /b"),
        ("USER 1\nRUN true\n", "USER 2\nRUN true\n", "the user changed from 1 to 2"),
        ("RUN true\n", "RUN --network=none true\n", "the network changed from default to none"),
        ("ENV A=1\nRUN true\n", "ENV A=1 B=2\nRUN true\n", "the variable B is new: 2"),
        ("ENV A=1 B=2\nRUN true\n", "ENV B=2\nRUN true\n", "the variable A is gone"),
        ("RUN true\n", "RUN --mount=type=tmpfs,target=/t true\n", "the mount /t is new"),
        ("COPY a.txt /a\n", "COPY a.txt /b\n", "the destination changed from /a to /b"),
        ("COPY a.txt /a\n", "COPY --chown=1 a.txt /a\n", "the owner is new: 1"),
        ("COPY a.txt /a\n", "COPY --chmod=600 a.txt /a\n", "the mode is new: 600"),
        ("COPY <<a /\n1\na\n", "COPY <<a /\n2\na\n", "the file a changed from 1\n to 2\n"),
        ("RUN <<E\n#!/bin/sh\n:\nE\n", "RUN <<E\n#!/bin/sh\ntrue\nE\n", "the script changed"),
        ("COPY a.txt /a\n", "RUN true\n", "the instruction changed from copy to exec"),
        ('SHELL ["/bin/sh", "-c"]\nRUN true\n', 'SHELL ["/bin/ash", "-c"]\nRUN true\n', "the command changed"),
    ]
    for before, after, told in changed:
        await bench.build(f"FROM busybox\n{before}", FILES)
        outcome = await bench.build(f"FROM busybox\n{after}", explain=True)
        missed = [one.text for one in outcome.progress if isinstance(one, Missed)]
        assert missed, after
        assert missed[0].startswith(told), (after, missed)
        await bench.engine.builder.prune({}, everything=True)
