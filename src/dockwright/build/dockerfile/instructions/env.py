"""`ENV NAME=VALUE ...`: variables of the build and of the image."""

from __future__ import annotations

from dataclasses import dataclass

from dockwright.build.dockerfile.instructions import pairs
from dockwright.build.dockerfile.instructions.base import Arguments, Instruction, expands


@dataclass(frozen=True, kw_only=True)
class Env(Instruction):
    """`old_form` is `ENV NAME VALUE`, where the value runs to the end of the line."""

    pairs: tuple[tuple[str, str], ...] = expands()
    old_form: bool = False


def parse(arguments: Arguments) -> Env:
    """See the module. Raises `DockerfileError`."""
    found, old = pairs.parse(arguments)
    return Env(line=arguments.line, pairs=found, old_form=old)
