"""Checks of the comments that describe stages and arguments (what `--call=outline` and `--call=targets` list)."""

from __future__ import annotations

from collections.abc import Iterator

from dockwright.build.dockerfile.checks.rule import Rule
from dockwright.build.dockerfile.instructions.arg import Arg
from dockwright.build.dockerfile.lines import Line
from dockwright.build.dockerfile.stages import Dockerfile


def invalid_definition_description(dockerfile: Dockerfile) -> Iterator[tuple[Line, str]]:
    """A comment right above a stage or an argument begins with its name, or is taken for a bad description."""
    arguments = [*dockerfile.arguments]
    for stage in dockerfile.stages:
        if stage.base.name:
            yield from _mistaken("FROM", [stage.base.name], stage.base.line)
        arguments += [one for one in stage.instructions if isinstance(one, Arg)]
    for argument in arguments:
        yield from _mistaken("ARG", [name for name, _ in argument.pairs], argument.line)


def _mistaken(keyword: str, names: list[str], line: Line) -> Iterator[tuple[Line, str]]:
    if not line.comments or not line.comments[-1]:
        return
    if line.comments[-1].split(" ", 1)[0] in names:
        return
    name = names[0] if len(names) == 1 else "<arg_key>"
    yield line, f"Comment for {keyword} should follow the format: `# {name} <description>`"


RULES = (
    Rule(
        "InvalidDefinitionDescription",
        "Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`. If this is not "
        "intended to be a description comment, add an empty line or comment between the instruction and the comment.",
        invalid_definition_description,
        experimental=True,
    ),
)
