"""Checks of how things are spelled: casing of instructions, stages and protocols."""

from __future__ import annotations

from collections.abc import Iterator

from dockwright.build.dockerfile.checks.rule import Rule, keyword
from dockwright.build.dockerfile.instructions.expose import Expose
from dockwright.build.dockerfile.lines import Line
from dockwright.build.dockerfile.stages import Dockerfile


def stage_name_casing(dockerfile: Dockerfile) -> Iterator[tuple[Line, str]]:
    """Names are matched in lower case, so they are best written so."""
    for stage in dockerfile.stages:
        written = stage.base.line.text.split()[-1]
        if stage.base.name and written != stage.base.name:
            yield stage.base.line, f"Stage name '{written}' should be lowercase"


def from_as_casing(dockerfile: Dockerfile) -> Iterator[tuple[Line, str]]:
    """`FROM a as b` mixes cases; where FROM itself does, another check tells."""
    for stage in dockerfile.stages:
        words = stage.base.line.text.split()
        first = words[0]
        if not stage.base.name or first not in (first.lower(), first.upper()):
            continue
        second = words[-2]
        if second != (second.lower() if first == first.lower() else second.upper()):
            yield stage.base.line, f"'{second}' and '{first}' keywords' casing do not match"


def consistent_instruction_casing(dockerfile: Dockerfile) -> Iterator[tuple[Line, str]]:
    """One casing for all instructions: the one most of them have."""
    lines = [one.line for stage in dockerfile.stages for one in (stage.base, *stage.instructions)]
    upper = sum(keyword(line).isupper() for line in lines)
    lower = sum(keyword(line).islower() for line in lines)
    most = "lowercase" if lower > upper else "uppercase"
    for line in lines:
        word = keyword(line)
        if word != (word.lower() if lower > upper else word.upper()):
            yield line, f"Command '{word}' should match the case of the command majority ({most})"


def expose_proto_casing(dockerfile: Dockerfile) -> Iterator[tuple[Line, str]]:
    """Protocols are written in lower case."""
    for stage in dockerfile.stages:
        for one in stage.instructions:
            if isinstance(one, Expose):
                for port in one.ports:
                    protocol = port.partition("/")[2]
                    if protocol != protocol.lower() and "$" not in protocol:
                        yield one.line, f"Defined protocol '{port}' in EXPOSE instruction should be lowercase"


RULES = (
    Rule("StageNameCasing", "Stage names should be lowercase", stage_name_casing),
    Rule("FromAsCasing", "The 'as' keyword should match the case of the 'from' keyword", from_as_casing),
    Rule(
        "ConsistentInstructionCasing",
        "All commands within the Dockerfile should use the same casing (either upper or lower)",
        consistent_instruction_casing,
    ),
    Rule("ExposeProtoCasing", "Protocol in EXPOSE instruction should be lowercase", expose_proto_casing),
)
