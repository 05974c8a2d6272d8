"""Importing and committing."""

from __future__ import annotations

import asyncio
import gzip
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.archives import files, member, stream, tar_of
from tests.engine.image.conftest import Host, opened

from dockwright import faults
from dockwright.errors import Corrupt, HostFailure, Invalid, NotFound
from dockwright.image import Commit
from dockwright.oci import RunConfig

pytestmark = pytest.mark.root


def leftovers(host: Host) -> list[str]:
    found = [str(path.relative_to(host.root)) for path in (host.root / "content").rglob("*") if path.is_file()]
    return found + [path.name for path in (host.root / "snapshots").iterdir() if path.name.isdigit()]


async def test_an_imported_tar_is_an_image_to_run(busybox: Host) -> None:
    image = await busybox.images.resolve("busybox")
    assert image.config.run.cmd == ("sh",)
    assert image.repo_tags == ["busybox:latest"]
    assert image.config.history is not None
    assert image.config.history[0].comment == "Imported from -"
    found = await busybox.files("busybox")
    assert found["etc/passwd"].startswith("root:x:0:0")
    assert [event.action for event in await busybox.heard()] == ["import"]


async def test_what_is_imported_is_kept_once(busybox: Host) -> None:
    assert sum(path.stat().st_size for path in (busybox.root / "content").rglob("*") if path.is_file()) < 5000


async def test_changes_become_configuration(host: Host) -> None:
    changes = [
        'CMD ["a", "b"]',
        "ENTRYPOINT run it",
        "ENV A=1 B='two words'",
        "ENV C three  words",
        "EXPOSE 80 53/udp 8000-8001",
        'LABEL x=y "quoted key"="quoted value"',
        "ONBUILD RUN make",
        "USER app:staff",
        'VOLUME ["/data", "/more"]',
        "WORKDIR /srv\nWORKDIR sub",
        "STOPSIGNAL SIGINT",
        "HEALTHCHECK --interval=5s --retries=3 CMD wget -q localhost",
    ]
    await host.images.import_(stream(gzip.compress(files({"x": "1"}))), "changed:1", changes=changes, message="hi")
    run = (await host.images.resolve("changed:1")).config.run
    assert run.cmd == ("a", "b")
    assert run.entrypoint == ("/bin/sh", "-c", "run it")
    assert run.env == ("A=1", "B=two words", "C=three  words")
    assert sorted(run.exposed_ports or ()) == ["53/udp", "80/tcp", "8000/tcp", "8001/tcp"]
    assert run.labels == {"x": "y", "quoted key": "quoted value"}
    assert (run.on_build, run.user, run.working_dir, run.stop_signal) == (
        ("RUN make",),
        "app:staff",
        "/srv/sub",
        "SIGINT",
    )
    assert sorted(run.volumes or ()) == ["/data", "/more"]
    assert run.healthcheck is not None
    assert run.healthcheck.test == ("CMD-SHELL", "wget -q localhost")
    assert (run.healthcheck.interval, run.healthcheck.retries) == (5 * 10**9, 3)


@pytest.mark.parametrize(
    "change", ["RUN x", "FROM x", "ENV", "EXPOSE 99999", "LABEL a", "VOLUME ['", "HEALTHCHECK --bad=1 CMD x", "ENV a='"]
)
async def test_a_bad_change_is_refused_and_leaves_nothing(host: Host, change: str) -> None:
    with pytest.raises(Invalid):
        await host.images.import_(stream(files({"x": "1"})), "x", changes=[change])
    await host.snapshots.settled()
    assert leftovers(host) == []


@pytest.mark.parametrize("name", ["BAD", "a b", "x@sha256:" + "a" * 64])
async def test_a_bad_name_is_refused(host: Host, name: str) -> None:
    with pytest.raises(Invalid):
        await host.images.import_(stream(files({"x": "1"})), name)


