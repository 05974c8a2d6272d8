"""`CMD COMMAND`: what a container runs unless it is told otherwise."""

from __future__ import annotations

from dataclasses import dataclass

from dockwright.build.dockerfile.instructions.base import Arguments, Command, Instruction


@dataclass(frozen=True, kw_only=True)
class Cmd(Instruction):
    """Without arguments, it takes away what the base image has."""

    command: Command


def parse(arguments: Arguments) -> Cmd:
    """See the module. Raises `DockerfileError`."""
    arguments.no_flags()
    return Cmd(line=arguments.line, command=arguments.command())
