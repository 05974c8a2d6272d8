"""Volumes and mounts with the real docker command."""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.root

Docker = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def name(docker: Docker) -> Iterator[str]:
    """A volume's name of this test; whatever begins with it is removed afterwards, containers of that label first."""
    mark = f"vol-{uuid.uuid4().hex[:10]}"
    yield mark
    for container in docker("ps", "-aq", "--filter", f"label={mark}").stdout.split():
        docker("rm", "-fv", container)
    for volume in docker("volume", "ls", "-q", "--filter", f"name={mark}").stdout.split():
        docker("volume", "rm", "-f", volume)


def inspect(docker: Docker, kind: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(docker(kind, "inspect", name).stdout)[0]
    return found


def run(docker: Docker, name: str, *arguments: str, **more: Any) -> str:
    return str(docker("run", "--rm", "--network=none", "--label", name, *arguments, **more).stdout)


def test_a_volume_is_created_listed_inspected_and_removed(docker: Docker, name: str) -> None:
    assert docker("volume", "create", "--label", "tier=db", name).stdout == f"{name}\n"
    assert docker("volume", "create", name).stdout == f"{name}\n"
    found = inspect(docker, "volume", name)
    assert (found["Name"], found["Driver"], found["Scope"]) == (name, "local", "local")
    assert (found["Labels"], found["Options"]) == ({"tier": "db"}, None)
    assert found["Mountpoint"].endswith(f"/volumes/{name}/_data")
    assert os.stat(found["Mountpoint"]).st_mode & 0o7777 == 0o755
    listed = docker("volume", "ls", "--filter", f"name={name}", "--filter", "label=tier=db").stdout
    assert listed.split() == ["DRIVER", "VOLUME", "NAME", "local", name]
    assert docker("volume", "ls", "-q", "--filter", f"name={name}", "--filter", "dangling=false").stdout == ""
    assert docker("volume", "rm", name).stdout == f"{name}\n"
    again = docker("volume", "rm", name, check=False)
    assert (again.returncode, again.stderr) == (1, f"Error response from daemon: get {name}: no such volume\n")
    assert docker("volume", "rm", "-f", name).returncode == 0


def test_an_anonymous_volume_is_told_by_its_label(docker: Docker) -> None:
    name = docker("volume", "create").stdout.strip()
    assert len(name) == 64
    assert inspect(docker, "volume", name)["Labels"] == {"com.docker.volume.anonymous": ""}
    docker("volume", "rm", name)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a/b"], "includes invalid characters for a local volume name"),
        (["--opt", "nope=1", "{name}"], 'create {name}: invalid option: "nope"'),
        (["--opt", "type=tmpfs", "{name}"], 'create {name}: missing required option: "device"'),
        (["--driver", "nosuch", "{name}"], 'plugin "nosuch" not found'),
        (["--opt", "size=lots", "{name}"], "invalid size: 'lots'"),
    ],
)
def test_what_cannot_be_created_is_refused_and_leaves_nothing(
    docker: Docker, name: str, arguments: list[str], message: str
) -> None:
    done = docker("volume", "create", *(text.format(name=name) for text in arguments), check=False)
    assert done.returncode == 1
    assert message.format(name=name) in done.stderr
    assert name not in docker("volume", "ls", "-q").stdout


def test_a_volume_in_use_is_not_removed_whether_its_container_runs_or_not(docker: Docker, name: str) -> None:
    container = docker("create", "--label", name, "-v", f"{name}:/data", "busybox", "true").stdout.strip()
    done = docker("volume", "rm", name, check=False)
    assert done.stderr == f"Error response from daemon: remove {name}: volume is in use - [{container}]\n"
    assert docker("volume", "rm", "-f", name, check=False).returncode == 1
    docker("rm", container)
    docker("volume", "rm", name)


def test_a_volume_can_be_removed_as_soon_as_the_run_that_used_it_has_returned(docker: Docker, name: str) -> None:
    for _ in range(10):
        run(docker, name, "-v", f"{name}:/x", "busybox", "touch", "/x/file")
        docker("volume", "rm", name)


def test_a_mounted_volume_can_be_removed_as_soon_as_the_run_that_used_it_has_returned(
    docker: Docker, name: str
) -> None:
    for _ in range(5):
        docker("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", name)
        run(docker, name, "-v", f"{name}:/x", "busybox", "touch", "/x/file")
        docker("volume", "rm", name)


