"""`ONBUILD INSTRUCTION`: what a build runs that begins with the image made here."""

from __future__ import annotations

from dataclasses import dataclass

from dockwright.build.dockerfile.instructions.base import Arguments, Instruction

_REFUSED = ("FROM", "MAINTAINER")


@dataclass(frozen=True, kw_only=True)
class Onbuild(Instruction):
    """`expression` is kept as text, as the image keeps it; `trigger` is its keyword."""

    expression: str
    trigger: str


def parse(arguments: Arguments) -> Onbuild:
    """See the module. Raises `DockerfileError`."""
    arguments.no_flags()
    if not arguments.rest.text:
        raise arguments.error("ONBUILD requires at least one argument")
    trigger = arguments.rest.text.split(None, 1)[0].upper()
    if trigger == "ONBUILD":
        raise arguments.error("chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed", arguments.rest)
    if trigger in _REFUSED:
        raise arguments.error(f"{trigger} isn't allowed as an ONBUILD trigger", arguments.rest)
    bodies = "".join(f"\n{document.content}{document.name}" for document in arguments.line.heredocs)
    return Onbuild(line=arguments.line, expression=arguments.rest.text + bodies, trigger=trigger)
