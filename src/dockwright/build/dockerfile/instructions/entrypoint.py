"""`ENTRYPOINT COMMAND`: what a container runs, its arguments after it."""

from __future__ import annotations

from dataclasses import dataclass

from dockwright.build.dockerfile.instructions.base import Arguments, Command, Instruction


@dataclass(frozen=True, kw_only=True)
class Entrypoint(Instruction):
    """Without arguments, it takes away what the base image has."""

    command: Command


def parse(arguments: Arguments) -> Entrypoint:
    """See the module. Raises `DockerfileError`."""
    arguments.no_flags()
    return Entrypoint(line=arguments.line, command=arguments.command())
