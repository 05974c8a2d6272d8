"""Announcing a move between cgroups moves nobody."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest

from dockwright.runtime import migration

pytestmark = pytest.mark.root


def memberships(pid: int) -> str:
    return Path(f"/proc/{pid}/cgroup").read_text()


async def test_announcing_a_move_leaves_every_process_where_it_was() -> None:
    def check() -> None:
        own = memberships(1), memberships(2), Path("/proc/self/cgroup").read_text()
        with subprocess.Popen(["sleep", "60"]) as child:
            before = memberships(child.pid)
            migration.announce(child.pid)
            assert memberships(child.pid) == before
            child.kill()
        assert (memberships(1), memberships(2), Path("/proc/self/cgroup").read_text()) == own

    await asyncio.to_thread(check)


async def test_announcing_for_a_process_that_has_ended_does_nothing() -> None:
    def check() -> None:
        with subprocess.Popen(["true"]) as child:
            child.wait()
        migration.announce(child.pid)

    await asyncio.to_thread(check)
