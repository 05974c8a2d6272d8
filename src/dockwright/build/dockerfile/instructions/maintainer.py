"""`MAINTAINER NAME`: who keeps the image up (a label is better)."""

from __future__ import annotations

from dataclasses import dataclass

from dockwright.build.dockerfile.instructions.base import Arguments, Instruction


@dataclass(frozen=True, kw_only=True)
class Maintainer(Instruction):
    """Deprecated in the reference."""

    name: str


def parse(arguments: Arguments) -> Maintainer:
    """See the module. Raises `DockerfileError`."""
    return Maintainer(line=arguments.line, name=arguments.one())
