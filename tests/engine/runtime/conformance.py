"""What every `Runtime` does: one suite over crun, runc and whatever follows them.

A subclass gives the fixture `runtime`; the suite needs a root file system with /bin/sh.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from dockwright.errors import StartFailed
from dockwright.runtime import Conmon, ExecProcess, ExecRequest, Monitor, MonitorOptions, Runtime

CGROUP = "/dwconformance"


def specification(rootfs: Path, container_id: str, *command: str) -> dict[str, Any]:
    """The smallest OCI specification that isolates."""
    return {
        "ociVersion": "1.0.2",
        "root": {"path": str(rootfs)},
        "process": process(*command),
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"]},
            {
                "destination": "/dev/pts",
                "type": "devpts",
                "source": "devpts",
                "options": ["newinstance", "ptmxmode=0666"],
            },
        ],
        "linux": {
            "cgroupsPath": f"{CGROUP}/{container_id}",
            "namespaces": [{"type": kind} for kind in ("pid", "mount", "ipc", "uts", "network")],
            "resources": {"devices": [{"allow": True, "access": "rwm"}]},
        },
    }


def process(*command: str, terminal: bool = False) -> dict[str, Any]:
    """An OCI process."""
    held = ["CAP_KILL", "CAP_CHOWN"]
    return {
        "args": list(command),
        "cwd": "/",
        "terminal": terminal,
        "env": ["PATH=/bin"],
        "user": {"uid": 0, "gid": 0},
        "capabilities": {"bounding": held, "effective": held, "permitted": held},
    }


class Box:
    """One container of the suite."""

    def __init__(self, runtime: Runtime, bundle: Path, rootfs: Path) -> None:
        self.runtime = runtime
        self.bundle = bundle
        self.id = bundle.name
        self._rootfs = rootfs
        self.monitor: Monitor | None = None

    async def create(self, *command: str, spool: Path | None = None) -> Monitor:
        text = json.dumps(specification(self._rootfs, self.id, *command))
        await asyncio.to_thread((self.bundle / "config.json").write_text, text)
        conmon = Conmon(Path("/usr/bin/conmon"))
        self.monitor = await conmon.create(self.runtime, self.id, self.bundle, MonitorOptions(log_spool=spool))
        return self.monitor

    async def run(self, *command: str) -> Monitor:
        monitor = await self.create(*command)
        await self.runtime.start(self.id)
        return monitor

    async def exec(self, *command: str) -> tuple[int, bytes, str]:
        request = ExecRequest("x", self.id, process(*command), self.bundle / "exec", stdout=True)
        running = await ExecProcess.start(self.runtime, request)
        try:
            code, complaint = await running.wait()
            reader = asyncio.to_thread(_read_all, running.stdout)
            return code, await reader, complaint
        finally:
            running.close()


def _read_all(fd: int) -> bytes:
    os.set_blocking(fd, True)
    found = b""
    while part := os.read(fd, 65536):
        found += part
    return found


@pytest.mark.root
class RuntimeConformance:
    """Inherit and give `runtime`."""

    @pytest.fixture
    def runtime(self, tmp_path: Path) -> Runtime:
        raise NotImplementedError("the subclass gives it")

    @pytest.fixture
    async def box(self, runtime: Runtime, tmp_path: Path, busybox_root: Path) -> AsyncIterator[Box]:
        bundle = tmp_path / f"box{id(tmp_path) % 10**6}"
        bundle.mkdir()
        made = Box(runtime, bundle, busybox_root)
        yield made
        await runtime.delete(made.id, force=True)
        if made.monitor is not None:
            await made.monitor.wait()
            made.monitor.close()

    async def test_a_created_process_waits_for_start_and_its_exit_code_is_told(self, box: Box) -> None:
        monitor = await box.create("/bin/sh", "-c", "exit 7")
        created = await box.runtime.state(box.id)
        assert created is not None
        assert (created.status, created.pid) == ("created", monitor.pid)
        await box.runtime.start(box.id)
        assert await monitor.wait() == 7

    async def test_a_signal_ends_it_with_128_and_the_signal(self, box: Box) -> None:
        monitor = await box.run("/bin/sh", "-c", "sleep 100")
        await box.runtime.kill(box.id, signal.SIGKILL)
        assert await monitor.wait() == 128 + signal.SIGKILL
        await box.runtime.kill(box.id, signal.SIGTERM)  # nobody is there any more: fine

    async def test_a_command_that_is_not_there_fails_with_127_and_one_not_executable_with_126(self, box: Box) -> None:
        with pytest.raises(StartFailed, match="executable file not found in \\$PATH") as missing:
            await box.run("nosuchthing")
        assert missing.value.exit_code == 127
        await box.runtime.delete(box.id, force=True)
        with pytest.raises(StartFailed) as refused:
            await box.run("/etc/passwd")
        assert refused.value.exit_code == 126

    async def test_pause_freezes_and_resume_thaws(self, box: Box) -> None:
        await box.run("/bin/sleep", "100")
        await box.runtime.pause(box.id)
        frozen = await box.runtime.state(box.id)
        assert frozen is not None
        assert frozen.status == "paused"
        await box.runtime.resume(box.id)
        thawed = await box.runtime.state(box.id)
        assert thawed is not None
        assert thawed.status == "running"

    async def test_limits_of_a_running_container_are_changed(self, box: Box) -> None:
        await box.run("/bin/sleep", "100")
        await box.runtime.update(box.id, {"pids": {"limit": 23}})
        places = (Path(f"/sys/fs/cgroup/pids{CGROUP}/{box.id}"), Path(f"/sys/fs/cgroup{CGROUP}/{box.id}"))
        place = next(place for place in places if place.exists())
        assert (place / "pids.max").read_text().strip() == "23"

    async def test_an_exec_has_its_own_output_and_exit_code(self, box: Box) -> None:
        await box.run("/bin/sleep", "100")
        assert await box.exec("/bin/sh", "-c", "echo inside; exit 3") == (3, b"inside\n", "")

    async def test_an_exec_that_cannot_run_says_why(self, box: Box) -> None:
        await box.run("/bin/sleep", "100")
        code, _, complaint = await box.exec("nosuchthing")
        assert code == 127
        assert "executable file not found" in complaint

    async def test_deleted_it_is_unknown_and_deleting_again_is_fine(self, box: Box) -> None:
        monitor = await box.run("/bin/true")
        await monitor.wait()
        await box.runtime.delete(box.id)
        assert await box.runtime.state(box.id) is None
        await box.runtime.delete(box.id)
        await box.runtime.delete(box.id, force=True)

    async def test_a_monitor_is_found_again_by_another_daemon(self, box: Box) -> None:
        first = await box.run("/bin/sleep", "100")
        again = await Conmon(Path("/usr/bin/conmon")).adopt(box.id, box.bundle)
        assert again is not None
        assert (again.pid, again.conmon_pid) == (first.pid, first.conmon_pid)
        await box.runtime.kill(box.id, signal.SIGKILL)
        assert await again.wait() == 137
        again.close()
        assert await Conmon(Path("/usr/bin/conmon")).adopt(box.id, box.bundle) is None