async def test_an_archive_that_cannot_be_made_again_is_written_anew(host: Host) -> None:
    tar = tar_of(member("deep/er/a", b"first"), member("deep/er/a", b"second"), member("b", b"x"))
    await host.images.import_(stream(tar), "odd")
    assert await host.files("odd") == {"b": "x", "deep/er/a": "second"}
    assert (await host.images.history("odd"))[0].size > 0


@pytest.mark.parametrize(
    "step", ["image.import", "snapshot.layer", "snapshot.adopt", "content.sync", "content.rename", "image.record"]
)
async def test_a_failed_import_leaves_nothing_after_the_next_start(host: Host, tmp_path: Path, step: str) -> None:
    with faults.armed(step), pytest.raises(HostFailure):
        await host.images.import_(stream(files({"x": "1"})), "x")
    with pytest.raises(NotFound):
        await host.images.resolve("x")
    async with opened(tmp_path / "root") as again:
        await again.snapshots.settled()
        assert leftovers(again) == []
        await again.images.import_(stream(files({"x": "1"})), "x")
        assert await again.files("x") == {"x": "1"}


async def test_a_broken_or_cancelled_import_leaves_nothing(host: Host) -> None:
    with pytest.raises(Corrupt):
        await host.images.import_(stream(files({"x": "1" * 5000})[:2000]), "x")
    stuck = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield files({"x": "1" * 5000})[:2000]
        stuck.set()
        await asyncio.sleep(3600)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(host.images.import_(endless(), "x"))
        await stuck.wait()
        task.cancel()
    await host.snapshots.settled()
    assert leftovers(host) == []


async def test_a_commit_adds_what_changed(busybox: Host) -> None:
    base = await busybox.images.resolve("busybox")
    async with busybox.mounted(base.snapshot) as root:
        (root / "new").write_text("new")
        (root / "etc/shadow").unlink()
        (root / "home/app/.profile").write_text("other")
        os.utime(root / "new", ns=(1, 1_600_000_000_123_456_789))
    what = Commit(RunConfig(cmd=("x",), env=("A=1",)), "me", "a note", "sh -c x", "c" * 64, ("ENV B=2",))
    image_id = await busybox.images.commit("work", "busybox", what, "mine:2")
    await busybox.snapshots.remove("work")
    image = await busybox.images.resolve(image_id)
    assert (image.repo_tags, image.row.parent) == (["mine:2"], base.id)
    assert (image.config.author, image.config.comment, image.config.run.env) == ("me", "a note", ("A=1", "B=2"))
    found = await busybox.files("mine:2")
    before = await busybox.files("busybox")
    assert set(found.items() ^ before.items()) == {
        ("new", "new"),
        ("home/app/.profile", "other"),
        ("home/app/.profile", before["home/app/.profile"]),
        ("etc/shadow", before["etc/shadow"]),
    }
    history = await busybox.images.history("mine:2")
    assert [(step.created_by, step.comment) for step in history] == [("sh -c x", "a note"), ("", "Imported from -")]
    assert (history[0].id, history[1].id, history[0].tags) == (image_id, "<missing>", ["mine:2"])
    assert await busybox.images.descendants(base.id) == {image_id}


async def test_a_commit_of_nothing_is_a_commit(busybox: Host) -> None:
    async with busybox.mounted((await busybox.images.resolve("busybox")).snapshot):
        pass
    image = await busybox.images.commit("work", "busybox", Commit(RunConfig()))
    assert (await busybox.images.resolve(image)).repo_tags == []
    assert len((await busybox.images.inspect(image)).root_fs.layers) == 2


async def test_a_container_of_a_removed_image_is_committed_on_its_layers(busybox: Host, tmp_path: Path) -> None:
    before = await busybox.files("busybox")
    async with busybox.mounted((await busybox.images.resolve("busybox")).snapshot) as root:
        (root / "new").write_text("new")
    await busybox.images.remove("busybox", force=True)
    await busybox.images.commit("work", None, Commit(RunConfig()), "mine")
    await busybox.snapshots.remove("work")
    assert await busybox.files("mine") == before | {"new": "new"}
    async for _ in busybox.images.save(["mine"]):
        pass
