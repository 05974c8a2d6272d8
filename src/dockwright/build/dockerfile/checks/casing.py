"""Checks of how things are spelled: casing of instructions, stages and protocols."""

from __future__ import annotations

from collections.abc import Iterator

from dockwright.build.dockerfile.checks.rule import Rule
from dockwright.build.dockerfile.instructions.expose import Expose
from dockwright.build.dockerfile.lines import Line
from dockwright.build.dockerfile.stages import Dockerfile


def _lines(dockerfile: Dockerfile) -> list[Line]:
    inside = [one.line for stage in dockerfile.stages for one in (stage.base, *stage.instructions)]
    return [argument.line for argument in dockerfile.arguments] + inside


def _keyword(line: Line) -> str:
    return line.text.split(None, 1)[0]


def stage_name_casing(dockerfile: Dockerfile) -> Iterator[tuple[Line, str]]:
    """Names are matched in lower case, so they are best written so."""
    for stage in dockerfile.stages:
        written = stage.base.line.text.split()[-1]
        if stage.base.name and written != stage.base.name:
            yield stage.base.line, f"stage name '{written}' should be lowercase"


def from_as_casing(dockerfile: Dockerfile) -> Iterator[tuple[Line, str]]:
    """`FROM a as b` mixes cases."""
    for stage in dockerfile.stages:
        words = stage.base.line.text.split()
        if stage.base.name and words[0].isupper() != words[-2].isupper():
            yield stage.base.line, f"'{words[-2]}' and '{words[0]}' keywords' casing do not match"


def consistent_instruction_casing(dockerfile: Dockerfile) -> Iterator[tuple[Line, str]]:
    """One casing for all instructions: the one most of them have."""
    lines = _lines(dockerfile)
    upper = sum(_keyword(line).isupper() for line in lines)
    lower = sum(_keyword(line).islower() for line in lines)
    most = "lowercase" if lower > upper else "uppercase"
    for line in lines:
        word = _keyword(line)
        if word != (word.lower() if lower > upper else word.upper()):
            yield line, f"command '{word}' should match the case of the command majority ({most})"


def expose_proto_casing(dockerfile: Dockerfile) -> Iterator[tuple[Line, str]]:
    """Protocols are written in lower case."""
    for stage in dockerfile.stages:
        for one in stage.instructions:
            if isinstance(one, Expose):
                for port in one.ports:
                    protocol = port.partition("/")[2]
                    if protocol != protocol.lower() and "$" not in protocol:
                        yield one.line, f"protocol '{protocol}' in EXPOSE should be lowercase"


RULES = (
    Rule("StageNameCasing", "stage names are written in lower case", stage_name_casing),
    Rule("FromAsCasing", "FROM and AS have the same casing", from_as_casing),
    Rule("ConsistentInstructionCasing", "all instructions have the same casing", consistent_instruction_casing),
    Rule("ExposeProtoCasing", "the protocol of an exposed port is written in lower case", expose_proto_casing),
)
