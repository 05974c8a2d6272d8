"""Trees survive commit, save and load: what is unpacked layer by layer elsewhere shows the same files."""

from __future__ import annotations

import os
import random
import stat
from pathlib import Path

import pytest
from tests.archives import files, stream
from tests.engine.image.conftest import Host, opened
from tests.engine.snapshot.test_changes import mutate

from dockwright.image import Commit
from dockwright.oci import RunConfig

pytestmark = pytest.mark.root


def tree(root: Path) -> dict[str, tuple[object, ...]]:
    """Everything a container can see, times to the nanosecond (directories' too)."""
    found: dict[str, tuple[object, ...]] = {}
    for path in [root, *sorted(root.rglob("*"))]:
        at = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(at.st_mode) else os.readlink(path) if path.is_symlink() else None
        found[str(path.relative_to(root))] = (at.st_mode, at.st_uid, at.st_gid, at.st_mtime_ns, content)
    return found


async def seen(host: Host, name: str) -> dict[str, tuple[object, ...]]:
    async with host.mounted((await host.images.resolve(name)).snapshot) as root:
        found = tree(root)
    await host.snapshots.remove("work")
    return found


@pytest.mark.parametrize("seed", range(12))
async def test_random_layers_show_the_same_tree_after_save_and_load(host: Host, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    await host.images.import_(stream(files({"a/b/c": "1", "b/c": "2", "c/d/a": "3"})), "layer:0")
    for number in range(1, 5):
        async with host.mounted((await host.images.resolve(f"layer:{number - 1}")).snapshot) as root:
            for _ in range(30):
                mutate(root, chance)
            expected = tree(root)
        await host.images.commit("work", f"layer:{number - 1}", Commit(RunConfig()), f"layer:{number}")
        await host.snapshots.remove("work")
        assert await seen(host, f"layer:{number}") == expected
    archive = b"".join([chunk async for chunk in host.images.save(["layer"])])
    async with opened(tmp_path / "other") as other:
        async for _ in other.images.load(stream(archive)):
            pass
        for number in range(5):
            assert await seen(other, f"layer:{number}") == await seen(host, f"layer:{number}")
