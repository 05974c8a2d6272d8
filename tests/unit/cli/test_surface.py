"""Our commands and options beside Docker's (`cli-surface.json`): names, types, defaults, and that each reaches the request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dockwright.cli import index
from dockwright.cli.command import Command
from dockwright.cli.flags import Flag, Parser
from dockwright.cli.main import global_flags
from dockwright.cli.options.assemble import request
from dockwright.cli.unknown import _LATER

SURFACE: dict[str, Any] = json.loads((Path(__file__).parent / "cli-surface.json").read_text())
COMMANDS = list(index.everything())
OURS_ALONE = {
    "completion",
    "system reconcile",
    "image bootstrap",
    "image diff",
    "builder du",
    *(f"volume {verb}" for verb in ("snapshot", "snapshots", "restore", "clone", "rename", "export", "import")),
}
# Those of `docker buildx build`, which the surface does not hold, and ours alone.
_BUILDX = (
    "allow annotation attest build-context builder cache-to call check debug load metadata-file no-cache-filter output"
)
_BUILDX += " progress provenance push sbom secret ssh"
OUR_OPTIONS = {
    "container update": {"mount-add", "mount-rm", "publish-add", "publish-rm"},
    "builder prune": {"max-used-space", "min-free-space", "reserved-space", "verbose"},
    "image build": {*_BUILDX.split(), "explain", "keep-times", "on-fail"},
}


def _default(flag: Flag) -> str | None:
    """A default as the surface writes it."""
    if flag.default is None:
        return "<nil>" if flag.kind == "ip" else None
    if isinstance(flag.default, bool):
        return "true" if flag.default else None
    return f"{flag.default}s" if flag.kind == "duration" else str(flag.default)


def _declared(flags: tuple[Flag, ...]) -> dict[str, tuple[str, str, str | None]]:
    return {flag.name: (flag.short, flag.kind, _default(flag)) for flag in flags}


def _expected(name: str) -> dict[str, tuple[str, str, str | None]]:
    found = {}
    for option in SURFACE[name]["options"]:
        long = next(text for text in option["flags"] if text.startswith("--"))[2:]
        short = next((text[1:] for text in option["flags"] if not text.startswith("--")), "")
        found[long] = (short, option["type"], option["default"])
    return found


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.names[0])
def test_a_command_has_dockers_names_options_types_and_defaults(command: Command) -> None:
    if command.names[0] in OURS_ALONE:
        return
    assert set(command.names) == set(SURFACE[command.names[0]]["aliases"])
    ours, theirs = _declared(command.flags), _expected(command.names[0])
    theirs.pop("help", None)
    hidden = {flag.name for flag in command.flags if flag.hidden} - set(theirs)
    hidden |= OUR_OPTIONS.get(command.names[0], set())
    assert {name: one for name, one in ours.items() if name not in hidden} == theirs


def test_every_command_of_containers_images_contexts_and_system_is_here_or_said_to_come() -> None:
    ours = {name for command in COMMANDS for name in command.names}
    for name, entry in SURFACE.items():
        noun = name.split(" ")[0]
        canonical = entry["canonical"].split(" ")[0]
        if name and canonical in index.NOUNS and name not in index.NOUNS:
            assert name in ours or name.split(" ")[-1] in _LATER, name
        elif name and name not in ours and name not in index.NOUNS:
            assert noun in _LATER or name == "index", name


def test_the_global_options_are_dockers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/root")
    monkeypatch.delenv("DOCKER_CONFIG", raising=False)
    monkeypatch.delenv("DOCKER_CERT_PATH", raising=False)
    ours = _declared(global_flags())
    ours.pop("version")
    assert ours == _expected("")


@pytest.mark.parametrize("name", [name for command in COMMANDS for name in command.names])
def test_a_command_is_found_by_each_of_its_names(name: str) -> None:
    found = index.find([*name.split(" "), "extra"])
    assert found is not None
    assert name in found[0].names
    assert found[1:] == (name, len(name.split(" ")))


# Each option of run and create: what is given, where it must be in the request, and what must be there.
HOST = "HostConfig"
REACHES: dict[str, tuple[list[str], str, Any]] = {
    "add-host": (
        ["--add-host=a:1.2.3.4", "--add-host=b=host-gateway"],
        f"{HOST}.ExtraHosts",
        ["a:1.2.3.4", "b:host-gateway"],
    ),
    "annotation": (["--annotation", "a=b"], f"{HOST}.Annotations", {"a": "b"}),
    "attach": (["-a", "STDERR"], "AttachStdout", False),
    "blkio-weight": (["--blkio-weight=300"], f"{HOST}.BlkioWeight", 300),
    "blkio-weight-device": (
        ["--blkio-weight-device=/dev/a:200"],
        f"{HOST}.BlkioWeightDevice",
        [{"Path": "/dev/a", "Weight": 200}],
    ),
    "cap-add": (["--cap-add", "NET_ADMIN"], f"{HOST}.CapAdd", ["NET_ADMIN"]),
    "cap-drop": (["--cap-drop=ALL"], f"{HOST}.CapDrop", ["ALL"]),
    "cgroup-parent": (["--cgroup-parent=/x"], f"{HOST}.CgroupParent", "/x"),
    "cgroupns": (["--cgroupns=private"], f"{HOST}.CgroupnsMode", "private"),
    "cpu-count": (["--cpu-count=2"], f"{HOST}.CpuCount", 2),
    "cpu-percent": (["--cpu-percent=50"], f"{HOST}.CpuPercent", 50),
    "cpu-period": (["--cpu-period=100000"], f"{HOST}.CpuPeriod", 100000),
    "cpu-quota": (["--cpu-quota=-1"], f"{HOST}.CpuQuota", -1),
    "cpu-rt-period": (["--cpu-rt-period=10"], f"{HOST}.CpuRealtimePeriod", 10),
    "cpu-rt-runtime": (["--cpu-rt-runtime=5"], f"{HOST}.CpuRealtimeRuntime", 5),
    "cpu-shares": (["-c", "512"], f"{HOST}.CpuShares", 512),
    "cpus": (["--cpus=1.5"], f"{HOST}.NanoCpus", 1_500_000_000),
    "cpuset-cpus": (["--cpuset-cpus=0,1"], f"{HOST}.CpusetCpus", "0,1"),
    "cpuset-mems": (["--cpuset-mems=0"], f"{HOST}.CpusetMems", "0"),
    "device": (
        ["--device=/dev/fuse:/dev/f:r", "--device=v.com/gpu=0"],
        f"{HOST}.Devices",
        [{"PathOnHost": "/dev/fuse", "PathInContainer": "/dev/f", "CgroupPermissions": "r"}],
    ),
    "device-cgroup-rule": (["--device-cgroup-rule=c 13:* rwm"], f"{HOST}.DeviceCgroupRules", ["c 13:* rwm"]),
    "device-read-bps": (
        ["--device-read-bps=/dev/a:1mb"],
        f"{HOST}.BlkioDeviceReadBps",
        [{"Path": "/dev/a", "Rate": 1 << 20}],
    ),
    "device-read-iops": (
        ["--device-read-iops=/dev/a:7"],
        f"{HOST}.BlkioDeviceReadIOps",
        [{"Path": "/dev/a", "Rate": 7}],
    ),
    "device-write-bps": (
        ["--device-write-bps=/dev/a:1k"],
        f"{HOST}.BlkioDeviceWriteBps",
        [{"Path": "/dev/a", "Rate": 1024}],
    ),
    "device-write-iops": (
        ["--device-write-iops=/dev/a:7"],
        f"{HOST}.BlkioDeviceWriteIOps",
        [{"Path": "/dev/a", "Rate": 7}],
    ),
    "dns": (["--dns=1.1.1.1"], f"{HOST}.Dns", ["1.1.1.1"]),
    "dns-option": (["--dns-option=ndots:2"], f"{HOST}.DnsOptions", ["ndots:2"]),
    "dns-search": (["--dns-search=example.org"], f"{HOST}.DnsSearch", ["example.org"]),
    "domainname": (["--domainname=d"], "Domainname", "d"),
    "entrypoint": (["--entrypoint", ""], "Entrypoint", [""]),
    "env": (["-e", "A=b", "-eC=d"], "Env", ["A=b", "C=d"]),
    "env-file": (["--env-file={file}"], "Env", ["FROM=file"]),
    "expose": (["--expose=80-81/udp"], "ExposedPorts", {"80/udp": {}, "81/udp": {}}),
    "gpus": (
        ["--gpus=all"],
        f"{HOST}.DeviceRequests",
        [{"Driver": "", "Count": -1, "DeviceIDs": [], "Capabilities": [["gpu"]], "Options": {}}],
    ),
    "group-add": (["--group-add=audio"], f"{HOST}.GroupAdd", ["audio"]),
    "health-cmd": (["--health-cmd=true"], "Healthcheck.Test", ["CMD-SHELL", "true"]),
    "health-interval": (["--health-interval=1m30s"], "Healthcheck.Interval", 90_000_000_000),
    "health-retries": (["--health-retries=3"], "Healthcheck.Retries", 3),
    "health-start-interval": (["--health-start-interval=5s"], "Healthcheck.StartInterval", 5_000_000_000),
    "health-start-period": (["--health-start-period=500ms"], "Healthcheck.StartPeriod", 500_000_000),
    "health-timeout": (["--health-timeout=2s"], "Healthcheck.Timeout", 2_000_000_000),
    "hostname": (["-h", "name"], "Hostname", "name"),
    "init": (["--init"], f"{HOST}.Init", True),
    "interactive": (["-i"], "StdinOnce", True),
    "io-maxbandwidth": (["--io-maxbandwidth=1m"], f"{HOST}.IOMaximumBandwidth", 1 << 20),
    "io-maxiops": (["--io-maxiops=5"], f"{HOST}.IOMaximumIOps", 5),
    "ip": (["--network=n", "--ip=10.0.0.5"], "NetworkingConfig.EndpointsConfig.n.IPAMConfig.IPv4Address", "10.0.0.5"),
    "ip6": (["--network=n", "--ip6=fd00::5"], "NetworkingConfig.EndpointsConfig.n.IPAMConfig.IPv6Address", "fd00::5"),
    "ipc": (["--ipc=host"], f"{HOST}.IpcMode", "host"),
    "isolation": (["--isolation=default"], f"{HOST}.Isolation", "default"),
    "label": (["-l", "a=b", "--label=c"], "Labels", {"a": "b", "c": ""}),
    "label-file": (["--label-file={file}"], "Labels", {"FROM": "file"}),
    "link": (["--link=db", "--link=x:y"], f"{HOST}.Links", ["db:db", "x:y"]),
    "link-local-ip": (
        ["--network=n", "--link-local-ip=169.254.1.1"],
        "NetworkingConfig.EndpointsConfig.n.IPAMConfig.LinkLocalIPs",
        ["169.254.1.1"],
    ),
    "log-driver": (["--log-driver=local"], f"{HOST}.LogConfig.Type", "local"),
    "log-opt": (["--log-opt=max-size=1m"], f"{HOST}.LogConfig.Config", {"max-size": "1m"}),
    "mac-address": (["--mac-address=92:d0:c6:0a:29:33"], "MacAddress", "92:d0:c6:0a:29:33"),
    "memory": (["-m", "512m"], f"{HOST}.Memory", 512 << 20),
    "memory-reservation": (["--memory-reservation=1g"], f"{HOST}.MemoryReservation", 1 << 30),
    "memory-swap": (["--memory-swap=-1"], f"{HOST}.MemorySwap", -1),
    "memory-swappiness": (["--memory-swappiness=0"], f"{HOST}.MemorySwappiness", 0),
    "mount": (
        ["--mount=type=bind,src=/a,dst=/b,readonly,bind-propagation=rshared"],
        f"{HOST}.Mounts",
        [{"Type": "bind", "Source": "/a", "Target": "/b", "ReadOnly": True, "BindOptions": {"Propagation": "rshared"}}],
    ),
    "network": (["--net=host"], f"{HOST}.NetworkMode", "host"),
    "network-alias": (["--network=n", "--network-alias=x"], "NetworkingConfig.EndpointsConfig.n.Aliases", ["x"]),
    "no-healthcheck": (["--no-healthcheck"], "Healthcheck", {"Test": ["NONE"]}),
    "oom-kill-disable": (["--oom-kill-disable"], f"{HOST}.OomKillDisable", True),
    "oom-score-adj": (["--oom-score-adj=-500"], f"{HOST}.OomScoreAdj", -500),
    "pid": (["--pid=container:x"], f"{HOST}.PidMode", "container:x"),
    "pids-limit": (["--pids-limit=-1"], f"{HOST}.PidsLimit", -1),
    "privileged": (["--privileged"], f"{HOST}.Privileged", True),
    "publish": (
        ["-p", "127.0.0.1:8080:80"],
        f"{HOST}.PortBindings",
        {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]},
    ),
    "publish-all": (["-P"], f"{HOST}.PublishAllPorts", True),
    "read-only": (["--read-only"], f"{HOST}.ReadonlyRootfs", True),
    "restart": (["--restart=on-failure:3"], f"{HOST}.RestartPolicy", {"Name": "on-failure", "MaximumRetryCount": 3}),
    "rm": (["--rm"], f"{HOST}.AutoRemove", True),
    "runtime": (["--runtime=runc"], f"{HOST}.Runtime", "runc"),
    "security-opt": (
        ["--security-opt=seccomp={profile}"],
        f"{HOST}.SecurityOpt",
        ['seccomp={"defaultAction":"SCMP_ACT_ALLOW"}'],
    ),
    "shm-size": (["--shm-size=1g"], f"{HOST}.ShmSize", 1 << 30),
    "stop-signal": (["--stop-signal=INT"], "StopSignal", "INT"),
    "stop-timeout": (["--stop-timeout=0"], "StopTimeout", 0),
    "storage-opt": (["--storage-opt=size=1G"], f"{HOST}.StorageOpt", {"size": "1G"}),
    "sysctl": (["--sysctl=net.core.somaxconn=9"], f"{HOST}.Sysctls", {"net.core.somaxconn": "9"}),
    "tmpfs": (["--tmpfs=/run:size=1m"], f"{HOST}.Tmpfs", {"/run": "size=1m"}),
    "tty": (["-t"], "Tty", True),
    "ulimit": (["--ulimit=nofile=10:20"], f"{HOST}.Ulimits", [{"Name": "nofile", "Soft": 10, "Hard": 20}]),
    "user": (["-u", "1:2"], "User", "1:2"),
    "userns": (["--userns=host"], f"{HOST}.UsernsMode", "host"),
    "uts": (["--uts=host"], f"{HOST}.UTSMode", "host"),
    "volume": (["-v", "/a:/b:ro", "-v/c"], f"{HOST}.Binds", ["/a:/b:ro"]),
    "volume-driver": (["--volume-driver=local"], f"{HOST}.VolumeDriver", "local"),
    "volumes-from": (["--volumes-from=x:ro"], f"{HOST}.VolumesFrom", ["x:ro"]),
    "workdir": (["-w", "/w"], "WorkingDir", "/w"),
}
# Options that are about the call or about us; test_commands.py shows what each does.
ELSEWHERE = {"cidfile", "name", "platform", "pull", "quiet", "use-api-socket", "detach", "detach-keys", "sig-proxy"}


def test_the_table_has_every_option_of_run() -> None:
    run = next(command for command in COMMANDS if "run" in command.names)
    assert {flag.name for flag in run.flags} == set(REACHES) | ELSEWHERE


@pytest.mark.parametrize("name", sorted(REACHES))
def test_an_option_of_run_reaches_the_request(name: str, tmp_path: Path) -> None:
    given, path, expected = REACHES[name]
    (tmp_path / "file").write_text("# a comment\n\nFROM=file\nUNSET_HERE\n" if name == "env-file" else "FROM=file\n")
    (tmp_path / "profile").write_text('{\n  "defaultAction": "SCMP_ACT_ALLOW"\n}')
    words = [
        text.format(file=tmp_path / "file", profile=tmp_path / "profile") if "{" in text else text for text in given
    ]
    run = next(command for command in COMMANDS if "run" in command.names)
    options, arguments = Parser(run.flags, interspersed=False).parse([*words, "image", "cmd", "-x"])
    found: Any = request(options, arguments[0], arguments[1:])
    assert (found["Image"], found["Cmd"]) == ("image", ["cmd", "-x"])
    for key in path.split("."):
        found = found[key]
    assert found == expected
