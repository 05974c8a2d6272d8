"""`USER NAME[:GROUP]`: who runs what follows, in the build and in containers."""

from __future__ import annotations

from dataclasses import dataclass

from dockwright.build.dockerfile.instructions.base import Arguments, Instruction, expands


@dataclass(frozen=True, kw_only=True)
class User(Instruction):
    """A name or number, with a group or not."""

    user: str = expands()


def parse(arguments: Arguments) -> User:
    """See the module. Raises `DockerfileError`."""
    return User(line=arguments.line, user=arguments.one())
