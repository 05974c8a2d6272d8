"""Against this host's cgroups, in ones of the tests' own."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockwright import cgroup
from dockwright.cgroup import Cgroup, Hierarchy
from dockwright.errors import HostFailure, InUse

pytestmark = pytest.mark.root


@pytest.fixture
def hierarchy() -> Hierarchy:
    return cgroup.detect()


@pytest.fixture
def path(hierarchy: Hierarchy) -> Iterator[str]:
    """A cgroup in every tree."""
    path = f"/dwtest-{secrets.token_hex(4)}"
    for root in hierarchy.roots():
        directory = root / path.strip("/")
        directory.mkdir()
        for name in ("cpus", "mems"):
            source = root / f"cpuset.{name}"
            if source.exists() and hierarchy.version == 1:
                (directory / f"cpuset.{name}").write_text(source.read_text())
    yield path
    cgroup.remove(hierarchy, path)


def run_in(group: Cgroup, code: str) -> subprocess.Popen[bytes]:
    """Python in the cgroup; it waits for a line before it runs `code`."""
    child = subprocess.Popen([sys.executable, "-c", f"input(); {code}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    for directory in set(group.directories.values()):
        (directory / "cgroup.procs").write_text(str(child.pid))
    return child


def go(child: subprocess.Popen[bytes]) -> None:
    assert child.stdin is not None
    child.stdin.write(b"\n")
    child.stdin.close()


def end(child: subprocess.Popen[bytes]) -> int:
    child.kill()
    code = child.wait()
    if child.stdout is not None:
        child.stdout.close()
    if child.stdin is not None:
        child.stdin.close()
    return code


def test_what_a_process_used_is_counted(hierarchy: Hierarchy, path: str) -> None:
    group = cgroup.named(hierarchy, path)
    child = run_in(group, "sum(range(3_000_000)); print(1, flush=True); import time; time.sleep(60)")
    try:
        go(child)
        assert child.stdout is not None
        child.stdout.readline()
        assert cgroup.of_process(hierarchy, child.pid).directories == group.directories
        stats = cgroup.read(group, os.getpid())
        assert stats.cpu_stats.cpu_usage.total_usage > 1_000_000
        assert isinstance(stats.cpu_stats.system_cpu_usage, int)
        assert isinstance(stats.memory_stats.usage, int)
        assert stats.memory_stats.usage > 100_000
        assert stats.pids_stats.current == 1
        assert isinstance(stats.networks, dict)
        assert "lo" not in stats.networks
    finally:
        end(child)


async def test_an_oom_kill_is_told_and_counted(hierarchy: Hierarchy, path: str) -> None:
    group = cgroup.named(hierarchy, path)
    limit = group.file("memory", "memory.max" if hierarchy.version == 2 else "memory.limit_in_bytes")
    if limit is None:
        pytest.skip("no memory controller")
    limit.write_text(str(30_000_000))
    child = run_in(group, "x = b'x' * 200_000_000; print(len(x))")
    try:
        async with asyncio.TaskGroup() as tasks:
            told = tasks.create_task(cgroup.oom.killed(group))
            await asyncio.sleep(0.1)
            assert not told.done()
            await asyncio.to_thread(go, child)
            assert await asyncio.wait_for(told, 20) == 1
        assert await asyncio.to_thread(child.wait) == -signal.SIGKILL
        assert await asyncio.to_thread(cgroup.oom.kills, group) == 1
    finally:
        end(child)


async def test_removing_a_cgroup_tells_nothing(hierarchy: Hierarchy, path: str) -> None:
    async with asyncio.TaskGroup() as tasks:
        told = tasks.create_task(cgroup.oom.killed(cgroup.named(hierarchy, path)))
        await asyncio.sleep(0.1)
        await asyncio.to_thread(cgroup.remove, hierarchy, path)
        await asyncio.sleep(0.2)
        assert not told.done()
        told.cancel()


def test_a_cgroup_goes_with_what_is_below_it(hierarchy: Hierarchy, path: str) -> None:
    for root in hierarchy.roots():
        (root / path.strip("/") / "below").mkdir()
    cgroup.remove(hierarchy, path)
    cgroup.remove(hierarchy, path)
    assert not any((root / path.strip("/")).exists() for root in hierarchy.roots())


def test_a_cgroup_in_use_stays(hierarchy: Hierarchy, path: str) -> None:
    child = run_in(cgroup.named(hierarchy, path), "0")
    try:
        with pytest.raises(InUse, match="still has processes"):
            cgroup.remove(hierarchy, path)
    finally:
        end(child)


@pytest.mark.parametrize("bad", ["", "/", "/a/../../b"])
def test_a_path_outside_is_refused(hierarchy: Hierarchy, bad: str) -> None:
    with pytest.raises(HostFailure):
        cgroup.remove(hierarchy, bad)


def test_features_are_found(hierarchy: Hierarchy) -> None:
    found = cgroup.features(hierarchy)
    assert found.memory_limit == ("memory" in hierarchy.controllers)
    assert cgroup.parse_cpu_list(found.cpus) == set(range(os.cpu_count() or 1))
    assert all(warning.startswith("WARNING: No ") for warning in found.warnings())


def test_a_controller_that_is_not_mounted_is_mounted(hierarchy: Hierarchy) -> None:
    if hierarchy.version == 2:
        pytest.skip("a v2 host misses nothing")
    victim = hierarchy.controllers["pids"]
    code = (
        f"import subprocess; subprocess.run(['umount', {str(victim)!r}], check=True);"
        "from dockwright import cgroup; print(cgroup.mount_missing(), 'pids' in cgroup.detect().controllers)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(cgroup.__file__).parents[2])}
    command = ["unshare", "--mount", "--propagation", "private", sys.executable, "-c", code]
    shown = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    assert shown == "['pids'] True\n"
