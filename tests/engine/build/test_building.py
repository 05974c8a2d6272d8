"""What builds make, what they keep, and what they leave behind."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest
from tests.conftest import import_busybox
from tests.engine.build.conftest import Bench

from dockwright import faults
from dockwright.build import BuildRequest, Ended, StepFailed
from dockwright.build.planning.effects import DEFAULT_PATH
from dockwright.engine import Engine
from dockwright.errors import DockwrightError, HostFailure, NotFound
from dockwright.network import NetworkOptions
from dockwright.settings import Settings

pytestmark = pytest.mark.root


async def test_the_configuration_says_what_the_instructions_said(bench: Bench) -> None:
    outcome = await bench.build(
        'FROM busybox\nENV A=1 B=$A\nENV B=${A}2\nLABEL x=y z="a b"\nEXPOSE 80 90/udp\nVOLUME /v\nUSER 5:6\nWORKDIR /w\n'
        'WORKDIR sub\nSTOPSIGNAL SIGINT\nENTRYPOINT ["/bin/e"]\nCMD ["c"]\nHEALTHCHECK --retries=2 CMD h\n'
        'SHELL ["/bin/ash", "-c"]\nONBUILD RUN later\nMAINTAINER me\n',
        labels={"from": "outside"},
    )
    image = await bench.engine.images.resolve(outcome.image_id)
    run = image.config.run
    assert run.env == ("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "A=1", "B=12")
    assert run.labels == {"x": "y", "z": "a b", "from": "outside"}
    assert run.exposed_ports == {"80/tcp": {}, "90/udp": {}}
    assert (run.volumes, run.user, run.working_dir) == ({"/v": {}}, "5:6", "/w/sub")
    assert (run.stop_signal, run.entrypoint, run.cmd) == ("SIGINT", ("/bin/e",), ("c",))
    assert run.healthcheck is not None
    assert (run.healthcheck.test, run.healthcheck.retries) == (("CMD-SHELL", "h"), 2)
    assert (run.shell, run.on_build, image.config.author) == (("/bin/ash", "-c"), ("RUN later",), "me")
    history = image.config.history or ()
    assert sum(not one.empty_layer for one in history) == len(image.config.diff_ids)


async def test_the_history_is_told_as_buildkit_tells_it(bench: Bench) -> None:
    outcome = await bench.build(
        "FROM busybox AS below\nARG A=1 B\nENV A=2\nRUN true\nFROM below\nWORKDIR /\nWORKDIR w\nEXPOSE 81-82 80\n"
        "COPY --chmod=600 a.txt .\nONBUILD RUN later\nCMD x y\nENTRYPOINT []\nRUN echo $A$B\n",
        {"a.txt": "A"},
    )
    image = await bench.engine.images.resolve(outcome.image_id)
    base = await bench.engine.images.resolve("busybox")
    told = [(one.created_by, one.empty_layer) for one in image.config.history or ()][len(base.config.history or ()) :]
    assert told == [
        ("ARG A=1 B", True),
        ("ENV A=2", True),
        ("RUN |2 A=2 B= /bin/sh -c true # buildkit", False),
        ("WORKDIR /", True),
        ("WORKDIR /w", False),
        ("EXPOSE [80/tcp 81/tcp 82/tcp]", True),
        ("COPY --chmod=600 a.txt . # buildkit", False),
        ('CMD ["/bin/sh" "-c" "x y"]', True),
        ("ENTRYPOINT []", True),
        ("RUN |2 A=2 B= /bin/sh -c echo $A$B # buildkit", False),
    ]
    assert (image.config.run.args_escaped, image.config.run.env) == (True, (f"PATH={DEFAULT_PATH}", "A=2"))


async def test_steps_are_titled_as_buildkit_titles_them(bench: Bench) -> None:
    base = await bench.engine.images.resolve("busybox")
    full = f"FROM docker.io/library/busybox:latest@{base.id}"
    await bench.build("FROM busybox\nONBUILD RUN true\nONBUILD ENV T=1\n", names=("trigger:1",))
    texts = {
        "FROM busybox\nARG A=a\nrun true $A\n": [f"[1/2] {full}", "[2/2] RUN true a"],
        "FROM scratch\nWORKDIR /\nWORKDIR /a\n": ["[1/2] WORKDIR /a"],
        "FROM busybox AS b\nRUN true\nFROM b\nRUN true\n": [
            f"[b 1/2] {full}",
            "[b 2/2] RUN true",
            "[stage-1 1/1] RUN true",
        ],
        "FROM busybox\nRUN --mount=type=tmpfs,target=/t true\n": [
            f"[stage-0 1/2] {full}",
            "[stage-0 2/2] RUN --mount=type=tmpfs,target=/t true",
        ],
        "FROM trigger:1\nRUN true\n": ["[2/3] ONBUILD RUN true", "[3/3] RUN true"],
    }
    for text, titles in texts.items():
        outcome = await bench.build(text)
        told = [one.title for one in outcome.progress if isinstance(one, Ended) and one.number > 0]
        assert told[-len(titles) :] == titles


async def test_a_stage_has_the_arguments_of_the_stage_below(bench: Bench) -> None:
    text = "ARG G=g\nFROM busybox AS a\nARG A=a G\nFROM a AS b\nRUN echo $A$G\nFROM b\nARG A\nARG G=h\nRUN echo $A$G\n"
    assert (await bench.build(text)).said == "ag\nah\n"


async def test_an_entrypoint_takes_away_the_base_images_command_and_not_its_own(bench: Bench) -> None:
    base = await bench.build('FROM busybox\nCMD ["base"]\n', names=("base:1",))
    assert (await bench.engine.images.resolve(base.image_id)).config.run.cmd == ("base",)
    inherited = await bench.build('FROM base:1\nENTRYPOINT ["e"]\n')
    assert (await bench.engine.images.resolve(inherited.image_id)).config.run.cmd is None
    own = await bench.build('FROM base:1\nCMD ["own"]\nENTRYPOINT ["e"]\n')
    assert (await bench.engine.images.resolve(own.image_id)).config.run.cmd == ("own",)


async def test_triggers_run_in_the_image_that_is_built_on_theirs(bench: Bench) -> None:
    await bench.build("FROM busybox\nONBUILD COPY a.txt /a\nONBUILD ENV T=1\n", {"a.txt": "A"}, names=("base:1",))
    outcome = await bench.build("FROM base:1\nRUN test $T = 1\n")
    assert await bench.output(outcome.image_id, "cat", "/a") == "A"
    assert (await bench.engine.images.resolve(outcome.image_id)).config.run.on_build is None


async def test_here_documents_run(bench: Bench) -> None:
    outcome = await bench.build(
        "FROM busybox\nRUN <<EOF\nset -e\necho one > /one\nX=2\necho $X > /two\nEOF\n"
        "RUN <<EOF\n#!/bin/ash\necho $0 > /three\nEOF\nRUN cat <<A - > /four && cat /four\nfour\nA\n"
    )
    assert (
        await bench.output(outcome.image_id, "cat", "/one", "/two", "/three", "/four")
        == "one\n2\n/dev/pipes/EOF\nfour\n"
    )
    assert "four" in outcome.said


async def test_an_image_on_nothing_begins_at_the_root(bench: Bench) -> None:
    outcome = await bench.build("FROM scratch\nLABEL a=b\n")
    assert (await bench.engine.images.resolve(outcome.image_id)).config.run.working_dir == "/"


async def test_a_step_sees_its_arguments_environment_user_and_directory(bench: Bench) -> None:
    outcome = await bench.build(
        "FROM busybox\nARG A=a\nARG C\nENV E=e\nWORKDIR /w\nRUN chown 5 /w\nUSER 5\nRUN echo $A$C$E $(id -u) $PWD $HTTP_PROXY\n",
        arguments={"C": "c", "HTTP_PROXY": "p", "NOT_DECLARED": "n"},
    )
    assert "ace 5 /w p" in outcome.said


async def test_the_cache_knows_a_step_by_what_it_reads(bench: Bench) -> None:
    text = "FROM busybox\nCOPY a.txt /a\nRUN cat /a > /b\nCOPY d /d\nARG V=1\nRUN echo $V > /c\n"
    files: dict[str, str | bytes] = {"a.txt": "A", "d/x": "X"}
    first = await bench.build(text, files)
    assert not any(first.cached.values())
    again = await bench.build(text)
    assert all(again.cached.values())
    assert again.image_id == first.image_id
    for path in bench.root.rglob("*"):
        os.utime(path, (time.time() + 100, time.time() + 100))
    assert all((await bench.build(text)).cached.values()), "a touched time is a hit"
    changed = await bench.build(text, {"d/x": "other"})
    assert list(changed.cached.values()) == [True, True, False, False]
    argument = await bench.build(text, {"d/x": "X"}, arguments={"V": "2"})
    assert list(argument.cached.values()) == [True, True, True, False]
    (bench.root / "a.txt").chmod(0o600)
    assert next(iter((await bench.build(text)).cached.values())) is False, "a mode is read too"
    assert not any((await bench.build(text, no_cache=True)).cached.values())
    proxied = await bench.build(text, arguments={"HTTP_PROXY": "p"})
    assert all(proxied.cached.values()), "a proxy is not asked for"


async def test_a_stage_that_comes_out_the_same_is_no_reason_to_build_what_is_on_it_again(bench: Bench) -> None:
    text = "FROM busybox AS s\nCOPY a.txt /a\nRUN wc -c < /a > /size && rm /a\nFROM busybox\nCOPY --from=s /size /size\nRUN true\n"
    await bench.build(text, {"a.txt": "A"})
    second = await bench.build(text, {"a.txt": "B"})
    assert list(second.cached.values()) == [False, False, True, True]


async def test_only_what_the_target_needs_is_built(bench: Bench) -> None:
    text = "FROM busybox AS broken\nRUN false\nFROM busybox AS good\nRUN true\nFROM good AS last\nRUN true\n"
    assert len((await bench.build(text, target="good")).cached) == 1
    assert len((await bench.build(text)).cached) == 2
    with pytest.raises(DockwrightError, match='target stage "none" could not be found'):
        await bench.build(text, target="none")


async def test_a_step_leaves_no_mount_points_behind(bench: Bench) -> None:
    outcome = await bench.build(
        "FROM busybox\nRUN --mount=type=tmpfs,target=/t/deep --mount=type=cache,target=/c touch /t/deep/x /c/y && ls /etc\n"
        "RUN echo kept > /etc/kept\n"
    )
    assert "resolv.conf" in outcome.said
    image = await bench.engine.images.resolve(outcome.image_id)
    await bench.engine.snapshots.prepare("look", image.snapshot)
    try:
        tree = bench.engine.snapshots.tree  # type: ignore[attr-defined]
        chain = bench.engine.snapshots.chain(bench.engine.snapshots.node("look"))  # type: ignore[attr-defined]
        own = [tree(node.layer) for node in chain[1:3]]
    finally:
        await bench.engine.snapshots.remove("look")
    assert sorted(str(path.relative_to(own[1])) for path in own[1].rglob("*")) in ([], ["etc"])
    assert sorted(str(path.relative_to(own[0])) for path in own[0].rglob("*")) == ["etc", "etc/kept"]


async def test_mounts_of_a_step(bench: Bench) -> None:
    text = (
        "FROM busybox AS s\nRUN mkdir /o && echo stage > /o/f\nFROM busybox\n"
        "RUN --mount=from=s,source=/o,target=/m cat /m/f && ! touch /m/x\n"
        "RUN --mount=from=s,source=/o,target=/m,rw touch /m/x\n"
        "RUN --mount=target=/ctx cat /ctx/a.txt && ! test -e /ctx/none\n"
        "RUN --mount=source=a.txt,target=/one cat /one\n"
        "RUN --mount=type=tmpfs,target=/tm,size=1m grep '/tm tmpfs' /proc/mounts\n"
        "RUN --mount=type=secret,id=absent,target=/sec ! test -s /sec\n"
    )
    outcome = await bench.build(text, {"a.txt": "context"})
    assert "stage" in outcome.said
    assert outcome.said.count("context") == 2
    changed = await bench.build(text, {"a.txt": "other"})
    assert next(title for title, cached in changed.cached.items() if not cached).startswith("[stage-1 4/7]")


async def test_cache_mounts_live_on_and_are_locked_when_asked(bench: Bench) -> None:
    run = "RUN --mount=type=cache,target=/c,sharing=locked"
    first = await bench.build(f"FROM busybox\n{run} echo one >> /c/log; cat /c/log\n")
    second = await bench.build(f"FROM busybox\n{run} echo two >> /c/log; cat /c/log\n")
    assert (first.said, second.said) == ("one\n", "one\ntwo\n")
    stages = "".join(
        f"FROM busybox AS s{number}\n{run} test ! -e /c/busy && touch /c/busy && sleep 0.2 && rm /c/busy && touch /{number}\n"
        for number in range(3)
    )
    copies = "".join(f"COPY --from=s{number} /{number} /\n" for number in range(3))
    await bench.build(f"{stages}FROM busybox\n{copies}")


async def test_stages_that_need_nothing_of_each_other_run_at_the_same_time(bench: Bench) -> None:
    # Each waits for the other's mark in a shared cache: one after the other they would never end.
    run = "RUN --mount=type=cache,target=/c,id=meet touch /c/{0}; for i in $(seq 100); do test -e /c/{1} && exit 0; sleep 0.1; done; exit 1\n"
    text = "FROM busybox AS a\n" + run.format("a", "b") + "FROM busybox AS b\n" + run.format("b", "a")
    await bench.build(text + "FROM busybox\nCOPY --from=a /etc/passwd /1\nCOPY --from=b /etc/passwd /2\n")


async def test_two_builds_run_an_equal_step_once(bench: Bench) -> None:
    text = "FROM busybox\nRUN --mount=type=cache,target=/c echo x >> /c/count; sleep 0.3; cat /c/count > /count\n"
    first, second = await asyncio.gather(bench.build(text), bench.build(text))
    assert first.image_id == second.image_id
    assert await bench.output(first.image_id, "cat", "/count") == "x\n"


async def test_a_diamond_of_forty_stages(bench: Bench) -> None:
    stages = "".join(f"FROM top AS m{number}\nRUN echo {number} > /m{number}\n" for number in range(38))
    copies = "".join(f"COPY --from=m{number} /m{number} /all/\n" for number in range(38))
    outcome = await bench.build(f"FROM busybox AS top\nRUN echo top > /top\n{stages}FROM top\n{copies}")
    assert (
        await bench.output(outcome.image_id, "sh", "-c", "cat /all/* | sort -n | tail -1; ls /all | wc -l")
    ) == "37\n38\n"


async def test_the_same_inputs_give_the_same_image_on_another_data_root(
    bench: Bench, tmp_path: Path, busybox_image: Path
) -> None:
    text = (
        "FROM busybox\nWORKDIR /w\nCOPY . .\nRUN echo $(cat a.txt) > made && ln -s made link && mkdir -p x/y\nENV A=b\n"
    )
    images = []
    for number in range(2):
        settings = Settings(
            data_root=tmp_path / f"data{number}",
            exec_root=tmp_path / f"exec{number}",
            network=NetworkOptions(bridge=f"dwr{os.getpid() % 10**6}{number}", prepared=0),
        )
        async with Engine.open(settings) as engine:
            await import_busybox(engine, busybox_image)
            other = Bench(engine, bench.root)
            found = await other.build(text, {"a.txt": "A", "b/c": "C"}, arguments={"SOURCE_DATE_EPOCH": "1700000000"})
            layers = (await engine.images.resolve(found.image_id)).config.diff_ids
            images.append((found.image_id, layers[1:]))
        await asyncio.sleep(1.1)  # the clock goes on, and no file says so
        for path in bench.root.rglob("*"):
            os.utime(path)
    assert images[0][1] == images[1][1]


async def test_docker_times_are_kept_where_somebody_asks_for_them(bench: Bench) -> None:
    text = "FROM busybox\nRUN touch /made\n"
    clamped = await bench.build(text, arguments={"SOURCE_DATE_EPOCH": "1000000000"})
    assert await bench.output(clamped.image_id, "stat", "-c", "%Y", "/made") == "1000000000\n"
    kept = await bench.build(text, keep_times=True)
    assert int(await bench.output(kept.image_id, "stat", "-c", "%Y", "/made")) > 1_700_000_000


async def test_a_cached_layer_outlives_its_image_until_it_is_pruned(bench: Bench) -> None:
    text = "FROM busybox\nRUN echo x > /x\n"
    outcome = await bench.build(text, names=("gone:1",))
    await bench.engine.images.remove("gone:1")
    assert all((await bench.build(text, names=("gone:1",))).cached.values())
    await bench.engine.images.remove("gone:1")
    pruned = await bench.engine.builder.prune({}, everything=True)
    assert pruned.freed_bytes > 0
    assert await bench.engine.builder.usage() == []
    assert not any((await bench.build(text)).cached.values())
    with pytest.raises(NotFound):
        await bench.engine.images.resolve("gone:1")
    assert outcome.image_id


async def test_what_to_prune_is_chosen(bench: Bench) -> None:
    await bench.build(
        "FROM busybox\nRUN echo one > /x\nRUN echo two > /y\nRUN --mount=type=cache,target=/c touch /c/z\n"
    )
    assert {use.kind for use in await bench.engine.builder.usage()} == {"regular", "exec.cachemount"}
    builder = bench.engine.builder
    assert (await builder.prune({"description": ["echo two"]}, everything=False)).ids == []  # an image is made of it
    assert (await builder.prune({"private": ["true"], "type": ["regular"]}, everything=True)).ids == []
    some = await builder.prune({"description": ["echo two"], "shared": ["true"]}, everything=True)
    assert (len(some.ids), some.freed_bytes) == (1, 0)
    assert (await builder.prune({"until": ["1h"]}, everything=True)).ids == []
    assert (await builder.prune({"inuse": ["true"]}, everything=True)).ids == []
    caches = await builder.prune({"type": ["exec.cachemount"]}, everything=False)
    assert len(caches.ids) == 1
    one, two = [use for use in await builder.usage() if use.shared]
    assert (await builder.prune({"id": [one.id[:20]], "inuse": ["false"]}, everything=True)).ids == [one.id]
    assert (await builder.prune({"id": [two.id], "type": ["exec.cachemount"]}, everything=True)).ids == []
    await bench.engine.images.prune({"dangling": ["true"]})
    dangling = await builder.prune({}, everything=False)
    assert dangling.ids == [two.id]
    assert dangling.freed_bytes > 0
    assert await builder.usage() == []
    with pytest.raises(DockwrightError, match="invalid filter 'colour'"):
        await bench.engine.builder.prune({"colour": ["red"]}, everything=True)


@pytest.mark.parametrize(
    "text",
    ["RUN exit 3", "RUN ['no", "USER nobody-here\nRUN true", "RUN --mount=from=busybox,source=/no,target=/m true"],
)
async def test_a_step_that_fails_leaves_nothing(bench: Bench, text: str) -> None:
    with pytest.raises(DockwrightError):
        await bench.build(f"FROM busybox\nRUN true\n{text}\n")
    assert os.listdir(bench.engine.settings.exec_root / "builds") == []
    assert [found.key for found in bench.engine.snapshots.walk() if found.kind != "committed"] == []
    assert all((await bench.build("FROM busybox\nRUN true\n")).cached.values())


async def test_a_command_that_is_not_there_is_told_by_name(bench: Bench) -> None:
    with pytest.raises(StepFailed, match="nothing-of-that-name"):
        await bench.build('FROM busybox\nRUN ["nothing-of-that-name"]\n')


@pytest.mark.parametrize(
    "step", ["build.mount", "snapshot.mount", "build.run", "image.layer", "snapshot.adopt", "image.product"]
)
async def test_a_fault_at_any_step_leaves_nothing_and_the_next_build_works(bench: Bench, step: str) -> None:
    with faults.armed(step), pytest.raises(HostFailure):
        await bench.build("FROM busybox\nRUN echo x > /x\n", names=("faulty:1",))
    assert os.listdir(bench.engine.settings.exec_root / "builds") == []
    assert [found.key for found in bench.engine.snapshots.walk() if found.kind != "committed"] == []
    await bench.build("FROM busybox\nRUN echo x > /x\n", names=("faulty:1",))


async def test_a_build_that_is_given_up_ends_its_command(bench: Bench) -> None:
    async def find(name: str, platform: object) -> object:
        return await bench.engine.images.resolve(name)

    request = BuildRequest(text=b"FROM busybox\nRUN echo begun; sleep 1000\n")
    steps = bench.engine.builder.build(request, await bench.context(), find)  # type: ignore[arg-type]
    async for one in steps:
        if getattr(one, "data", b"") == b"begun\n":
            break
    await steps.aclose()
    assert os.listdir(bench.engine.settings.exec_root / "builds") == []
    assert [found.key for found in bench.engine.snapshots.walk() if found.kind != "committed"] == []


async def test_endless_output_does_not_grow_the_engine(bench: Bench) -> None:
    outcome = await bench.build("FROM busybox\nRUN yes | head -c 30000000\n")
    assert len(outcome.said) <= 30_000_000


async def test_networks_of_steps(bench: Bench) -> None:
    outcome = await bench.build(
        "FROM busybox\nRUN --network=none ip -o link | grep -c eth || true\nRUN ip -o link | grep -c eth0\n"
    )
    assert outcome.said == "0\n1\n"


async def test_the_checks_speak_up(bench: Bench) -> None:
    outcome = await bench.build("FROM busybox as x\nCMD echo\n")
    rules = {getattr(one, "rule", "") for one in outcome.progress}
    assert {"FromAsCasing", "JSONArgsRecommended"} <= rules


async def test_a_context_of_twenty_thousand_files(bench: Bench) -> None:
    def fill() -> None:
        for package in range(100):
            folder = bench.root / "packages" / f"p{package}"
            (folder / "node_modules").mkdir(parents=True)
            for number in range(190):
                (folder / f"{number}.txt").write_text(f"{package} {number}")
            for number in range(10):
                (folder / "node_modules" / f"{number}.js").write_text("left out")

    await asyncio.to_thread(fill)
    text = (
        "FROM busybox AS one\nCOPY packages/p1 /p\nRUN ls /p | wc -l\n"
        "FROM busybox\nCOPY . /all\nCOPY --from=one /p /p\nRUN find /all -type f | wc -l\n"
    )
    files: dict[str, str | bytes] = {".dockerignore": "**/node_modules\n.dockerignore\n"}
    assert sorted((await bench.build(text, files)).said.split()) == ["190", "19000"]
    changed = await bench.build(text, {"packages/p7/7.txt": "changed"})
    assert {title[1:6]: cached for title, cached in changed.cached.items() if "COPY" in title} == {
        "one 2": True,
        "stage": False,
    }
    assert sum(changed.cached.values()) == 2, "what stands on the package that has not changed is still known"
    left_out = await bench.build(text, {"packages/p7/node_modules/1.js": "changed"})
    assert all(left_out.cached.values())


async def test_a_stage_is_the_same_whatever_is_built_of_it(bench: Bench) -> None:
    text = "FROM busybox AS tools\nRUN echo tool > /tool\n"
    await bench.build(text)
    again = await bench.build(f"{text}FROM scratch\nCOPY --from=tools /tool /tool\n")
    assert list(again.cached.values()) == [True, False]