def test_anonymous_volumes_go_with_run_rm_and_rm_v_and_stay_without(docker: Docker, name: str) -> None:
    before = set(docker("volume", "ls", "-q").stdout.split())
    run(docker, name, "-v", "/data", "busybox", "true")
    assert set(docker("volume", "ls", "-q").stdout.split()) == before
    container = docker("create", "--label", name, "-v", "/data", "busybox", "true").stdout.strip()
    docker("rm", "-v", container)
    assert set(docker("volume", "ls", "-q").stdout.split()) == before
    container = docker("create", "--label", name, "-v", "/data", "busybox", "true").stdout.strip()
    docker("rm", container)
    (left,) = set(docker("volume", "ls", "-q").stdout.split()) - before
    docker("volume", "rm", left)


def test_an_empty_volume_is_filled_from_the_image_with_owners_and_modes(docker: Docker, name: str) -> None:
    docker("create", "--label", name, "-v", f"{name}:/home", "busybox", "true")
    root = Path(inspect(docker, "volume", name)["Mountpoint"])
    assert (root / "app/.profile").read_text() == "export FROM_PROFILE=1\n"
    assert ((root / "app").stat().st_uid, (root / "app").stat().st_gid) == (1000, 1000)
    docker("create", "--label", name, "-v", f"{name}-tmp:/tmp", "busybox", "true")
    assert Path(inspect(docker, "volume", f"{name}-tmp")["Mountpoint"]).stat().st_mode & 0o7777 == 0o1777


def test_a_volume_that_holds_something_or_must_not_be_filled_is_left_as_it_is(docker: Docker, name: str) -> None:
    docker("volume", "create", name)
    root = Path(inspect(docker, "volume", name)["Mountpoint"])
    run(docker, name, "-v", f"{name}:/home:nocopy", "busybox", "true")
    assert list(root.iterdir()) == []
    run(docker, name, "--mount", f"src={name},dst=/home,volume-nocopy", "busybox", "true")
    assert list(root.iterdir()) == []
    (root / "own").touch()
    run(docker, name, "-v", f"{name}:/home", "busybox", "true")
    assert [path.name for path in root.iterdir()] == ["own"]


def test_a_container_that_never_ran_shares_its_volumes_filled(docker: Docker, name: str) -> None:
    docker("create", "--name", name, "--label", name, "-v", "/home", "-v", f"{name}:/etc", "busybox", "true")
    assert run(docker, name, "--volumes-from", name, "busybox", "cat", "/home/app/.profile").startswith("export")
    done = docker(
        "run", "--rm", "--network=none", "--volumes-from", f"{name}:ro", "busybox", "touch", "/home/x", check=False
    )
    assert "Read-only file system" in done.stderr


def test_local_options_mount_a_tmpfs_a_directory_and_an_overlay(docker: Docker, name: str, tmp_path: Path) -> None:
    tmpfs = ("-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=3m,uid=1000,mode=700,noexec")
    docker("volume", "create", *tmpfs, name)
    said = run(docker, name, "-v", f"{name}:/m", "busybox", "sh", "-c", "grep ' /m ' /proc/mounts; stat -c %u:%a /m")
    assert "tmpfs" in said
    assert "noexec" in said
    assert "size=3072k" in said
    assert said.endswith("1000:700\n")
    assert inspect(docker, "volume", name)["Options"] == {
        "type": "tmpfs",
        "device": "tmpfs",
        "o": "size=3m,uid=1000,mode=700,noexec",
    }
    (tmp_path / "bound").mkdir()
    (tmp_path / "bound/file").write_text("bound\n")
    bind = ("-o", "type=none", "-o", f"device={tmp_path}/bound", "-o", "o=bind,ro")
    docker("volume", "create", *bind, f"{name}-bind")
    assert run(docker, name, "-v", f"{name}-bind:/m", "busybox", "cat", "/m/file") == "bound\n"
    done = docker("run", "--rm", "-v", f"{name}-bind:/m", "busybox", "touch", "/m/x", check=False)
    assert "Read-only file system" in done.stderr
    docker("volume", "rm", f"{name}-bind")
    assert (tmp_path / "bound/file").exists()
    for part in ("lower", "upper", "work"):
        (tmp_path / part).mkdir()
    (tmp_path / "lower/below").write_text("below\n")
    layers = f"lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    docker("volume", "create", "-o", "type=overlay", "-o", "device=overlay", "-o", f"o={layers}", f"{name}-o")
    assert run(docker, name, "-v", f"{name}-o:/m", "busybox", "sh", "-c", "cat /m/below; touch /m/above") == "below\n"
    assert (tmp_path / "upper/above").exists()


