"""What becomes of options in the OCI specification, where no container is needed to see it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dockwright.container.config import DeviceMapping, HostConfig, Resources, ThrottleDevice, Ulimit
from dockwright.container.spec import capabilities, devices, namespaces, process, resources, seccomp, security, users
from dockwright.errors import DockwrightError, Invalid, Unsupported


def effective(*, add: list[str] | None = None, drop: list[str] | None = None, privileged: bool = False) -> set[str]:
    return set(capabilities.effective(add or [], drop or [], privileged))


def test_the_default_capabilities_are_dockers_fourteen() -> None:
    assert len(capabilities.DEFAULT) == 14
    assert effective() == capabilities.DEFAULT & capabilities.available()


def test_capabilities_are_added_and_dropped_by_any_spelling() -> None:
    assert "CAP_NET_ADMIN" in effective(add=["net_admin"])
    assert "CAP_CHOWN" not in effective(drop=["CAP_CHOWN"])
    assert effective(drop=["ALL"], add=["kill"]) == {"CAP_KILL"}
    assert effective(add=["ALL"], drop=["SYS_ADMIN"]) == set(capabilities.available()) - {"CAP_SYS_ADMIN"}
    assert effective(privileged=True) == set(capabilities.available())
    with pytest.raises(Invalid, match="unknown capability"):
        effective(add=["FLY"])


def test_a_capability_the_engine_lacks_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capabilities, "available", lambda: capabilities.DEFAULT)
    with pytest.raises(Unsupported, match="CAP_SYS_ADMIN"):
        effective(add=["SYS_ADMIN"])


def names_with(profile: Any, action: str) -> set[str]:
    return {
        name
        for rule in profile["syscalls"]
        if rule["action"] == action and not rule.get("args")
        for name in rule["names"]
    }


def test_the_default_seccomp_profile_ties_system_calls_to_capabilities() -> None:
    plain = json.loads(bytes(seccomp.default(frozenset(capabilities.DEFAULT))))
    allowed = names_with(plain, "SCMP_ACT_ALLOW")
    assert {"read", "write", "execve", "openat"} <= allowed
    assert not allowed & {
        "mount",
        "unshare",
        "setns",
        "bpf",
        "keyctl",
        "io_uring_setup",
        "userfaultfd",
        "clone",
        "reboot",
    }
    assert "mount" in names_with(plain, "SCMP_ACT_ERRNO")
    admin = json.loads(bytes(seccomp.default(capabilities.DEFAULT | {"CAP_SYS_ADMIN"})))
    assert {"mount", "unshare", "clone", "clone3"} <= names_with(admin, "SCMP_ACT_ALLOW")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"syscalls": []}', '{"defaultAction": 1, "syscalls": 3}'])
def test_a_seccomp_profile_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="decoding seccomp profile failed"):
        seccomp.from_json(text, [])


def test_rules_of_a_given_profile_follow_capabilities() -> None:
    profile = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "syscalls": [
            {"names": ["read"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["mount"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
            {"names": ["bpf"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "99.0"}},
        ],
    }
    assert names_with(seccomp.from_json(json.dumps(profile), []), "SCMP_ACT_ALLOW") == {"read"}
    assert names_with(seccomp.from_json(json.dumps(profile), ["CAP_SYS_ADMIN"]), "SCMP_ACT_ALLOW") == {"read", "mount"}


def test_security_options() -> None:
    parsed = security.parse(["no-new-privileges", "label=type:x", "systempaths=unconfined", "seccomp=unconfined"])
    assert parsed.no_new_privileges
    assert parsed.labels == ["type:x"]
    assert parsed.unconfined_system_paths
    assert parsed.seccomp == "unconfined"
    assert not security.parse(["no-new-privileges:false"], no_new_privileges=True).no_new_privileges
    for text in ("nonsense", "no-new-privileges=maybe", "color=red", "systempaths=some"):
        with pytest.raises(Invalid, match="invalid --security-opt"):
            security.parse([text])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\nbad line\n")
    (tmp_path / "etc/group").write_text("root:x:0:\nstaff:x:50:app,root\naudio:x:29:app\napp:x:1001:\n")
    return tmp_path


@pytest.mark.parametrize("user", ["nobodyhere", "app:nogroup", "99999999999", "1:99999999999"])
def test_users_that_do_not_exist_are_refused(root: Path, user: str) -> None:
    with pytest.raises(DockwrightError):
        users.resolve(root, user, [])


def test_a_passwd_that_is_a_link_to_the_hosts_is_read_in_the_container(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").symlink_to("/etc/shadow")
    with pytest.raises(Invalid, match="unable to find user"):
        users.resolve(tmp_path, "root-of-the-host", [])


def test_limits() -> None:
    built = resources.build(Resources(memory=64 << 20, nano_cpus=1_500_000_000, pids_limit=7, cpuset_cpus="0"))
    assert built["memory"] == {"limit": 64 << 20, "swap": 128 << 20}
    assert built["cpu"] == {"period": 100_000, "quota": 150_000, "cpus": "0"}
    assert built["pids"] == {"limit": 7}
    assert resources.build(Resources()) == {}
    with pytest.raises(Invalid):
        resources.build(Resources(blkio_device_read_bps=[ThrottleDevice(path="/etc/passwd", rate=1)]))


def test_devices_and_their_rules() -> None:
    host = HostConfig(
        devices=[DeviceMapping(path_on_host="/dev/null", path_in_container="/dev/nothing", cgroup_permissions="r")]
    )
    (node,) = devices.nodes(host)
    assert (node["path"], node["type"], node["major"], node["minor"]) == ("/dev/nothing", "c", 1, 3)
    rules = devices.rules(host, [node])
    assert rules[0] == {"allow": False, "access": "rwm"}
    assert {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "r"} in rules
    for text in ("x 1:3 r", "c 1 r", "c 1:3 rx", ""):
        with pytest.raises(Invalid, match="invalid device cgroup rule"):
            devices.validate(HostConfig(device_cgroup_rules=[text]))
    with pytest.raises(Invalid, match="not a device node"):
        devices.nodes(HostConfig(devices=[DeviceMapping(path_on_host="/etc/passwd")]))


@pytest.mark.parametrize(
    "host",
    [
        HostConfig(pid_mode="odd"),
        HostConfig(ipc_mode="container:"),
        HostConfig(uts_mode="private"),
        HostConfig(cgroupns_mode="x"),
        HostConfig(userns_mode="remap"),
    ],
)
def test_namespace_modes_that_do_not_exist_are_refused(host: HostConfig) -> None:
    with pytest.raises(Invalid, match="invalid"):
        namespaces.validate(host)


def test_namespaces_are_made_shared_or_left_to_the_host() -> None:
    host = HostConfig(pid_mode="host", ipc_mode="container:other", cgroupns_mode="private")
    built = namespaces.build(host, network="/run/netns/x", process_of=lambda _: 42)
    assert {"type": "network", "path": "/run/netns/x"} in built
    assert {"type": "ipc", "path": "/proc/42/ns/ipc"} in built
    kinds = {entry["type"] for entry in built}
    assert kinds == {"mount", "network", "ipc", "uts", "cgroup"}


@pytest.mark.parametrize("limit", [Ulimit(name="nothing", soft=1, hard=1), Ulimit(name="nofile", soft=5, hard=3)])
def test_ulimits_that_make_no_sense_are_refused(limit: Ulimit) -> None:
    with pytest.raises(Invalid):
        process.validate(HostConfig(ulimits=[limit]))


def test_the_environment_of_an_exec_replaces_by_name() -> None:
    assert process.merge_environment(["A=1", "B=2"], ["B=3", "C="]) == ["A=1", "B=3", "C="]
