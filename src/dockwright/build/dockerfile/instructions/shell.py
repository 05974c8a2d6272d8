"""`SHELL ["PROGRAM", "ARGUMENT", ...]`: what runs the shell forms that follow."""

from __future__ import annotations

from dataclasses import dataclass

from dockwright.build.dockerfile.instructions.base import Arguments, Instruction


@dataclass(frozen=True, kw_only=True)
class Shell(Instruction):
    """The program and its arguments; the command's text is added as the last one."""

    arguments: tuple[str, ...]


def parse(arguments: Arguments) -> Shell:
    """See the module. Raises `DockerfileError`."""
    arguments.no_flags()
    if not arguments.rest.text:
        raise arguments.error("SHELL requires at least one argument")
    array = arguments.json()
    if array is None:
        raise arguments.error(
            "SHELL requires the arguments to be in JSON form", arguments.rest, 'SHELL ["/bin/bash", "-c"]'
        )
    if not array:
        raise arguments.error("SHELL requires at least one argument", arguments.rest)
    return Shell(line=arguments.line, arguments=tuple(array))
