"""`docker rmi`, case by case as its documentation has them, and what comes free, to the byte."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import msgspec
import pytest
from tests.archives import files, member, stream, tar_of
from tests.engine.image.conftest import Host
from tests.engine.image.test_transport import docker_archive, loaded

from dockwright.errors import InUse, Invalid, NotFound
from dockwright.image import Commit, ImageUser
from dockwright.oci import Digest, RunConfig, digest

pytestmark = pytest.mark.root


async def make(host: Host, *names: str, content: str = "x") -> Digest:
    image = await host.images.import_(stream(files({"file": content})), names[0])
    for name in names[1:]:
        await host.images.tag(names[0], name)
    return image


async def removed(host: Host, asked: str, users: list[ImageUser] | None = None, *, force: bool = False) -> list[object]:
    return msgspec.to_builtins(await host.images.remove(asked, force=force, users=users or []))  # type: ignore[no-any-return]


async def names(host: Host) -> list[str]:
    return sorted(tag for line in await host.images.list_() for tag in line.repo_tags)


async def test_each_tag_is_taken_and_the_last_takes_the_image(host: Host) -> None:
    image = await make(host, "test1", "test", "test2")
    assert await removed(host, "test1:latest") == [{"Untagged": "test1:latest"}]
    assert await removed(host, "test") == [{"Untagged": "test:latest"}]
    assert await removed(host, "test2") == [{"Untagged": "test2:latest"}, {"Deleted": image}]


@pytest.mark.parametrize("length", [4, 12, 64])
async def test_an_id_with_several_names_must_be_forced(host: Host, length: int) -> None:
    image = await make(host, "test1", "test", "test2")
    with pytest.raises(InUse, match=r"\(must be forced\) - image is referenced in multiple repositories"):
        await removed(host, digest.encoded(image)[:length])
    assert await names(host) == ["test1:latest", "test2:latest", "test:latest"]
    untagged: list[object] = [{"Untagged": name} for name in ("test1:latest", "test2:latest", "test:latest")]
    assert await removed(host, digest.encoded(image)[:length], force=True) == [*untagged, {"Deleted": image}]


async def test_an_id_with_one_name_needs_no_force(host: Host) -> None:
    image = await make(host, "one")
    assert await removed(host, digest.encoded(image)[:12]) == [{"Untagged": "one:latest"}, {"Deleted": image}]


async def test_a_dangling_image_goes_by_id(host: Host) -> None:
    image = await make(host, "")
    assert await removed(host, image) == [{"Deleted": image}]


async def test_a_digest_means_every_name_of_its_repository(host: Host) -> None:
    image = await make(host, "localhost:5000/busybox:1", "localhost:5000/busybox:2", "other:1")
    assert await removed(host, f"localhost:5000/busybox@{image}") == [
        {"Untagged": "localhost:5000/busybox:1"},
        {"Untagged": "localhost:5000/busybox:2"},
    ]
    with pytest.raises(NotFound, match="No such image"):
        await removed(host, f"third@{image}")
    assert await removed(host, f"other@{image}") == [{"Untagged": "other:1"}, {"Deleted": image}]


async def test_a_name_that_looks_like_an_id_is_a_name(host: Host) -> None:
    other = await make(host, "x", content="other")
    name = digest.encoded(other)[:12]
    mine = await make(host, name, content="mine")
    assert await removed(host, f"{name}:latest") == [{"Untagged": f"{name}:latest"}, {"Deleted": mine}]
    assert await names(host) == ["x:latest"]


@pytest.mark.parametrize("asked", ["none", "none:1", "sha256:" + "0" * 64, "abcdef012345"])
async def test_what_is_not_there_is_not_found(host: Host, asked: str) -> None:
    await make(host, "x")
    with pytest.raises(NotFound, match="No such image: "):
        await removed(host, asked, force=True)
    with pytest.raises(Invalid):
        await removed(host, "NO:NAME:AT:ALL")
    assert await names(host) == ["x:latest"]


async def test_who_uses_an_image_decides_what_may_go(host: Host) -> None:
    """Wording as dockerd's; (by, names, running, force) → what happens."""
    stopped_name = (
        r'^conflict: unable to remove repository reference "{0}" \(must force\) - container c{{12}} is using '
    )
    stopped_name += r"its referenced image {1}$"
    stopped = r"^conflict: unable to delete {1} \(must be forced\) - image is being used by stopped container c{{12}}$"
    running = (
        r"^conflict: unable to delete {1} \(cannot be forced\) - image is being used by running container c{{12}}$"
    )
    cases: list[tuple[str, int, bool, bool, str | int]] = [
        ("name", 1, False, False, stopped_name),
        ("name", 1, False, True, 2),
        ("name", 1, True, False, stopped_name),
        ("name", 1, True, True, 1),
        ("name", 2, False, False, 1),
        ("name", 2, True, False, 1),
        ("name", 2, True, True, 1),
        ("id", 1, False, False, stopped),
        ("id", 1, False, True, 2),
        ("id", 1, True, False, running),
        ("id", 1, True, True, running),
        ("id", 2, True, True, running),
        ("id", 2, False, True, 3),
        ("id", 0, False, False, stopped),
        ("id", 0, True, True, running),
    ]
    for by, count, alive, force, outcome in cases:
        image = await make(host, *["name", "again"][:count] or [""])
        users = [ImageUser(image, "c" * 64, alive), ImageUser(Digest("sha256:" + "0" * 64), "d" * 64, True)]
        asked = "name" if by == "name" else digest.encoded(image)[:12]
        before = await names(host)
        if isinstance(outcome, str):
            with pytest.raises(InUse, match=outcome.format(asked, digest.encoded(image)[:12])):
                await removed(host, asked, users, force=force)
            assert await names(host) == before, "a refusal changes nothing"
        else:
            assert len(await removed(host, asked, users, force=force)) == outcome, (by, count, alive, force)
        await host.images.prune({"dangling": ["false"]})


