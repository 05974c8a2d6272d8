"""Our own verbs on volumes and mounts from the command line; and Docker's volume commands beside Docker's client."""

from __future__ import annotations

import io
import json
import shlex
import shutil
import subprocess
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.cli.conftest import Run

pytestmark = pytest.mark.root


@pytest.fixture
def mark(cli: Run) -> Iterator[str]:
    """A name that everything of this test begins with."""
    chosen = f"cli-{uuid.uuid4().hex[:10]}"
    yield chosen
    for container in cli("ps", "-aq", "--filter", f"label={chosen}").stdout.decode().split():
        cli("rm", "-fv", container)
    for snapshot in cli("volume", "snapshots", "-q").stdout.decode().split():
        if snapshot.startswith(chosen):
            cli("volume", "rm", snapshot)
    for volume in cli("volume", "ls", "-q", "--filter", f"name={chosen}").stdout.decode().split():
        cli("volume", "rm", "-f", volume)


def read(cli: Run, volume: str, path: str = "file") -> str:
    return cli("run", "--rm", "--network=none", "-v", f"{volume}:/v", "busybox", "cat", f"/v/{path}").stdout.decode()


def write(cli: Run, volume: str, text: str, path: str = "file") -> None:
    command = f"printf %s {shlex.quote(text)} > /v/{path}"
    cli("run", "--rm", "--network=none", "-v", f"{volume}:/v", "busybox", "sh", "-c", command)


def test_a_volume_goes_back_to_a_snapshot_and_forth_to_a_clone(cli: Run, mark: str) -> None:
    write(cli, mark, "first")
    assert cli("volume", "snapshot", f"{mark}@one").stdout.decode() == f"{mark}@one\n"
    write(cli, mark, "second")
    assert cli("volume", "clone", mark, f"{mark}-new").stdout.decode() == f"{mark}-new\n"
    assert cli("volume", "clone", f"{mark}@one", f"{mark}-old").stdout.decode() == f"{mark}-old\n"
    assert cli("volume", "restore", f"{mark}@one").stdout.decode() == f"{mark}\n"
    assert [read(cli, name) for name in (mark, f"{mark}-new", f"{mark}-old")] == ["first", "second", "first"]
    listed = cli("volume", "snapshots", mark).stdout.decode().splitlines()
    assert listed[0].split() == ["VOLUME", "NAME", "TAG", "CREATED", "SIZE"]
    assert listed[1].split()[:2] == [mark, "one"]
    failed = cli("volume", "rm", mark, check=False)
    assert failed.returncode == 1
    assert "has snapshots - [one]" in failed.stderr.decode()
    assert cli("volume", "rm", f"{mark}@one", mark).stdout.decode() == f"{mark}@one\n{mark}\n"


def test_a_volume_is_exported_and_imported(cli: Run, mark: str, tmp_path: Path) -> None:
    write(cli, mark, "kept")
    archive = cli("volume", "export", mark).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        assert tar.getmember("file").size == 4
    cli("volume", "export", "-o", str(tmp_path / "v.tar"), mark)
    assert cli("volume", "import", f"{mark}-in", input=archive).stdout.decode() == f"{mark}-in\n"
    assert read(cli, f"{mark}-in") == "kept"
    failed = cli("volume", "import", "-i", str(tmp_path / "v.tar"), f"{mark}-in", check=False)
    assert "holds something" in failed.stderr.decode()
    write(cli, f"{mark}-in", "lost", "more")
    cli("volume", "import", "--replace", "-i", str(tmp_path / "v.tar"), f"{mark}-in")
    assert cli("run", "--rm", "--network=none", "-v", f"{mark}-in:/v", "busybox", "ls", "/v").stdout == b"file\n"
    failed = cli("volume", "import", f"{mark}-bad", input=b"no tar " * 100, check=False)
    assert "the archive cannot be read" in failed.stderr.decode()
    assert f"{mark}-bad" not in cli("volume", "ls", "-q").stdout.decode()


def test_a_volume_is_renamed_under_a_running_container(cli: Run, mark: str) -> None:
    cli("run", "-d", "--name", mark, "--label", mark, "-v", f"{mark}:/v", "busybox", "sleep", "1000")
    cli("volume", "rename", mark, f"{mark}-2")
    cli("exec", mark, "touch", "/v/here")
    assert cli("run", "--rm", "-v", f"{mark}-2:/v", "busybox", "ls", "/v").stdout == b"here\n"
    cli("restart", "-t", "0", mark)
    assert cli("exec", mark, "ls", "/v").stdout == b"here\n"


