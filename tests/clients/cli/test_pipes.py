"""Containers driven with pipes: exit codes, streams, signals, archives."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import tarfile
import time
from pathlib import Path

import pytest

from tests.clients.cli.conftest import LIMIT_S, PROGRAM, Run

pytestmark = pytest.mark.root


def test_both_streams_and_the_exit_code_come_through(cli: Run) -> None:
    found = cli("run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2; exit 7", check=False)
    assert (found.returncode, found.stdout, found.stderr) == (7, b"out\n", b"err\n")


def test_megabytes_go_in_and_out_at_the_same_time(cli: Run) -> None:
    data = os.urandom(1 << 20) * 8
    assert cli("run", "--rm", "-i", "busybox", "cat", input=data).stdout == data


def test_the_end_of_stdin_reaches_the_container(cli: Run) -> None:
    assert cli("run", "--rm", "-i", "busybox", "wc", "-c", input=b"12345").stdout.strip() == b"5"


@pytest.mark.parametrize(("program", "status"), [("nosuchprogram", 127), ("/etc", 126)])
def test_a_program_that_cannot_run_gives_a_shells_exit_code(cli: Run, program: str, status: int) -> None:
    found = cli("run", "--rm", "busybox", program, check=False)
    assert found.returncode == status
    assert found.stderr.startswith(b"dockwright: Error response from daemon: ")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_signals_are_handed_on(cli: Run, name: str, environment: dict[str, str], number: signal.Signals) -> None:
    script = f"trap 'echo got; exit 9' {number.name.removeprefix('SIG')}; echo ready; while :; do sleep 0.05; done"
    process = subprocess.Popen(
        [*PROGRAM, "run", "--name", name, "busybox", "sh", "-c", script], stdout=subprocess.PIPE, env=environment
    )
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        assert process.stdout.read() == b"got\n"
    assert process.wait(LIMIT_S) == 9


def test_exec_has_its_own_environment_directory_user_and_code(cli: Run, name: str) -> None:
    cli("run", "-d", "--name", name, "busybox", "sleep", "1000")
    found = cli(
        "exec",
        "-e",
        "A=b",
        "-w",
        "/tmp",
        "-u",
        "65534",
        name,
        "sh",
        "-c",
        'echo "$A $PWD $(id -u)"; exit 3',
        check=False,
    )
    assert (found.returncode, found.stdout) == (3, b"b /tmp 65534\n")
    assert cli("exec", "-i", name, "tr", "a-z", "A-Z", input=b"abc").stdout == b"ABC"
    # dockerd before 23 said 126.
    assert cli("exec", name, "nosuchprogram", check=False).returncode in (126, 127)
    assert cli("exec", "nosuchcontainer", "true", check=False).returncode == 1


def test_logs_follow_until_the_container_ends(cli: Run, name: str) -> None:
    cli("run", "-d", "--name", name, "busybox", "sh", "-c", "echo one; sleep 1; echo two >&2")
    found = cli("logs", "-f", name)
    assert (found.stdout, found.stderr) == (b"one\n", b"two\n")
    assert cli("logs", "-n", "1", name).stderr == b"two\n"
    assert cli("wait", name).stdout == b"0\n"


def test_a_reader_that_leaves_ends_the_logs_quietly(cli: Run, name: str, environment: dict[str, str]) -> None:
    cli("run", "-d", "--name", name, "busybox", "sh", "-c", "while :; do echo line; sleep 0.01; done")
    process = subprocess.Popen(
        [*PROGRAM, "logs", "-f", name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(LIMIT_S) == 141
    with process.stderr:
        assert process.stderr.read() == b""


def test_a_reader_that_leaves_ends_the_run_but_not_the_container(
    cli: Run, name: str, environment: dict[str, str]
) -> None:
    words = ["run", "--name", name, "busybox", "sh", "-c", "while :; do echo line; sleep 0.01; done"]
    process = subprocess.Popen([*PROGRAM, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(LIMIT_S) == 1
    with process.stderr:
        assert process.stderr.read() == b"write /dev/stdout: broken pipe\n"
    assert cli("inspect", "-f", "{{.State.Running}}", name).stdout == b"true\n"


def test_a_file_system_changes_is_copied_committed_and_exported(cli: Run, name: str, tmp_path: Path) -> None:
    cli("run", "-d", "--name", name, "busybox", "sh", "-c", "mkdir /made; echo 1 >/made/f; sleep 1000")
    source = tmp_path / "tree"
    (source / "d").mkdir(parents=True)
    (source / "d" / "big").write_bytes(os.urandom(3 << 20))
    (source / "link").symlink_to("d/big")
    (source / "d" / "run").write_text("#!/bin/sh\necho ran\n")
    (source / "d" / "run").chmod(0o755)
    cli("cp", f"{source}", f"{name}:/copied")
    assert cli("exec", name, "/copied/d/run").stdout == b"ran\n"
    cli("cp", f"{name}:/copied", f"{tmp_path}/back")
    assert (tmp_path / "back" / "link").read_bytes() == (source / "d" / "big").read_bytes()
    assert (tmp_path / "back" / "d" / "run").stat().st_mode & 0o777 == 0o755
    changed = cli("diff", name).stdout.decode().splitlines()
    assert {"A /made", "A /made/f", "A /copied"} <= set(changed)
    exported = cli("export", name).stdout
    with tarfile.open(fileobj=io.BytesIO(exported)) as archive:
        assert "made/f" in archive.getnames()
    image = cli("commit", "-m", "why", "-c", 'CMD ["cat", "/made/f"]', name, f"{name}:1").stdout.strip().decode()
    try:
        assert cli("run", "--rm", f"{name}:1").stdout == b"1\n"
        assert cli("inspect", "-f", "{{.ID}}", f"{name}:1").stdout.strip().decode() == image
    finally:
        cli("rmi", f"{name}:1")


def test_a_life_from_create_to_rm(cli: Run, name: str) -> None:
    cli("create", "--name", name, "-e", "A=b", "--label", "x=y", "busybox", "sleep", "1000")
    assert cli("ps", "-aq", "-f", f"name={name}", "-f", "status=created").stdout
    cli("start", name)
    assert cli("inspect", "-f", '{{.State.Status}} {{index .Config.Labels "x"}}', name).stdout == b"running y\n"
    cli("pause", name)
    assert b"(Paused)" in cli("ps", "-f", f"name={name}").stdout
    cli("unpause", name)
    assert b"sleep 1000" in cli("top", name).stdout
    cli("update", "--memory", "64m", "--memory-swap", "128m", name)
    assert json.loads(cli("inspect", name).stdout)[0]["HostConfig"]["Memory"] == 64 << 20
    cli("rename", name, name + "-2")
    cli("rename", name + "-2", name)
    cli("restart", "-t", "0", name)
    assert b"MiB" in cli("stats", "--no-stream", name).stdout
    cli("kill", name)
    assert cli("wait", name).stdout == b"137\n"
    assert cli("rm", name).stdout.decode() == f"{name}\n"
    assert cli("inspect", name, check=False).stderr.decode() == f"Error: No such object: {name}\n"


def test_events_tell_the_story(cli: Run, name: str) -> None:
    start = time.time()
    cli("run", "--rm", "--name", name, "busybox", "true")
    words = ["events", "--since", f"{start:.3f}", "--until", "0s", "-f", f"container={name}", "--format", "{{.Action}}"]
    told = cli(*words).stdout.decode().split()
    wanted = [action for action in told if action in ("create", "attach", "start", "die", "destroy")]
    assert wanted == ["create", "attach", "start", "die", "destroy"]


def test_stopping_several_takes_as_long_as_one(cli: Run, name: str) -> None:
    names = [f"{name}-{number}" for number in range(3)]
    try:
        for one in names:
            cli("run", "-d", "--name", one, "busybox", "sleep", "1000")
        assert cli("stop", "-t", "1", *names).stdout.decode().split() == names
    finally:
        cli("rm", "-f", *names)