async def test_children_stand_on_when_their_parent_goes(host: Host) -> None:
    parent = await make(host, "parent")
    async with host.mounted((await host.images.resolve("parent")).snapshot) as root:
        (root / "more").write_text("y")
    child = await host.images.commit("work", "parent", Commit(RunConfig()), "child")
    await host.snapshots.remove("work")
    assert (await host.images.inspect("child")).parent == parent
    assert await removed(host, "parent") == [{"Untagged": "parent:latest"}, {"Deleted": parent}]
    assert await host.files("child") == {"file": "x", "more": "y"}
    assert await removed(host, "child") == [{"Untagged": "child:latest"}, {"Deleted": child}]


async def test_prune_takes_dangling_images_alone_unless_told(host: Host) -> None:
    dangling, kept, used = (
        await make(host, ""),
        await make(host, "kept", content="k"),
        await make(host, "used", content="u"),
    )
    users = [ImageUser(used, "c" * 64, False)]
    report = await host.images.prune({}, users)
    assert msgspec.to_builtins(report.images_deleted) == [{"Deleted": dangling}]
    report = await host.images.prune({"dangling": ["false"]}, users)
    assert msgspec.to_builtins(report.images_deleted) == [{"Untagged": "kept:latest"}, {"Deleted": kept}]
    assert await names(host) == ["used:latest"]


def du(*paths: Path) -> int:
    """Allocated bytes as du(1) sees them, hard links counted once."""
    listed = subprocess.run(["du", "-s", "-B1", "-c", *paths], capture_output=True, text=True, check=True).stdout
    return int(listed.splitlines()[-1].split()[0])


def on_disk(host: Host) -> int:
    numbers = [path for path in (host.root / "snapshots").iterdir() if path.name.isdigit()]
    paths = [*numbers, *(host.root / "content/blobs/sha256").iterdir()]
    return du(*paths) if paths else 0


async def many_kinds(host: Host) -> None:
    """Images that share layers, with hard links within and into a base, sparse files, and every way to keep a layer."""
    base = tar_of(
        member("d", kind="dir"),
        member("d/a", b"1" * 90_000),
        member("d/b", kind="hard", linkname="d/a"),
        member("zeros", bytes(3_000_000)),
    )
    implied = tar_of(member("d/implied", b"2" * 40_000), member("d/.wh.b", b""))
    linked = tar_of(member("into-the-base", kind="hard", linkname="d/a"), member("e", b"3" * 10_000))
    await loaded(host, docker_archive([base], RepoTags=["base:1"]))
    await loaded(host, docker_archive([base, implied], RepoTags=["implied:1"]))
    await loaded(host, docker_archive([base, linked], RepoTags=["linked:1"]))
    async with host.mounted((await host.images.resolve("base:1")).snapshot) as root:
        os.link(root / "d/a", root / "d/c")
        with open(root / "sparse", "wb") as file:
            file.seek(40_000_000)
            file.write(b"x")
    await host.images.commit("work", "base:1", Commit(RunConfig()), "committed:1")
    await host.snapshots.remove("work")
    await make(host, "alone", content="y" * 50_000)


async def test_usage_is_what_du_says_to_the_byte(host: Host) -> None:
    await many_kinds(host)
    await host.snapshots.settled()
    assert (await host.images.disk_usage()).layers_size == on_disk(host)
    assert (await host.images.disk_usage()).layers_size < 1_000_000, "holes take no room"


async def test_what_is_an_images_own_is_what_comes_free_without_it(host: Host) -> None:
    await many_kinds(host)
    await host.snapshots.settled()
    for name in ("implied:1", "linked:1", "alone:latest", "committed:1", "base:1"):
        lines = {line.repo_tags[0]: line for line in await host.images.list_(shared_size=True)}
        assert (await host.images.inspect(name)).size == lines[name].size
        own = lines[name].size - lines[name].shared_size
        before = on_disk(host)
        await host.images.remove(name)
        await host.snapshots.settled()
        assert before - on_disk(host) == own, name
    assert on_disk_is_empty(host)


def on_disk_is_empty(host: Host) -> bool:
    return not list((host.root / "content/blobs/sha256").iterdir())
