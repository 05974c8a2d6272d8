"""The program itself: help, mistakes and what was meant, completion, contexts, start-up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.client.server import Engine, answer

from dockwright import __version__
from dockwright.cli import index
from dockwright.cli.flags import Flag
from dockwright.cli.main import run
from dockwright.cli.terminal import keys


@pytest.fixture(autouse=True)
def _own_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "config"))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)


def said(words: list[str], capfd: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    status = run(words)
    return (status, *capfd.readouterr())


@pytest.mark.parametrize(
    ("words", "status", "error"),
    [
        (["stoop", "x"], 1, "dockwright: unknown command: dockwright stoop\n\nDid you mean 'dockwright stop'?\n\n"
                            "Run 'dockwright --help' for more information\n"),
        (["container", "sotp"], 1, "dockwright: unknown command: dockwright container sotp\n\n"
                                   "Did you mean 'dockwright container stop'?\n\nUsage:  dockwright container COMMAND\n\n"
                                   "Run 'dockwright container --help' for more information\n"),
        (["run", "--hotname", "x"], 125, "unknown flag: --hotname\n\nDid you mean --hostname?\n\n"
                                         "Usage:  dockwright run [OPTIONS] IMAGE [COMMAND] [ARG...]\n\n"
                                         "Run 'dockwright run --help' for more information\n"),
        (["ps", "x"], 1, "dockwright: 'dockwright ps' accepts no arguments\n\nUsage:  dockwright ps [OPTIONS]\n\n"
                         "Run 'dockwright ps --help' for more information\n"),
        (["rename", "a"], 1, "dockwright: 'dockwright rename' requires 2 arguments\n\n"
                             "Usage:  dockwright rename CONTAINER NEW_NAME\n\n"
                             "Run 'dockwright rename --help' for more information\n"),
        (["rm"], 1, "dockwright: 'dockwright rm' requires at least 1 argument\n\n"
                    "Usage:  dockwright rm [OPTIONS] CONTAINER [CONTAINER...]\n\n"
                    "See 'dockwright rm --help' for more information\n"),
        (["--foo"], 125, "unknown flag: --foo\n\nUsage:  dockwright [OPTIONS] COMMAND [ARG...]\n\n"
                         "Run 'dockwright --help' for more information\n"),
        (["-l", "loud", "ps"], 1, "Unable to parse logging level: loud\n"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_the_way_on(
    words: list[str], status: int, error: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert said(words, capfd) == (status, "", error)


@pytest.mark.parametrize("words", [["bake", "x"], ["service", "ls"], ["plugin", "ls"], ["swarm", "init"]])
def test_what_is_to_come_says_so_and_what_there_is_instead(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    status, out, error = said(words, capfd)
    assert (status, out) == (1, "")
    assert "is not there yet: in this release" in error


def test_the_version_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    assert said(["--version"], capfd) == (0, f"Dockwright version {__version__}\n", "")
    assert said(["-v"], capfd)[1] == f"Dockwright version {__version__}\n"


@pytest.mark.parametrize("name", [name for command in index.everything() for name in command.names])
def test_every_command_explains_itself(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    found = index.find(name.split(" "))
    assert found is not None
    command = found[0]
    status, out, error = said([*name.split(" "), "--help"], capfd)
    assert (status, error) == (0, "")
    assert out.startswith(f"{command.usage_line(name)}\n\n{command.summary}\n")
    assert all(f"--{flag.name}" in out for flag in command.flags if not flag.hidden)
    assert max(map(len, out.split("\n"))) <= 125
    assert said(["help", *name.split(" ")], capfd)[1] == out


@pytest.mark.parametrize("flag", [flag for command in index.everything() for flag in command.flags], ids=Flag.spelled)
def test_every_option_says_what_it_is_for_in_plain_words(flag: Flag) -> None:
    assert flag.help[0].isupper() or flag.help.startswith("NIS")
    assert not flag.help.endswith(".")


def test_the_program_and_each_noun_list_their_commands(capfd: pytest.CaptureFixture[str]) -> None:
    program = said(["--help"], capfd)[1]
    assert said([], capfd)[1] == program == said(["help"], capfd)[1]
    for noun in index.NOUNS:
        listed = said([noun], capfd)[1]
        assert said([noun, "--help"], capfd)[1] == listed
        for command in index.everything():
            if command.names[0].startswith(noun + " "):
                assert f"  {command.names[0].removeprefix(noun + ' ')}" in listed
    assert "  run " in program
    assert "  completion " in program


def test_completion_knows_commands_options_and_names(fake_engine: Engine, capfd: pytest.CaptureFixture[str]) -> None:
    rows = [{"Names": ["/web"]}, {"Names": ["/db", "/web/alias"]}]
    fake_engine.answers["GET /containers/json"] = answer(rows)
    fake_engine.answers["GET /images/json"] = answer([{"RepoTags": ["busybox:latest"]}, {"RepoTags": None}])

    def offered(*words: str) -> list[str]:
        status, out, error = said(["-H", fake_engine.url, "__complete", *words], capfd)
        assert (status, error) == (0, "")
        return [line.partition("\t")[0] for line in out.splitlines()]

    assert offered("sto") == ["stop"]
    assert offered("container", "re") == ["remove", "rename", "restart"]
    assert offered("stop", "") == ["db", "web"]
    assert offered("stop", "-t", "5", "web", "") == ["db"]
    assert offered("run", "--rm", "b") == ["busybox", "busybox:latest"]
    assert offered("run", "--det") == ["--detach", "--detach-keys"]
    assert offered("run", "busybox", "--det") == []
    assert offered("--con") == ["--config", "--context"]
    assert offered("-c", "de") == ["default"]
    assert offered("cp", "w") == [":files", "web"]
    assert offered("save", "-o", "") == [":files"]
    assert offered("ps", "x", "") == []
    assert offered("completion", "z") == ["zsh"]
    assert offered("nope", "") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script_it_can_read(shell: str, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    status, out, _ = said(["completion", shell], capfd)
    assert status == 0
    assert "__complete" in out
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=out.encode(), check=True)
    assert said(["completion", "csh"], capfd)[0] == 1


def test_bash_completes_with_the_script(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    program = tmp_path / "dockwright"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m dockwright.cli "$@"\n')
    program.chmod(0o755)
    script = said(["completion", "bash"], capfd)[1]
    check = f'{script}\nCOMP_WORDS=(dockwright contex); COMP_CWORD=1; _dockwright; echo "${{COMPREPLY[*]}}"'
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": os.pathsep.join(sys.path)}
    found = subprocess.run(["bash", "-c", check], capture_output=True, env=environment, check=True)
    assert found.stdout == b"context\n"


def test_contexts_are_made_used_shown_and_forgotten(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    endpoint = f"host=tcp://h:1,ca={tmp_path}/ca.pem"
    created = said(["context", "create", "far", "--description", "a place", "--docker", endpoint], capfd)
    assert created == (0, "far\n", 'Successfully created context "far"\n')
    assert said(["context", "create", "far"], capfd) == (1, "", 'context "far" already exists\n')
    assert said(["context", "create", "like", "--from", "far"], capfd)[0] == 0
    assert said(["context", "use", "far"], capfd) == (0, "far\n", 'Current context is now "far"\n')
    assert said(["context", "show"], capfd)[1] == "far\n"
    assert said(["context", "ls", "-q"], capfd)[1] == "default\nfar\nlike\n"
    rows = said(["context", "ls", "--format", "{{.Name}} {{.Current}} {{.DockerEndpoint}}"], capfd)[1].splitlines()
    assert rows[1:] == ["far true tcp://h:1", "like false tcp://h:1"]
    found = json.loads(said(["context", "inspect"], capfd)[1])[0]
    assert (found["Name"], found["TLSMaterial"]) == ("far", {"docker": ["ca.pem"]})
    assert said(["context", "inspect", "-f", "{{.Endpoints.docker.Host}}", "like"], capfd)[1] == "tcp://h:1\n"
    archive = tmp_path / "far.tar"
    assert said(["context", "export", "far", str(archive)], capfd)[0] == 0
    assert archive.stat().st_mode & 0o777 == 0o600
    assert said(["context", "import", "again", str(archive)], capfd)[0] == 0
    assert json.loads(said(["context", "inspect", "again"], capfd)[1])[0]["TLSMaterial"] == {"docker": ["ca.pem"]}
    assert said(["context", "update", "like", "--description", "new", "--docker", "host=unix:///x"], capfd)[0] == 0
    assert json.loads(said(["context", "inspect", "like"], capfd)[1])[0]["Metadata"] == {"Description": "new"}
    assert said(["context", "rm", "far"], capfd) == (1, "", 'context "far" is in use, set -f flag to force remove\n')
    assert said(["context", "rm", "-f", "far", "nope"], capfd)[:2] == (0, "far\nnope\n")
    assert said(["context", "show"], capfd)[1] == "default\n"
    assert said(["context", "rm", "default"], capfd)[0] == 1
    assert said(["context", "create", "bad", "--docker", "foo=bar"], capfd) == (
        1, "", "unable to create docker endpoint config: unrecognized config key: foo\n"
    )  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), [("ctrl-p,ctrl-q", b"\x10\x11"), ("a,ctrl-@,ctrl-[", b"a\0\x1b")])
def test_detach_keys_are_bytes(text: str, expected: bytes) -> None:
    assert keys.parse(text) == expected


def test_typed_bytes_pass_until_the_sequence_is_whole() -> None:
    typed = keys.Filter(b"\x10\x11")
    assert typed.feed(b"ab\x10") == b"ab"
    assert typed.feed(b"c\x10\x10") == b"\x10c\x10"
    assert typed.feed(b"\x11rest") == b""
    assert typed.detached


LIGHT = [
    *(
        "json",
        "re",
        "typing",
        "socket",
        "ssl",
        "asyncio",
        "enum",
        "dataclasses",
        "click",
        "http.client",
        "urllib.parse",
    ),
    *(
        "email",
        "msgspec",
        "subprocess",
        "inspect",
        "logging",
        "threading",
        "signal",
        "tarfile",
        "argparse",
        "contextlib",
    ),
]


def imported_by(code: str, **environment: str) -> set[str]:
    check = f"{code}\nimport sys; sys.stderr.write(' '.join(sys.modules))"
    found = subprocess.run(
        [sys.executable, "-c", check],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        check=True,
    )
    return set(found.stderr.decode().split())


@pytest.mark.parametrize(
    "words",
    [
        ["ps"],
        ["run", "-d", "-p", "80:80", "-e", "A=b", "-v", "/a:/b", "busybox"],
        ["exec", "-d", "web", "true"],
        ["stop", "web"],
    ],
)
def test_the_commands_of_every_day_import_nothing_heavy(words: list[str], fake_engine: Engine) -> None:
    fake_engine.answers.update(
        {
            "GET /containers/json": answer([]),
            "GET /containers/web/json": answer({}),
            "POST /containers/create": answer({"Id": "x"}),
            "POST /containers/x/start": answer(None, 204),
            "POST /containers/web/stop": answer(None, 204),
            "POST /containers/web/exec": answer({"Id": "e"}),
            "POST /exec/e/start": answer(None, 204),
        }
    )
    bare = imported_by("")
    code = f"from dockwright.cli.main import run\nassert run({words!r}) == 0"
    found = imported_by(code, DOCKER_HOST=fake_engine.url) - bare
    assert found.isdisjoint(LIGHT), sorted(found.intersection(LIGHT))
    assert len([name for name in found if name.startswith("dockwright.cli.commands.")]) <= 3
