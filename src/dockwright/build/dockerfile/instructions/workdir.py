"""`WORKDIR PATH`: the directory that what follows runs in; made when it is not there."""

from __future__ import annotations

from dataclasses import dataclass

from dockwright.build.dockerfile.instructions.base import Arguments, Instruction, expands


@dataclass(frozen=True, kw_only=True)
class Workdir(Instruction):
    """A relative path goes on from the last one."""

    path: str = expands()


def parse(arguments: Arguments) -> Workdir:
    """See the module. Raises `DockerfileError`."""
    return Workdir(line=arguments.line, path=arguments.one())
