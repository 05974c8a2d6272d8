"""ssh agents for keys that were given as files: one is started for the build, and ends with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack

from dockwright import errors
from dockwright.cli.building.loans import Agent

_START_S = 10


def sockets(agents: Iterable[Agent], stack: ExitStack) -> dict[str, str]:
    """The socket of each agent; those that are started end with `stack`. Raises `errors.Invalid` for a key that is none."""
    return {one.id: one.socket or _started(one, stack) for one in agents}


def _started(one: Agent, stack: ExitStack) -> str:
    directory = tempfile.mkdtemp(prefix="dockwright-ssh-")
    stack.callback(shutil.rmtree, directory, ignore_errors=True)
    socket = os.path.join(directory, "agent")
    try:
        # It says who it is once it listens.
        agent = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.PIPE)
    except OSError as error:
        raise errors.Unsupported(f"keys need the program ssh-agent: {error.strerror}") from error
    stack.callback(_end, agent)
    assert agent.stdout is not None
    if not agent.stdout.readline():
        raise errors.HostFailure("ssh-agent does not start")
    environment = {**os.environ, "SSH_AUTH_SOCK": socket}
    for key in one.keys:
        added = subprocess.run(
            ["ssh-add", "-q", key], env=environment, capture_output=True, stdin=subprocess.DEVNULL, timeout=_START_S
        )
        if added.returncode:
            raise errors.Invalid(f"failed to parse {key}: {added.stderr.decode(errors='replace').strip()}")
    return socket


def _end(agent: subprocess.Popen[bytes]) -> None:
    agent.terminate()
    agent.wait()
    if agent.stdout is not None:
        agent.stdout.close()
