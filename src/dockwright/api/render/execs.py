"""Exec inspect."""

from __future__ import annotations

import base64

from dockwright.container.detach import parse
from dockwright.container.execs import Exec


async def inspect_exec(found: Exec) -> dict[str, object]:
    """`GET /exec/{id}/json`."""
    config = found.config
    command = config.cmd or [""]
    return {
        "ID": found.id,
        "Running": found.running,
        "ExitCode": found.exit_code,
        "ProcessConfig": {
            "tty": config.tty,
            "entrypoint": command[0],
            "arguments": command[1:],
            "privileged": config.privileged,
            "user": config.user,
        },
        "OpenStdin": config.attach_stdin,
        "OpenStderr": config.attach_stderr,
        "OpenStdout": config.attach_stdout,
        "CanRemove": found.can_remove,
        "ContainerID": found.container.id,
        # A byte string, which Go writes as base64.
        "DetachKeys": base64.b64encode(parse(config.detach_keys) if config.detach_keys else b"").decode(),
        "Pid": await found.read_pid(),
    }
