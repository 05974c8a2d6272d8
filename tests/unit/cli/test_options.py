"""The syntaxes of run and create that need more than one example, and what is refused, in Docker's words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dockwright import errors
from dockwright.cli import index
from dockwright.cli.flags import Parser, UsageError
from dockwright.cli.options import mounts, networks, ports
from dockwright.cli.options.assemble import request


def built(*words: str) -> dict[str, Any]:
    found = index.find(["run"])
    assert found is not None
    options, arguments = Parser(found[0].flags, interspersed=False).parse([*words, "image"])
    return request(options, arguments[0], arguments[1:])


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("80", {"80/tcp": [("", "")]}),
        ("80/udp", {"80/udp": [("", "")]}),
        ("8080:80", {"80/tcp": [("", "8080")]}),
        ("127.0.0.1::80", {"80/tcp": [("127.0.0.1", "")]}),
        ("[::1]:8080:80/SCTP", {"80/sctp": [("::1", "8080")]}),
        ("8000-8001:80-81", {"80/tcp": [("", "8000")], "81/tcp": [("", "8001")]}),
        ("8000-8010:80", {"80/tcp": [("", "8000-8010")]}),
        ("published=8080,target=80,protocol=udp", {"80/udp": [("", "8080")]}),
    ],
)
def test_a_port_is_published(spec: str, expected: dict[str, list[tuple[str, str]]]) -> None:
    found = ports.bindings([spec])
    assert {port: [(one["HostIp"], one["HostPort"]) for one in many] for port, many in found.items()} == expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-p", "x"], "invalid containerPort: x"),
        (["-p", "99999:80"], "invalid hostPort: 99999"),
        (["-p", "1:2:3:4"], "invalid IP address: 1:2"),
        (["-p", "1-2:1-3"], "invalid ranges specified for container and host Ports: 1-3 and 1-2"),
        (["-p", "80/foo"], "invalid proto: foo"),
        (
            ["--expose", "x"],
            'invalid range format for --expose: x, error: strconv.ParseUint: parsing "x": invalid syntax',
        ),
        (["--expose", "1:2"], "invalid port format for --expose: 1:2"),
        (["--restart", "on-failure:x"], "invalid restart policy format: maximum retry count must be an integer"),
        (["--rm", "--restart", "always"], "conflicting options: cannot specify both --restart and --rm"),
        (["-v", ":/x"], "invalid spec: :/x: empty section between colons"),
        (["--security-opt", "foo"], 'Invalid --security-opt: "foo"'),
        (
            ["--security-opt", "seccomp=/nope"],
            "opening seccomp profile (/nope) failed: open /nope: no such file or directory",
        ),
        (["--memory-swappiness", "200"], "invalid value: 200. Valid memory swappiness range is 0-100"),
        (["--storage-opt", "x"], "invalid storage option"),
        (["--pid", "x"], "--pid: invalid PID mode"),
        (["--uts", "x"], "--uts: invalid UTS mode"),
        (["--userns", "x"], "--userns: invalid USER mode"),
        (["--cgroupns", "x"], "--cgroupns: invalid CGROUP mode"),
        (["--health-retries", "-1"], "--health-retries cannot be negative"),
        (["--health-cmd", "x", "--no-healthcheck"], "--no-healthcheck conflicts with --health-* options"),
        (
            ["--network", "host", "--network-alias", "x"],
            "network-scoped aliases are only supported for user-defined networks",
        ),
        (["--mac-address", "x"], "x is not a valid mac address"),
        (["--device", "x:y:z"], "bad mode specified: z"),
        (["--log-driver", "none", "--log-opt", "a=b"], "invalid logging opts for driver none"),
        (
            ["--network", "a", "--network", "host"],
            "conflicting options: cannot attach both user-defined and non-user-defined network-modes",
        ),
    ],
)
def test_options_that_cannot_be_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(errors.Invalid) as caught:
        built(*words)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-m", "x"], 'invalid argument "x" for "-m, --memory" flag: invalid size: \'x\''),
        (["--cpus", "x"], 'invalid argument "x" for "--cpus" flag: failed to parse x as a rational number'),
        (["--cpus", "0.0000000001"], 'invalid argument "0.0000000001" for "--cpus" flag: value is too precise'),
        (["--health-interval", "x"], 'invalid argument "x" for "--health-interval" flag: time: invalid duration "x"'),
        (
            ["--health-interval", "1"],
            'invalid argument "1" for "--health-interval" flag: time: missing unit in duration "1"',
        ),
        (
            ["--blkio-weight", "70000"],
            'invalid argument "70000" for "--blkio-weight" flag: strconv.ParseUint: parsing "70000": value out of range',
        ),
        (["--ulimit", "x"], 'invalid argument "x" for "--ulimit" flag: invalid ulimit argument: x'),
        (["--ulimit", "foo=1"], 'invalid argument "foo=1" for "--ulimit" flag: invalid ulimit type: foo'),
        (
            ["--ulimit", "nofile=5:3"],
            'invalid argument "nofile=5:3" for "--ulimit" flag: '
            "ulimit soft limit must be less than or equal to hard limit: 5 > 3",
        ),
        (["--mount", "x"], 'invalid argument "x" for "--mount" flag: invalid field \'x\' must be a key=value pair'),
        (["--mount", "type=bind"], 'invalid argument "type=bind" for "--mount" flag: target is required'),
        (
            ["--mount", "type=bind,src=a,dst=/b,foo=bar"],
            "invalid argument \"type=bind,src=a,dst=/b,foo=bar\" for \"--mount\" flag: unexpected key 'foo' in 'foo=bar'",
        ),
        (["--sysctl", "x"], 'invalid argument "x" for "--sysctl" flag: sysctl \'x\' is not allowed'),
        (
            ["--network", "name=x,foo=bar"],
            'invalid argument "name=x,foo=bar" for "--network" flag: invalid field key foo',
        ),
        (["--gpus", "x=y"], "invalid argument \"x=y\" for \"--gpus\" flag: unexpected key 'x' in 'x=y'"),
        (["--add-host", "x"], 'invalid argument "x" for "--add-host" flag: bad format for add-host: "x"'),
        (["-e", "=x"], 'invalid argument "=x" for "-e, --env" flag: invalid environment variable: =x'),
        (["--label", "=x"], 'invalid argument "=x" for "-l, --label" flag: invalid label \'=x\': empty name'),
        (["--dns", "x"], 'invalid argument "x" for "--dns" flag: IP address is not correctly formatted: x'),
        (["-a", "foo"], 'invalid argument "foo" for "-a, --attach" flag: valid streams are STDIN, STDOUT and STDERR'),
        (["--link", "x:y:z"], 'invalid argument "x:y:z" for "--link" flag: bad format for links: x:y:z'),
        (
            ["--device-cgroup-rule", "x"],
            'invalid argument "x" for "--device-cgroup-rule" flag: invalid device cgroup format \'x\'',
        ),
        (["--foo"], "unknown flag: --foo"),
        (["-Z"], "unknown shorthand flag: 'Z' in -Z"),
        (
            ["--rm=maybe"],
            'invalid argument "maybe" for "--rm" flag: strconv.ParseBool: parsing "maybe": invalid syntax',
        ),
    ],
)
def test_values_that_cannot_be_are_refused_by_their_option(words: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        built(*words)
    assert str(caught.value) == message


def test_an_option_at_the_end_needs_its_value() -> None:
    found = index.find(["ps"])
    assert found is not None
    for words, message in (
        (["--format"], "flag needs an argument: --format"),
        (["-aqn"], "flag needs an argument: 'n' in -n"),
    ):
        with pytest.raises(UsageError, match=message):
            Parser(found[0].flags).parse(words)


@pytest.mark.parametrize(
    "words", [["-itp80"], ["-i", "-t", "-p=80"], ["-ti", "--publish", "80"], ["--tty=1", "-ip", "80"]]
)
def test_short_options_may_share_a_dash(words: list[str]) -> None:
    found = built(*words)
    assert (found["Tty"], found["OpenStdin"], list(found["ExposedPorts"])) == (True, True, ["80/tcp"])


def test_what_follows_the_image_belongs_to_the_container() -> None:
    found = index.find(["run"])
    assert found is not None
    _, arguments = Parser(found[0].flags, interspersed=False).parse(["--rm", "image", "--rm", "-x", "--"])
    assert arguments == ["image", "--rm", "-x", "--"]


def test_a_relative_source_is_made_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert mounts.volumes(["./a:/b", ".:/c:ro", "name:/d"])[0] == [f"{tmp_path}/a:/b", f"{tmp_path}:/c:ro", "name:/d"]
    assert mounts.mount("type=bind,src=./a,dst=/b")["Source"] == f"{tmp_path}/a"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dst=/a", {"Type": "volume", "Target": "/a"}),
        ("type=tmpfs,target=/a,tmpfs-size=1m,tmpfs-mode=1770",
         {"Type": "tmpfs", "Target": "/a", "TmpfsOptions": {"SizeBytes": 1 << 20, "Mode": 0o1770}}),
        ("src=v,dst=/a,volume-nocopy,volume-label=a=b,volume-driver=d,volume-opt=o=1,volume-subpath=s",
         {"Type": "volume", "Source": "v", "Target": "/a", "VolumeOptions": {
             "NoCopy": True, "Labels": {"a": "b"}, "DriverConfig": {"Name": "d", "Options": {"o": "1"}}, "Subpath": "s"}}),
        ("type=bind,src=/a,dst=/a,bind-recursive=disabled",
         {"Type": "bind", "Source": "/a", "Target": "/a", "BindOptions": {"NonRecursive": True}}),
        ("type=image,src=i,dst=/a,image-subpath=/s",
         {"Type": "image", "Source": "i", "Target": "/a", "ImageOptions": {"Subpath": "/s"}}),
        ('type=volume,dst=/a,"volume-opt=o=a,b"',
         {"Type": "volume", "Target": "/a", "VolumeOptions": {"DriverConfig": {"Options": {"o": "a,b"}}}}),
    ],
)  # fmt: skip
def test_a_mount_has_many_fields(text: str, expected: dict[str, Any]) -> None:
    assert mounts.mount(text) == expected


def test_a_network_may_carry_its_own_settings() -> None:
    found = networks.network(
        "name=n,alias=a,alias=b,ip=10.0.0.5,driver-opt=x=y,gw-priority=5,mac-address=92:d0:c6:0a:29:33"
    )
    assert found == {
        "name": "n",
        "endpoint": {
            "Aliases": ["a", "b"],
            "IPAMConfig": {"IPv4Address": "10.0.0.5"},
            "DriverOpts": {"x": "y"},
            "GwPriority": 5,
            "MacAddress": "92:d0:c6:0a:29:33",
        },
    }


def test_several_networks_become_several_endpoints() -> None:
    found = built("--network", "a", "--network", "name=b,alias=x", "--network-alias", "y")
    assert found["HostConfig"]["NetworkMode"] == "a"
    assert found["NetworkingConfig"]["EndpointsConfig"] == {"a": {"Aliases": ["y"]}, "b": {"Aliases": ["x"]}}


def test_our_variables_are_taken_over_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OURS", "1")
    monkeypatch.delenv("THEIRS", raising=False)
    assert built("-e", "OURS", "-e", "THEIRS")["Env"] == ["OURS=1", "THEIRS"]


def test_unconfined_system_paths_are_empty_lists() -> None:
    host = built("--security-opt", "systempaths=unconfined", "--security-opt", "no-new-privileges")["HostConfig"]
    assert (host["MaskedPaths"], host["ReadonlyPaths"], host["SecurityOpt"]) == ([], [], ["no-new-privileges"])
