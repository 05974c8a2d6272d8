"""The real docker command line over the shared daemon."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import tarfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.archives import member, tar_of
from tests.clients.pty_session import PtySession
from tests.host import Daemon

pytestmark = pytest.mark.root

Run = Callable[..., subprocess.CompletedProcess[str]]


class Cli:
    """The docker command; containers of one test carry its label."""

    def __init__(self, run: Run, path: str, daemon: Daemon, home: Path) -> None:
        self._run = run
        self._path = path
        self.mark = uuid.uuid4().hex[:12]
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(home), "DOCKER_HOST": daemon.url, "TERM": "xterm"}

    def __call__(self, *arguments: str, **more: object) -> subprocess.CompletedProcess[str]:
        return self._run(*arguments, **more)

    def options(self, *options: str) -> list[str]:
        return ["--label", f"test={self.mark}", "--network", "none", *options]

    def run(self, *arguments: str, **more: object) -> subprocess.CompletedProcess[str]:
        """`docker run`."""
        return self._run("run", *self.options(*arguments), **more)

    def start(self, *arguments: str) -> str:
        """`docker run -d`; the id."""
        return self.run("-d", *arguments).stdout.strip()

    def inspect(self, container: str, template: str) -> str:
        return self("inspect", "--format", template, container).stdout.strip()

    def popen(self, *arguments: str, **more: object) -> subprocess.Popen[bytes]:
        return subprocess.Popen([self._path, *arguments], env=self.environment, **more)  # type: ignore[call-overload]

    def terminal(self, *arguments: str, size: tuple[int, int] = (24, 80)) -> PtySession:
        return PtySession([self._path, *arguments], self.environment, size)

    def ids(self) -> list[str]:
        return self("ps", "-aq", "--no-trunc", "--filter", f"label=test={self.mark}").stdout.split()


@pytest.fixture
def cli(docker: Run, docker_cli: str, daemon: Daemon, tmp_path: Path) -> Iterator[Cli]:
    found = Cli(docker, docker_cli, daemon, tmp_path)
    yield found
    if left := found.ids():
        found("rm", "-fv", *left, check=False)


# -- run ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["true"], 0),
        (["sh", "-c", "exit 7"], 7),
        (["no-such-program"], 127),
        (["/etc/passwd"], 126),
        (["/etc"], 126),
        (["sh", "-c", "sh -c 'kill -9 $$'; exit $?"], 137),
    ],
)
def test_run_ends_with_the_containers_exit_code_and_leaves_nothing(cli: Cli, command: list[str], code: int) -> None:
    assert cli.run("--rm", "busybox", *command, check=False).returncode == code
    while cli.ids():
        time.sleep(0.02)


def test_run_ends_with_125_when_docker_itself_fails(cli: Cli) -> None:
    done = cli.run("--rm", "--memory", "1m", "busybox", "true", check=False)
    assert done.returncode == 125
    assert "Minimum memory limit allowed is 6MB" in done.stderr
    assert cli.run("--pull", "never", "no-such-image:none", "true", check=False).returncode == 125


def test_run_keeps_the_streams_apart_and_carries_piped_stdin(cli: Cli) -> None:
    done = cli.run("--rm", "-i", "busybox", "sh", "-c", "cat; echo err >&2", stdin="one\ntwo\n")
    assert done.stdout == "one\ntwo\n"
    assert done.stderr == "err\n"


def test_run_carries_megabytes_both_ways(cli: Cli) -> None:
    data = "0123456789abcdef" * (1 << 16)
    assert cli.run("--rm", "-i", "busybox", "cat", stdin=data).stdout == data


def test_run_attaches_only_what_was_asked_for(cli: Cli) -> None:
    done = cli.run("--rm", "-a", "stderr", "busybox", "sh", "-c", "echo out; echo err >&2")
    assert (done.stdout, done.stderr) == ("", "err\n")


def test_run_on_a_terminal_resizes_and_exits(cli: Cli) -> None:
    with cli.terminal("run", *cli.options("--rm", "-it", "busybox", "sh"), size=(30, 100)) as session:
        session.expect(b"# ")
        # The first size arrives beside the start.
        session.type(b"until stty size | grep '30 100'; do sleep 0.05; done\r")
        session.expect(b"\n30 100\r\n")
        session.resize(41, 123)
        session.type(b"until stty size | grep '41 123'; do sleep 0.05; done\r")
        session.expect(b"\n41 123\r\n")
        session.type(b"exit 3\r")
        assert session.end() == 3


def test_a_terminal_is_raw_so_that_ctrl_c_reaches_the_container(cli: Cli) -> None:
    command = "trap 'echo interrupted' INT; echo ready; while :; do sleep 0.05; done"
    with cli.terminal("run", *cli.options("--rm", "-it", "busybox", "sh", "-c", command)) as session:
        session.expect(b"ready")
        session.type(b"\x03")
        session.expect(b"interrupted")
        session.type(b"\x10\x11")
        session.end()
    assert len(cli.ids()) == 1


def test_detach_keys_leave_the_container_running_and_attach_comes_back(cli: Cli) -> None:
    with cli.terminal("run", *cli.options("-it", "--detach-keys", "ctrl-a,d", "busybox", "cat")) as session:
        session.type(b"here\r")
        session.expect(b"here\r\nhere\r\n")
        session.type(b"\x01d")
        assert session.end() == 0
    (container,) = cli.ids()
    assert cli.inspect(container, "{{.State.Running}}") == "true"
    with cli.terminal("attach", container) as session:
        session.type(b"again\r")
        session.expect(b"again\r\nagain\r\n")
        while cli("logs", container).stdout.count("again") < 2:
            time.sleep(0.02)
        session.type(b"\x04")
        assert session.end() == 0


def test_a_signal_to_the_command_reaches_the_container(cli: Cli) -> None:
    command = "trap 'echo got; exit 5' INT; echo ready; while :; do sleep 0.05; done"
    process = cli.popen("run", *cli.options("--rm", "busybox", "sh", "-c", command), stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == b"got\n"
    assert process.wait(30) == 5
    process.stdout.close()


def test_run_detached_prints_the_id_and_writes_a_cidfile(cli: Cli, tmp_path: Path) -> None:
    container = cli.start("--cidfile", str(tmp_path / "cid"), "--name", f"n-{cli.mark}", "busybox", "sleep", "1000")
    assert len(container) == 64
    assert (tmp_path / "cid").read_text() == container
    assert cli.inspect(f"n-{cli.mark}", "{{.Id}}") == container


def test_run_with_many_options(cli: Cli, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "env").write_text("FROM_FILE=yes\n")
    script = (
        "id -u; id -G; echo $A $FROM_FILE; pwd; hostname; cat /bound/env; ulimit -n; cat /proc/sys/net/ipv4/ip_forward"
    )
    done = cli.run(
        *("--rm", "-u", "1000:1000", "--group-add", "audio", "-e", "A=b", "--env-file", str(tmp_path / "env")),
        *("-w", "/work", "-h", "boat", "-v", f"{tmp_path}:/bound:ro", "--ulimit", "nofile=77"),
        *("--sysctl", "net.ipv4.ip_forward=1", "--read-only", "--tmpfs", "/tmp:size=1m", "--cap-drop", "ALL"),
        *("--security-opt", "no-new-privileges", "--memory", "64m", "--cpus", "0.5", "--pids-limit", "50", "--init"),
        *("--shm-size", "8m", "--stop-signal", "USR1", "--oom-score-adj", "100", "--mount", "type=tmpfs,dst=/m"),
        "busybox",
        "sh",
        "-c",
        script,
    )
    lines = done.stdout.split()
    assert lines[0] == "1000"
    assert "29" in done.stdout.splitlines()[1].split()
    assert done.stdout.splitlines()[2:5] == ["b yes", "/work", "boat"]
    assert done.stdout.splitlines()[5:] == ["FROM_FILE=yes", "77", "1"]


def test_create_then_start_attached(cli: Cli) -> None:
    created = cli("create", *cli.options("busybox", "sh", "-c", "echo said; exit 4")).stdout.strip()
    done = cli("start", "-a", created, check=False)
    assert (done.stdout, done.returncode) == ("said\n", 4)
    piped = cli("create", *cli.options("-i", "busybox", "cat")).stdout.strip()
    assert cli("start", "-ai", piped, stdin="through\n").stdout == "through\n"


# -- exec, attach, logs ----------------------------------------------------------------------------------------------------


@pytest.fixture
def running(cli: Cli) -> str:
    return cli.start("--name", f"r-{cli.mark}", "busybox", "sleep", "1000")


def test_exec_codes_options_and_stdin(cli: Cli, running: str) -> None:
    assert cli("exec", running, "sh", "-c", "exit 9", check=False).returncode == 9
    missing = cli("exec", running, "no-such-program", check=False)
    assert missing.returncode == 127
    assert "executable file not found in $PATH" in missing.stdout + missing.stderr
    assert cli("exec", running, "/etc/passwd", check=False).returncode == 126
    done = cli("exec", "-e", "A=b", "-w", "/tmp", "-u", "app", running, "sh", "-c", "echo $A; pwd; id -un")
    assert done.stdout.split() == ["b", "/tmp", "app"]
    assert cli("exec", "-i", running, "wc", "-c", stdin="12345").stdout.strip() == "5"
    done = cli("exec", running, "sh", "-c", "echo out; echo err >&2")
    assert (done.stdout, done.stderr) == ("out\n", "err\n")
    assert cli("exec", "-d", running, "touch", "/tmp/detached").stdout == ""
    assert cli("exec", "--privileged", running, "sh", "-c", "grep -c . /proc/self/status").returncode == 0


def test_exec_on_a_terminal(cli: Cli, running: str) -> None:
    with cli.terminal("exec", "-it", running, "sh", size=(22, 66)) as session:
        session.expect(b"# ")
        session.type(b"until stty size | grep '22 66'; do sleep 0.05; done; tty\r")
        session.expect(b"\n22 66\r\n")
        session.expect(b"/dev/pts/")
        session.type(b"exit 8\r")
        assert session.end() == 8


def test_logs_follow_tail_since_and_timestamps(cli: Cli) -> None:
    talker = cli.start("busybox", "sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.1; done; echo err >&2")
    done = cli("logs", "-f", talker)
    assert (done.stdout, done.stderr) == ("1\n2\n3\n", "err\n")
    assert cli("logs", "-n", "1", talker).stderr == "err\n"
    stamped = cli("logs", "-t", talker).stdout.splitlines()
    assert stamped[0].endswith("Z 1")
    assert cli("logs", "--since", stamped[2].split()[0], talker).stdout == "3\n"
    assert cli("logs", "--until", stamped[1].split()[0], talker).stdout == "1\n2\n"
    assert cli("logs", "--since", "1h", talker).stdout == "1\n2\n3\n"


def test_attach_without_a_terminal_ends_with_the_containers_code(cli: Cli) -> None:
    waiting = cli.start("-i", "busybox", "sh", "-c", "read line; echo got $line; exit 6")
    done = cli("attach", waiting, stdin="word\n", check=False)
    assert (done.stdout, done.returncode) == ("got word\n", 6)


# -- cp ---------------------------------------------------------------------------------------------------------------------


def test_cp_both_ways(cli: Cli, running: str, tmp_path: Path) -> None:
    (tmp_path / "dir" / "sub").mkdir(parents=True)
    (tmp_path / "dir" / "sub" / "file").write_text("deep")
    (tmp_path / "one").write_text("one")
    cli("cp", str(tmp_path / "one"), f"{running}:/tmp/renamed")
    cli("cp", str(tmp_path / "dir"), f"{running}:/tmp")
    cli("cp", f"{tmp_path}/dir/.", f"{running}:/tmp/contents")
    shown = cli("exec", running, "sh", "-c", "cat /tmp/renamed /tmp/dir/sub/file /tmp/contents/sub/file").stdout
    assert shown == "onedeepdeep"
    cli("cp", f"{running}:/tmp/dir", str(tmp_path / "back"))
    assert (tmp_path / "back" / "sub" / "file").read_text() == "deep"
    cli("cp", f"{running}:/tmp/renamed", str(tmp_path / "back"))
    assert (tmp_path / "back" / "renamed").read_text() == "one"
    refused = cli("cp", str(tmp_path / "dir"), f"{running}:/etc/passwd", check=False)
    assert refused.returncode == 1
    missing = cli("cp", f"{running}:/nothing", str(tmp_path), check=False)
    assert "Could not find the file /nothing" in missing.stderr


def test_cp_from_stdin_and_to_stdout(cli: Cli, running: str, docker_cli: str) -> None:
    sent = tar_of(member("piped", b"words", uid=1000))
    command = [docker_cli, "cp", "-a", "-", f"{running}:/tmp"]
    subprocess.run(command, input=sent, env=cli.environment, check=True)
    assert cli("exec", running, "stat", "-c", "%u %s", "/tmp/piped").stdout == "1000 5\n"
    packed = subprocess.run(
        [docker_cli, "cp", f"{running}:/tmp/piped", "-"], env=cli.environment, check=True, capture_output=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        assert archive.extractfile("piped").read() == b"words"  # type: ignore[union-attr]


# -- looking ------------------------------------------------------------------------------------------------------------------


def test_ps_filters_and_formats(cli: Cli, running: str) -> None:
    ended = cli.start("--name", f"e-{cli.mark}", "busybox", "sh", "-c", "exit 3")
    cli("wait", ended)
    mine = ["--filter", f"label=test={cli.mark}"]
    assert cli("ps", "-q", "--no-trunc", *mine).stdout.split() == [running]
    table = cli(
        "ps", "-a", "--format", "{{.Names}}\t{{.Status}}\t{{.Command}}\t{{.Image}}\t{{.Networks}}", *mine
    ).stdout
    rows = {line.split("\t")[0][0]: line.split("\t") for line in table.splitlines()}
    assert rows["r"][1].startswith("Up ")
    assert rows["r"][2:] == ['"sleep 1000"', "busybox", "none"]
    assert rows["e"][1].startswith("Exited (3)")
    assert cli("ps", "-aq", "--no-trunc", "--filter", "exited=3", *mine).stdout.split() == [ended]
    assert cli("ps", "-q", "--no-trunc", "--filter", "status=exited", *mine).stdout.split() == [ended]
    assert cli("ps", "-n", "1", "-q", "--no-trunc").stdout.strip()
    document = json.loads(cli("ps", "--format", "json", "--filter", f"name=r-{cli.mark}").stdout)
    assert document["State"] == "running"
    assert "kB" in cli("ps", "-as", "--format", "{{.Size}}", *mine).stdout or "0B" in cli("ps", "-as", *mine).stdout


def test_top_stats_and_port(cli: Cli, running: str) -> None:
    assert "sleep 1000" in cli("top", running).stdout
    assert "sleep 1000" in cli("top", running, "-o", "pid,args").stdout
    stats = json.loads(cli("stats", "--no-stream", "--format", "json", running).stdout)
    assert stats["ID"] == running[:12]
    assert stats["PIDs"] == "1"
    assert "MiB" in stats["MemUsage"] or "KiB" in stats["MemUsage"]
    published = cli("run", "-d", "--label", f"test={cli.mark}", "-p", "127.0.0.1::80", "busybox", "sleep", "1000")
    assert cli("port", published.stdout.strip(), "80/tcp").stdout.startswith("127.0.0.1:")


def test_events_since_and_until(cli: Cli, running: str) -> None:
    begin = f"{time.time() - 60:.3f}"
    cli("kill", running)
    cli("wait", running)
    told = cli(
        "events",
        "--since",
        begin,
        "--until",
        f"{time.time():.3f}",
        "--filter",
        f"container={running}",
        "--format",
        "json",
    )
    actions = [json.loads(line)["Action"] for line in told.stdout.splitlines()]
    assert actions == ["create", "start", "kill", "die"]


def test_events_follow_live(cli: Cli) -> None:
    process = cli.popen(
        "events", "--filter", f"label=test={cli.mark}", "--format", "{{.Action}}", stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    time.sleep(0.3)  # the command has no sign that it listens
    cli.run("--rm", "busybox", "true")
    seen: list[bytes] = []
    while b"destroy\n" not in seen:
        seen.append(process.stdout.readline())
    process.terminate()
    process.wait(10)
    process.stdout.close()
    assert [line for line in seen if line != b"attach\n"] == [b"create\n", b"start\n", b"die\n", b"destroy\n"]


def test_info_version_and_disk_usage(cli: Cli, running: str) -> None:
    assert cli("info", "--format", "{{.Driver}} {{.OSType}}").stdout == "overlayfs linux\n"
    assert "Storage Driver: overlayfs" in cli("info").stdout
    assert cli("version", "--format", "{{.Server.APIVersion}}").stdout == "1.51\n"
    assert "Containers" in cli("system", "df").stdout
    verbose = cli("system", "df", "-v").stdout
    assert f"r-{cli.mark}" in verbose
    assert "busybox" in cli("images").stdout
    assert cli("images", "--format", "{{.Repository}}:{{.Tag}}", "busybox").stdout == "busybox:latest\n"
    assert "/bin/sh" in cli("history", "--no-trunc", "busybox").stdout or cli("history", "busybox").stdout


def test_diff_and_inspect_size(cli: Cli) -> None:
    ended = cli.start("busybox", "sh", "-c", "touch /new; rm /etc/os-release")
    cli("wait", ended)
    assert sorted(cli("diff", ended).stdout.split("\n")) == ["", "A /new", "C /etc", "D /etc/os-release"]
    assert int(cli("inspect", "-s", "--format", "{{.SizeRootFs}}", ended).stdout) > 1 << 20


# -- life -----------------------------------------------------------------------------------------------------------------------


def test_stop_start_restart_pause_rename_and_rm(cli: Cli, running: str) -> None:
    cli("stop", "-t", "0", running)
    assert cli.inspect(running, "{{.State.Status}} {{.State.ExitCode}}") == "exited 137"
    cli("start", running)
    cli("restart", "-t", "0", running)
    cli("pause", running)
    assert cli.inspect(running, "{{.State.Status}}") == "paused"
    cli("unpause", running)
    cli("rename", running, f"x-{cli.mark}")
    assert cli.inspect(f"x-{cli.mark}", "{{.Name}}") == f"/x-{cli.mark}"
    refused = cli("rm", running, check=False)
    assert "cannot remove container" in refused.stderr
    cli("kill", "-s", "KILL", running)
    assert cli("wait", running).stdout == "137\n"
    cli("rm", running)
    gone = cli("inspect", running, check=False)
    assert "No such object" in gone.stderr


def test_update(cli: Cli, running: str) -> None:
    cli("update", "--memory", "100m", "--memory-swap", "200m", "--restart", "unless-stopped", running)
    assert (
        cli.inspect(running, "{{.HostConfig.Memory}} {{.HostConfig.RestartPolicy.Name}}") == "104857600 unless-stopped"
    )


def test_commit_export_and_import(cli: Cli, tmp_path: Path) -> None:
    ended = cli.start("busybox", "sh", "-c", "echo kept > /file")
    cli("wait", ended)
    image = f"cli/{cli.mark}"
    cli("commit", "-m", "said", "-a", "me", "-c", "CMD cat /file", ended, image)
    assert cli.run("--rm", image).stdout == "kept\n"
    cli("export", "-o", str(tmp_path / "root.tar"), ended)
    cli("import", "-c", 'CMD ["cat", "/file"]', str(tmp_path / "root.tar"), f"{image}:imported")
    assert cli.run("--rm", f"{image}:imported").stdout == "kept\n"
    cli("tag", image, f"{image}:more")
    cli("rmi", image, f"{image}:more", f"{image}:imported")
    assert cli("images", "-q", image).stdout == ""


def test_save_and_load(cli: Cli, tmp_path: Path) -> None:
    image = f"cli/{cli.mark}:saved"
    cli("tag", "busybox", image)
    before = cli("inspect", "--format", "{{.Id}}", image).stdout
    cli("save", "-o", str(tmp_path / "saved.tar"), image)
    cli("rmi", image)
    assert f"Loaded image: {image}" in cli("load", "-i", str(tmp_path / "saved.tar")).stdout
    assert cli("inspect", "--format", "{{.Id}}", image).stdout == before
    cli("rmi", image)


def test_prune(cli: Cli) -> None:
    ended = cli.start("busybox", "true")
    cli("wait", ended)
    done = cli("container", "prune", "-f", "--filter", f"label=test={cli.mark}")
    assert ended in done.stdout
    assert cli.ids() == []


def test_healthy_is_shown(cli: Cli) -> None:
    found = cli.start("--health-cmd", "true", "--health-interval", "50ms", "busybox", "sleep", "1000")
    while cli.inspect(found, "{{.State.Health.Status}}") != "healthy":
        time.sleep(0.02)
    assert "(healthy)" in cli("ps", "--filter", f"id={found}", "--format", "{{.Status}}").stdout
