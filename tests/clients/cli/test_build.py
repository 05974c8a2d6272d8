"""Our own `build`: what it sends, what it shows, what it refuses."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.clients.cli.conftest import Run

pytestmark = pytest.mark.root

FILES = {"a.txt": "A", "skip/b.txt": "B", "keep/c.txt": "C", ".dockerignore": "skip\nDockerfile\n"}


class Said(NamedTuple):
    """What a command said."""

    stdout: str
    stderr: str
    returncode: int


@pytest.fixture
def run(cli: Run) -> Callable[..., Said]:
    """Run one command line to its end, in text."""

    def run(*words: str, stdin: str = "", check: bool = True) -> Said:
        done = cli(*words, input=stdin.encode("latin-1"), check=check)
        return Said(done.stdout.decode(), done.stderr.decode(), done.returncode)

    return run


@pytest.fixture
def context(tmp_path: Path) -> Path:
    for name, text in {
        **FILES,
        "Dockerfile": 'FROM busybox\nCOPY . /src\nRUN ls -A /src\nCMD ["cat", "/src/a.txt"]\n',
    }.items():
        (tmp_path / "c" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "c" / name).write_text(text)
    return tmp_path / "c"


def test_a_directory_is_built_without_what_is_ignored(run: Callable[..., Said], context: Path, name: str) -> None:
    said = run("build", "-t", f"{name}:1", "--iidfile", str(context.parent / "id"), str(context)).stdout
    assert "Step 1/3 : FROM busybox" in said
    assert "a.txt" in said
    assert "skip" not in said
    assert "Dockerfile" not in said.partition("ls -A")[2]
    assert run("run", "--rm", f"{name}:1").stdout == "A"
    assert run("image", "inspect", "-f", "{{.Id}}", f"{name}:1").stdout.strip() == (context.parent / "id").read_text()
    quiet = run("image", "build", "-q", str(context)).stdout
    assert quiet.strip() == (context.parent / "id").read_text()
    run("rmi", f"{name}:1")


def test_the_dockerfile_may_lie_elsewhere_or_come_from_standard_input(
    run: Callable[..., Said], context: Path, tmp_path: Path
) -> None:
    (tmp_path / "Other").write_text("FROM busybox\nCOPY a.txt /a\nRUN echo other $(cat /a)\n")
    assert "other A" in run("build", "--no-cache", "-f", str(tmp_path / "Other"), str(context)).stdout
    text = "FROM busybox\nCOPY a.txt /a\nRUN echo given $(cat /a)\n"
    assert "given A" in run("build", "--no-cache", "-f", "-", str(context), stdin=text).stdout
    assert "alone" in run("build", "--no-cache", "-", stdin="FROM busybox\nRUN echo alone\n").stdout


def test_a_tar_on_standard_input_is_a_context(run: Callable[..., Said]) -> None:
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w") as tar:
        for path, text in (("Df", b"FROM busybox\nCOPY x /\nRUN cat /x\n"), ("x", b"from the tar")):
            entry = tarfile.TarInfo(path)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text))
    assert "from the tar" in run("build", "--no-cache", "-f", "Df", "-", stdin=body.getvalue().decode("latin-1")).stdout


def test_options_reach_the_build(
    run: Callable[..., Said], environment: dict[str, str], tmp_path: Path, name: str
) -> None:
    (tmp_path / "Dockerfile").write_text(
        "FROM busybox AS one\nARG A\nARG B\nRUN echo $A $B; grep extra /etc/hosts; ulimit -n; df -k /dev/shm | tail -1\n"
        "FROM one AS two\nRUN false\n"
    )
    environment["B"] = "from-here"
    said = run(
        *(
            "build",
            "--no-cache",
            "--target",
            "one",
            "--build-arg",
            "A=a",
            "--build-arg",
            "B",
            "--label",
            "l=m",
            "-t",
            name,
        ),
        *(
            "--add-host",
            "extra:10.1.2.3",
            "--ulimit",
            "nofile=123:123",
            "--shm-size",
            "1m",
            "--network",
            "none",
            str(tmp_path),
        ),
    ).stdout
    assert "a from-here" in said
    assert "10.1.2.3\textra" in said
    assert "\n123\n" in said
    assert "1024" in said
    assert run("image", "inspect", "-f", "{{json .Config.Labels}}", name).stdout.strip() == '{"l":"m"}'
    run("rmi", name)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["/nothing/here"], 'path "/nothing/here" not found'),
        (["--security-opt", "magic=on", "."], '"magic=on"'),
        (["--isolation", "hyperv", "."], "invalid isolation: hyperv"),
        (["-f", "-", "-"], "can't use stdin for both"),
        (["-f", "None", "."], "not found"),
        ([], "requires 1 argument"),
        (["--ulimit", "bad", "."], "invalid ulimit"),
    ],
)
def test_what_is_refused(run: Callable[..., Said], context: Path, arguments: list[str], message: str) -> None:
    given = [str(context) if one == "." else one for one in arguments]
    done = run("build", *given, check=False)
    assert done.returncode != 0
    assert message in done.stderr


def test_a_step_that_fails_is_told_with_its_code(run: Callable[..., Said]) -> None:
    done = run("build", "-", stdin="FROM busybox\nRUN echo said; exit 9\n", check=False)
    assert done.returncode != 0
    assert "said" in done.stdout
    assert "returned a non-zero code: 9" in done.stderr


def test_the_cache_is_pruned(run: Callable[..., Said]) -> None:
    text = "FROM busybox\nRUN echo to be pruned > /x\n"
    run("build", "-", stdin=text)
    assert "Using cache" in run("build", "-", stdin=text).stdout
    assert "Total reclaimed space:" in run("builder", "prune", "-f").stdout
    assert "Using cache" not in run("build", "-", stdin=text).stdout
