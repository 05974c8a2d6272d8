"""Names, lists, inspection, removal, collection."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from pathlib import Path

import msgspec
import pytest
from tests.archives import files, stream
from tests.engine.image.conftest import Host, opened

from dockwright import faults
from dockwright.errors import HostFailure, InUse, Invalid, NotFound
from dockwright.image import Commit, ImageUser
from dockwright.oci import Digest, RunConfig, digest

pytestmark = pytest.mark.root


async def make(host: Host, name: str, content: str = "x", **options: object) -> Digest:
    """A tiny image."""
    return await host.images.import_(stream(files({"file": content})), name, **options)  # type: ignore[arg-type]


async def test_an_image_is_found_by_name_id_and_the_beginning_of_its_id(host: Host) -> None:
    image_id = await make(host, "reg.example.com:5000/team/tool:v1")
    encoded = digest.encoded(image_id)
    names = ["reg.example.com:5000/team/tool:v1", f"reg.example.com:5000/team/tool@{image_id}", image_id]
    for name in [*names, encoded, encoded[:12], encoded[:4], "sha256:" + encoded[:10]]:
        assert (await host.images.resolve(name)).id == image_id


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("x", "No such image: x:latest"),
        ("x:1", "No such image: x:1"),
        ("docker.io/library/x", "No such image: x:latest"),
        ("abcdef123456", "No such image: abcdef123456:latest"),
        ("sha256:" + "a" * 64, "No such image: sha256:" + "a" * 64),
        ("a" * 64, "No such image: " + "a" * 64),
    ],
)
async def test_what_is_not_there_is_not_found_in_dockers_words(host: Host, name: str, message: str) -> None:
    with pytest.raises(NotFound) as caught:
        await host.images.resolve(name)
    assert str(caught.value) == message


async def test_a_name_that_is_none_is_invalid(host: Host) -> None:
    for name in ("", "UPPER", "a b", "x:", "x" * 100_000):
        with pytest.raises(Invalid, match="invalid reference format"):
            await host.images.resolve(name)


async def test_an_ambiguous_prefix_is_refused(host: Host) -> None:
    seen: dict[str, str] = {}
    for number in range(40):
        image_id = await make(host, f"x:{number}", str(number))
        first = digest.encoded(image_id)[:1]
        if first in seen:
            with pytest.raises(NotFound, match="ambiguous"):
                await host.images.resolve("sha256:" + first)
            return
        seen[first] = image_id
    pytest.fail("forty digests that all begin differently")


async def test_another_platform_is_not_found_by_platform(host: Host) -> None:
    await make(host, "arm", platform="linux/arm64")
    assert (await host.images.resolve("arm")).config.architecture == "arm64"
    assert (await host.images.resolve("arm", "linux/arm64/v8")).config.architecture == "arm64"
    with pytest.raises(NotFound, match="does not provide the specified platform"):
        await host.images.resolve("arm", "linux/s390x")


async def test_a_tag_moves_and_leaves_a_dangling_image(host: Host) -> None:
    first, second = await make(host, "x", "1"), await make(host, "y", "2")
    await host.images.tag("y", "x")
    assert (await host.images.resolve("x")).id == second
    assert (await host.images.resolve(first)).repo_tags == []
    assert [line.id for line in await host.images.list_({"dangling": ["true"]})] == [first]
    with pytest.raises(Invalid, match="digest"):
        await host.images.tag("y", f"z@{first}")
    tagged = [event for event in await host.heard() if event.action == "tag"]
    assert [(event.actor_id, event.attributes["name"]) for event in tagged] == [(second, "x:latest")]


async def test_names_survive_a_restart(host: Host, tmp_path: Path) -> None:
    await make(host, "x", "1")
    await host.images.tag("x", "other/name:tag")
    async with opened(tmp_path / "root") as again:
        assert (await again.images.resolve("x")).repo_tags == ["x:latest", "other/name:tag"]
        assert await again.files("x") == {"file": "1"}


async def test_lists_are_filtered(host: Host) -> None:
    ids = []
    for number, name in enumerate(["one:a", "two:b", "reg.io/deep/three:c"]):
        ids.append(await make(host, name, str(number), changes=[f"LABEL number={number} common=yes"]))
        await asyncio.sleep(0.002)

    async def listed(**filters: list[str]) -> list[int]:
        return [
            ids.index(line.id)
            for line in await host.images.list_({key.replace("_not", "!"): value for key, value in filters.items()})
        ]

    assert await listed() == [2, 1, 0]
    assert await listed(label=["number=1"]) == [1]
    assert await listed(label=["common", "number=0"]) == [0]
    assert await listed(label_not=["number=0"]) == [2, 1]
    assert await listed(before=["two:b"]) == [0]
    assert await listed(since=["two:b"]) == [2]
    assert await listed(until=["1h"]) == []
    assert await listed(until=[str(int(time.time()) + 60)]) == [2, 1, 0]
    assert await listed(reference=["one", "two:*"]) == [1, 0]
    assert await listed(reference=["*"]) == [1, 0]
    assert await listed(reference=["reg.io/*/thr??:c"]) == [2]
    assert await listed(dangling=["true"]) == []
    assert await listed(dangling=["false"], label=["common"]) == [2, 1, 0]
    for bad in ({"nonsense": ["x"]}, {"dangling": ["maybe"]}, {"reference": ["[x"]}, {"until": ["soon"]}):
        with pytest.raises(Invalid):
            await listed(**bad)
    with pytest.raises(NotFound):
        await listed(before=["none"])


async def test_a_list_by_reference_shows_only_what_matched(host: Host) -> None:
    await make(host, "x:1")
    await host.images.tag("x:1", "x:2")
    (line,) = await host.images.list_({"reference": ["x:2"]})
    assert line.repo_tags == ["x:2"]


async def test_sizes_are_shared_where_layers_are(host: Host) -> None:
    await make(host, "base", "x" * 100_000)
    async with host.mounted((await host.images.resolve("base")).snapshot) as root:
        (root / "more").write_bytes(os.urandom(50_000))
    await host.images.commit("work", "base", Commit(RunConfig()), "top")
    await make(host, "alone", "y")
    by_name = {line.repo_tags[0]: line for line in await host.images.list_(shared_size=True, users={})}
    assert by_name["alone:latest"].shared_size == 0
    assert by_name["base:latest"].shared_size == by_name["top:latest"].shared_size > 100_000
    assert by_name["top:latest"].size - by_name["base:latest"].size > 50_000


async def test_disk_usage_is_what_du_says(host: Host) -> None:
    await make(host, "base", "x" * 100_000)
    async with host.mounted((await host.images.resolve("base")).snapshot) as root:
        (root / "more").write_bytes(os.urandom(50_000))
    await host.images.commit("work", "base", Commit(RunConfig()), "top")
    await host.snapshots.remove("work")
    await host.snapshots.settled()
    numbers = [path for path in (host.root / "snapshots").iterdir() if path.name.isdigit()]
    blobs = list((host.root / "content/blobs/sha256").iterdir())
    listed = subprocess.run(["du", "-s", "-B1", "-c", *numbers, *blobs], capture_output=True, text=True, check=True)
    assert (await host.images.disk_usage()).layers_size == int(listed.stdout.splitlines()[-1].split()[0])


async def test_inspect_tells_everything(busybox: Host) -> None:
    found = msgspec.to_builtins(await busybox.images.inspect("busybox", manifests=True))
    image = await busybox.images.resolve("busybox")
    assert found["Id"] == image.id
    assert found["RepoTags"] == ["busybox:latest"]
    assert found["RepoDigests"] == [f"busybox@{image.id}"]
    assert found["Config"] == {"Cmd": ("sh",)}
    assert found["RootFS"] == {"Type": "layers", "Layers": list(image.config.diff_ids)}
    assert found["Descriptor"]["digest"] == image.id
    assert found["Metadata"]["LastTagTime"].endswith("Z")
    assert (found["Os"], found["Parent"], found["Comment"]) == ("linux", "", "Imported from -")
    (manifest,) = found["Manifests"]
    assert (manifest["Kind"], manifest["Available"], manifest["ID"]) == ("image", True, image.id)
    assert (
        manifest["ImageData"]["Size"]["Unpacked"] + manifest["Size"]["Content"]
        == manifest["Size"]["Total"]
        == found["Size"]
    )
    with pytest.raises(Invalid, match="cannot both be set"):
        await busybox.images.inspect("busybox", "linux/amd64", manifests=True)


def containers(image: Digest, *, running: bool) -> list[ImageUser]:
    return [ImageUser(image, "c" * 64, running)]


async def test_removing_a_name_untags_and_the_last_one_deletes(host: Host) -> None:
    image = await make(host, "x:1")
    await host.images.tag("x:1", "x:2")
    assert msgspec.to_builtins(await host.images.remove("x:1")) == [{"Untagged": "x:1"}]
    assert msgspec.to_builtins(await host.images.remove("x:2")) == [{"Untagged": "x:2"}, {"Deleted": image}]
    assert await host.images.list_() == []
    await host.snapshots.settled()
    assert [path for path in (host.root / "content").rglob("*") if path.is_file()] == []
    assert sorted(os.listdir(host.root / "snapshots")) == ["empty", "mnt"]
    assert [event.action for event in await host.heard()][-3:] == ["untag", "untag", "delete"]
    with pytest.raises(NotFound, match="No such image: x:1"):
        await host.images.remove("x:1")


async def test_removing_by_id_minds_other_names(host: Host) -> None:
    image = await make(host, "x")
    await host.images.tag("x", "y")
    short = digest.encoded(image)[:12]
    with pytest.raises(InUse) as caught:
        await host.images.remove(short)
    assert (
        str(caught.value)
        == f"conflict: unable to delete {short} (must be forced) - image is referenced in multiple repositories"
    )
    assert len(await host.images.remove(short, force=True)) == 3


async def test_an_image_in_use_is_not_removed(host: Host) -> None:
    image = await make(host, "x")
    short = digest.encoded(image)[:12]
    stopped, running = containers(image, running=False), containers(image, running=True)
    with pytest.raises(InUse) as caught:
        await host.images.remove("x", users=stopped)
    assert str(caught.value) == (
        'conflict: unable to remove repository reference "x" (must force) - '
        f"container cccccccccccc is using its referenced image {short}"
    )
    with pytest.raises(InUse, match=r"\(must be forced\) - image is being used by stopped container cccccccccccc"):
        await host.images.remove(image, users=stopped)
    with pytest.raises(InUse, match=r"\(cannot be forced\) - image is being used by running container cccccccccccc"):
        await host.images.remove(image, force=True, users=running)
    await host.images.tag("x", "y")
    assert len(await host.images.remove("y", users=running)) == 1
    assert [line.untagged for line in await host.images.remove("x", force=True, users=running)] == ["x:latest"]
    await host.images.tag(image, "x")
    async with host.mounted((await host.images.resolve("x")).snapshot):
        pass
    assert len(await host.images.remove("x", force=True, users=stopped)) == 2
    async with host.mounted_again() as root:
        assert (root / "file").read_text() == "x"


async def test_untagged_parents_go_with_their_last_child(host: Host) -> None:
    await make(host, "base")
    async with host.mounted((await host.images.resolve("base")).snapshot):
        pass
    middle = await host.images.commit("work", "base", Commit(RunConfig()))
    top = await host.images.commit("work", middle, Commit(RunConfig()), "top")
    await host.snapshots.remove("work")
    assert [line.deleted for line in await host.images.remove("top", prune=False) if line.deleted] == [top]
    top = await _again(host, middle)
    assert [line.deleted for line in await host.images.remove("top") if line.deleted] == [top, middle]
    assert (await host.images.resolve("base")).repo_tags == ["base:latest"]


async def _again(host: Host, base: str) -> Digest:
    async with host.mounted((await host.images.resolve(base)).snapshot):
        pass
    image = await host.images.commit("work", base, Commit(RunConfig()), "top")
    await host.snapshots.remove("work")
    return image


async def test_prune_removes_what_nobody_uses(host: Host) -> None:
    dangling = await make(host, "", "1" * 10_000)
    used = await make(host, "", "2")
    named = await make(host, "named", "3", changes=["LABEL keep=no"])
    report = await host.images.prune({}, containers(used, running=False))
    assert [line.deleted for line in report.images_deleted or ()] == [dangling]
    assert report.space_reclaimed > 10_000
    assert (await host.images.prune({}, containers(used, running=False))).images_deleted is None
    assert (
        await host.images.prune({"dangling": ["false"], "label!": ["keep"]}, containers(used, running=False))
    ).images_deleted is None
    report = await host.images.prune({"dangling": ["false"]}, containers(used, running=False))
    assert [line.deleted for line in report.images_deleted or () if line.deleted] == [named]
    told = [event.attributes["reclaimed"] for event in await host.heard() if event.action == "prune"]
    assert int(told[0]) > 10_000
    with pytest.raises(Invalid):
        await host.images.prune({"reference": ["x"]})


@pytest.mark.parametrize("step", ["image.untag", "image.delete", "image.collect"])
async def test_a_removal_that_fails_midway_is_finished_by_the_next(host: Host, tmp_path: Path, step: str) -> None:
    image = await make(host, "x")
    with faults.armed(step), pytest.raises(HostFailure):
        await host.images.remove("x")
    async with opened(tmp_path / "root") as again:
        try:
            await again.images.remove(image)
        except NotFound:
            pass
        await again.snapshots.settled()
        assert [path for path in (again.root / "content").rglob("*") if path.is_file()] == []
        assert sorted(os.listdir(again.root / "snapshots")) == ["empty", "mnt"]


async def test_equal_images_made_at_once_are_stored_once(host: Host) -> None:
    tar = files({"big": "x" * 500_000})
    async with asyncio.TaskGroup() as group:
        for number in range(6):
            group.create_task(host.images.import_(stream(tar), f"x:{number}"))
    await host.snapshots.settled()
    assert len([path for path in (host.root / "snapshots").iterdir() if path.name.isdigit()]) == 1
    assert len(await host.images.list_()) == 6


async def test_collection_leaves_what_is_under_way(host: Host) -> None:
    async with asyncio.TaskGroup() as group:
        for number in range(5):
            group.create_task(make(host, f"x:{number}", str(number)))
            group.create_task(host.images.prune({}))
    for number in range(5):
        assert await host.files(f"x:{number}") == {"file": str(number)}
