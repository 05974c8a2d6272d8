"""The build checks: what works and is likely not what was meant. `check` runs them all.

A rule is a function in one of the modules here and a row of its `RULES`. `choice.Choice` says which ones run. Names,
messages and pages are those of Docker's build checks: tools match on them.
"""

from __future__ import annotations

from collections.abc import Sequence

from dockwright.build.dockerfile.checks import casing, descriptions, sources, stages, usage
from dockwright.build.dockerfile.checks.choice import Choice
from dockwright.build.dockerfile.checks.rule import Finding, Rule
from dockwright.build.dockerfile.checks.sources import Known
from dockwright.build.dockerfile.errors import DockerfileError
from dockwright.build.dockerfile.stages import Dockerfile, parse
from dockwright.errors import Invalid
from dockwright.ignoring import Patterns

__all__ = ["RULES", "Choice", "Finding", "Known", "Rule", "check", "check_before", "refuse"]

_PURE = (*casing.RULES, *stages.RULES, *usage.RULES, *descriptions.RULES)
RULES = (*_PURE, *sources.RULES)
# What needs no more than the instruction itself.
_WHILE_READING = [
    rule for rule in _PURE if rule.name in ("StageNameCasing", "FromAsCasing", "MaintainerDeprecated")
] + [*descriptions.RULES]


def check(
    dockerfile: Dockerfile,
    choice: Choice | None = None,
    *,
    ignored: Patterns | None = None,
    bases: Sequence[Known] = (),
) -> list[Finding]:
    """What the checks find, in the file's order.

    `ignored` is the context's ignore file, `bases` are the base images that are known. Raises `DockerfileError` for a bad
    `check` directive.
    """
    chosen = choice or Choice.of(dockerfile)
    found = [finding for rule in _PURE for finding in rule.findings(dockerfile)]
    if ignored is not None:
        found += sources.copy_ignored_file(dockerfile, ignored)
    found += sources.undefined_var(dockerfile, {one.written: one.environment for one in bases})
    found += sources.invalid_base_image_platform(bases)
    return sorted(filter(chosen.allows, found), key=lambda finding: (finding.line.start, finding.rule.name))


def check_before(text: bytes, error: DockerfileError) -> list[Finding]:
    """What is found in the lines before the one where the Dockerfile cannot be read any further."""
    lines = text.decode(errors="replace").split("\n")[: error.span.line - 1]
    try:
        dockerfile = parse("\n".join(lines), error.file)
        chosen = Choice.of(dockerfile)
    except DockerfileError:
        return []
    found = [finding for rule in _WHILE_READING for finding in rule.findings(dockerfile)]
    return sorted(filter(chosen.allows, found), key=lambda finding: (finding.line.start, finding.rule.name))


def refuse(choice: Choice, found: Sequence[Finding]) -> None:
    """Raise `Invalid` where there are findings and `choice` makes them errors."""
    if choice.error and found:
        names = sorted({finding.rule.name for finding in found})
        raise Invalid(f"lint violation found for rules: {', '.join(names)}")