def test_a_mount_that_fails_says_why_and_the_volume_stays_usable(docker: Docker, name: str, tmp_path: Path) -> None:
    docker("volume", "create", "-o", "type=none", "-o", f"device={tmp_path}/later", "-o", "o=bind", name)
    done = docker("run", "--rm", "--label", name, "-v", f"{name}:/m", "busybox", "true", check=False)
    assert "failed to mount local volume" in done.stderr
    assert "no such file or directory" in done.stderr
    (tmp_path / "later").mkdir()
    run(docker, name, "-v", f"{name}:/m", "busybox", "touch", "/m/now")
    assert (tmp_path / "later/now").exists()


def test_one_tmpfs_volume_is_the_same_for_all_who_use_it_at_once_and_empty_for_the_next(
    docker: Docker, name: str
) -> None:
    docker("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", name)
    docker("run", "-d", "--name", name, "--label", name, "-v", f"{name}:/m", "busybox", "sleep", "1000")
    docker("exec", name, "touch", "/m/shared")
    assert run(docker, name, "-v", f"{name}:/m", "busybox", "ls", "/m") == "shared\n"
    docker("rm", "-f", name)
    assert run(docker, name, "-v", f"{name}:/m", "busybox", "ls", "/m") == ""


def test_a_part_of_a_volume_is_mounted_and_never_what_lies_outside(docker: Docker, name: str) -> None:
    run(docker, name, "-v", f"{name}:/d", "busybox", "sh", "-c", "mkdir -p /d/a/b; echo in > /d/a/b/f; ln -s / /d/out")
    mount = f"src={name},dst=/m,volume-subpath"
    assert run(docker, name, "--mount", f"{mount}=a/b", "busybox", "cat", "/m/f") == "in\n"
    assert run(docker, name, "--mount", f"{mount}=a/b/f", "busybox", "cat", "/m") == "in\n"
    root = Path(inspect(docker, "volume", name)["Mountpoint"])
    seen = run(docker, name, "--mount", f"{mount}=out", "busybox", "ls", "/m").split()
    assert sorted(seen) == sorted(path.name for path in root.iterdir())
    for subpath, message in (("../x", "subpath must be a relative path"), ("nope", "cannot access path nope")):
        done = docker("run", "--rm", "--label", name, "--mount", f"{mount}={subpath}", "busybox", "true", check=False)
        assert message in done.stderr


def test_an_image_is_mounted_read_only(docker: Docker, name: str) -> None:
    mount = "type=image,source=busybox,target=/i"
    assert "root:x:0:0" in run(docker, name, "--mount", mount, "busybox", "cat", "/i/etc/passwd")
    said = run(docker, name, "--mount", f"{mount},image-subpath=home/app", "busybox", "cat", "/i/.profile")
    assert said == "export FROM_PROFILE=1\n"
    done = docker("run", "--rm", "--mount", mount, "busybox", "touch", "/i/x", check=False)
    assert "Read-only file system" in done.stderr
    container = docker("create", "--label", name, "--mount", mount, "busybox", "true").stdout.strip()
    docker("cp", f"{container}:/i/etc/passwd", "-")
    (point,) = inspect(docker, "container", container)["Mounts"]
    assert (point["Type"], point["Name"], point["RW"]) == ("image", "busybox", False)
    done = docker("run", "--rm", "--mount", "type=image,source=nope:1,target=/i", "busybox", "true", check=False)
    assert "nope:1" in done.stderr


def test_what_is_mounted_below_a_read_only_bind_is_read_only_too_unless_told_otherwise(
    docker: Docker, name: str, tmp_path: Path
) -> None:
    (tmp_path / "sub").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", tmp_path / "sub"], check=True)
    try:
        source = f"type=bind,source={tmp_path},target=/m,readonly"
        for extra in ("", ",bind-recursive=enabled", ",bind-recursive=readonly,bind-propagation=rprivate"):
            done = docker("run", "--rm", "--mount", source + extra, "busybox", "touch", "/m/sub/x", check=False)
            assert "Read-only file system" in done.stderr, extra
        done = docker("run", "--rm", "-v", f"{tmp_path}:/m:ro", "busybox", "touch", "/m/sub/x", check=False)
        assert "Read-only file system" in done.stderr
        run(docker, name, "--mount", source + ",bind-recursive=writable", "busybox", "touch", "/m/sub/x")
        assert (tmp_path / "sub/x").exists()
        said = run(docker, name, "--mount", source + ",bind-recursive=disabled", "busybox", "ls", "/m/sub")
        assert said == ""
    finally:
        subprocess.run(["umount", tmp_path / "sub"], check=True)


