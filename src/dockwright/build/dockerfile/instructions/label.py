"""`LABEL NAME=VALUE ...`: metadata of the image."""

from __future__ import annotations

from dataclasses import dataclass

from dockwright.build.dockerfile.instructions import pairs
from dockwright.build.dockerfile.instructions.base import Arguments, Instruction, expands


@dataclass(frozen=True, kw_only=True)
class Label(Instruction):
    """`old_form` is `LABEL NAME VALUE`."""

    pairs: tuple[tuple[str, str], ...] = expands()
    old_form: bool = False


def parse(arguments: Arguments) -> Label:
    """See the module. Raises `DockerfileError`."""
    found, old = pairs.parse(arguments)
    return Label(line=arguments.line, pairs=found, old_form=old)
