"""COPY after a change: files that did not change are those of the layer before, and nobody can tell from the image."""

from __future__ import annotations

import errno
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.engine.build.conftest import Bench, Outcome

from dockwright import faults
from dockwright.build import BuildRequest
from dockwright.errors import HostFailure

pytestmark = pytest.mark.root

Mutate = Callable[[Path], object]

FILES: dict[str, str | bytes] = {
    "a": "A",
    "b": "B",
    "d/a": "A of d",
    "d/b": "B of d",
    "d/e/f": "F",
    "d/e/g": bytes(100_000),
    "x/only": "only",
    "keep/me/1": "1",
    "keep/me/2": "2",
}


def _write(name: str, content: str = "changed") -> Mutate:
    def mutate(root: Path) -> None:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)

    return mutate


def _replace(name: str, make: Callable[[Path], object]) -> Mutate:
    def mutate(root: Path) -> None:
        path = root / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
        make(path)

    return mutate


def _later(root: Path) -> None:
    for folder, _, names in os.walk(root):
        for name in names:
            os.utime(os.path.join(folder, name), (2_000_000_000, 2_000_000_000))


def _all(*steps: Mutate) -> Mutate:
    def mutate(root: Path) -> None:
        for step in steps:
            step(root)

    return mutate


MUTATIONS: dict[str, Mutate] = {
    "content": _write("d/a"),
    "longer": _write("d/e/f", "F" * 200_000),
    "new": _write("d/new"),
    "new in a new directory": _write("n/o/p"),
    "gone": lambda root: (root / "a").unlink(),
    "gone from below": lambda root: (root / "d/e/f").unlink(),
    "a directory gone": lambda root: shutil.rmtree(root / "d/e"),
    "renamed": lambda root: (root / "a").rename(root / "z"),
    "a directory renamed": lambda root: (root / "d").rename(root / "c"),
    "mode": lambda root: (root / "d/a").chmod(0o700),
    "a directory's mode": lambda root: (root / "d").chmod(0o700),
    "file for directory": _replace("d/e", lambda path: path.write_text("file")),
    "directory for file": _replace("d/a", lambda path: (path.mkdir(), (path / "in").write_text("in"))),
    "link for file": _replace("a", lambda path: path.symlink_to("b")),
    "link for directory": _replace("x", lambda path: path.symlink_to("d")),
    "one file twice": _replace("d/b", lambda path: os.link(path.with_name("a"), path)),
    "times alone and a file": _all(_later, _write("b")),
    "swapped": lambda root: (
        (root / "a").rename(root / "t"),
        (root / "b").rename(root / "a"),
        (root / "t").rename(root / "b"),
    ),
    "attributes": lambda root: os.setxattr(root / "d/a", "user.of", b"mine"),
}

TEXTS = {
    "a new directory": "COPY . /t/",
    "one that is there": "WORKDIR /t\nCOPY . .",
    "one with members": "RUN mkdir -p /t/d /t/x && echo base > /t/a && echo base > /t/x/base && chmod 700 /t/x\nCOPY . /t",
    "the root": "COPY . /",
    "by a link": "RUN mkdir /r && ln -s /r /t\nCOPY . /t/",
    "a link inside": "RUN mkdir -p /r /t && ln -s /r /t/d\nCOPY . /t/",
    "with an owner": "COPY --chown=7:8 . /t/",
    "with a mode": "COPY --chmod=go-r . /t/",
    "linked": "COPY --link . /t/",
    "less": "COPY --exclude=x . /t/",
    "with parents": "COPY --parents d/./e keep x /t/",
    "with directories made on the way": "COPY --parents d/e/f d/e/new keep/me/1 /t/",
    "several": "COPY d keep /t/",
    "several under one name": "COPY d . /t/",
    "by a pattern": "COPY [a-z]* /t/",
    "and a document": "COPY a d <<b /t/\ndocument\nb",
}


async def _both(bench: Bench, text: str, mutate: Mutate) -> tuple[Outcome, Outcome]:
    """The build after the change, with what was there before; and as if nothing had been."""
    await bench.build(f"FROM busybox\n{text}\n")
    mutate(bench.root)
    again = await bench.build(f"FROM busybox\n{text}\n")
    return again, await bench.build(f"FROM busybox\n{text}\n", no_cache=True)


async def _tree(bench: Bench, outcome: Outcome) -> Path:
    """The files of the image's last layer."""
    image = await bench.engine.images.resolve(outcome.image_id)
    assert image.snapshot is not None
    snapshots = bench.engine.snapshots
    return snapshots.tree(snapshots.node(image.snapshot).layer)


