"""Containers driven from a terminal: raw mode, sizes, detach keys, and a terminal that is always given back."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.cli.conftest import Run, Terminal

pytestmark = pytest.mark.root

Start = Callable[..., Terminal]


def test_a_shell_in_a_terminal_knows_its_size_and_gives_the_terminal_back(terminal: Start, name: str) -> None:
    shell = terminal("run", "-it", "--rm", "--name", name, "busybox", "sh")
    shell.resize(33, 101)
    shell.wait_raw()
    shell.wait_for(b"# ")
    shell.type(b"until [ \"$(stty size)\" = '33 101' ]; do sleep 0.1; done; echo si''zed\n")
    shell.wait_for(b"sized")
    shell.resize(44, 99)
    shell.type(b"until [ \"$(stty size)\" = '44 99' ]; do sleep 0.1; done; echo a''gain\n")
    shell.wait_for(b"again")
    shell.type(b"exit 5\n")
    assert shell.end() == 5
    assert shell.restored()


def test_the_detach_keys_leave_the_container_running(terminal: Start, cli: Run, name: str) -> None:
    shell = terminal("run", "-it", "--name", name, "busybox", "sh")
    shell.wait_for(b"# ")
    shell.type(b"\x10\x11")
    assert shell.end() == 0
    assert shell.restored()
    assert cli("inspect", "-f", "{{.State.Running}}", name).stdout == b"true\n"
    again = terminal("attach", "--detach-keys", "ctrl-a,x", name)
    again.wait_raw()
    again.type(b"echo at''tached\n")
    again.wait_for(b"attached")
    again.type(b"\x01x")
    assert again.end() == 1
    assert b"read escape sequence" in again.seen
    assert again.restored()


def test_the_detach_keys_of_the_configuration_are_used(terminal: Start, name: str, environment: dict[str, str]) -> None:
    directory = Path(environment["DOCKER_CONFIG"])
    directory.mkdir()
    (directory / "config.json").write_text(json.dumps({"detachKeys": "ctrl-e,e"}))
    shell = terminal("run", "-it", "--name", name, "busybox", "sh")
    shell.wait_for(b"# ")
    shell.type(b"\x10\x11\x05e")
    assert shell.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_gives_the_terminal_back(terminal: Start, cli: Run, name: str, number: signal.Signals) -> None:
    cli("run", "-d", "--name", name, "busybox", "sleep", "1000")
    shell = terminal("exec", "-it", name, "sh")
    shell.wait_raw()
    shell.wait_for(b"# ")
    shell.kill(number)
    assert shell.end() == 128 + number
    assert shell.restored()


def test_a_container_killed_from_elsewhere_gives_the_terminal_back(terminal: Start, cli: Run, name: str) -> None:
    shell = terminal("run", "-it", "--name", name, "busybox", "sh")
    shell.wait_for(b"# ")
    cli("kill", name)
    assert shell.end() == 137
    assert shell.restored()


def test_ctrl_c_goes_to_the_program_in_the_terminal(terminal: Start, name: str) -> None:
    # Not a `cat`: a signal between the echo and its start would reach the shell alone, which then waits for it.
    script = "trap 'exit 6' INT; echo re''ady; while :; do sleep 0.1; done"
    shell = terminal("run", "-it", "--rm", "--name", name, "busybox", "sh", "-c", script)
    shell.wait_for(b"ready")
    shell.type(b"\x03")
    assert shell.end() == 6


def test_start_and_exec_in_a_terminal_pass_their_codes_on(terminal: Start, cli: Run, name: str) -> None:
    cli("create", "-it", "--name", name, "busybox", "sh")
    shell = terminal("start", "-ai", name)
    shell.wait_for(b"# ")
    inner = terminal("exec", "-it", name, "sh", "-c", "tty; exit 4")
    assert inner.end() == 4
    assert b"/dev/" in inner.seen
    shell.type(b"exit 3\n")
    assert shell.end() == 3


def test_without_a_terminal_one_cannot_be_had(cli: Run) -> None:
    found = cli("run", "--rm", "-it", "busybox", "true", check=False)
    assert (found.returncode, found.stderr) == (1, b"the input device is not a TTY\n")
    assert cli("run", "--rm", "-t", "busybox", "echo", "hi").stdout == b"hi\r\n"


def test_the_output_of_a_terminal_without_stdin_may_go_to_a_pipe(cli: Run, name: str) -> None:
    cli("run", "-d", "-t", "--name", name, "busybox", "sh", "-c", "echo hi; sleep 1000")
    assert cli("exec", "-t", name, "echo", "there").stdout == b"there\r\n"
    assert cli("logs", name).stdout == b"hi\r\n"
