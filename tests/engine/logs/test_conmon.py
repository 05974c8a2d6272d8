"""A real conmon and a real container write the spool."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from dockwright.logs import LogInfo, Logs, Query, Record
from dockwright.logs import pump as pump_module
from dockwright.runtime import Conmon, Monitor, MonitorOptions, OciRuntime

pytestmark = pytest.mark.root

BUSYBOX = "/bin/busybox"


def specification(root: Path, command: str, terminal: bool) -> dict[str, object]:
    return {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": terminal,
            "user": {"uid": 0, "gid": 0},
            "args": ["/bin/busybox", "sh", "-c", command],
            "env": ["PATH=/bin"],
            "cwd": "/",
        },
        "root": {"path": str(root), "readonly": True},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
            {
                "destination": "/dev/pts",
                "type": "devpts",
                "source": "devpts",
                "options": ["newinstance", "ptmxmode=0666"],
            },
        ],
        "linux": {"namespaces": [{"type": kind} for kind in ("pid", "mount", "ipc", "uts", "network")]},
    }


class Container:
    def __init__(self, monitor: Monitor, runtime: OciRuntime, name: str, bundle: Path) -> None:
        self.monitor, self.runtime, self.name, self.bundle = monitor, runtime, name, bundle

    async def ended(self) -> None:
        await asyncio.wait_for(self.monitor.wait(), 30)
        self.monitor.close()
        await self.runtime.delete(self.name, force=True)


Run = Callable[..., Awaitable[Container]]


@pytest.fixture
async def run(tmp_path: Path) -> AsyncIterator[Run]:
    """Runs a command under conmon and crun, its output in `spool`."""
    crun, conmon = shutil.which("crun"), shutil.which("conmon")
    if not (crun and conmon and Path(BUSYBOX).exists()):
        pytest.skip("crun, conmon or busybox-static is missing")
    started: list[Container] = []

    async def run_(spool: Path, command: str, *, terminal: bool = False) -> Container:
        name = "dwlogs" + secrets.token_hex(8)
        bundle = tmp_path / name
        root = bundle / "root"
        (root / "bin").mkdir(parents=True)
        for folder in ("proc", "dev"):
            (root / folder).mkdir()
        shutil.copy(BUSYBOX, root / "bin/busybox")
        (bundle / "config.json").write_text(json.dumps(specification(root, command, terminal)))
        runtime = OciRuntime("crun", Path(crun), tmp_path / "crun")
        options = MonitorOptions(terminal=terminal, log_spool=spool)
        monitor = await Conmon(Path(conmon)).create(runtime, name, bundle, options)
        container = Container(monitor, runtime, name, bundle)
        started.append(container)
        await runtime.start(name)
        return container

    yield run_
    for container in started:
        await container.runtime.delete(container.name, force=True)
        container.monitor.close()


@pytest.fixture
async def logs() -> AsyncIterator[Logs]:
    logs = Logs()
    yield logs
    await logs.aclose()


def info(tmp_path: Path) -> LogInfo:
    return LogInfo("d" * 64, "/web", str(tmp_path / "container"))


async def everything(records: AsyncIterator[Record]) -> list[Record]:
    return [record async for record in records]


@pytest.mark.parametrize("driver", ["json-file", "local"])
async def test_output_is_whole_and_followers_end_with_the_container(
    run: Run, logs: Logs, tmp_path: Path, driver: str
) -> None:
    spool = tmp_path / "spool"
    log = await logs.open(driver, {}, info(tmp_path), spool=spool)
    log.start()
    command = "i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done; echo oops >&2; sleep 0.3; printf end"
    container = await run(spool, command)
    follower = asyncio.get_running_loop().create_task(everything(log.read(Query(follow=True))))
    await container.ended()
    await log.end()
    records = await asyncio.wait_for(follower, 10)
    stdout = b"".join(record.data for record in records if record.stream == "stdout")
    assert stdout == b"".join(b"line %d\n" % number for number in range(2000)) + b"end"
    assert [record.data for record in records if record.stream == "stderr"] == [b"oops\n"]
    assert not list(tmp_path.glob("spool*"))
    await log.aclose()


async def test_a_terminal_gives_one_stream(run: Run, logs: Logs, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    log = await logs.open("json-file", {}, info(tmp_path), spool=spool)
    log.start()
    await (await run(spool, "echo out; echo err >&2", terminal=True)).ended()
    await log.flush()
    records = await everything(log.read(Query()))
    assert {record.stream for record in records} == {"stdout"}
    assert b"".join(record.data for record in records) == b"out\r\nerr\r\n"
    await log.end()


async def test_conmon_reopens_the_spool_when_it_has_grown(
    run: Run, logs: Logs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pump_module.Pump.__init__, "__kwdefaults__", {"rotate_bytes": 50_000})
    spool = tmp_path / "spool"
    bundle_control = tmp_path / "ctl-link"
    log = await logs.open("json-file", {}, info(tmp_path), spool=spool, control=bundle_control)
    log.start()
    command = "i=0; while [ $i -lt 20000 ]; do echo line $i of many that fill the spool; i=$((i+1)); done"
    container = await run(spool, f"sleep 0.2; {command}; sleep 0.5; echo last")
    os.symlink(container.bundle / "ctl", bundle_control)
    with spool.open("rb") as first:  # open, so that no other file gets its number
        await container.ended()
        assert spool.stat().st_ino != os.fstat(first.fileno()).st_ino
    await log.end()
    records = (tmp_path / "container" / f"{'d' * 64}-json.log").read_text()
    lines = [json.loads(line)["log"] for line in records.splitlines()]
    assert lines == [f"line {number} of many that fill the spool\n" for number in range(20000)] + ["last\n"]


async def test_a_new_daemon_takes_up_the_log_of_a_running_container(run: Run, logs: Logs, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    log = await logs.open("json-file", {}, info(tmp_path), spool=spool)
    log.start()
    command = "i=0; while [ $i -lt 30 ]; do echo line $i; i=$((i+1)); sleep 0.05; done"
    container = await run(spool, command)
    for _ in range(4):
        await asyncio.sleep(0.2)
        await log.aclose()
        log = await logs.open("json-file", {}, info(tmp_path), spool=spool)
        log.start()
    follower = asyncio.get_running_loop().create_task(everything(log.read(Query(follow=True))))
    await container.ended()
    await log.end()
    assert [record.data for record in await follower] == [b"line %d\n" % number for number in range(30)]
