"""Mounts of a step: what a cache begins with, and writing to what is only lent."""

from __future__ import annotations

import pytest
from tests.engine.build.conftest import Bench

from dockwright.errors import Invalid, NotFound

pytestmark = pytest.mark.root


async def test_a_cache_begins_with_files_of_a_stage(bench: Bench) -> None:
    text = (
        "FROM busybox AS s\nRUN mkdir -p /in/deep && echo begun > /in/deep/f && chown -R 5:6 /in/deep\nFROM busybox\n"
        "RUN --mount=type=cache,target=/c,from=s,source=/in,mode=0700,uid=7 cat /c/deep/f;"
        " stat -c %u:%g /c/deep/f; stat -c %a:%u /c; echo more >> /c/deep/f\n"
        "RUN --mount=type=cache,target=/c,from=s,source=/in cat /c/deep/f\n"
        "RUN --mount=type=cache,target=/c test ! -e /c/deep\n"
    )
    outcome = await bench.build(text)
    assert outcome.said == "begun\n5:6\n700:7\nbegun\nmore\n"
    with pytest.raises(NotFound):
        await bench.build("FROM busybox\nRUN --mount=type=cache,target=/c,from=busybox,source=/no true\n")


async def test_a_part_of_a_cache_is_found_inside_of_it(bench: Bench) -> None:
    text = (
        "FROM busybox\nRUN --mount=type=cache,id=parts,target=/c mkdir -p /c/sub/deep && echo in > /c/sub/deep/f\n"
        "RUN --mount=type=cache,id=parts,source=sub/deep,target=/part cat /part/f\n"
        "RUN --mount=type=cache,id=parts,target=/c rm -r /c/sub && ln -s /etc /c/sub\n"
        "RUN --mount=type=cache,id=parts,source=sub,target=/part cat /part/hostname\n"
    )
    with pytest.raises(NotFound):
        await bench.build(text)
    assert (await bench.build(text.partition("RUN --mount=type=cache,id=parts,target=/c rm")[0])).said == ""


async def test_arguments_of_the_build_name_the_host_and_part_caches(bench: Bench) -> None:
    text = "FROM busybox\nRUN --mount=type=cache,target=/c hostname; ls /c; touch /c/$(hostname)\n"
    for name, said in (("one", "one\n"), ("two", "two\none\n"), ("", "buildkitsandbox\none\ntwo\n")):
        given = {"BUILDKIT_SANDBOX_HOSTNAME": name} if name else {}
        assert (await bench.build(text, arguments=given)).said == said
    apart = {"BUILDKIT_CACHE_MOUNT_NS": "other", "BUILDKIT_SANDBOX_HOSTNAME": "one"}
    assert (await bench.build(text, arguments=apart)).said == "one\n"


async def test_a_cache_is_known_by_its_target_however_it_is_written(bench: Bench) -> None:
    text = (
        "FROM busybox\nRUN --mount=type=cache,target=/mine echo kept > /mine/f\n"
        "RUN --mount=type=cache,target=/mine/ cat /mine/f\nRUN --mount=type=cache,target=/x/../mine cat /mine/f\n"
        "RUN --mount=type=tmpfs,target=/dev/shm,size=1m grep ' /dev/shm ' /proc/mounts | grep -c size=1024k\n"
        "RUN --mount=type=tmpfs,target=/r,ro ! touch /r/f 2>/dev/null\n"
    )
    assert (await bench.build(text)).said == "kept\nkept\n1\n"


async def test_what_is_written_to_the_context_is_thrown_away(bench: Bench) -> None:
    text = (
        "FROM busybox\nRUN --mount=target=/c,rw ls /c /c/d; echo x > /c/new; rm /c/a.txt; echo y > /c/d/b.txt\n"
        "RUN --mount=target=/c cat /c/a.txt /c/d/b.txt; test ! -e /c/new && test ! -e /c/secret\n"
        "RUN --mount=target=/one,source=a.txt,rw cat /one; echo changed > /one; cat /one\n"
    )
    files: dict[str, str | bytes] = {"a.txt": "a\n", "d/b.txt": "b\n", "secret": "s", ".dockerignore": "secret\n"}
    outcome = await bench.build(text, files)
    assert outcome.said == "/c:\na.txt\nd\n\n/c/d:\nb.txt\na\nb\na\nchanged\n"
    assert (bench.root / "a.txt").read_text() == "a\n"
    assert sorted(path.name for path in bench.root.iterdir()) == [".dockerignore", "a.txt", "d", "secret"]
    assert list(bench.engine.builder.contexts.iterdir()) == []


async def test_a_target_may_be_below_the_working_directory(bench: Bench) -> None:
    text = "FROM busybox\nWORKDIR /w\nRUN --mount=target=ctx cat ctx/a.txt && cat /w/ctx/a.txt\n"
    assert (await bench.build(text, {"a.txt": "a"})).said == "aa"


@pytest.mark.parametrize("target", ["", "target=.", "target=/w/"])
async def test_a_mount_is_at_the_working_directory_where_it_names_no_other(bench: Bench, target: str) -> None:
    mount = ",".join(filter(None, ("from=tools", target)))
    text = f"FROM scratch AS tools\nCOPY a.txt /\nFROM busybox\nWORKDIR /w\nRUN --mount={mount} cat a.txt; ls /w\n"
    assert (await bench.build(text, {"a.txt": "a\n"})).said == "a\na.txt\n"


async def test_nothing_is_mounted_over_all_there_is(bench: Bench) -> None:
    with pytest.raises(Invalid, match="invalid mount target"):
        await bench.build("FROM busybox\nRUN --mount=type=tmpfs true\n")