@pytest.mark.parametrize("mutation", MUTATIONS)
async def test_what_changed_is_all_that_differs(bench: Bench, mutation: str) -> None:
    bench.write(FILES)
    again, fresh = await _both(bench, "COPY . /t/", MUTATIONS[mutation])
    assert again.image_id == fresh.image_id


@pytest.mark.parametrize("text", TEXTS)
async def test_wherever_files_go(bench: Bench, text: str) -> None:
    bench.write(FILES)
    _write("d/e/new")(bench.root)
    os.link(bench.root / "d/a", bench.root / "keep/same")
    again, fresh = await _both(bench, TEXTS[text], _all(_write("d/b"), _write("d/e/new", "more"), _write("keep/me/2")))
    assert again.image_id == fresh.image_id


@pytest.mark.parametrize(
    "text", ["WORKDIR /t\nCOPY . .", "RUN mkdir -m 700 /t\nCOPY . /t", "COPY . /", "COPY --link . /t"]
)
@pytest.mark.parametrize("change", ["a", "d/a", "d/e/f"])
async def test_nothing_but_a_file_is_gone(bench: Bench, text: str, change: str) -> None:
    bench.write(FILES)
    again, fresh = await _both(bench, text, lambda root: (root / change).unlink())
    assert again.image_id == fresh.image_id


async def test_a_file_is_gone_from_a_directory_of_the_base(bench: Bench) -> None:
    bench.write({"a": "A", "b": "B", "c": "C"})
    again, fresh = await _both(bench, "WORKDIR /t\nCOPY . .", lambda root: (root / "b").unlink())
    assert again.image_id == fresh.image_id


async def test_what_did_not_change_is_not_written_again(bench: Bench) -> None:
    text = "FROM busybox\nWORKDIR /t\nCOPY . .\n"
    before = await _tree(bench, await bench.build(text, FILES))
    after = await _tree(bench, await bench.build(text, {"d/b": "changed"}))
    assert {name: (before / "t" / name).stat().st_ino == (after / "t" / name).stat().st_ino for name in FILES} == {
        name: name != "d/b" for name in FILES
    }
    assert (before / "t/d/b").read_text() == "B of d"
    assert (after / "t/d/b").read_text() == "changed"


@pytest.mark.parametrize("change", ["RUN touch /x", "WORKDIR /other"])
async def test_on_another_base_everything_is_written(bench: Bench, change: str) -> None:
    before = await _tree(bench, await bench.build("FROM busybox\nRUN echo 1\nCOPY . /t/\n", FILES))
    after = await _tree(bench, await bench.build(f"FROM busybox\n{change}\nCOPY . /t/\n", {"a": "changed"}))
    assert (before / "t/b").stat().st_ino != (after / "t/b").stat().st_ino


async def test_a_build_without_the_cache_writes_everything(bench: Bench) -> None:
    before = await _tree(bench, await bench.build("FROM busybox\nCOPY . /t/\n", FILES))
    after = await _tree(bench, await bench.build("FROM busybox\nCOPY . /t/\n", {"a": "changed"}, no_cache=True))
    assert (before / "t/b").stat().st_ino != (after / "t/b").stat().st_ino


async def test_a_file_of_another_stage_is_that_of_the_layer_before(bench: Bench) -> None:
    text = "FROM busybox AS made\nARG A\nRUN mkdir /o && echo same > /o/same && echo $A > /o/other\nFROM busybox\nCOPY --from=made /o /t/\n"
    before = await _tree(bench, await bench.build(text, arguments={"A": "1"}))
    again = await bench.build(text, arguments={"A": "2"})
    after = await _tree(bench, again)
    assert (before / "t/same").stat().st_ino == (after / "t/same").stat().st_ino
    assert (after / "t/other").read_text() == "2\n"
    assert (await bench.build(text, arguments={"A": "2"}, no_cache=True)).image_id == again.image_id


async def test_docker_times_are_those_of_the_build(bench: Bench) -> None:
    bench.write(FILES)
    text = b"FROM busybox\nCOPY . /t/\n"
    request = BuildRequest(text=text, keep_times=True)
    before = await _tree(bench, await bench.run(request, await bench.context()))
    _all(_write("d/e/f"), lambda root: os.utime(root / "b", (5, 5)), lambda root: os.utime(root / "d", (6, 6)))(
        bench.root
    )
    after = await _tree(bench, await bench.run(request, await bench.context()))
    assert (after / "t/b").stat().st_mtime == 5
    assert (before / "t/b").stat().st_mtime != 5
    assert (after / "t/d").stat().st_mtime == 6
    assert (after / "t/b").stat().st_ino != (before / "t/b").stat().st_ino
    assert (after / "t/d/a").stat().st_ino == (before / "t/d/a").stat().st_ino
    assert (before / "t/d/a").stat().st_mtime == (after / "t/d/a").stat().st_mtime


