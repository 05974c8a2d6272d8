"""`STOPSIGNAL SIGNAL`: what ends a container."""

from __future__ import annotations

from dataclasses import dataclass

from dockwright.build.dockerfile.instructions.base import Arguments, Instruction, expands


@dataclass(frozen=True, kw_only=True)
class StopSignal(Instruction):
    """A name or a number."""

    signal: str = expands()


def parse(arguments: Arguments) -> StopSignal:
    """See the module. Raises `DockerfileError`."""
    return StopSignal(line=arguments.line, signal=arguments.one())
