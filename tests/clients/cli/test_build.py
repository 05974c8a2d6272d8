"""Our own `build` against a real engine: over BuildKit's protocol, and over the classic call."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.archives import files
from tests.clients.cli.conftest import Run, Terminal
from tests.host import Daemon
from tests.registries import registry

pytestmark = pytest.mark.root

FILES = {"a.txt": "A", "skip/b.txt": "B", "keep/c.txt": "C", ".dockerignore": "skip\nDockerfile\n"}


class Said(NamedTuple):
    """What a command said."""

    stdout: str
    stderr: str
    returncode: int


Go = Callable[..., Said]


@pytest.fixture
def run(cli: Run) -> Go:
    """Run one command line to its end, in text."""

    def run(*words: str, stdin: str = "", check: bool = True) -> Said:
        done = cli(*words, input=stdin.encode("latin-1"), check=check)
        return Said(done.stdout.decode(), done.stderr.decode(), done.returncode)

    return run


@pytest.fixture
def classic(environment: dict[str, str]) -> None:
    """Builds go over `POST /build`."""
    environment["DOCKER_BUILDKIT"] = "0"


@pytest.fixture
def context(tmp_path: Path) -> Path:
    for name, text in {
        **FILES,
        "Dockerfile": 'FROM busybox\nCOPY . /src\nRUN ls -A /src\nCMD ["cat", "/src/a.txt"]\n',
    }.items():
        (tmp_path / "c" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "c" / name).write_text(text)
    return tmp_path / "c"


def packed(content: dict[str, bytes]) -> str:
    return files(content).decode("latin-1")


def test_a_directory_is_built_without_what_is_ignored(run: Go, context: Path, name: str) -> None:
    said = run("build", "-t", f"{name}:1", "--iidfile", str(context.parent / "id"), str(context)).stderr
    assert " [1/2] COPY . /src\n" in said or "COPY . /src\n" in said
    assert "a.txt" in said
    assert "skip" not in said
    assert run("run", "--rm", f"{name}:1").stdout == "A"
    assert run("image", "inspect", "-f", "{{.Id}}", f"{name}:1").stdout.strip() == (context.parent / "id").read_text()
    quiet = run("image", "build", "-q", str(context))
    assert quiet.stdout.strip() == (context.parent / "id").read_text()
    assert quiet.stderr == ""
    assert "CACHED" in run("build", str(context)).stderr
    run("rmi", f"{name}:1")


def test_the_dockerfile_may_lie_elsewhere_or_come_from_standard_input(run: Go, context: Path, tmp_path: Path) -> None:
    (tmp_path / "Other").write_text("FROM busybox\nCOPY a.txt /a\nRUN echo other $(cat /a)\n")
    assert "other A" in run("build", "--no-cache", "-f", str(tmp_path / "Other"), str(context)).stderr
    text = "FROM busybox\nCOPY a.txt /a\nRUN echo given $(cat /a)\n"
    assert "given A" in run("build", "--no-cache", "-f", "-", str(context), stdin=text).stderr
    assert "alone" in run("build", "--no-cache", "-", stdin="FROM busybox\nRUN echo alone\n").stderr


def test_a_tar_on_standard_input_is_a_context(run: Go) -> None:
    files = {"Df": b"FROM busybox\nCOPY x /\nRUN cat /x\n", "x": b"from the tar"}
    assert "from the tar" in run("build", "--no-cache", "-f", "Df", "-", stdin=packed(files)).stderr


def test_options_reach_the_build(run: Go, environment: dict[str, str], tmp_path: Path, name: str) -> None:
    (tmp_path / "Dockerfile").write_text(
        "FROM busybox AS one\nARG A\nARG B\nRUN echo $A $B; grep extra /etc/hosts; ulimit -n; df -k /dev/shm | tail -1\n"
        "FROM one AS two\nRUN false\n"
    )
    environment["B"] = "from-here"
    named = ["--no-cache", "--target", "one", "--build-arg", "A=a", "--build-arg", "B", "--label", "l=m", "-t", name]
    limits = ["--add-host", "extra:10.1.2.3", "--ulimit", "nofile=123:123", "--shm-size", "1m", "--network", "none"]
    said = run("build", *named, *limits, str(tmp_path)).stderr
    assert "a from-here" in said
    assert "10.1.2.3\textra" in said
    assert " 123\n" in said
    assert "1024" in said
    assert run("image", "inspect", "-f", "{{json .Config.Labels}}", name).stdout.strip() == '{"l":"m"}'
    run("rmi", name)


def test_secrets_and_named_contexts_are_lent(run: Go, context: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("of-the-key")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "m").write_text("of-more")
    text = (
        "FROM busybox\nCOPY --from=more m /m\n"
        "RUN --mount=type=secret,id=key tr a-z A-Z < /run/secrets/key; tr a-z A-Z < /m\nRUN ls /run/secrets || true\n"
    )
    words = ["--secret", f"id=key,src={tmp_path}/key", "--build-context", f"more={tmp_path}/more"]
    said = run("build", "--no-cache", *words, "-f", "-", str(context), stdin=text).stderr
    assert "OF-THE-KEYOF-MORE" in said
    assert "of-the-key" not in said


@pytest.mark.skipif(shutil.which("ssh-agent") is None, reason="OpenSSH's agent is not installed")
def test_an_agent_is_lent_to_the_step_that_asks(run: Go, environment: dict[str, str], context: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="dwa-", dir="/tmp") as directory:
        socket = f"{directory}/agent"
        with subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.PIPE) as agent:
            assert agent.stdout is not None
            assert agent.stdout.readline()
            environment["SSH_AUTH_SOCK"] = socket
            text = (
                "FROM busybox\nRUN --mount=type=ssh test -S $SSH_AUTH_SOCK && echo THERE\nRUN test -z $SSH_AUTH_SOCK\n"
            )
            try:
                said = run("build", "--no-cache", "--ssh", "default", "-f", "-", str(context), stdin=text).stderr
            finally:
                agent.terminate()
    assert " THERE\n" in said


def test_results_come_as_directories_and_tars(run: Go, context: Path, tmp_path: Path) -> None:
    text = "FROM scratch\nCOPY a.txt keep/c.txt /out/\n"
    out = tmp_path / "out"
    run("build", "-f", "-", "-o", str(out), str(context), stdin=text)
    assert sorted(os.listdir(out / "out")) == ["a.txt", "c.txt"]
    assert (out / "out" / "a.txt").read_text() == "A"
    run("build", "-f", "-", "-o", f"type=tar,dest={tmp_path}/x.tar", str(context), stdin=text)
    with tarfile.open(tmp_path / "x.tar") as tar:
        assert {"out/a.txt", "out/c.txt"} <= {one.strip("/").removeprefix("./") for one in tar.getnames()}
    run("build", "-f", "-", "-o", f"type=oci,tar=false,dest={tmp_path}/layout", str(context), stdin=text)
    assert json.loads((tmp_path / "layout" / "index.json").read_text())["manifests"]


def test_files_for_programs_are_written(run: Go, context: Path, tmp_path: Path, name: str) -> None:
    run("build", "-t", name, "--metadata-file", f"{tmp_path}/meta", str(context))
    found = json.loads((tmp_path / "meta").read_text())
    assert found["image.name"] == f"docker.io/library/{name}:latest"
    assert found["containerimage.digest"].startswith("sha256:")
    run("rmi", name)


def test_progress_can_be_read_by_programs(run: Go, context: Path) -> None:
    lines = run("build", "--no-cache", "--progress", "rawjson", str(context)).stderr.splitlines()
    updates = [json.loads(line) for line in lines]
    names = {vertex["name"] for update in updates for vertex in update.get("vertexes", ())}
    assert any(one.endswith("RUN ls -A /src") for one in names)
    assert any("logs" in update for update in updates)


def test_a_dockerfile_is_asked_about_itself(run: Go, context: Path) -> None:
    text = "# BASE what to stand on\nARG BASE=busybox\nFROM $BASE AS One\nMAINTAINER me\n"
    said = run("build", "--call", "outline", "-f", "-", str(context), stdin=text).stdout
    assert "BASE        busybox   what to stand on" in said
    assert "one (default)" in run("build", "--call", "targets", "-f", "-", str(context), stdin=text).stdout
    checked = run("build", "--check", "-f", "-", str(context), stdin=text, check=False)
    assert checked.returncode == 1
    assert "Check complete, 2 warnings have been found!" in checked.stdout
    assert "WARNING: StageNameCasing - https://" in checked.stdout


def test_a_step_that_fails_is_told_with_its_output_and_its_line(run: Go) -> None:
    done = run("build", "-", stdin="FROM busybox\nRUN echo said; exit 9\n", check=False)
    assert done.returncode == 1
    last = done.stderr.partition("------\n")[2]
    assert last.startswith(" > [")
    assert " said\n" in last
    assert "   2 | >>> RUN echo said; exit 9\n" in last
    assert "ERROR: failed to build: failed to solve: " in last
    assert "9" in last.rpartition("failed to solve: ")[2]


def test_warnings_come_last(run: Go) -> None:
    said = run("build", "-", stdin="FROM busybox\nMAINTAINER me\n").stderr
    assert said.endswith(
        "\n 1 warning found (use --debug to expand):\n"
        " - MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label (line 2)\n"
    )


def test_what_differs_from_the_last_build_is_explained(run: Go, context: Path) -> None:
    run("build", str(context))
    (context / "a.txt").write_text("changed")
    assert "a.txt" in run("build", "--explain", str(context)).stdout
    assert run("build", "--explain", str(context)).stdout == "Every step was taken from the cache.\n"


def test_in_a_terminal_steps_are_redrawn(terminal: Callable[..., Terminal], context: Path) -> None:
    opened = terminal("build", "--no-cache", str(context))
    opened.resize(24, 100)
    opened.wait_for(b"[+] Building")
    opened.wait_for(b"FINISHED")
    assert opened.end() == 0
    assert b"RUN ls -A /src" in opened.seen
    assert opened.restored()


def test_ctrl_c_in_a_terminal_gives_the_build_up(
    terminal: Callable[..., Terminal], context: Path, daemon: Daemon
) -> None:
    (context / "Dockerfile").write_text("FROM busybox\nRUN echo begun; sleep 600\n")
    opened = terminal("build", "--no-cache", str(context))
    opened.wait_for(b"# begun")
    opened.type(b"\x03")
    assert opened.end() == 130
    deadline = time.monotonic() + 20
    while os.listdir(daemon.root / "exec" / "builds") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert os.listdir(daemon.root / "exec" / "builds") == []
    assert opened.restored()


def test_a_shell_is_opened_in_what_a_failed_step_left(terminal: Callable[..., Terminal], context: Path) -> None:
    (context / "Dockerfile").write_text("FROM busybox\nENV WHERE=here\nWORKDIR /w\nRUN echo left > mark; exit 3\n")
    opened = terminal("build", "--on-fail", "shell", str(context))
    opened.wait_for(b"A shell in what the step left follows")
    opened.wait_for(b"# ")
    opened.type(b"echo $WHERE-$(cat mark)-$(pwd)\n")
    opened.wait_for(b"here-left-/w")
    opened.type(b"exit\n")
    assert opened.end() == 1


def test_the_cache_is_shown_and_pruned(run: Go) -> None:
    text = "FROM busybox\nRUN echo to be pruned > /x\n"
    run("build", "-", stdin=text)
    assert "CACHED" in run("build", "-", stdin=text).stderr
    assert run("builder", "du").stdout.splitlines()[0].split() == ["ID", "RECLAIMABLE", "SIZE", "LAST", "ACCESSED"]
    assert "to be pruned" in run("builder", "du", "--verbose").stdout
    assert "Total reclaimed space:" in run("builder", "prune", "-f").stdout
    assert "CACHED" in run("build", "-", stdin=text).stderr, "an image is made of it"
    assert "Total reclaimed space:" in run("builder", "prune", "-af").stdout
    assert "CACHED" not in run("build", "-", stdin=text).stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["/nothing/here"], 'path "/nothing/here" not found'),
        (["--security-opt", "magic=on", "."], '"magic=on"'),
        (["--isolation", "hyperv", "."], "invalid isolation: hyperv"),
        (["-f", "None", "."], "no such file"),
        ([], "requires 1 argument"),
        (["--ulimit", "bad", "."], "invalid ulimit"),
        (["--target", "nope", "."], "nope"),
        (["--squash", "--push", "."], "--push needs BuildKit's protocol: --squash is there without it only"),
    ],
)
def test_what_is_refused(run: Go, context: Path, arguments: list[str], message: str) -> None:
    given = [str(context) if one == "." else one for one in arguments]
    done = run("build", *given, check=False)
    assert done.returncode != 0
    assert message in done.stderr


# The classic call.


@pytest.mark.usefixtures("classic")
def test_the_classic_call_builds_directories_and_tars(run: Go, context: Path, tmp_path: Path, name: str) -> None:
    said = run("build", "--no-cache", "-t", f"{name}:1", "--iidfile", str(tmp_path / "id"), str(context)).stdout
    assert "Step 1/3 : FROM busybox" in said
    assert "a.txt" in said
    assert "skip" not in said
    assert "Dockerfile" not in said.partition("ls -A")[2]
    assert run("image", "inspect", "-f", "{{.Id}}", f"{name}:1").stdout.strip() == (tmp_path / "id").read_text()
    text = "FROM busybox\nCOPY a.txt /a\nRUN echo given $(cat /a)\n"
    assert "given A" in run("build", "--no-cache", "-f", "-", str(context), stdin=text).stdout
    files = {"Df": b"FROM busybox\nCOPY x /\nRUN cat /x\n", "x": b"from the tar"}
    assert "from the tar" in run("build", "--no-cache", "-f", "Df", "-", stdin=packed(files)).stdout
    run("rmi", f"{name}:1")


@pytest.mark.usefixtures("classic")
def test_the_classic_call_tells_a_step_that_fails_with_its_code(run: Go) -> None:
    done = run("build", "-", stdin="FROM busybox\nRUN echo said; exit 9\n", check=False)
    assert done.returncode != 0
    assert "said" in done.stdout
    assert "returned a non-zero code: 9" in done.stderr


def test_squashed_layers_are_one(run: Go, context: Path, name: str) -> None:
    run("build", "--squash", "-t", name, str(context))
    layers = json.loads(run("image", "inspect", "-f", "{{json .RootFS.Layers}}", name).stdout)
    base = json.loads(run("image", "inspect", "-f", "{{json .RootFS.Layers}}", "busybox").stdout)
    assert len(layers) == len(base) + 1
    run("rmi", name)


def test_caches_can_lie_in_directories(run: Go, context: Path, tmp_path: Path) -> None:
    text = "FROM busybox\nCOPY a.txt /a\nRUN cat /a > /b\n"
    words = ["-f", "-", "--cache-to", f"type=local,dest={tmp_path}/cache,mode=max"]
    run("build", *words, str(context), stdin=text)
    assert json.loads((tmp_path / "cache" / "index.json").read_text())["manifests"]
    run("builder", "prune", "-af")
    words = ["-f", "-", "--cache-from", f"type=local,src={tmp_path}/cache"]
    assert run("build", *words, str(context), stdin=text).stderr.count("CACHED") == 2


def test_images_of_a_layout_can_be_built_on(run: Go, context: Path, tmp_path: Path) -> None:
    text = "FROM busybox\nRUN echo A > /b\n"
    run("build", "-f", "-", "-o", f"type=oci,tar=false,dest={tmp_path}/layout", str(context), stdin=text)
    words = ["-f", "-", "--build-context", f"base=oci-layout://{tmp_path}/layout", str(context)]
    assert " B\n" in run("build", "--no-cache", *words, stdin="FROM base\nRUN tr A B < /b\n").stderr


def test_several_platforms_go_with_attestations_and_annotations(run: Go, context: Path, tmp_path: Path) -> None:
    text = "FROM scratch\nCOPY a.txt /\n"
    words = ["--platform", "linux/amd64", "--platform", "linux/arm64", "--provenance", "mode=max"]
    words += ["--annotation", "index:note=of-index", "--annotation", "note=of-manifest"]
    run("build", "-f", "-", *words, "-o", f"type=oci,tar=false,dest={tmp_path}/layout", str(context), stdin=text)

    def blob(digest: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((tmp_path / "layout" / "blobs" / digest.replace(":", "/")).read_text())
        return found

    (top,) = json.loads((tmp_path / "layout" / "index.json").read_text())["manifests"]
    index = blob(top["digest"])
    assert index["annotations"]["note"] == "of-index"
    images = [one for one in index["manifests"] if one["platform"]["os"] != "unknown"]
    assert [one["platform"]["architecture"] for one in images] == ["amd64", "arm64"]
    assert all(blob(one["digest"])["annotations"]["note"] == "of-manifest" for one in images)
    assert len(index["manifests"]) == 4


def test_the_image_is_pushed_as_whoever_we_are_to_the_registry(
    run: Go, environment: dict[str, str], context: Path, tmp_path: Path
) -> None:
    with registry(tmp_path / "registry", auth="htpasswd") as there:
        name = there.name("app:1")
        kept = base64.b64encode(f"{there.username}:{there.password}".encode()).decode()
        (tmp_path / "config").mkdir(exist_ok=True)
        refused = run("build", "--push", "-t", name, str(context), check=False)
        assert refused.returncode == 1
        (tmp_path / "config" / "config.json").write_text(json.dumps({"auths": {there.host: {"auth": kept}}}))
        assert environment["DOCKER_CONFIG"] == str(tmp_path / "config")
        run("build", "--push", "-t", name, str(context))
        assert any(asked.method == "PUT" and "/manifests/1" in asked.path for asked in there.requests())
        run("rmi", name)