def test_one_file_is_bound_read_only(docker: Docker, name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("bound\n")
    for target in ("/etc/passwd", "/etc/new-file"):
        assert run(docker, name, "-v", f"{tmp_path}/file:{target}:ro", "busybox", "cat", target) == "bound\n"
        done = docker("run", "--rm", "-v", f"{tmp_path}/file:{target}:ro", "busybox", "touch", target, check=False)
        assert "Read-only file system" in done.stderr


def test_selinux_and_consistency_options_are_taken(docker: Docker, name: str, tmp_path: Path) -> None:
    for mode in ("z", "Z", "ro,Z", "rw,z,cached", "ro,rprivate,delegated"):
        run(docker, name, "-v", f"{tmp_path}:/m:{mode}", "busybox", "true")
    run(docker, name, "-v", f"{name}:/m:Z,nocopy", "busybox", "true")


def test_prune_takes_anonymous_volumes_and_named_ones_only_when_asked(docker: Docker, name: str) -> None:
    label = f"label={name}"
    docker("volume", "create", "--label", name, f"{name}-named")
    anonymous = docker("volume", "create", "--label", name).stdout.strip()
    docker("volume", "create", "--label", name, "-o", "type=tmpfs", "-o", "device=tmpfs", f"{name}-mounted")
    used = docker("volume", "create", "--label", name, f"{name}-used").stdout.strip()
    docker("create", "--label", name, "-v", f"{used}:/m", "busybox", "true")
    (Path(inspect(docker, "volume", anonymous)["Mountpoint"]) / "file").write_bytes(b"x" * 8192)
    said = docker("volume", "prune", "-f", "--filter", label).stdout
    assert said == f"Deleted Volumes:\n{anonymous}\n\nTotal reclaimed space: 8.192kB\n"
    said = docker("volume", "prune", "-fa", "--filter", label, "--filter", f"label!={name}").stdout
    assert said == "Total reclaimed space: 0B\n"
    said = docker("volume", "prune", "-fa", "--filter", label).stdout
    assert said == f"Deleted Volumes:\n{name}-named\n\nTotal reclaimed space: 0B\n"


def test_df_counts_volumes_with_size_and_links(docker: Docker, name: str) -> None:
    run(docker, name, "-v", f"{name}:/m", "busybox", "dd", "if=/dev/zero", "of=/m/f", "bs=4096", "count=3")
    docker("create", "--label", name, "-v", f"{name}:/m", "busybox", "true")
    rows = [json.loads(line) for line in docker("system", "df", "-v", "--format", "json").stdout.splitlines()]
    (row,) = [one for one in rows[0]["Volumes"] if one["Name"] == name]
    assert (row["Links"], row["Size"]) == ("1", "12.29kB")


def test_volume_events_are_dockers(docker: Docker, name: str) -> None:
    since = docker("info", "--format", "{{.SystemTime}}").stdout.strip()
    container = docker("run", "-d", "--label", name, "-v", f"{name}:/m:ro", "busybox", "true").stdout.strip()
    docker("wait", container)
    docker("rm", container)
    docker("volume", "rm", name)
    until = docker("info", "--format", "{{.SystemTime}}").stdout.strip()
    lines = docker(
        "events", "--since", since, "--until", until, "--filter", f"volume={name}", "--format", "json"
    ).stdout
    told = [json.loads(line) for line in lines.splitlines()]
    assert [event["Action"] for event in told] == ["create", "mount", "unmount", "destroy"]
    assert [event["Actor"]["Attributes"] for event in told] == [
        {"driver": "local"},
        {"container": container, "destination": "/m", "driver": "local", "propagation": "", "read/write": "false"},
        {"container": container, "driver": "local"},
        {"driver": "local"},
    ]


def test_another_driver_of_the_same_name_is_a_conflict(docker: Docker, name: str) -> None:
    docker("volume", "create", name)
    done = docker("volume", "create", "-d", "nosuch", name, check=False)
    assert "volume name must be unique" in done.stderr or "nosuch" in done.stderr
    done = docker("run", "--rm", "--volume-driver", "nosuch", "-v", f"{name}-2:/m", "busybox", "true", check=False)
    assert 'plugin "nosuch" not found' in done.stderr
