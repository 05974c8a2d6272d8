"""`EXPOSE PORT[/PROTOCOL] ...`: ports that the image's program listens on."""

from __future__ import annotations

from dataclasses import dataclass

from dockwright.build.dockerfile.instructions.base import Arguments, Instruction, expands


@dataclass(frozen=True, kw_only=True)
class Expose(Instruction):
    """Ports or ranges of ports, as they were written."""

    ports: tuple[str, ...] = expands()


def parse(arguments: Arguments) -> Expose:
    """See the module. Raises `DockerfileError`."""
    arguments.no_flags()
    found = arguments.plain_words()
    if not found:
        raise arguments.error("EXPOSE requires at least one argument")
    return Expose(line=arguments.line, ports=tuple(word.text for word in found))
