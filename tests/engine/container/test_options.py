"""Option by option: what a container asked for, and what it got, seen from inside and from the host."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dockwright.container import Condition, Config, Container, HostConfig, Request
from dockwright.container.committing import commit
from dockwright.container.config import RestartPolicy
from dockwright.container.state import Status
from dockwright.engine import Engine
from dockwright.errors import DockwrightError, Invalid, StartFailed

pytestmark = pytest.mark.root

DEFAULT_CAPABILITIES = 0xA80425FB


def config(**fields: Any) -> Config:
    """A `Config` from wire names."""
    return msgspec.convert(fields, Config)


def host(**fields: Any) -> HostConfig:
    """A `HostConfig` from wire names, without a network unless one is named."""
    return msgspec.convert({"NetworkMode": "none"} | fields, HostConfig)


async def said(engine: Engine, script: str, *, config_: Config | None = None, host_: HostConfig | None = None) -> str:
    """What a shell script printed in a container of its own."""
    done = await engine.run("busybox", ["sh", "-c", script], config=config_ or Config(), host=host_ or host())
    assert done.exit_code == 0, (done.exit_code, done.stdout, done.stderr)
    return done.stdout.decode()


async def started(
    engine: Engine, *command: str, config_: Config | None = None, host_: HostConfig | None = None
) -> Container:
    made = config_ or Config()
    made.image, made.cmd = "busybox", list(command) or ["sleep", "1000"]
    container, _ = await engine.containers.create(Request(made, host_ or host(), {}))
    await container.start()
    return container


def cgroup_value(container: Container, controller: str, name: str) -> str:
    path = next(Path("/sys/fs/cgroup").glob(f"{controller}/*/{container.id}/{name}"), None)
    if path is None:
        pytest.skip(f"cgroup v1's {controller}/{name} is missing on this host")
    return path.read_text().strip()


# -- process ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "groups", "expected"),
    [
        ("", [], "0 0 0 50"),
        ("app", [], "1000 1000 29 50 1000"),
        ("app:audio", [], "1000 29 29"),
        ("1000:50", [], "1000 50 50"),
        ("1234", [], "1234 0 0"),
        ("1234:5678", ["audio", "777"], "1234 5678 29 777 5678"),
    ],
)
async def test_user_group_and_supplementary_groups(engine: Engine, user: str, groups: list[str], expected: str) -> None:
    found = await said(
        engine,
        "echo $(id -u) $(id -g) $(id -G | tr ' ' '\\n' | sort -n -u)",
        config_=config(User=user),
        host_=host(GroupAdd=groups),
    )
    assert found.split() == expected.split()


async def test_an_unknown_user_is_refused_at_the_start(engine: Engine) -> None:
    with pytest.raises(DockwrightError, match="unable to find user nosuch"):
        await said(engine, "true", config_=config(User="nosuch"))


async def test_the_working_directory_is_made(engine: Engine) -> None:
    assert (
        await said(engine, "pwd; touch x && ls", config_=config(WorkingDir="/made/on/../for/me")) == "/made/for/me\nx\n"
    )


async def test_environment_hostname_and_home(engine: Engine) -> None:
    made = config(Env=["A=b c", "PATH=/bin", "EMPTY="], Hostname="boat", User="app")
    lines = (await said(engine, "env; hostname; cat /etc/hostname", config_=made)).splitlines()
    assert {"A=b c", "PATH=/bin", "EMPTY=", "HOSTNAME=boat", "HOME=/home/app"} <= set(lines)
    assert lines[-2:] == ["boat", "boat"]


async def test_ulimits_and_oom_score(engine: Engine) -> None:
    found = await said(
        engine,
        "ulimit -n; ulimit -Hn; ulimit -c; cat /proc/self/oom_score_adj",
        host_=host(
            Ulimits=[{"Name": "nofile", "Soft": 64, "Hard": 128}, {"Name": "core", "Soft": 0, "Hard": 0}],
            OomScoreAdj=321,
        ),
    )
    assert found.split() == ["64", "128", "0", "321"]


# -- security ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, DEFAULT_CAPABILITIES),
        ({"CapDrop": ["ALL"]}, 0),
        ({"CapDrop": ["ALL"], "CapAdd": ["CHOWN", "cap_kill"]}, 1 << 0 | 1 << 5),
        ({"CapDrop": ["net_raw"]}, DEFAULT_CAPABILITIES & ~(1 << 13)),
        ({"CapAdd": ["NET_ADMIN"]}, DEFAULT_CAPABILITIES | 1 << 12),
    ],
    ids=str,
)
async def test_capabilities_in_every_set(engine: Engine, options: dict[str, Any], expected: int) -> None:
    text = await said(engine, "grep Cap /proc/self/status", host_=host(**options))
    sets = {line.split(":")[0]: int(line.split()[1], 16) for line in text.splitlines()}
    assert sets["CapBnd"] == sets["CapEff"] == sets["CapPrm"] == expected
    assert sets["CapAmb"] == 0


async def test_a_user_other_than_root_has_no_effective_capabilities(engine: Engine) -> None:
    text = await said(engine, "grep Cap /proc/self/status", config_=config(User="app"))
    sets = {line.split(":")[0]: int(line.split()[1], 16) for line in text.splitlines()}
    assert sets["CapEff"] == 0
    assert sets["CapBnd"] == DEFAULT_CAPABILITIES


async def test_seccomp_denies_new_user_namespaces_unless_unconfined(engine: Engine) -> None:
    script = "unshare -U true 2>/dev/null && echo allowed || echo denied; grep Seccomp: /proc/self/status"
    assert (await said(engine, script)).split() == ["denied", "Seccomp:", "2"]
    unconfined = await said(engine, script, host_=host(SecurityOpt=["seccomp=unconfined"]))
    assert unconfined.split() == ["allowed", "Seccomp:", "0"]


async def test_a_seccomp_profile_of_ones_own(engine: Engine) -> None:
    profile = '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO"}]}'
    script = "mkdir /x 2>/dev/null && echo made || echo denied"
    assert await said(engine, script, host_=host(SecurityOpt=[f"seccomp={profile}"])) == "denied\n"
    assert await said(engine, script) == "made\n"


async def test_no_new_privileges(engine: Engine) -> None:
    script = "grep NoNewPrivs /proc/self/status"
    assert (await said(engine, script)).split()[-1] == "0"
    assert (await said(engine, script, host_=host(SecurityOpt=["no-new-privileges"]))).split()[-1] == "1"


async def test_masked_and_read_only_paths(engine: Engine) -> None:
    script = (
        "cat /proc/kcore | head -c 1 | wc -c; ls /sys/firmware | wc -l; "
        "echo 1 > /proc/sys/kernel/domainname 2>/dev/null && echo written || echo refused"
    )
    assert (await said(engine, script)).split() == ["0", "0", "refused"]
    own = "cat /etc/os-release | wc -c; touch /home/x 2>/dev/null && echo written || echo refused"
    made = host(MaskedPaths=["/etc/os-release"], ReadonlyPaths=["/home"])
    assert (await said(engine, own, host_=made)).split() == ["0", "refused"]


async def test_privileged_sees_devices_and_writes_sysfs(engine: Engine) -> None:
    script = "test -w /sys/fs && grep -q ' /sys sysfs rw' /proc/mounts && echo writable; ls /dev | wc -l; grep Seccomp: /proc/self/status"
    words = (await said(engine, script, host_=host(Privileged=True))).split()
    assert words[0] == "writable"
    assert int(words[1]) > 15
    assert words[-1] == "0"


async def test_device_rules_are_held(engine: Engine) -> None:
    script = "mknod /zero c 1 5 && head -c 1 /zero | wc -c; mknod /mem c 1 1 && head -c 1 /mem >/dev/null 2>&1 && echo read || echo denied"
    assert (await said(engine, script)).split() == ["1", "denied"]
    device = {"PathOnHost": "/dev/zero", "PathInContainer": "/dev/mine", "CgroupPermissions": "r"}
    found = await said(
        engine,
        "head -c 2 /dev/mine | wc -c; ls -l /dev/mine | cut -c1",
        host_=host(Devices=[device], DeviceCgroupRules=["c 10:200 rwm"]),
    )
    assert found.split() == ["2", "c"]


# -- limits -------------------------------------------------------------------------------------------------------------------


async def test_limits_are_in_the_cgroup(engine: Engine) -> None:
    container = await started(
        engine,
        host_=host(
            Memory=64 << 20,
            MemoryReservation=32 << 20,
            CpuShares=300,
            CpuPeriod=50_000,
            CpuQuota=20_000,
            CpusetCpus="0",
            PidsLimit=17,
        ),
    )
    assert cgroup_value(container, "memory", "memory.limit_in_bytes") == str(64 << 20)
    assert cgroup_value(container, "memory", "memory.soft_limit_in_bytes") == str(32 << 20)
    assert cgroup_value(container, "cpu*", "cpu.shares") == "300"
    assert cgroup_value(container, "cpu*", "cpu.cfs_period_us") == "50000"
    assert cgroup_value(container, "cpu*", "cpu.cfs_quota_us") == "20000"
    assert cgroup_value(container, "cpuset", "cpuset.cpus") == "0"
    assert cgroup_value(container, "pids", "pids.max") == "17"


async def test_the_pids_limit_is_felt(engine: Engine) -> None:
    done = await engine.run(
        "busybox",
        ["sh", "-c", "for i in 1 2 3 4 5 6 7 8 9; do sleep 2 & done; echo $?"],
        host=host(PidsLimit=5),
    )
    assert b"can't fork" in done.stderr


async def test_running_out_of_memory_is_recorded(engine: Engine) -> None:
    container = await started(
        engine, "sh", "-c", "tail -c 200m /dev/zero | wc -c; exit 1", host_=host(Memory=24 << 20, MemorySwap=24 << 20)
    )
    ending = await container.wait(Condition.NOT_RUNNING)
    assert ending.exit_code != 0
    assert container.record.state.oom_killed is True


# -- file systems ---------------------------------------------------------------------------------------------------------------


async def test_shm_size_and_tmpfs_options(engine: Engine) -> None:
    script = "df -k /dev/shm | tail -1; df -k /t | tail -1; stat -c %a /t; grep ' /t ' /proc/mounts"
    lines = (
        await said(engine, script, host_=host(ShmSize=3 << 20, Tmpfs={"/t": "size=2m,mode=0711,exec"}))
    ).splitlines()
    assert lines[0].split()[1] == "3072"
    assert lines[1].split()[1] == "2048"
    assert lines[2] == "711"
    assert "noexec" not in lines[3]
    assert "nosuid" in lines[3]


async def test_binds_are_read_only_or_not_and_recursive(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("there")
    script = "cat /ro/file; touch /ro/x 2>/dev/null || echo refused; echo back > /rw/back"
    found = await said(engine, script, host_=host(Binds=[f"{tmp_path}:/ro:ro", f"{tmp_path}:/rw"]))
    assert found == "thererefused\n"
    assert (tmp_path / "back").read_text() == "back\n"


async def test_a_file_may_be_bound(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("one file")
    assert await said(engine, "cat /etc/deep/file", host_=host(Binds=[f"{tmp_path}/file:/etc/deep/file"])) == "one file"


@pytest.mark.parametrize(("propagation", "seen"), [("rslave", True), ("rprivate", False)])
async def test_a_mount_made_later_arrives_where_the_propagation_says(
    engine: Engine, tmp_path: Path, propagation: str, seen: bool
) -> None:
    shared = tmp_path / "shared"
    (shared / "later").mkdir(parents=True)
    await _mount("--bind", shared, shared)
    try:
        await _mount("--make-shared", shared)
        container = await started(engine, host_=host(Binds=[f"{shared}:/s:{propagation}"]))
        await _mount("-t", "tmpfs", "later", shared / "later")
        try:
            pid = container.record.state.pid
            mounts = await asyncio.to_thread(Path(f"/proc/{pid}/mountinfo").read_text)
            assert (" /s/later " in mounts) is seen
        finally:
            await _command("umount", shared / "later")
    finally:
        await container.remove(force=True)
        await _command("umount", shared)


async def _mount(*arguments: object) -> None:
    await _command("mount", *arguments)


async def _command(*arguments: object) -> None:
    process = await asyncio.create_subprocess_exec(*map(str, arguments))
    assert await process.wait() == 0


async def test_a_named_volume_is_filled_from_the_image_and_outlives_the_container(engine: Engine) -> None:
    made = host(Mounts=[{"Type": "volume", "Source": "kept", "Target": "/home"}])
    assert await said(engine, "cat /home/app/.profile; echo more > /home/more", host_=made) == "export FROM_PROFILE=1\n"
    assert await said(engine, "cat /home/more", host_=made) == "more\n"
    empty = host(Mounts=[{"Type": "volume", "Source": "bare", "Target": "/home", "VolumeOptions": {"NoCopy": True}}])
    assert await said(engine, "ls /home", host_=empty) == ""


async def test_a_link_in_the_image_does_not_lead_a_mount_out_of_the_root(engine: Engine, tmp_path: Path) -> None:
    first = await started(engine, "sh", "-c", "ln -s / /out; ln -s ../../../../../../opt /up")
    await first.wait(Condition.NOT_RUNNING)
    await commit(first, "linked")
    made = config(Image="linked", Cmd=["sh", "-c", "touch /out/planted; stat -f -c %T /opt; sleep 1000"])
    container, _ = await engine.containers.create(Request(made, host(Tmpfs={"/up": ""}), {}))
    await container.start()
    mounts = await asyncio.to_thread(Path("/proc/self/mountinfo").read_text)
    assert " /opt " not in mounts
    assert " /opt " in await asyncio.to_thread(Path(f"/proc/{container.record.state.pid}/mountinfo").read_text)
    assert not os.path.exists("/planted")


# -- namespaces -----------------------------------------------------------------------------------------------------------------


def namespace(container: Container, kind: str) -> str:
    return os.readlink(f"/proc/{container.record.state.pid}/ns/{kind}")


async def test_namespaces_are_the_containers_own_the_hosts_or_anothers(engine: Engine) -> None:
    kinds = ("pid", "ipc", "uts", "net")
    own = await started(engine, host_=host(IpcMode="shareable"))
    assert all(namespace(own, kind) != os.readlink(f"/proc/self/ns/{kind}") for kind in (*kinds, "mnt"))
    hosts = await started(engine, host_=host(PidMode="host", IpcMode="host", UTSMode="host", NetworkMode="host"))
    assert all(namespace(hosts, kind) == os.readlink(f"/proc/self/ns/{kind}") for kind in kinds)
    shared = await started(
        engine,
        host_=host(PidMode=f"container:{own.id}", IpcMode=f"container:{own.name}", NetworkMode=f"container:{own.id}"),
    )
    assert all(namespace(shared, kind) == namespace(own, kind) for kind in ("pid", "ipc", "net"))


async def test_shared_memory_is_shared_with_who_shares_the_ipc_namespace(engine: Engine) -> None:
    donor = await started(engine, "sh", "-c", "echo seen > /dev/shm/x; sleep 1000", host_=host(IpcMode="shareable"))
    made = host(IpcMode=f"container:{donor.id}")
    while await said(engine, "cat /dev/shm/x 2>/dev/null; true", host_=made) != "seen\n":
        await asyncio.sleep(0.02)
    private = await started(engine)
    with pytest.raises(Invalid, match="non-shareable IPC"):
        await said(engine, "true", host_=host(IpcMode=f"container:{private.id}"))


async def test_a_private_cgroup_namespace_hides_the_path(engine: Engine) -> None:
    private = await said(engine, "cat /proc/self/cgroup", host_=host(CgroupnsMode="private"))
    assert all(line.endswith(":/") for line in private.splitlines())
    shown = await said(
        engine, "cat /proc/self/cgroup", host_=host(CgroupnsMode="host", CgroupParent="/dockwright/mine")
    )
    assert "/dockwright/mine/" in shown
    for parent in Path("/sys/fs/cgroup").glob("*/dockwright/mine"):
        parent.rmdir()


async def test_sysctls(engine: Engine) -> None:
    made = host(Sysctls={"net.ipv4.ip_forward": "1", "kernel.shmmni": "128"})
    found = await said(engine, "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmni", host_=made)
    assert found.split() == ["1", "128"]


# -- life -------------------------------------------------------------------------------------------------------------------------


async def until(container: Container, holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0.02)


async def test_the_stop_signal_and_timeout_are_the_containers_own(engine: Engine) -> None:
    made = config(StopSignal="USR2", StopTimeout=60)
    script = "trap 'exit 9' USR2; touch /ready; while :; do sleep 0.05; done"
    container = await started(engine, "sh", "-c", script, config_=made)
    await until(container, lambda: os.path.exists(f"/proc/{container.record.state.pid}/root/ready"))
    await container.stop()
    assert container.record.state.exit_code == 9
    deaf = await started(engine, config_=config(StopTimeout=0))
    await deaf.stop()
    assert deaf.record.state.exit_code == 137


async def test_restarts_back_off_and_count(engine: Engine) -> None:
    policy = host()
    policy.restart_policy = RestartPolicy(name="on-failure", maximum_retry_count=3)
    began = time.monotonic()
    container = await started(engine, "false", host_=policy)
    await until(container, lambda: container.status is Status.EXITED)
    assert container.record.state.restart_count == 3
    assert time.monotonic() - began >= 0.1 + 0.2 + 0.4


async def test_a_restart_can_be_called_off_while_it_waits(engine: Engine) -> None:
    policy = host()
    policy.restart_policy = RestartPolicy(name="always")
    container = await started(engine, "false", host_=policy)
    await until(container, lambda: container.status is Status.RESTARTING)
    await container.stop()
    assert container.status is Status.EXITED
    await asyncio.sleep(0.3)
    assert container.status is Status.EXITED


async def test_health_has_a_start_period_and_turns(engine: Engine) -> None:
    check = {
        "Test": ["CMD-SHELL", "echo looked; test -e /well"],
        "Interval": 3_600_000_000_000,
        "StartPeriod": 3_600_000_000_000,
        "StartInterval": 30_000_000,
        "Retries": 1,
    }
    container = await started(engine, config_=config(Healthcheck=check))
    health = container.record.state.health
    assert health is not None
    await until(container, lambda: len(health.log) >= 3)
    assert (health.status, health.failing_streak) == ("starting", 0)  # failures count only after the start period
    pid = container.record.state.pid
    await asyncio.to_thread(Path(f"/proc/{pid}/root/well").touch)
    await until(container, lambda: health.status == "healthy")
    assert health.log[-1].output == "looked\n"
    assert health.log[-1].exit_code == 0


async def test_a_probe_that_takes_too_long_fails(engine: Engine) -> None:
    check = {"Test": ["CMD", "sleep", "100"], "Interval": 20_000_000, "Timeout": 50_000_000, "Retries": 1}
    container = await started(engine, config_=config(Healthcheck=check))
    health = container.record.state.health
    assert health is not None
    await until(container, lambda: health.status == "unhealthy")
    assert "exceeded timeout" in health.log[-1].output


@pytest.mark.parametrize(("command", "code"), [("no-such-program", 127), ("/etc/passwd", 126), ("/etc", 126)])
async def test_what_cannot_be_executed_has_dockers_exit_code(engine: Engine, command: str, code: int) -> None:
    container, _ = await engine.containers.create(Request(config(Image="busybox", Cmd=[command]), host(), {}))
    with pytest.raises(StartFailed) as caught:
        await container.start()
    assert caught.value.exit_code == code
    assert container.record.state.exit_code == code
    assert container.status is Status.CREATED


async def test_an_init_reaps_what_is_left_to_it(engine: Engine) -> None:
    made = host(Init=True)
    script = "(sleep 0.1 &) ; sleep 0.4; ps -o stat,comm | grep -c '^Z'; true"
    found = await engine.run("busybox", ["sh", "-c", script], host=made)
    assert found.stdout.strip() == b"0"


async def test_the_engine_runs_and_tells_the_streams_apart(engine: Engine) -> None:
    done = await engine.run("busybox", ["sh", "-c", "cat; echo err >&2; exit 3"], host=host(), stdin=b"through")
    assert (done.exit_code, done.stdout, done.stderr) == (3, b"through", b"err\n")
    assert engine.containers.all() == []