async def test_names_that_the_file_system_has_no_more_of_are_files(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.write(FILES)
    calls: Iterator[int] = iter(range(1000))
    link = os.link

    def refusing(*arguments: Any, **options: Any) -> None:
        if next(calls) % 2:
            raise OSError(errno.EMLINK, "too many links")
        link(*arguments, **options)

    await bench.build("FROM busybox\nCOPY . /t/\n")
    _write("a")(bench.root)
    with monkeypatch.context() as patch:
        patch.setattr(os, "link", refusing)
        again = await bench.build("FROM busybox\nCOPY . /t/\n")
    assert next(calls) > 4
    fresh = await bench.build("FROM busybox\nCOPY . /t/\n", no_cache=True)
    assert again.image_id == fresh.image_id


async def test_what_was_pruned_is_written(bench: Bench) -> None:
    bench.write(FILES)
    await bench.build("FROM busybox\nCOPY . /t/\n")
    await bench.engine.images.prune({"dangling": ["true"]})
    await bench.engine.builder.prune({}, everything=True)
    again = await bench.build("FROM busybox\nCOPY . /t/\n", {"a": "changed"})
    assert (await bench.build("FROM busybox\nCOPY . /t/\n", no_cache=True)).image_id == again.image_id


async def test_the_layer_before_may_go_and_the_files_stay(bench: Bench) -> None:
    text = "FROM busybox\nCOPY . /t/\n"
    before = await bench.build(text, FILES, names=("before:1",))
    after = await bench.build(text, {"a": "changed"}, names=("after:1",))
    gone = await _tree(bench, before)
    await bench.engine.images.remove("before:1")
    await bench.engine.builder.prune({}, everything=True)
    await bench.engine.snapshots.settled()
    assert not gone.exists()
    assert await bench.output(after.image_id, "cat", "/t/a", "/t/b", "/t/d/e/f") == "changedBF"
    await bench.engine.images.remove("after:1")


async def test_a_container_changes_its_own_file_alone(bench: Bench) -> None:
    text = "FROM busybox\nCOPY . /t/\n"
    before = await bench.build(text, FILES, names=("before:1",))
    after = await bench.build(text, {"a": "changed"}, names=("after:1",))
    wrecked = (
        "cd /t && echo wrecked > b && chmod 0 d/a && chown 9:9 d/b && rm d/e/f && touch -t 200001010000 x/only; cat b"
    )
    assert await bench.output(after.image_id, "sh", "-c", wrecked) == "wrecked\n"
    look = "cd /t && cat b d/e/f && stat -c '%a %u %Y' d/a d/b x/only"
    assert await bench.output(before.image_id, "sh", "-c", look) == await bench.output(after.image_id, "sh", "-c", look)
    for name in ("before:1", "after:1"):
        await bench.engine.images.remove(name)


async def test_a_fault_while_files_are_shared_leaves_nothing_and_the_next_build_works(bench: Bench) -> None:
    bench.write(FILES)
    await bench.build("FROM busybox\nCOPY . /t/\n")
    _write("a")(bench.root)
    with faults.armed("build.share"), pytest.raises(HostFailure):
        await bench.build("FROM busybox\nCOPY . /t/\n")
    assert [found.key for found in bench.engine.snapshots.walk() if found.kind != "committed"] == []
    again = await bench.build("FROM busybox\nCOPY . /t/\n")
    assert (await bench.build("FROM busybox\nCOPY . /t/\n", no_cache=True)).image_id == again.image_id


async def test_a_long_row_of_changes(bench: Bench) -> None:
    bench.write(FILES)
    chance = random.Random(5)
    text = "FROM busybox\nRUN mkdir -p /t/d/e && echo base > /t/d/a\nCOPY . /t/\n"
    for number in range(12):
        outcome = await bench.build(text)
        fresh = await bench.build(text, no_cache=True)
        assert fresh.image_id == outcome.image_id
        for _ in range(chance.randrange(1, 4)):
            name = "/".join(chance.choice("abcde") for _ in range(chance.randrange(1, 4)))
            path = bench.root / name
            if any(above.is_file() for above in path.parents):
                continue
            if path.is_dir():
                shutil.rmtree(path)
            elif path.exists() and chance.random() < 0.4:
                path.unlink()
            else:
                _write(name, str(number))(bench.root)
    assert (await bench.build(text)).image_id == (await bench.build(text, no_cache=True)).image_id
