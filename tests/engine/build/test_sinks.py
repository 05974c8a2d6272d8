"""The seam `Sink`: one conformance test over every implementation, and what the places on this host's disk do beyond it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path

import pytest
from tests.archives import member, tar_of
from tests.engine.build.conftest import Bench, Kept, give

from dockwright.build.outputs import DirectorySink, FileSink, Sink, parse
from dockwright.errors import Conflict, HostFailure, Invalid

pytestmark = pytest.mark.root


def tar(files: dict[str, bytes]) -> bytes:
    return tar_of(*(member(name, content, mode=0o640, uid=7) for name, content in files.items()))


async def chunks(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 1000):
        yield data[start : start + 1000]


async def cut_short(data: bytes) -> AsyncIterator[bytes]:
    yield data[:1500]
    raise Conflict("cut short")


SINKS: dict[str, Callable[[Path], Sink]] = {
    "file": lambda path: FileSink(path / "out.tar"),
    "directory": lambda path: DirectorySink(path / "out"),
    "kept": lambda path: Kept(),
}


@pytest.mark.parametrize("kind", SINKS)
async def test_a_sink_takes_a_tar_to_its_end_and_raises_what_cuts_it_short(tmp_path: Path, kind: str) -> None:
    sink = SINKS[kind](tmp_path)
    data = tar({"a": b"A" * 3000, "b": b"B"})
    with pytest.raises(Conflict, match="cut short"):
        await sink.tar(cut_short(data))
    await sink.tar(chunks(data))
    if kind == "file":
        assert (tmp_path / "out.tar").read_bytes() == data
        assert os.listdir(tmp_path) == ["out.tar"]
    elif kind == "directory":
        assert (tmp_path / "out" / "a").read_bytes() == b"A" * 3000
        assert (tmp_path / "out" / "b").stat().st_uid == 7


async def test_a_directory_takes_files_as_they_are_beside_what_is_there(tmp_path: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    (source / "d").mkdir(parents=True)
    (source / "d" / "f").write_text("new")
    os.link(source / "d" / "f", source / "hard")
    (source / "link").symlink_to("/etc/passwd")
    os.chown(source / "d" / "f", 5, 6)
    (source / "d" / "f").chmod(0o4711)
    os.utime(source / "d" / "f", (10**9, 10**9))
    (out / "d").mkdir(parents=True)
    (out / "d" / "f").write_text("old")
    (out / "stays").write_text("stays")
    await DirectorySink(out).tree(source)
    found = (out / "d" / "f").stat()
    assert ((out / "d" / "f").read_text(), found.st_uid, found.st_gid, found.st_mode & 0o7777) == ("new", 5, 6, 0o4711)
    assert found.st_mtime == 10**9
    assert found.st_ino == (out / "hard").stat().st_ino
    assert os.readlink(out / "link") == "/etc/passwd"
    assert (out / "stays").read_text() == "stays"


async def test_a_link_at_the_place_leads_nowhere_else(tmp_path: Path) -> None:
    """What lies at the place already is the user's, and a result may not be led out of it."""
    outside, out = tmp_path / "outside", tmp_path / "out"
    outside.mkdir()
    out.mkdir()
    (out / "d").symlink_to(outside)
    with pytest.raises(Invalid, match="link to nowhere"):
        await DirectorySink(out).tar(chunks(tar({"d/f": b"x"})))
    assert os.listdir(outside) == []


async def test_places_that_cannot_be_written_say_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for sink in (FileSink(tmp_path / "file" / "x"), DirectorySink(tmp_path / "file" / "x")):
        with pytest.raises(HostFailure, match="file"):
            await sink.tar(chunks(tar({"a": b""})))
    with pytest.raises(Invalid, match="directory"):
        await FileSink(tmp_path / "x").tree(tmp_path)


async def test_an_export_that_is_given_up_leaves_nothing(bench: Bench) -> None:
    started = asyncio.Event()

    class Slow(Kept):
        async def tree(self, root: Path) -> None:
            started.set()
            await asyncio.Event().wait()

        async def tar(self, chunks: AsyncIterator[bytes]) -> None:
            await self.tree(Path())

    for kind in ("local", "tar", "oci"):
        started.clear()
        output = parse({"type": kind}, Slow())
        async with asyncio.TaskGroup() as group:
            building = group.create_task(give(bench, "FROM busybox\nCOPY a.txt /\n", output))
            await asyncio.wait_for(started.wait(), 20)
            building.cancel()
        assert building.cancelled()
        settings = bench.engine.settings
        assert [name for name in os.listdir(settings.exec_root / "builds") if name.startswith("export")] == []
        assert list((settings.data_root / "build" / "contexts").iterdir()) == []
    assert not [one.key for one in bench.engine.snapshots.walk() if one.key.startswith("export")]


async def test_what_a_crash_leaves_of_an_export_is_gone_after_the_next_start(bench: Bench) -> None:
    """As if the engine had died while files were being sent: mounts, a snapshot, a directory."""
    engine = bench.engine
    image = await engine.images.resolve("busybox")
    place = engine.settings.exec_root / "builds" / "export-dead"
    target = place / "root" / "linux_amd64"
    target.mkdir(parents=True)
    await engine.snapshots.prepare("export-dead.0", image.snapshot)
    await engine.snapshots.mount("export-dead.0", target)
    (engine.settings.data_root / "build" / "contexts" / "export-dead").mkdir(parents=True)
    await engine.builder.clear()
    assert not place.exists()
    assert not [one.key for one in engine.snapshots.walk() if one.key.startswith("export")]
    assert list((engine.settings.data_root / "build" / "contexts").iterdir()) == []
    async with aclosing(engine.images.save(["busybox"])) as whole:
        assert [len(chunk) async for chunk in whole]
