"""The completion scripts in the shells they are for, against a real engine."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.cli.conftest import LIMIT_S, Run

pytestmark = pytest.mark.root


def shell(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is missing")
    return path


@pytest.fixture
def program(environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """An environment in which `dockwright` is a program."""
    directory = tmp_path / "bin"
    directory.mkdir()
    (directory / "dockwright").write_text(f'#!/bin/sh\nexec {sys.executable} -m dockwright.cli "$@"\n')
    (directory / "dockwright").chmod(0o755)
    home = tmp_path / "home"
    home.mkdir()
    return {
        **environment,
        "PATH": f"{directory}:{os.environ['PATH']}",
        "HOME": str(home),
        "TERM": "dumb",
        "LC_ALL": "C.UTF-8",
    }


@pytest.fixture
def scripts(cli: Run, tmp_path: Path) -> Path:
    """A directory with the script of each shell under the name that it looks for."""
    found = tmp_path / "scripts"
    found.mkdir()
    for name, file in (("bash", "bash"), ("zsh", "_dockwright"), ("fish", "dockwright.fish")):
        (found / file).write_bytes(cli("completion", name).stdout)
    return found


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("dockwright contex", ["context"]),
        ("dockwright container ren", ["rename"]),
        ("dockwright run --det", ["--detach", "--detach-keys"]),
        ("dockwright image inspect busybox:", ["busybox:latest"]),
        ("dockwright completion z", ["zsh"]),
        ("dockwright nothing ", []),
    ],
)
def test_fish_offers_what_comes_next(program: dict[str, str], scripts: Path, line: str, offered: list[str]) -> None:
    check = f"source {scripts}/dockwright.fish; complete -C '{line}'"
    done = subprocess.run([shell("fish"), "--no-config", "-c", check], capture_output=True, env=program, timeout=60)
    assert done.stderr == b""
    assert [found.partition("\t")[0] for found in done.stdout.decode().splitlines()] == offered


def test_fish_offers_files_where_a_file_is_wanted(program: dict[str, str], scripts: Path, tmp_path: Path) -> None:
    (tmp_path / "an-archive.tar").touch()
    check = f"source {scripts}/dockwright.fish; cd {tmp_path}; complete -C 'dockwright load -i an-'"
    done = subprocess.run([shell("fish"), "--no-config", "-c", check], capture_output=True, env=program, timeout=60)
    assert done.stdout.decode().split("\t")[0].strip() == "an-archive.tar"


class Zsh:
    """An interactive zsh that has our script in its `fpath`."""

    def __init__(self, path: str, environment: dict[str, str], scripts: Path) -> None:
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            os.execve(path, [path, "-f", "-i"], environment)
        self.seen = b""
        self.say(f"unsetopt zle_bracketed_paste 2>/dev/null; fpath=({scripts} $fpath); PS1='ready> '\r")
        self.say("autoload -Uz compinit && compinit -D -u; bindkey '^I' complete-word; LISTMAX=1000; echo be''gin\r")
        self.wait_for(b"begin\r\n")

    def say(self, text: str) -> None:
        os.write(self.descriptor, text.encode())

    def wait_for(self, text: bytes) -> bytes:
        """Read until `text`; what was read up to there is forgotten, and returned."""
        deadline = time.monotonic() + LIMIT_S
        while text not in self.seen:
            ready, _, _ = select.select([self.descriptor], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"{text!r} did not come: {self.seen!r}"
            self.seen += os.read(self.descriptor, 65536)
        before, _, self.seen = self.seen.partition(text)
        return before + text

    def close(self) -> None:
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)
        os.close(self.descriptor)


@pytest.fixture
def zsh(program: dict[str, str], scripts: Path) -> Iterator[Zsh]:
    found = Zsh(shell("zsh"), program, scripts)
    yield found
    found.close()


@pytest.mark.parametrize(
    ("typed", "rest"),
    [
        ("dockwright contex", b"t "),
        ("dockwright container ren", b"ame "),
        ("dockwright image inspect busybox:l", b"atest "),
        ("dockwright completion z", b"sh "),
    ],
)
def test_zsh_completes_what_is_typed(zsh: Zsh, typed: str, rest: bytes) -> None:
    zsh.say(typed)
    zsh.wait_for(typed.encode())
    zsh.say("\t")
    zsh.wait_for(rest)