def test_mounts_come_to_and_go_from_a_running_container(cli: Run, mark: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("seen\n")
    cli("run", "-d", "--name", mark, "--label", mark, "-v", f"{mark}:/v", "busybox", "sleep", "1000")
    (before,) = json.loads(cli("inspect", mark).stdout)
    added = ("--mount-add", f"src={tmp_path},dst=/data,ro", "--mount-add", "type=tmpfs,dst=/scratch,tmpfs-size=1m")
    assert cli("update", *added, "--mount-rm", "/v", mark).stdout.decode() == f"{mark}\n"
    assert cli("exec", mark, "cat", "/data/file").stdout == b"seen\n"
    (after,) = json.loads(cli("inspect", mark).stdout)
    assert (after["Id"], after["State"]["Pid"]) == (before["Id"], before["State"]["Pid"])
    assert {point["Destination"] for point in after["Mounts"]} == {"/data", "/scratch"}
    cli("volume", "rm", mark)
    failed = cli("update", "--mount-add", f"src={tmp_path},dst=/data", mark, check=False)
    assert "Duplicate mount point: /data" in failed.stderr.decode()
    failed = cli("update", "--mount-rm", "/nowhere", mark, check=False)
    assert "no such mount" in failed.stderr.decode()
    failed = cli("update", "--mount-add", "dst=", mark, check=False)
    assert "target is required" in failed.stderr.decode()


LINES = [
    "volume ls --filter name={mark}",
    "volume ls -q --filter name={mark}",
    "volume ls --filter name={mark} --format json",
    "volume ls --filter name={mark} --format '{{{{.Name}}}} {{{{.Driver}}}} {{{{.Scope}}}} {{{{.Labels}}}} {{{{.Label \"tier\"}}}}'",
    "volume ls --filter name={mark} --format 'table {{{{.Name}}}}\t{{{{.Mountpoint}}}}'",
    "volume ls --filter name={mark} --format '{{{{.Links}}}} {{{{.Size}}}} {{{{.Group}}}} {{{{.Availability}}}} {{{{.Status}}}}'",
    "volume ls --filter nope=1",
    "volume ls --filter dangling=perhaps",
    "volume ls --format '{{{{.Nope}}}}'",
    "volume ls extra",
    "volume inspect {mark}",
    "volume inspect {mark} nothere",
    "volume inspect --format '{{{{.Options}}}} {{{{.Labels}}}} {{{{.Name}}}}' {mark}",
    "volume inspect --format '{{{{json .}}}}' {mark}",
    "volume inspect",
    "inspect {mark}",
    "inspect --type volume {mark}",
    "volume create {mark}",
    "volume create {mark} two",
    "volume create a/b",
    "volume create -d nosuch {mark}-x",
    "volume create -o nope=1 {mark}-x",
    "volume create -o type=tmpfs {mark}-x",
    "volume rm nothere",
    "volume rm -f nothere",
    "volume rm",
    "volume prune -f --filter label={mark}-none",
    "volume prune -fa --filter label={mark}-none",
    "volume prune -fa --filter all=1",
    "volume prune --filter nope=1 -f",
    "volume update {mark}",
    "volume nosuch",
    "run --rm -v {mark}:/v:nope busybox true",
    "run --rm -v {mark}:relative busybox true",
    "run --rm --mount type=volume,src={mark} busybox true",
    "run --rm --mount type=image,src=nothere,dst=/i busybox true",
    "run --rm --mount type=bind,src=/nothere,dst=/b busybox true",
    "run --rm --mount type=odd,dst=/b busybox true",
    "run --rm --mount src={mark},dst=/v,volume-subpath=nothere busybox true",
]


@pytest.mark.skipif(shutil.which("docker") is None, reason="docker is missing: there is nothing to compare with")
@pytest.mark.parametrize("line", LINES)
def test_a_command_line_says_what_dockers_client_says(
    cli: Run, mark: str, line: str, environment: dict[str, str]
) -> None:
    cli("volume", "create", "--label", "tier=db", mark)
    words = shlex.split(line.format(mark=mark))
    theirs = subprocess.run(["docker", *words], capture_output=True, env=environment, timeout=60, check=False)
    ours = cli(*words, check=False)

    def plain(text: bytes) -> str:
        return text.decode().replace("dockwright", "docker")

    assert ours.returncode == theirs.returncode, (theirs.stderr, ours.stderr)
    assert plain(ours.stdout) == plain(theirs.stdout)
    assert bool(ours.stderr) == bool(theirs.stderr), (theirs.stderr, ours.stderr)
    if b"Error response from daemon" in theirs.stderr and "run" not in words[:1]:
        assert plain(ours.stderr) == plain(theirs.stderr)
